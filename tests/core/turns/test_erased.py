"""A conversation goes on after words of it were erased for their age."""

import asyncio

import pytest

from core.errors import CompletionError, Failure
from core.types import Remembered, Role
from tests.fakes.clock import run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, named, prompt

SYSTEM = ("system", "Be kind.")


def test_the_model_is_reminded_of_what_is_left_and_the_person_told_once() -> None:
    async def main() -> None:
        bench = Bench(words("yes"))
        async with bench.process() as engine:
            for number in range(4):
                await engine.accept(prompt(f"question {number}", number))
                await asyncio.sleep(100)
                if number == 1:
                    assert await bench.turns.erase(150.0), "the first"
        sent = await bench.sent()
        assert sent[2] == [
            SYSTEM,
            ("user", "question 1"),
            ("assistant", "yes"),
            ("user", "question 2"),
        ]
        assert sent[3] == [*sent[2], ("assistant", "yes"), ("user", "question 3")]
        assert ["beginning" in text for text in bench.platform.screen().visible] == [
            *(False, False, True, False)
        ]

    run(main())


@pytest.mark.parametrize("afresh", [False, True])
def test_where_nothing_is_left_the_thread_is_read_again_unless_it_was_to_be_forgotten(
    afresh: bool,
) -> None:
    async def main() -> None:
        bench = Bench(words("yes"))
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(prompt("first", 0, author="U1"))
            await asyncio.sleep(100)
            if afresh:
                assert await bench.history.restart(prompt("").thread)
            assert await bench.turns.erase(0.0)
            asked = named("U1", "first", prompt("", 0).identity)
            screen.before = [asked, Remembered(Role.ASSISTANT, "yes", "", "i2")]
            await engine.accept(prompt("second", 1, author="U1"))
        said = [] if afresh else [("user", "first"), ("assistant", "yes")]
        assert (await bench.sent())[1] == [SYSTEM, *said, ("user", "second")]
        assert screen.visible == ["yes", "yes"]

    run(main())


def test_what_is_erased_between_two_attempts_is_not_sent_by_the_second() -> None:
    async def main() -> None:
        bench = Bench(words("yes"), words("no"), [CompletionError(Failure.SERVER)], words("maybe"))
        async with bench.process() as engine:
            for number in range(2):
                await engine.accept(prompt(f"question {number}", number))
                await asyncio.sleep(100)
            await engine.accept(prompt("question 2", 2))
            await asyncio.sleep(0.2)
            while await bench.turns.erase(0.0):  # at least one turn each time
                pass
            await asyncio.sleep(100)
            await engine.accept(prompt("question 3", 3))
        *_, before, after, then = await bench.sent()
        assert len(before) == 6
        assert after == [SYSTEM, ("user", "question 2")]
        assert then == [*after, ("assistant", "maybe"), ("user", "question 3")]

    run(main())
