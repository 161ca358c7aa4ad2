"""An answer that the platform won't show for words in it."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, select

from core.errors import Unshowable
from core.lifecycle import State
from core.store.schema import turn
from core.types import PartId, ThreadKey
from tests.fakes.clock import run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, Screen, prompt

LINE = "It can't be shown."


class Prudish(Screen):
    """A thread that shows no "ass", as a word by itself. told: how often that was said."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[list[str]] = []
        self.tried = 0

    def _effect(self, name: str, part: PartId | None, text: str, land: Callable[[], None]) -> None:
        if "ass" in text.split():
            self.tried += 1
            raise Unshowable("blocked")
        super()._effect(name, part, text, land)

    async def withheld(self) -> None:
        """Keep what was visible then."""
        self.told.append([text.strip() for text in self.visible])


def _states(conn: Connection) -> list[str]:
    return list(conn.execute(select(turn.c.state)).scalars())


def prudish(*script: str) -> tuple[Bench, Prudish]:
    bench, screen = Bench(words(*script, pause=1.0), words("next")), Prudish()
    bench.platform.screens[ThreadKey("fake:a")] = screen
    return bench, screen


@pytest.mark.parametrize("at", [0, 4])
def test_a_word_that_was_not_whole_yet_holds_up_nothing_but_itself(at: int) -> None:
    async def main() -> None:
        script = ["one ", "two ", "three ", "four ", "five"]
        bench, screen = prudish(*script[:at], "ass", "ume ", *script[at:])
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(15)
        assert screen.visible == ["".join([*script[:at], "assume ", *script[at:]])]
        assert (screen.told, screen.tried) == ([], 1)

    run(main())


@pytest.mark.parametrize(("before", "shown"), [((), []), (("one ", "two "), ["one two"])])
def test_people_are_told_once_and_the_conversation_goes_on(
    before: tuple[str, ...], shown: list[str]
) -> None:
    async def main() -> None:
        bench, screen = prudish(*before, "ass ", "three")
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(15)
            assert screen.told == [shown]
            assert screen.tried == 2, "as it grew, and whole"
            assert await bench.database.read(_states) == [State.ABANDONED]
            await engine.accept(prompt("more", 2))
            await asyncio.sleep(5)
        assert [text.strip() for text in screen.visible] == [*shown, "next"]
        assert (await bench.sent())[1][1:] == [("user", "hi\n\nmore")], "nobody has seen more"

    run(main())


def test_a_stop_in_the_middle_of_a_word_is_no_end() -> None:
    async def main() -> None:
        bench, screen = prudish("ass", "ume ", "more")
        async with bench.process(grace=0.1) as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(1.5)
        assert (screen.tried, screen.told) == (2, [])
        assert await bench.database.read(_states) == [State.RECEIVED]
        async with bench.process():
            await asyncio.sleep(5)
        assert (screen.visible, screen.told) == (["next"], [])

    run(main())
