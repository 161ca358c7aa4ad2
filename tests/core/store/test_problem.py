"""What the store says of itself before an event finds out."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import StoreUnusable
from core.store import database
from tests.core.store.making import THREAD, Opening, Store, no_file_beyond, prompt

SOON = database.LOOK_AGAIN + 0.05


async def test_a_sound_database_has_no_problem_and_is_not_changed_by_the_question(
    store: Store, path: Path
) -> None:
    with closing(sqlite3.connect(path)) as other:
        before = list(other.iterdump())
        assert await store.database.problem() == ""
        assert list(other.iterdump()) == before


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


def lose(path: Path, how: str) -> None:
    copy = Path(shutil.copy(path, path.with_name("copy.db")))
    path.unlink()
    if how == "replaced":
        copy.rename(path)


@pytest.mark.parametrize("how", ["deleted", "replaced"])
async def test_nothing_is_stored_in_a_file_that_lost_its_name(
    store: Store, path: Path, how: str
) -> None:
    await store.turns.accept(prompt(1))
    lose(path, how)
    with pytest.raises(StoreUnusable, match=r"was deleted or replaced .* and restart"):
        await store.turns.accept(prompt(2))
    assert "was deleted or replaced" in await store.database.problem()


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
    opening: Opening, path: Path, asked: str
) -> None:
    async with opening() as store:
        await store.turns.accept(prompt(1))
    damage(path, "sqlite_autoindex_turn_1" if asked == "write" else "ix_turn_open_in_order")
    async with opening() as store:
        assert await store.database.problem() == "", "which nobody saw yet"
        with pytest.raises(StoreUnusable, match="is damaged"):
            if asked == "write":
                await store.turns.accept(prompt(2))
            else:
                await store.turns.waiting(THREAD)
        await asyncio.sleep(SOON)
        assert f"{path} is damaged" in await store.database.problem()
