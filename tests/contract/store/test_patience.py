"""For how long a file of SQLite lets a caller wait, in real time: the waits are SQLite's own."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from core.errors import StoreBusy, StoreUnusable
from core.store import database, inbox
from tests.core.store.making import THREAD, Store, no_file_beyond, opened, prompt

SOON = database.LOOK_AGAIN + 0.05


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file, which opening makes."""
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncGenerator[Store, None]:
    """An open store on the file."""
    async with opened(path) as made:
        yield made


@contextmanager
def locked(path: Path) -> Generator[sqlite3.Connection]:
    """The file held by another program."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield other


async def test_reads_go_on_and_writes_wait_while_another_program_holds_the_lock(
    store: Store, path: Path
) -> None:
    loop = asyncio.get_running_loop()
    with locked(path) as other:
        began = loop.time()
        with pytest.raises(StoreBusy, match=r"stayed locked .* try again"):
            await store.database.write(inbox.accept, prompt(1), 0.0, patience=0.2)
        assert 0.2 <= loop.time() - began < 1.4
        assert await store.turns.waiting(THREAD) == 0
        patient = asyncio.ensure_future(store.turns.accept(prompt(1)))
        await asyncio.wait([patient], timeout=0.05)
        assert not patient.done()
        other.execute("ROLLBACK")
        assert await patient


async def test_the_door_waits_no_longer_than_a_platform_does(store: Store, path: Path) -> None:
    with locked(path), pytest.raises(StoreBusy):
        async with asyncio.timeout(2.9):  # Slack waits 3 seconds for an acknowledgement
            await store.turns.accept(prompt(1))


async def test_patience_counts_the_wait_behind_our_own_writers(store: Store, path: Path) -> None:
    with locked(path):
        first = asyncio.ensure_future(
            store.database.write(inbox.accept, prompt(1), 0.0, patience=0.5)
        )
        with pytest.raises(StoreBusy):
            await store.database.write(inbox.accept, prompt(2), 0.0, patience=0.1)
        assert not first.done()
        with pytest.raises(StoreBusy):
            await first


async def test_a_disk_that_takes_nothing_is_noticed_without_an_event_and_heals(
    store: Store,
) -> None:
    with no_file_beyond(0):
        assert "can't be read or written, the disk fails" in await store.database.problem()
        with pytest.raises(StoreUnusable):
            await store.turns.accept(prompt(1))
    await asyncio.sleep(SOON)
    assert await store.database.problem() == ""
    assert await store.turns.accept(prompt(1))
    assert await store.turns.waiting(THREAD) == 1


async def test_it_is_looked_at_once_a_second_however_often_somebody_asks(store: Store) -> None:
    assert await store.database.problem() == ""
    with no_file_beyond(0):
        assert await store.database.problem() == ""
        await asyncio.sleep(SOON)
        assert await store.database.problem() != ""


async def test_another_program_that_holds_the_lock_is_named_as_the_cause(
    store: Store, path: Path
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert "close what else has the file open" in await store.database.problem()


def damage(path: Path, index: str) -> None:
    """Overwrite the first page of an index with zeros."""
    with closing(sqlite3.connect(path)) as other:
        ((size,),) = other.execute("PRAGMA page_size")
        found = other.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (index,))
        ((page,),) = found
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))


@pytest.mark.parametrize("asked", ["write", "read"])
async def test_a_damaged_page_is_a_problem_from_when_somebody_met_it(
    path: Path, asked: str
) -> None:
    async with opened(path) as store:
        await store.turns.accept(prompt(1))
    damage(path, "sqlite_autoindex_turn_1" if asked == "write" else "ix_turn_open_in_order")
    async with opened(path) as store:
        assert await store.database.problem() == "", "which nobody saw yet"
        with pytest.raises(StoreUnusable, match="is damaged"):
            if asked == "write":
                await store.turns.accept(prompt(2))
            else:
                await store.turns.waiting(THREAD)
        await asyncio.sleep(SOON)
        assert f"{path} is damaged" in await store.database.problem()
