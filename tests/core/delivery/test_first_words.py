"""An answer's first words: how long they wait, to be more."""

from dataclasses import replace

import pytest

from core.delivery.lanes import CALM, FIRST
from core.delivery.pacing import HORIZON
from core.delivery.waiting import PATIENCE
from core.types import Allowance
from tests.core.delivery.session import Session
from tests.fakes.clock import run
from tests.fakes.thread import FakeThread, StreamingThread, limits, streaming

WORDS = [f"word{number} " for number in range(200)]


def first_call(burst: float, pause: float) -> FakeThread:
    """A thread after an answer came evenly. burst: of the edits, beside one a second."""
    terms = replace(limits(size=9000), edit=Allowance("edit", burst, 1.0))
    thread = FakeThread(terms, latency=lambda: 0.0)

    async def main() -> None:
        await Session(thread).stream(WORDS, pause=pause)

    run(main())
    assert "".join(thread.visible) == "".join(WORDS)
    return thread


@pytest.mark.parametrize("burst", [4, 10])
def test_they_wait_where_calls_are_scarce(burst: int) -> None:
    lasts = HORIZON / (1 + burst + HORIZON)
    assert first_call(burst, 0.02).calls[0].at == pytest.approx(0.02 + FIRST * lasts, abs=0.05)


def test_they_wait_no_longer_than_ever_where_there_is_plenty() -> None:
    assert first_call(60, 0.02).calls[0].at == pytest.approx(0.02 + PATIENCE, abs=0.05)


def test_they_do_not_wait_once_nothing_more_comes() -> None:
    assert first_call(4, 0.2).calls[0].at == pytest.approx(0.2 + CALM, abs=0.01)


def test_only_those_of_the_first_message_wait() -> None:
    terms = streaming(size=600)
    assert terms.stream is not None
    scarce = replace(terms.stream, append=Allowance("append", 8, 0.5))
    terms = replace(terms, stream=scarce, edit=Allowance("edit", 3, 0.1))
    thread = StreamingThread(terms, latency=lambda: 0.1)

    async def main() -> None:
        await Session(thread).stream(WORDS, pause=0.02)

    run(main())
    starts = [number for number, call in enumerate(thread.calls) if call.name == "start"]
    assert len(starts) > 2
    for number in starts[1:]:  # after the end of the message before
        before, after = thread.calls[number - 1 : number + 1]
        assert after.at - before.at < 0.1 + PATIENCE
