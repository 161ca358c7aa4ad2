"""What people and the operator are told of a failure."""

import pytest

from core.errors import Clock, CompletionError, Failure
from core.turns import notices


@pytest.mark.parametrize("clock", Clock)
def test_the_advice_names_the_clock_that_ran_out(clock: Clock) -> None:
    error = CompletionError(Failure.STALLED, clock=clock)
    assert clock.value in notices.fix(error)
    assert not [other for other in Clock if other is not clock and other in notices.fix(error)]
    assert clock.value in notices.apology(error, "turn-1", operator=True)
    assert clock.value not in notices.apology(error, "turn-1")


@pytest.mark.parametrize(
    "error",
    [
        *map(CompletionError, Failure),
        *(CompletionError(Failure.STALLED, clock=clock) for clock in Clock),
    ],
    ids=str,
)
def test_an_operator_is_told_what_to_do_in_a_sentence_of_its_own(error: CompletionError) -> None:
    told = notices.apology(error, "", operator=True)
    advice = notices.fix(error)
    assert ":" not in told
    assert not advice or told.lower().endswith(f". {advice.lower()}.")


@pytest.mark.parametrize("code", ["token_mismatched", "Api_Not_Implemented"])
def test_codes_that_may_be_about_parameters_name_them(code: str) -> None:
    """The API's reference: possibly due to missing or invalid parameters."""
    advice = notices.fix(CompletionError(Failure.CONFIGURATION, status=400, code=code))
    for name in ("MODEL", "BASE_URL", "N", "RESPONSE_FORMAT", "EXTRA_BODY"):
        assert f"DEEPSEEK_{name}" in advice
    unknown = notices.fix(CompletionError(Failure.CONFIGURATION, status=404, code="no_api"))
    assert "DEEPSEEK_N" not in unknown


def test_who_asks_is_not_told_to_mend_what_only_an_operator_can() -> None:
    told = notices.apology(CompletionError(Failure.REFUSED), "turn-1")
    assert "ask differently" not in told
    assert "whoever runs me" in told
    told = notices.apology(CompletionError(Failure.REFUSED), "turn-1", operator=True)
    assert "whoever runs me" not in told


@pytest.mark.parametrize(
    ("seconds", "when"),
    [
        (None, "in a moment"),
        (30.0, "in a moment"),
        (31.0, "in a minute"),
        (60.0, "in a minute"),
        (60.5, "in 2 minutes"),
        (5_400.0, "in 90 minutes"),
        (86_400.0, "later"),
        (1e300, "later"),
    ],
)
@pytest.mark.parametrize("operator", [False, True])
def test_who_asks_is_told_when_the_api_may_be_asked_again(
    seconds: float | None, when: str, operator: bool
) -> None:
    error = CompletionError(Failure.BUSY, retry_after=seconds)
    told = notices.apology(error, "turn-1", operator=operator)
    assert told.startswith(f"DeepSeek is busy right now. Please try again {when}. ".rstrip())


def test_an_answer_that_was_still_coming_did_not_stop() -> None:
    late = notices.apology(CompletionError(Failure.STALLED, clock=Clock.TURN), "turn-1")
    assert "stopped sending" not in late
    assert "too long" in late
    silent = notices.apology(CompletionError(Failure.STALLED, clock=Clock.PROGRESS), "turn-1")
    assert "stopped sending" in silent
