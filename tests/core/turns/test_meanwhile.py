"""What was said before a question, edited or deleted while the question is tried again."""

import asyncio

import pytest

from core.errors import CompletionError, Failure
from core.store.edits import MARK
from tests.fakes.clock import run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, prompt


@pytest.mark.parametrize(
    "failures",
    [
        [Failure.SERVER],
        [Failure.SERVER, Failure.SERVER],
        [Failure.SHAPE],
        [Failure.TOO_LONG],
        [Failure.SHAPE, Failure.TOO_LONG],
        [Failure.TOO_LONG, Failure.SHAPE],
    ],
)
def test_no_attempt_sends_what_was_edited_or_deleted_before_it(failures: list[Failure]) -> None:
    """And what a failure made us change stays changed."""

    async def scenario() -> None:
        fails = [[1.0, CompletionError(failure)] for failure in failures]
        bench = Bench(*[words("Fine.")] * 4, *fails, words("Yes."))
        async with bench.process() as engine:
            for number in range(4):
                await engine.accept(prompt(f"secret {number}", number))
                await asyncio.sleep(5.0)
            await engine.accept(prompt("and now?", 5))
            await asyncio.sleep(0.5)
            await engine.withdraw(prompt("", 3).identity)
            await engine.amend(prompt("", 2).identity, "plain")
        before, *after = [str(request) for request in (await bench.sent())[4:]]
        assert len(after) == len(failures)
        assert "secret 2" in before
        assert "secret 3" in before
        for request in after:
            assert "secret 2" not in request
            assert "secret 3" not in request
            assert MARK in request
        assert ("plain" in after[0]) is (failures[0] is not Failure.TOO_LONG)
        assert ("secret 0" in after[-1]) is (Failure.TOO_LONG not in failures)
        assert ("[assistant] Fine." in after[-1]) is (Failure.SHAPE in failures)
        assert bench.platform.screen().visible[-1].startswith("Yes.")

    run(scenario())


def test_a_deletion_in_the_pause_before_an_attempt_counts() -> None:
    async def scenario() -> None:
        bench = Bench(
            words("Fine."), [CompletionError(Failure.BUSY, retry_after=10.0)], words("Yes.")
        )
        async with bench.process() as engine:
            await engine.accept(prompt("secret", 0))
            await asyncio.sleep(5.0)
            await engine.accept(prompt("and now?", 1))
            await asyncio.sleep(5.0)
            await engine.withdraw(prompt("", 0).identity)
        (_, before, after) = await bench.sent()
        assert before[1] == ("user", "secret")
        assert after[1] == ("user", MARK)

    run(scenario())
