"""Word of new work reaches the other processes; what is lost on the way costs a poll, no more."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest

from core.errors import StoreBusy
from core.store.postgres import PostgresDatabase
from core.store.sql import SqlTurns
from core.types import Prompt
from tests.contract.store.gateway import gateway
from tests.contract.store.serving import Cluster, connected, until
from tests.core.store.making import Store, prompt

LISTENERS = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"


class Woken:
    """Counts how often it was woken."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1

    async def more_than(self, times: int) -> bool:
        return self.times > times

    async def settled(self) -> int:
        """The count, once nothing has been added for a while; at least one."""
        while True:
            before = self.times
            await asyncio.sleep(0.15)
            if before == self.times > 0:
                return before


@pytest.fixture
async def other(url: str) -> AsyncGenerator[PostgresDatabase, None]:
    """The same database, as another process has it open."""
    async with PostgresDatabase.open(url) as database:
        yield database


async def test_an_accept_wakes_the_others(store: Store, other: PostgresDatabase) -> None:
    here, there = Woken(), Woken()
    async with store.database.listening(here), other.listening(there):
        before = await here.settled(), await there.settled()
        began = asyncio.get_running_loop().time()
        assert await store.turns.accept(prompt(1))
        await until(lambda: there.more_than(before[1]))
        assert asyncio.get_running_loop().time() - began < 0.5, "sooner than the next poll"
        assert await SqlTurns(other).claim("other", ["slack"], 30) is not None
        heard = await there.settled()
        assert not await store.turns.accept(prompt(1))
        assert await there.settled() == heard, "what was known is no work"


async def brought(turns: SqlTurns, asked: Prompt) -> None:
    """As platforms do: again until it is accepted."""
    while True:
        with contextlib.suppress(StoreBusy):
            await turns.accept(asked)
            return


async def test_many_accepts_at_once_are_told_of_together(
    store: Store, other: PostgresDatabase
) -> None:
    there = Woken()
    async with store.database.listening(Woken()), other.listening(there):
        before = await there.settled()
        await asyncio.gather(*(brought(store.turns, prompt(n, f"t{n % 40}")) for n in range(200)))
        assert 0 < await there.settled() - before < 50


async def test_word_comes_after_the_commit(store: Store, url: str) -> None:
    """Who is woken finds the turn: there is no word of what is not committed yet."""
    await store.turns.accept(prompt(1))
    here = Woken()
    async with connected(url) as other, store.database.listening(here):
        await here.settled()
        heard = asyncio.Queue[str]()
        await other.add_listener("threadseek", lambda *_: heard.put_nowait("word"))
        await store.turns.accept(prompt(2))
        async with asyncio.timeout(5):
            await heard.get()
        assert await other.fetchval("SELECT count(*) FROM turn") == 2
        async with connected(url) as third, third.transaction():
            await third.execute("SELECT 1 FROM conversation FOR UPDATE")
            waiting = asyncio.ensure_future(store.turns.accept(prompt(3)))
            await asyncio.wait([waiting], timeout=0.3)
            assert heard.empty()
        assert await waiting
        async with asyncio.timeout(5):
            await heard.get()


async def test_a_lost_listener_comes_back_and_wakes_at_once(
    store: Store, other: PostgresDatabase, url: str
) -> None:
    here, there = Woken(), Woken()
    async with store.database.listening(here), other.listening(there), connected(url) as admin:
        before = await there.settled()
        ended = await admin.fetchval(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN%' AND pid <> pg_backend_pid()"
        )
        assert ended == 2
        assert await until(lambda: there.more_than(before)), "some may have been missed"
        await until(lambda: here.more_than(1))
        before = await there.settled()
        await store.turns.accept(prompt(1))
        await until(lambda: there.more_than(before))


async def test_listening_begins_while_the_server_is_away(cluster: Cluster, url: str) -> None:
    name = url.partition("@/")[2].partition("?")[0]
    woken = Woken()
    async with gateway(cluster.directory) as way:
        there = f"postgresql://postgres@127.0.0.1:{way.port}/{name}"
        async with PostgresDatabase.open(there) as database:
            way.cut()
            async with database.listening(woken):
                await asyncio.sleep(0.15)
                assert woken.times == 0
                way.mend()
                await until(lambda: woken.more_than(0))


async def test_a_listener_is_gone_when_it_is_left(store: Store, cluster: Cluster) -> None:
    woken = Woken()
    async with store.database.listening(woken):
        await woken.settled()
        assert await cluster.run(LISTENERS) == 1

    async def none() -> bool:
        return int(await cluster.run(LISTENERS)) == 0

    assert await until(none)
    assert await store.turns.accept(prompt(1)), "telling nobody is no failure"
