"""Who asks much in one place leaves something to those who ask elsewhere."""

import asyncio
from collections.abc import Sequence

import pytest

from core.store.sql import SqlTurns
from core.turns.engine import Engine
from core.turns.shares import SPARE, Shares
from core.types import Prompt, ThreadKey
from tests.fakes.clock import run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, FakePlatform, Screen, prompt
from tests.fakes.store import InlineDatabase
from tests.fakes.thread import limits


class Channels(FakePlatform):
    """Threads that are called `channel.name`; a channel takes a message a second."""

    def open(self, asked: Prompt) -> Screen:
        screen = super().open(asked)
        screen._limits = limits(name=self.place(asked.thread))
        return screen

    def place(self, thread: ThreadKey) -> str:
        """All that is before the point."""
        return thread.partition(".")[0] + "."


def begun(shares: Shares, *places: str) -> None:
    for place in places:
        shares.begun(place)


def test_one_place_leaves_some_and_each_of_several_too() -> None:
    shares = Shares(128)
    while "a" not in shares.full:
        shares.begun("a")
    assert shares._turns["a"] == 128 - SPARE
    begun(shares, "b")
    assert shares.full == ("a",)
    while "b" not in shares.full:
        shares.begun("b")
    assert 10 < shares._turns["b"] < 24
    shares.ended("a")
    begun(shares, "", *[""] * 200)
    assert "" not in shares.full


@pytest.mark.parametrize("slots", [1, 3])
def test_few_slots_are_for_whoever_comes(slots: int) -> None:
    shares = Shares(slots)
    begun(shares, *["a"] * slots)
    assert shares.full == ()


@pytest.mark.parametrize("crowd", ["threads", "one thread"])
def test_a_crowd_in_one_place_holds_up_nobody_elsewhere(crowd: str) -> None:
    async def main() -> None:
        bench = Bench(words("here"))
        bench.platform = Channels()
        engine = Engine(bench.means(), {"fake": bench.platform}, owner="me", concurrency=16)
        running = asyncio.create_task(engine.run())
        for number in range(100):
            thread = f"busy.{number if crowd == 'threads' else 1}"
            await engine.accept(prompt("hi", number, thread=thread))
        await asyncio.sleep(2.0)
        await engine.accept(prompt("hi", thread="quiet.1"))
        await asyncio.sleep(3.0)
        assert bench.platform.screen("quiet.1").visible == ["here"]
        await asyncio.sleep(150.0)
        assert sum(len(screen.visible) for screen in bench.platform.screens.values()) == 101
        await engine.stop(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(main())


def test_what_stands_in_full_places_is_left_where_it_is() -> None:
    async def main() -> None:
        turns = SqlTurns(InlineDatabase(), lambda: 0.0)
        for number, thread in enumerate(("a.1", "a", "b.1", "a.2", "a/", "c.1")):
            await turns.accept(prompt("hi", number, thread=thread))

        async def claimed(*full: str) -> Sequence[str]:
            found = []
            while turn := await turns.claim("me", ["fake"], 60.0, full):
                found.append(turn.prompt.thread.removeprefix("fake:"))
            return found

        assert await claimed("fake:a.", "fake:b.") == ["a", "a/", "c.1"]
        assert await claimed("fake:b.") == ["a.1", "a.2"]
        assert await claimed() == ["b.1"]

    run(main())
