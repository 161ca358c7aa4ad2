"""Transactions: alone, whole, as patient as their caller, and with no error but our own."""

import asyncio
import sqlite3
import threading
import traceback
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from core.errors import StoreBusy, StoreError, StoreUnusable
from core.store import inbox
from tests.core.store.making import THREAD, Store, opened, prompt

SECRET = "what Ann wrote to nobody else"


def pragma(conn: Connection, name: str) -> object:
    return conn.execute(text(f"PRAGMA {name}")).scalar()


async def test_what_is_committed_outlives_a_power_cut_and_what_is_deleted_is_gone(
    store: Store,
) -> None:
    settings = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    settings |= {"journal_size_limit": 4 * 2**20}
    for run in (store.database.read, store.database.write):
        assert {name: await run(pragma, name) for name in settings} == settings


async def test_a_failed_transaction_leaves_nothing_and_the_next_one_works(store: Store) -> None:
    def fails(conn: Connection) -> None:
        inbox.accept(conn, prompt(1), 0.0)
        raise LookupError("in the middle")

    with pytest.raises(LookupError, match="in the middle"):
        await store.database.write(fails)
    assert await store.turns.waiting(THREAD) == 0
    assert await store.turns.accept(prompt(1))


async def test_a_cancelled_caller_leaves_a_whole_transaction(store: Store, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.ensure_future(store.turns.accept(prompt(1)))
    assert await store.turns.waiting(THREAD) == 0, "readers do not wait for the writer"
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    with pytest.raises(StoreBusy):
        await store.database.write(inbox.accept, prompt(3), 0.0, patience=0.05)
    second = asyncio.ensure_future(store.turns.accept(prompt(2)))
    assert await store.turns.waiting(THREAD) == 0
    assert not second.done()
    other.execute("ROLLBACK")
    other.close()
    assert await second
    assert await store.turns.waiting(THREAD) == 2


async def test_a_full_disk_loses_nothing_and_heals(store: Store) -> None:
    def cap(conn: Connection, spare: int) -> None:
        """SQLite then reports SQLITE_FULL, as it does for a disk."""
        pages = conn.execute(text("PRAGMA page_count")).scalar_one()
        conn.execute(text(f"PRAGMA max_page_count = {pages + spare}"))

    assert await store.turns.accept(prompt(1))
    await store.database.write(cap, 0)
    big = prompt(2, text=SECRET * 10_000)
    with pytest.raises(StoreUnusable, match="the disk is full: free some space"):
        await store.turns.accept(big)
    assert await store.turns.waiting(THREAD) == 1
    assert (await store.claim()).prompt == prompt(1)
    await store.database.write(cap, 10_000)
    assert await store.turns.accept(big)
    assert await store.database.read(pragma, "integrity_check") == "ok"


async def test_a_file_that_became_read_only(store: Store) -> None:
    def turn_read_only(conn: Connection) -> None:
        conn.execute(text("PRAGMA query_only = ON"))

    await store.turns.accept(prompt(1))
    await store.database.write(turn_read_only)
    with pytest.raises(StoreUnusable, match="can't be opened for writing"):
        await store.turns.accept(prompt(2))
    assert await store.turns.waiting(THREAD) == 1


async def test_no_error_carries_what_people_wrote(store: Store) -> None:
    def refused(conn: Connection, said: str) -> None:
        conn.execute(text("INSERT INTO turn (text) VALUES (:said)"), {"said": said})

    with pytest.raises(StoreUnusable, match="refused a statement") as refusal:
        await store.database.write(refused, SECRET)
    assert SECRET not in "".join(traceback.format_exception(refusal.value))


def test_a_damaged_file_is_refused_and_left_alone(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[:4096] = b"\xa5" * 4096
    path.write_bytes(content)
    asyncio.run(refused_as_damaged(path))
    assert path.read_bytes() == content


def test_damage_behind_a_sound_beginning_is_reported(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
    asyncio.run(refused_as_damaged(path))


async def refused_as_damaged(path: Path) -> None:
    with pytest.raises(StoreUnusable, match="damaged or is not an SQLite database: stop what"):
        async with opened(path) as store:
            await store.turns.accept(prompt(1))
            await store.turns.announce(await store.claim(), 0)


async def test_a_closed_database_is_not_opened_again(path: Path) -> None:
    async with opened(path) as store:
        await store.turns.accept(prompt(1))
    with pytest.raises(StoreError, match="is closed"):
        await store.turns.accept(prompt(2))
    with pytest.raises(StoreError, match="is closed"):
        await store.turns.waiting(THREAD)
    assert not path.with_name(path.name + "-wal").exists(), "the log is merged on the way out"


async def test_nothing_is_left_running(path: Path) -> None:
    before = threading.active_count()
    async with opened(path) as store:
        await asyncio.gather(*(store.turns.waiting(THREAD) for _ in range(20)))
        assert threading.active_count() > before
    assert [thread.name for thread in threading.enumerate() if "store" in thread.name] == []
