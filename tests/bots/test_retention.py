"""Rounds of erasing what is too old: when, how much at once, and what is told of them."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, select
from structlog.testing import capture_logs

from bots.retention import DAY, ERASED, EVERY, PAUSE, SOON, erased_after
from core.errors import StoreBusy
from core.store.migrate import drop_backups
from core.store.schema import message, turn
from core.store.sql import SqlTurns
from tests.core.store.making import settle_many
from tests.fakes.clock import run
from tests.fakes.store import InlineDatabase

OLD = 20
"""Turns, which ended in the first seconds of the epoch."""


def counted() -> float:
    return float(ERASED._value.get())


def left(conn: Connection) -> tuple[int, int]:
    """Turns with words, and entries."""
    words = conn.execute(select(func.count()).where(turn.c.text != "")).scalar_one()
    return words, conn.execute(select(func.count(message.c.role))).scalar_one()


class Rounds:
    """Erasing in a database with OLD turns, by a clock that goes on with the loop's.

    told: how often somebody was told that something went. calls: when the database was written to.
    """

    def __init__(self, copies: int = 0) -> None:
        self.database = Database(copies)
        self.database.now(lambda conn: settle_many(conn, OLD))
        self.turns = SqlTurns(self.database, lambda: DAY + asyncio.get_running_loop().time())
        self.told = 0

    def tell(self) -> None:
        self.told += 1

    def during(self, days: int | None) -> Any:
        return erased_after(days, self.turns, self.database, self.tell)

    def left(self) -> tuple[int, int]:
        return self.database.now(left)


class Database(InlineDatabase):
    """copies: backups there are. ages: with what age it was asked to drop some."""

    def __init__(self, copies: int) -> None:
        super().__init__()
        self.copies = copies
        self.ages: list[float] = []

    async def drop_backups(self, age: float) -> int:
        self.ages.append(age)
        dropped, self.copies = self.copies, 0
        return dropped


def test_unset_nothing_is_erased_ever() -> None:
    async def main() -> None:
        rounds = Rounds()
        async with rounds.during(None):
            await asyncio.sleep(100 * EVERY)
        assert rounds.left() == (OLD, 0)
        assert (rounds.database.writes, rounds.database.ages) == (0, [])

    run(main())


def test_soon_after_the_start_and_every_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turn n ended n seconds after the epoch, and the clock is a day and the loop's time later."""
    monkeypatch.setattr("core.store.sql.ERASING", 60.0)

    async def main() -> None:
        rounds, before = Rounds(copies=2), counted()
        with capture_logs() as log:
            async with rounds.during(1):
                await asyncio.sleep(SOON - 0.1)
                assert rounds.left() == (OLD, 0)
                await asyncio.sleep(0.2)
                assert rounds.left()[0] == OLD - 6, "0 to 5"
                await asyncio.sleep(EVERY)
                assert rounds.left() == (0, 0)
                await asyncio.sleep(3 * EVERY + 1)
        assert rounds.told == 2
        assert counted() == before + OLD
        assert rounds.database.ages == [DAY] * 5
        assert [event.pop("event") for event in log] == ["retention.erased"] * 2, (
            "no more than that"
        )
        assert log == [
            {"log_level": "info", "turns": 6, "entries": 0, "backups": 2},
            {"log_level": "info", "turns": 14, "entries": 0, "backups": 0},
        ]

    run(main())


def test_others_may_write_between_two_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.store.sql.ERASING", 0.0)

    async def main() -> None:
        rounds = Rounds()
        async with rounds.during(1):
            await asyncio.sleep(SOON + 6 * PAUSE + EVERY + 0.01)
            for number in range(14):
                assert rounds.left()[0] == 13 - number, "one at a time"
                await asyncio.sleep(PAUSE)

    run(main())


@pytest.mark.parametrize("error", [StoreBusy("locked"), RuntimeError("a mistake")])
def test_a_round_that_fails_is_made_up_for_by_the_next(error: Exception) -> None:
    async def main() -> None:
        rounds = Rounds()
        rounds.database.broken = error  # type: ignore[assignment]
        with capture_logs() as log:
            async with rounds.during(1):
                await asyncio.sleep(SOON + 1)
                assert len(log) == 1
                assert log[0]["again_in"] == EVERY
                rounds.database.broken = None
                await asyncio.sleep(EVERY + 10)
        assert rounds.left() == (0, 0)

    run(main())


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A database file with all sorts of copies beside it, 40 days old."""
    names = ("0009.backup", "0010.backup", "0010.backup.part", "monday.backup", "wal", "lock")
    for name in ("t.db", "other.db.0010.backup", *(f"t.db.{name}" for name in names)):
        (tmp_path / name).write_text("words")
        os.utime(tmp_path / name, (0, time.time() - 40 * DAY))
    return tmp_path / "t.db"


def test_only_our_own_copies_go_when_they_are_too_old(beside: Path) -> None:
    (beside.parent / "t.db.0008.backup").write_text("made just now")
    kept = {file.name for file in beside.parent.iterdir()}
    assert drop_backups(beside, 41 * DAY) == 0
    assert {file.name for file in beside.parent.iterdir()} == kept
    assert drop_backups(beside, 39 * DAY) == 3
    gone = kept - {file.name for file in beside.parent.iterdir()}
    assert gone == {"t.db.0009.backup", "t.db.0010.backup", "t.db.0010.backup.part"}
