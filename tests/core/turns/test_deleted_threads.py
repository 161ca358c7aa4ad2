"""Threads that are deleted whole, by themselves or with their channel."""

import asyncio

from sqlalchemy import Connection, select

from core.lifecycle import State
from core.store.edits import MARK
from core.store.schema import message, turn
from tests.core.turns.test_edits import ASKED, LONG, ME
from tests.fakes.clock import run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, named, prompt


def _states(conn: Connection) -> list[tuple[str, str]]:
    return [tuple(row) for row in conn.execute(select(turn.c.text, turn.c.state).order_by("id"))]


def _said(conn: Connection) -> list[str]:
    return list(conn.execute(select(message.c.content)).scalars())


def test_a_deleted_thread_takes_back_its_own_answers_and_no_others() -> None:
    """Its first question replied to another one in the channel, which still stands there."""

    async def scenario() -> None:
        bench = Bench(LONG, LONG)
        screen, deleted = bench.platform.screen(), bench.platform.screen("b")
        deleted.before = [named("Ann", ASKED.text, ME)]
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(2.0)
            await engine.accept(prompt("and why?", thread="b"))
            await asyncio.sleep(2.0)
            assert deleted.visible
            await engine.withdraw_thread(prompt("", thread="b").thread)
            await asyncio.sleep(0.4)
            assert deleted.visible == []
            assert bench.api.open == 1
        assert screen.visible == ["word " * 100]
        assert await bench.database.read(_states) == [
            (ASKED.text, State.SETTLED),
            (MARK, State.CANCELLED),
        ]
        assert set(await bench.database.read(_said)) == {ASKED.text, "word " * 100, MARK}

    run(scenario())


def test_the_threads_of_a_deleted_channel_are_deleted_threads() -> None:
    """However many there are; what is elsewhere is answered."""
    many = 40

    async def scenario() -> None:
        bench = Bench(*[words("Done.") for _ in range(many)], LONG, LONG, LONG)
        threads = ("in:north", "in:south", "out:north")
        gone, near, far = (bench.platform.screen(thread) for thread in threads)
        async with bench.process() as engine:
            for number in range(many):
                await engine.accept(prompt("asked", thread=f"in:north{number}"))
            await asyncio.sleep(120.0)
            for thread in threads:
                await engine.accept(prompt(thread, thread=thread))
            await asyncio.sleep(5.0)
            assert gone.visible
            await engine.withdraw_threads("fake:in:", ["west", "north"])  # as the addresses say
            await asyncio.sleep(0.4)
            assert gone.visible == []
        assert near.visible == far.visible == ["word " * 100]
        states = await bench.database.read(_states)
        assert states[:many] == [(MARK, State.SETTLED)] * many
        assert states[many:] == [
            (MARK, State.CANCELLED),
            ("in:south", State.SETTLED),
            ("out:north", State.SETTLED),
        ]

    run(scenario())
