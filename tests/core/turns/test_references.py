"""The reference that a person is shown leads the operator to the cause: it stands in the log."""

import asyncio
import re

import pytest
from structlog.testing import capture_logs

from core.errors import CompletionError, Failure
from tests.fakes.clock import run
from tests.fakes.completions import Step, words
from tests.fakes.platform import Bench, prompt

LONG = words(*["word "] * 100)  # ten seconds


def told(bench: Bench, lives: list[float], deaths: list[float]) -> tuple[str, dict[str, object]]:
    """What is shown in the end, and the line of the log that its reference leads to.

    lives: of processes that are stopped gracefully, in seconds. deaths: of those that are killed.
    """

    async def main() -> None:
        await bench.turns.accept(prompt("hi"))
        for seconds in lives:
            async with bench.process(grace=0.5):
                await asyncio.sleep(seconds)
        for seconds in deaths:
            await bench.turns.take_over(["fake"])
            await bench.killed_after(seconds)
        async with bench.process():
            pass

    with capture_logs() as logs:
        run(main())
    (shown,) = bench.platform.screen().visible
    reference = re.search(r"\(trace (.+?)\)", shown)
    assert reference
    grave = [line for line in logs if line["log_level"] in ("warning", "error")]
    (line,) = (line for line in grave if line.get("trace") == reference[1])
    assert line["turn"] == 1
    return shown, dict(line)


@pytest.mark.parametrize(
    ("script", "event"),
    [
        ([CompletionError(Failure.CREDENTIALS, trace_id="t-1")], "turn.failed"),
        ([CompletionError(Failure.CREDENTIALS)], "turn.failed"),
        ([RuntimeError("a bug")], "turn.broken"),
    ],
    ids=["the API's", "ours", "a bug"],
)
def test_of_what_failed(script: list[Step], event: str) -> None:
    _, line = told(Bench(script), [], [])
    assert line["event"] == event


def test_of_what_kills() -> None:
    shown, line = told(Bench(LONG), [], [3.0] * 3)
    assert "interrupted 3 times" in shown
    assert (line["event"], line["crashes"]) == ("turn.parked", 3)


def test_of_what_was_stopped_too_often() -> None:
    shown, line = told(Bench(LONG), [3.0] * 3, [])
    assert "interrupted 3 times" in shown
    assert (line["event"], line["attempts"]) == ("turn.given_up", 3)
    assert line["fix"]
