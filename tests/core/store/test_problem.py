"""What the store says of itself before an event finds out."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import StoreUnusable
from tests.core.store.making import Store, prompt


async def test_a_sound_database_has_no_problem_and_is_not_changed_by_the_question(
    store: Store, path: Path
) -> None:
    with closing(sqlite3.connect(path)) as other:
        before = list(other.iterdump())
        assert await store.database.problem() == ""
        assert list(other.iterdump()) == before


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
