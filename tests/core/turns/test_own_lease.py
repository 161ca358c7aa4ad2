"""A store that fails for longer than a lease makes no second worker on the same turn."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import Connection, select

from core.errors import StoreBusy, Unreachable, Withdrawn
from core.ports import Turn
from core.store.schema import conversation
from core.turns.journal import Journal
from core.types import PartId
from tests.fakes.clock import now, run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, Screen, prompt


def _fences(conn: Connection) -> list[int]:
    return list(conn.execute(select(conversation.c.fence)).scalars())


def test_a_lease_that_ran_out_with_the_store_gives_one_stream_at_a_time() -> None:
    async def main() -> None:
        script = [*words(*(f"w{number} " for number in range(40)), pause=5.0)]
        bench = Bench(script)
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(10.0)
            bench.database.broken = StoreBusy("locked")
            await asyncio.sleep(95.0)
            bench.database.broken = None
        assert len(bench.api.requests) == 2, "claimed again, since nobody could renew the lease"
        assert bench.api.most_open == 1
        assert bench.platform.screen().visible == ["".join(f"w{n} " for n in range(40))]

    run(main())


def test_who_stood_still_past_its_lease_stops_when_it_wakes() -> None:
    """As after SIGSTOP: another replica has claimed the turn meanwhile."""

    async def main() -> None:
        bench = Bench(words(*"." * 30, pause=2.0))  # a minute, one part
        async with bench.process(grace=0.0) as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(5.0)
            await bench.turns.take_over(["fake"])
            assert await bench.turns.claim("another", ["fake"], 1_000.0)
            await asyncio.sleep(bench.means().lease / 3 + 1.0)
            assert bench.api.open == 0, "it still asks"
            shown = list(bench.platform.screen().visible)
            await asyncio.sleep(5.0)
            assert bench.platform.screen().visible == shown, "it still writes"

    run(main())


def test_while_its_lease_may_have_ended_it_writes_nothing() -> None:
    """The store may let another replica claim the turn, and fail for this one."""

    async def main(*, exclusive: bool) -> tuple[float, list[str]]:
        bench = Bench(words(*"." * 60, pause=2.0))
        bench.exclusive = exclusive
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(5.0)
            bench.database.broken = StoreBusy("locked")
            await asyncio.sleep(90.0)
            (state,) = bench.platform.screen().states.values()
            last = state[-1][0]
            bench.database.broken = None
        return last, bench.platform.screen().visible

    last, visible = run(main(exclusive=False))
    assert 50.0 < last < 60.0
    assert visible == ["." * 60]
    last, visible = run(main(exclusive=True))
    assert last > 90.0, "nobody else can have it"
    assert visible == ["." * 60]


def test_who_hears_late_of_its_claim_renews_it_before_it_writes() -> None:
    """The database took longer to answer than the lease lasts: another replica has the turn."""

    async def main() -> None:
        bench = Bench(words(*"." * 100))
        await bench.killed_after(10.11, prompt("hi"))  # the answer is committed, not shown
        screen, claim = bench.platform.screen(), bench.turns.claim

        async def late(
            owner: str, platforms: Sequence[str], lease: float, full: Sequence[str] = ()
        ) -> Turn | None:
            turn = await claim(owner, platforms, lease)
            if turn is not None:
                await asyncio.sleep(lease + 1.0)
                assert await claim("another", platforms, lease)
            return turn

        bench.turns.claim = late  # type: ignore[method-assign]
        calls = len(screen.calls)
        async with bench.process(grace=0.0):
            await asyncio.sleep(70.0)
        assert len(screen.calls) == calls, "it wrote what another holds"

    run(main())


class _Kept(Screen):
    """Takes nothing away before `until`."""

    until = 150.0

    async def remove(self, part: PartId) -> None:
        if now() < self.until:
            raise Unreachable("away")
        await super().remove(part)


def test_what_takes_longer_than_a_lease_to_take_back_stays_one_processes() -> None:
    async def main() -> None:
        bench = Bench(words(*"." * 30, pause=1.0))
        asked = prompt("hi")
        screen = bench.platform.screens[asked.thread] = _Kept()
        async with bench.process() as engine:
            await engine.accept(asked)
            await asyncio.sleep(5.0)
            await engine.withdraw(asked.identity)
            await asyncio.sleep(130.0)
            assert await bench.database.read(_fences) == [1], "claimed anew"
        assert screen.visible == []

    run(main())


def test_a_question_that_another_process_heard_deleted_is_not_asked_beside_the_next() -> None:
    async def main() -> None:
        bench = Bench(words("never", pause=15.0), words("later"))
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(0.05)
            assert bench.api.open == 1
            await bench.turns.amend(prompt("hi").identity, "hello")  # which voids the claim
            await bench.turns.withdraw(prompt("hi").identity)
            await engine.accept(prompt("and?", 2))
            await asyncio.sleep(3.0)
            assert bench.api.open == 0
        assert bench.platform.screen().visible == ["later"]

    run(main())


def test_nothing_is_announced_for_a_question_that_was_deleted() -> None:
    """Also by who knows of it, and takes back what is visible."""

    async def main() -> None:
        bench = Bench()
        await bench.turns.accept(prompt("hi"))
        turn = await bench.turns.claim("a process", ["fake"], 60.0)
        assert turn is not None
        journal = Journal(bench.turns, turn, now, 60.0, now())
        await journal.announce(0, named=True)
        await bench.turns.withdraw(turn.prompt.identity)
        for known in (False, True):
            journal.turn = replace(turn, withdrawn=known)
            with pytest.raises(Withdrawn):
                await journal.announce(1, named=True)
        assert await journal.renew(60.0), "which who knows of it may"

    run(main())
