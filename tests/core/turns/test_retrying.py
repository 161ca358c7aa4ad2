"""What is tried again, how often, how long after."""

import pytest

from core.errors import CompletionError, Failure
from core.turns.retrying import Again, Change, decide

NONE: frozenset[Change] = frozenset()


def after(failure: Failure, attempt: int = 1, chance: float = 0.5, **facts: float) -> Again | None:
    error = CompletionError(failure, retry_after=facts.get("retry_after"))
    return decide(error, attempt=attempt, visible=False, made=NONE, chance=chance)


@pytest.mark.parametrize(
    ("failure", "change"),
    [
        (Failure.TRANSPORT, Change.NONE),
        (Failure.STALLED, Change.NONE),
        (Failure.TRUNCATED, Change.NONE),
        (Failure.BUSY, Change.NONE),
        (Failure.SERVER, Change.NONE),
        (Failure.EMPTY, Change.SAME),
        (Failure.TOO_LONG, Change.TRIM),
        (Failure.TOO_BIG, Change.TRIM),
        (Failure.MAX_TOKENS, Change.CAP),
        (Failure.NO_ROOM, Change.FIT),
        (Failure.SHAPE, Change.RESHAPE),
    ],
)
def test_what_is_tried_again(failure: Failure, change: Change) -> None:
    again = after(failure)
    assert again is not None
    assert again.change is change


@pytest.mark.parametrize(
    "failure",
    [
        Failure.MODERATED,
        Failure.REFUSED,
        Failure.CREDENTIALS,
        Failure.BALANCE,
        Failure.CONFIGURATION,
    ],
)
def test_what_is_never_tried_again(failure: Failure) -> None:
    assert after(failure) is None


@pytest.mark.parametrize("failure", list(Failure))
def test_nothing_is_tried_again_when_a_word_is_visible(failure: Failure) -> None:
    error = CompletionError(failure)
    assert decide(error, attempt=1, visible=True, made=NONE, chance=0.5) is None


@pytest.mark.parametrize("failure", list(Failure))
def test_three_attempts_are_the_most(failure: Failure) -> None:
    assert after(failure, attempt=3) is None


@pytest.mark.parametrize("change", [change for change in Change if change is not Change.NONE])
def test_a_change_is_made_once(change: Change) -> None:
    by_change = {
        Change.SAME: Failure.EMPTY,
        Change.TRIM: Failure.TOO_LONG,
        Change.CAP: Failure.MAX_TOKENS,
        Change.FIT: Failure.NO_ROOM,
        Change.RESHAPE: Failure.SHAPE,
    }
    error = CompletionError(by_change[change])
    assert decide(error, attempt=2, visible=False, made=frozenset({change}), chance=0) is None


def test_full_jitter_up_to_a_growing_ceiling() -> None:
    delays = [
        after(Failure.SERVER, attempt, chance) for attempt in (1, 2) for chance in (0.0, 0.999)
    ]
    assert [round(again.delay, 1) for again in delays if again] == [0.0, 1.0, 0.0, 2.0]


def test_retry_after_is_honoured_up_to_thirty_seconds() -> None:
    again = after(Failure.BUSY, retry_after=30.0, chance=0.0)
    assert again is not None
    assert again.delay == 30.0
    assert after(Failure.BUSY, retry_after=31.0) is None
    short = after(Failure.SERVER, retry_after=2.0, chance=0.9)
    assert short is not None
    assert short.delay == pytest.approx(2.45), "so that not everybody comes back at once"
