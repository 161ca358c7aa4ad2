"""Transactions that wait share a commit, and nothing of one shows in another."""

import asyncio
import sqlite3
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from core.errors import StoreUnusable
from core.store import inbox
from core.store.batches import Batches
from core.store.database import configure
from tests.core.store.making import THREAD, Store, opened, prompt


def accept(conn: Connection, number: int) -> bool:
    return inbox.accept(conn, prompt(number), 0.0)


def accept_and_fail(conn: Connection, number: int) -> bool:
    accept(conn, number)
    raise LookupError("in the middle")


def undo_everything(conn: Connection) -> bool:
    """What SQLite may do by itself when a disk is full: the whole transaction is gone."""
    accept(conn, 7)
    conn.execute(
        text(
            "INSERT OR ROLLBACK INTO conversation (platform, thread, fence, start, ratio, told,"
            " speaker, several, fresh, created_at) SELECT platform, thread, fence, start, ratio,"
            " told, speaker, several, fresh, created_at FROM conversation"
        )
    )
    return True


def not_to_be_committed(conn: Connection) -> bool:
    """A part of no turn, which SQLite finds out at the commit."""
    conn.execute(text("PRAGMA defer_foreign_keys = ON"))
    conn.execute(text("INSERT INTO part (turn_id, position) VALUES (999, 0)"))
    return True


class Gate:
    """A transaction that stops in its middle."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def __call__(self, conn: Connection, number: int) -> bool:
        self.reached.set()
        assert self.open.wait(10)
        return accept(conn, number)


def turns_on_disk(path: Path) -> int:
    with closing(sqlite3.connect(path)) as other:
        return int(other.execute("SELECT count(*) FROM turn").fetchone()[0])


async def test_twenty_that_wait_have_two_commits(store: Store) -> None:
    seen: list[str] = []

    def trace(conn: Connection) -> None:
        driver: Any = conn.connection.dbapi_connection
        driver.set_trace_callback(seen.append)

    await store.database.write(trace)
    await asyncio.gather(*(store.database.write(accept, n) for n in range(20)))
    assert len([sql for sql in seen if sql.startswith("SAVEPOINT")]) == 20
    assert len([sql for sql in seen if sql.startswith("BEGIN IMMEDIATE")]) <= 2


async def test_one_that_fails_takes_only_itself_back(store: Store) -> None:
    write = store.database.write
    first, second, third = await asyncio.gather(
        write(accept, 1), write(accept_and_fail, 2), write(accept, 3), return_exceptions=True
    )
    assert (first, third) == (True, True)
    assert isinstance(second, LookupError)
    assert await store.turns.waiting(THREAD) == 2
    assert await store.turns.accept(prompt(2))


async def test_a_commit_that_fails_fails_all_of_them(store: Store) -> None:
    write = store.database.write
    results = await asyncio.gather(
        write(accept, 1), write(not_to_be_committed), write(accept, 3), return_exceptions=True
    )
    assert [type(result) for result in results] == [StoreUnusable] * 3
    assert await store.turns.waiting(THREAD) == 0
    assert await store.turns.accept(prompt(1))


async def test_when_sqlite_undoes_the_whole_the_others_are_run_again(store: Store) -> None:
    write = store.database.write
    first, second, third = await asyncio.gather(
        write(accept, 1), write(undo_everything), write(accept, 3), return_exceptions=True
    )
    assert (first, third) == (True, True)
    assert isinstance(second, StoreUnusable)
    assert await store.turns.waiting(THREAD) == 2


async def test_nobody_is_told_before_the_commit(store: Store, path: Path) -> None:
    gate = Gate()
    first = asyncio.ensure_future(store.database.write(accept, 1))
    second = asyncio.ensure_future(store.database.write(gate, 2))
    assert await asyncio.to_thread(gate.reached.wait, 10)
    assert await store.turns.waiting(THREAD) == 0, "readers see what is committed"
    assert not first.done()
    assert turns_on_disk(path) == 0
    gate.open.set()
    assert await first
    assert await second
    assert turns_on_disk(path) == 2


async def test_who_is_cancelled_before_it_began_is_never_run(store: Store) -> None:
    gate = Gate()
    at_work = asyncio.ensure_future(store.database.write(gate, 1))
    assert await asyncio.to_thread(gate.reached.wait, 10)
    waits = asyncio.ensure_future(store.database.write(accept, 2))
    await asyncio.wait([waits], timeout=0.01)
    waits.cancel()
    gate.open.set()
    assert await at_work
    assert await store.turns.accept(prompt(3))
    assert await store.turns.waiting(THREAD) == 2


async def test_closing_lets_end_what_began_and_refuses_what_waits(path: Path) -> None:
    gate = Gate()
    async with opened(path) as store:
        begun = asyncio.ensure_future(store.database.write(gate, 1))
        assert await asyncio.to_thread(gate.reached.wait, 10)
        waits = asyncio.ensure_future(store.database.write(accept, 2))
        await asyncio.wait([waits], timeout=0.01)
        asyncio.get_running_loop().call_later(0.05, gate.open.set)
    assert await begun
    with pytest.raises(StoreUnusable, match="is closed"):
        await waits
    assert turns_on_disk(path) == 1


async def test_a_reader_sees_one_state_from_its_first_look_to_its_last(store: Store) -> None:
    looked, written = threading.Event(), threading.Event()

    def twice(conn: Connection) -> tuple[int, int]:
        before = inbox.waiting(conn, THREAD)
        looked.set()
        assert written.wait(10)
        return before, inbox.waiting(conn, THREAD)

    await store.turns.accept(prompt(1))
    looking = asyncio.ensure_future(store.database.read(twice))
    assert await asyncio.to_thread(looked.wait, 10)
    await store.turns.accept(prompt(2))
    written.set()
    assert await looking == (1, 1)
    assert await store.turns.waiting(THREAD) == 2


async def test_a_thread_that_cannot_be_started_fails_who_waits_and_the_next_starts_one(
    path: Path,
) -> None:
    batches = Batches(path, partial(configure, begin="BEGIN IMMEDIATE"), 0.05)
    threading.stack_size(1 << 60)  # more memory than can be addressed
    try:
        waiting = (batches.run(lambda conn: accept(conn, 1), 5.0) for _ in range(2))
        async with asyncio.timeout(5):
            results = await asyncio.gather(*waiting, return_exceptions=True)
    finally:
        threading.stack_size(0)
    assert [type(result) for result in results] == [StoreUnusable] * 2
    assert "can't start new thread" in str(results[0])
    assert await batches.run(lambda conn: accept(conn, 1), 5.0)
    await batches.close()
    assert turns_on_disk(path) == 1
