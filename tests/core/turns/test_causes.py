"""What the log tells the operator of a failed attempt."""

from typing import Any

from structlog.testing import capture_logs

from core.errors import CompletionError, Failure
from core.types import Chunk
from tests.fakes.clock import run
from tests.fakes.completions import Step, words
from tests.fakes.platform import Bench, prompt

ASKED = "Why did the stream end before my answer was finished?"
OURS = "The stream ended before the answer was finished."


def told(event: str, *steps: Step, asked: str = ASKED) -> dict[str, Any]:
    """The first line of that event after an attempt that goes like this, then a good one."""

    async def main() -> dict[str, Any]:
        bench = Bench(list(steps), words("fine"))
        with capture_logs() as logs:
            async with bench.process() as engine:
                await engine.accept(prompt(asked))
        return dict(next(line for line in logs if line["event"] == event))

    return run(main())


def test_a_sentence_of_ours_is_left_whole() -> None:
    error = CompletionError(Failure.TRUNCATED, OURS, own=True)
    assert told("turn.retrying", error)["cause"] == OURS
    seen: list[Step] = [Chunk(text="It was not finished."), 1.0, error]
    assert told("turn.failed", *seen)["cause"] == OURS
    empty: list[Step] = [Chunk(text=" "), Chunk(finish_reason="stop"), Chunk(done=True)]
    assert "finished without a visible word" in told("turn.retrying", *empty)["cause"]


def test_the_same_of_the_api_s_is_not() -> None:
    error = CompletionError(Failure.SERVER, "Why did the stream end before my answer? Ask later.")
    assert told("turn.retrying", error)["cause"] == "…? Ask later."


def test_what_a_filter_refuses_is_no_error_of_the_service() -> None:
    assert told("turn.failed", CompletionError(Failure.MODERATED))["log_level"] == "warning"
    assert told("turn.failed", CompletionError(Failure.REFUSED))["log_level"] == "error"


def test_how_long_the_api_asked_to_wait_is_told() -> None:
    assert told("turn.retrying", CompletionError(Failure.BUSY, retry_after=2.0))["retry_after"] == 2
    assert told("turn.failed", CompletionError(Failure.BUSY, retry_after=60.0))["retry_after"] == 60
    assert "retry_after" not in told("turn.retrying", CompletionError(Failure.BUSY))
