"""Processes that never live for long: what was cut off is waited for all the same, once."""

import asyncio

from sqlalchemy import Connection, select

from core.errors import StoreUnusable, Unreachable, Untouchable
from core.lifecycle import State
from core.store.schema import turn
from core.types import PartId
from tests.fakes.clock import now, run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, Screen, prompt
from tests.fakes.thread import Fault

LOST = Fault(Unreachable("no answer"))


def _states(conn: Connection) -> list[State]:
    return [State(state) for state in conn.execute(select(turn.c.state)).scalars()]


def test_ten_lives_of_three_seconds_settle_a_turn() -> None:
    """The first is killed in the middle of the answer; none lives as long as settling takes."""

    async def main() -> None:
        bench = Bench(words("a ", "b ", "c", pause=1.5), words("all ", "of ", "it"))
        await bench.killed_after(3.0, prompt("hi"))
        asked = now()
        for _ in range(9):
            await bench.turns.take_over(["fake"])
            await bench.killed_after(3.0)
        assert await bench.database.read(_states) == [State.SETTLED]
        screen = bench.platform.screen()
        assert screen.visible == ["all of it"]
        assert len(bench.api.requests) == 2
        last = max(call.at for call in screen.calls)
        assert last - asked >= 25.0, "what the first life sent can't land any more"

    run(main())


def test_of_a_machine_that_was_begun_anew_the_wait_does_too_and_only_once() -> None:
    async def main() -> None:
        bench = Bench(words("a ", "b ", "c", pause=1.5), words("all ", "of ", "it"))
        await bench.killed_after(3.0, prompt("hi"))
        for _ in range(3):
            await bench.turns.take_over(["fake"])
            await bench.killed_after(3.0)
        bench.database.boot, anew = "the next boot", now()
        for _ in range(9):
            await bench.turns.take_over(["fake"])
            await bench.killed_after(3.0)
        assert await bench.database.read(_states) == [State.SETTLED]
        last = max(call.at for call in bench.platform.screen().calls)
        assert last - anew >= 25.0

    run(main())


def test_what_lands_late_is_put_right_by_a_later_life() -> None:
    async def main() -> None:
        bench = Bench(words("a ", "b ", "c", pause=1.5), words("all ", "of ", "it"))
        screen = bench.platform.screen()
        await bench.killed_after(3.0, prompt("hi"))
        part = next(iter(screen.states))
        asyncio.get_running_loop().call_later(
            24.0, lambda: screen.states[PartId(part)].append((now(), "a b"))
        )
        for _ in range(9):
            await bench.turns.take_over(["fake"])
            await bench.killed_after(3.0)
        assert screen.texts(part)[-2:] == ["a b", "all of it"]
        assert await bench.database.read(_states) == [State.SETTLED]

    run(main())


def test_an_answer_shown_whole_isnt_shown_again_where_edits_have_ended() -> None:
    """The platform takes an edit for eight seconds only; the wait is gone on with after that."""

    class Window(Screen):
        async def edit(self, part: PartId, text: str) -> None:
            if now() >= 8.0:
                raise Untouchable("edit_window_closed")
            await super().edit(part, text)

    async def main() -> None:
        bench = Bench(words(*["word "] * 30))
        screen = bench.platform.screens[prompt("hi").thread] = Window()
        screen.faults.extend((None, Fault(Unreachable("no answer"), landed=True)))
        await bench.killed_after(7.0, prompt("hi"))
        assert await bench.database.read(_states) == [State.DELIVERED]
        async with bench.process():
            pass
        assert screen.visible == ["word " * 30]
        assert await bench.database.read(_states) == [State.SETTLED]
        assert len(bench.api.requests) == 1

    run(main())


def test_an_answer_that_is_not_stored_yet_is_not_delivered_either() -> None:
    """The store fails at the end of an answer whose last edit but one was cut off."""

    async def main() -> None:
        bench = Bench(words("a ", "b ", "c", pause=1.5))
        screen = bench.platform.screen()
        screen.faults.extend((None, *[LOST] * 30))
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(3.5)
            bench.database.broken = StoreUnusable("the disk is full")
            await asyncio.sleep(4.3)
            screen.faults.clear()
            await asyncio.sleep(0.3)
            bench.database.broken = None
            await asyncio.sleep(3.9)
            assert screen.visible == ["a b c"]
            assert await bench.database.read(_states) == [State.CLAIMED], "tried again at 13 s"
        assert screen.visible == ["a b c"]
        assert await bench.database.read(_states) == [State.SETTLED]
        assert len(bench.api.requests) == 1

    run(main())


def test_a_part_that_is_not_recorded_is_not_delivered() -> None:
    """Whoever goes on would post it again: so the wait is not handed on."""

    async def main() -> None:
        bench = Bench(words("a ", "b ", "c", pause=1.5))
        screen = bench.platform.screen()
        screen.faults.extend((None, LOST))
        engine_dies_at = 20.0
        asyncio.get_running_loop().call_later(1.6, _break, bench)
        asyncio.get_running_loop().call_later(3.0, _mend, bench)
        await bench.killed_after(engine_dies_at, prompt("hi"))
        assert screen.visible == ["a b c"]
        assert await bench.database.read(_states) == [State.ANSWERED]

    run(main())


def _break(bench: Bench) -> None:
    bench.database.broken = StoreUnusable("the disk is full")


def _mend(bench: Bench) -> None:
    bench.database.broken = None


def test_a_turn_interrupted_in_doubt_is_given_back_at_once() -> None:
    async def main() -> None:
        bench = Bench(words(*["w "] * 60, pause=1.5), words("all"))
        screen = bench.platform.screen()
        screen.faults.extend((None, LOST))
        async with bench.process(grace=3.0) as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(4.0)
            stopping = now()
        assert now() - stopping < 6.0
        assert await bench.database.read(_states) == [State.RECEIVED]
        async with bench.process():
            pass
        assert screen.visible == ["all"]

    run(main())
