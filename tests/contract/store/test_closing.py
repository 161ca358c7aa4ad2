"""Leaving a server: what runs ends, nothing more begins, and silence keeps nobody."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import Connection, text

from core.errors import StoreBusy, StoreError
from core.store.postgres import PostgresDatabase
from core.store.sql import SqlTurns
from tests.contract.store.gateway import Gateway
from tests.contract.store.serving import connected, until
from tests.core.store.making import THREAD, Opening, prompt


async def test_a_closed_database_is_not_opened_again(opening: Opening) -> None:
    async with opening() as store:
        await store.turns.accept(prompt(1))
    with pytest.raises(StoreError, match="is closed"):
        await store.turns.accept(prompt(2))
    with pytest.raises(StoreError, match="is closed"):
        await store.turns.waiting(THREAD)


async def after(seconds: float, act: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(seconds)
    await act()


async def test_closing_waits_for_what_runs_and_leaves_no_connection(
    opening: Opening, url: str
) -> None:
    async with connected(url) as other:
        async with opening() as store:
            await store.turns.accept(prompt(1))
            transaction = other.transaction()
            await transaction.start()
            await other.execute("SELECT 1 FROM conversation FOR UPDATE")
            writing = asyncio.ensure_future(store.turns.accept(prompt(2)))
            await asyncio.wait([writing], timeout=0.1)
            committing = asyncio.ensure_future(after(0.1, transaction.commit))
        await committing
        assert await writing
        alone = (
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend'"
        )
        assert await until(lambda: other.fetchval(alone))


async def test_closing_is_not_kept_by_connections_that_died_without_a_word(
    way: Gateway, far_url: str
) -> None:
    """A firewall forgot them: what is sent on one arrives nowhere, and nobody says so."""

    def at_once(conn: Connection) -> None:
        conn.execute(text("SELECT pg_sleep(0.2)"))

    loop = asyncio.get_running_loop()
    async with PostgresDatabase.open(far_url) as database:
        await asyncio.gather(*(database.read(at_once) for _ in range(10)))
        way.stall()
        began = loop.time()
    assert loop.time() - began < 4


async def test_closing_does_not_wait_out_the_patience_of_what_gets_no_answer(
    way: Gateway, far_url: str
) -> None:
    loop = asyncio.get_running_loop()
    async with PostgresDatabase.open(far_url) as database:
        turns = SqlTurns(database)
        await turns.claim("me", ["slack"], 60)
        way.stall()
        claiming = asyncio.ensure_future(turns.claim("me", ["slack"], 60))
        await asyncio.wait([claiming], timeout=0.1)
        claiming.cancel()
        began = loop.time()
    assert loop.time() - began < 8


async def test_a_turn_is_given_back_soon_or_not_at_all(way: Gateway, far_url: str) -> None:
    """A process that ends has no time: the lease runs out by itself."""
    loop = asyncio.get_running_loop()
    async with PostgresDatabase.open(far_url) as database:
        turns = SqlTurns(database)
        await turns.accept(prompt(1))
        turn = await turns.claim("me", ["slack"], 60)
        assert turn
        way.cut()
        began = loop.time()
        with pytest.raises(StoreBusy):
            await turns.release(turn)
        assert loop.time() - began < 5
        way.mend()
