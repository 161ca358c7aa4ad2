"""Prompts that arrive while their conversation is answering, in virtual time."""

import asyncio

from core.errors import StoreBusy
from core.store.sql import SqlTurns
from core.turns import notices
from core.types import Prompt
from tests.fakes.clock import now, run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, Screen, prompt

LONG = words(*(f"w{number} " for number in range(100)))
REFUSED = notices.CROWDED


def test_each_is_told_how_many_are_before_it_and_when_its_turn_has_come() -> None:
    async def main() -> None:
        bench = Bench(LONG, words("two"), words("three"))
        async with bench.process() as engine:
            for number in (1, 2, 3):
                await engine.accept(prompt(f"p{number}", number))
                await asyncio.sleep(0.1)
            assert not await engine.accept(prompt("p3", 3))
            waits = bench.platform.screen().waits
            assert [ahead for _, ahead in waits] == [1, 2], "the first does not wait"
        assert [ahead for _, ahead in waits] == [1, 2, 0, 0]
        await asyncio.sleep(100)
        async with bench.process() as engine:
            await engine.accept(prompt("later", 4))
        assert len(waits) == 4, "who did not wait is told nothing"

    run(main())


def test_who_was_overtaken_is_told_so() -> None:
    """It comes when the one that was sent after it is being answered."""

    async def main() -> None:
        bench = Bench(LONG, words("two"))
        async with bench.process() as engine:
            await engine.accept(prompt("p2", 2))
            await asyncio.sleep(1)
            await engine.accept(prompt("p1", 1))
            await asyncio.sleep(1)
            waits = bench.platform.screen().waits
            assert [ahead for _, ahead in waits] == [1]
        assert [ahead for _, ahead in waits] == [1, 0]

    run(main())


def test_another_life_takes_the_sign_away() -> None:
    async def main() -> None:
        bench = Bench(LONG)
        await bench.killed_after(2, prompt("p1", 1), prompt("p2", 2))
        waits = bench.platform.screen().waits
        assert [ahead for _, ahead in waits] == [1]
        async with bench.process():
            pass
        assert [ahead for _, ahead in waits] == [1, 0]

    run(main())


class _Slow(Screen):
    """A screen on which the sign for one that waits takes long."""

    async def queued(self, ahead: int) -> None:
        if ahead:
            await asyncio.sleep(300)
        await super().queued(ahead)


def test_a_sign_that_comes_too_late_is_taken_away_again() -> None:
    async def main() -> None:
        bench = Bench(words("one"), words("two"))
        screen = bench.platform.screens.setdefault(prompt("").thread, _Slow())
        async with bench.process() as engine:
            await engine.accept(prompt("p1", 1))
            await engine.accept(prompt("p2", 2))
            await asyncio.sleep(400)
        assert screen.visible == ["one", "two"]
        assert [ahead for _, ahead in screen.waits] == [0, 1, 0]

    run(main())


def test_thirteen_at_once_ten_are_answered_and_three_are_told_at_once() -> None:
    async def main() -> None:
        bench = Bench(LONG)
        async with bench.process() as engine:
            for number in range(1, 14):
                assert await engine.accept(prompt(f"p{number}", number))
            await asyncio.sleep(5)
            screen = bench.platform.screen()
            assert screen.visible.count(REFUSED) == 3, "while the first is being answered"
            assert len(bench.api.requests) == 1
            assert not await engine.accept(prompt("p13", 13)), "one refusal, not two"
        assert screen.visible.count(REFUSED) == 3
        asked = [request.messages[-1].content for request in bench.api.requests]
        assert asked == [f"p{number}" for number in range(1, 11)]
        kept = await bench.history.load(prompt("").thread)
        assert len(kept.messages) == 20
        assert not any(REFUSED in entry.content for entry in kept.messages)

    run(main())


def test_a_refusal_survives_a_crash_and_is_said_once() -> None:
    async def main() -> None:
        bench = Bench(LONG)
        asked = [prompt(f"p{number}", number) for number in range(1, 12)]
        await bench.killed_after(0.1, *asked)
        async with bench.process() as engine:
            for one in asked:
                assert not await engine.accept(one)
        assert bench.platform.screen().visible.count(REFUSED) == 1
        assert len({r.messages[-1].content for r in bench.api.requests}) == 10

    run(main())


def test_a_store_that_is_busy_costs_the_sign_only() -> None:
    class Busy(SqlTurns):
        async def ahead(self, prompt: Prompt) -> int:
            raise StoreBusy(f"{prompt.identity} can't be looked at")

    async def main() -> None:
        bench = Bench(words("one"), words("two"))
        bench.turns = Busy(bench.database, now)
        async with bench.process() as engine:
            assert await engine.accept(prompt("p1", 1))
            assert await engine.accept(prompt("p2", 2))
        screen = bench.platform.screen()
        assert screen.visible == ["one", "two"]
        assert not any(ahead for _, ahead in screen.waits)

    run(main())


def test_showing_it_holds_nothing_up() -> None:
    async def main() -> None:
        bench = Bench(words("one"), words("two"))
        screen = bench.platform.screens.setdefault(prompt("").thread, _Slow())
        async with bench.process(grace=60) as engine:
            for number in (1, 2):
                assert await engine.accept(prompt(f"p{number}", number))
            assert now() < 1, "an event is acknowledged in time"
            await asyncio.sleep(60)
        assert screen.visible == ["one", "two"]
        assert now() < 200, "nor does it keep a process from its end"

    run(main())
