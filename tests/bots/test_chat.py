"""`threadseek chat` on a store that fails while it answers."""

import asyncio
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import pytest

from bots import chat
from bots.settings import load


async def test_a_store_that_fails_for_good_ends_the_waiting_and_the_answer_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chat, "_LOOK", 0.1)
    monkeypatch.setattr(chat, "_PATIENCE", 3.0)
    file = tmp_path / "a.db"
    settings = load({"DATABASE_URL": f"sqlite:///{file}"}, Path("none")).settings
    talking = asyncio.create_task(chat.conversation(settings, "", "hello"))
    async with asyncio.timeout(30):
        while not _asked(file):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
        file.rename(tmp_path / "moved.db")
        assert await talking == 1
    shown = capsys.readouterr()
    assert "hello" in shown.out, "the offline server repeats it"
    assert shown.err.startswith("This answer can't be stored. The database")
    assert "was deleted or replaced while it was in use" in shown.err


def _asked(file: Path) -> bool:
    """Whether the API is asked."""
    if not file.exists():
        return False
    with closing(sqlite3.connect(file)) as database, suppress(sqlite3.Error):
        rows = database.execute("SELECT 1 FROM turn WHERE attempts").fetchall()
        return len(rows) == 1
    return False
