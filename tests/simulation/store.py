"""The store of a schedule: the real statements on SQLite in memory, shared by all processes.

What costs time is done once for all schedules of a Python process: the engine, its cache of
compiled statements, and the empty database, of which each schedule gets a copy.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from core.errors import StoreBusy, StoreUnusable
from core.store.database import PATIENCE, Database
from core.store.schema import metadata

if TYPE_CHECKING:
    from tests.simulation.world import Life, World

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Row = dict[str, Any]


def _opened() -> tuple[Connection, sqlite3.Connection, sqlite3.Connection]:
    """Our one connection, its driver's, and the empty database to copy."""
    engine = create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"isolation_level": None}
    )
    connection = engine.connect()
    raw: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment]
    metadata.create_all(connection)
    raw.execute("PRAGMA foreign_keys = ON")
    empty = sqlite3.connect(":memory:")
    raw.backup(empty)
    return connection, raw, empty


_GIVE_NO_WORK = frozenset(
    {"renew", "announce", "posted", "attempt", "answer", "park", "deliver", "adopt"}
)
"""Transactions after which there is no turn to claim that wasn't there before."""
_LOOKS_ALL_THE_SAME = 0.1
_OPENED: list[tuple[Connection, sqlite3.Connection, sqlite3.Connection]] = []


class Vault:
    """The database file: it outlives processes. One at a time in a Python process.

    seen: a memory beside the database, for protocols that are broken on purpose.
    """

    def __init__(self) -> None:
        if not _OPENED:
            _OPENED.append(_opened())
        self._connection, self._raw, empty = _OPENED[0]
        if self._raw.in_transaction:
            self._raw.rollback()
        empty.backup(self._raw)
        self.seen: set[str] = set()
        self._idle: tuple[object, float] | None = None

    def transact(self, fn: Callable[[Connection, *Ts], T], *args: *Ts) -> T:
        """Run a transaction; whatever it raises undoes it."""
        self._raw.execute("BEGIN IMMEDIATE")
        try:
            result = fn(self._connection, *args)
        except BaseException:
            self._raw.execute("ROLLBACK")
            raise
        self._raw.execute("COMMIT")
        return result

    def gave_work(self, name: str, result: object) -> None:
        """A transaction was committed."""
        if name not in _GIVE_NO_WORK and (result or name != "accept"):
            self._idle = None

    def rows(self, statement: str, *values: object) -> list[Row]:
        """What is stored, read beside all of our code."""
        cursor = self._raw.execute(statement, values)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    def nothing_new(self, platforms: object, now: float) -> bool:
        """A look for work found none, nothing was written since that could give any, and no lease
        has run out by `now`.

        The statement would find none again. Most looks are such; leaving them out is what makes
        10,000 schedules cheap.
        """
        return self._idle is not None and self._idle[0] == platforms and now <= self._idle[1]

    def none_free(self, now: float) -> bool:
        """No open turn is in a conversation that nobody holds."""
        row = self._raw.execute(
            "SELECT 1 FROM turn JOIN conversation c ON c.id = turn.conversation_id WHERE"
            " turn.settled_at IS NULL AND (c.owner IS NULL OR c.lease_until < ?) LIMIT 1",
            (now,),
        )
        return row.fetchone() is None

    def found_none(self, platforms: object) -> None:
        """Remember that there was no work, and until when that can be."""
        row = self._raw.execute("SELECT min(lease_until) FROM conversation").fetchone()
        until = float("inf") if row[0] is None else float(row[0])
        self._idle = (platforms, until)


class LifeDatabase(Database):
    """The database as one process sees it.

    A crash before a transaction undoes it, one behind it loses only its answer; so does a
    connection that is lost at the commit. A busy store writes nothing.
    """

    def __init__(self, world: "World", life: "Life", *, exclusive: bool) -> None:
        self.path = Path(":memory:")
        self.exclusive = exclusive
        self.vault = world.vault
        self._world = world
        self._life = life

    async def write(
        self, fn: Callable[[Connection, *Ts], T], *args: *Ts, patience: float = PATIENCE
    ) -> T:
        """Run a transaction and commit it."""
        world, name = self._world, fn.__name__
        if name == "claim" and self._finds_none(args[1], args[3]):  # type: ignore[misc]
            await world.passes("before claim", self._life, 0.05)
            return None  # type: ignore[return-value]
        world.works_on(name, args, self._life)
        await world.passes(f"before {name}", self._life)
        if world.out("store"):
            world.store_faults += 1
            await asyncio.sleep(min(patience, 0.5))
            raise StoreBusy("locked")
        if world.happens("store"):
            world.store_faults += 1
            raise StoreBusy("locked")
        result = self.vault.transact(fn, *args)
        self.vault.gave_work(name, result)
        world.committed(name, args, result, self._life)
        if name == "claim" and result is None:
            self.vault.found_none(args[1])  # type: ignore[misc]
        await world.passes(f"behind {name}", self._life)
        if (result is not None or name != "claim") and world.happens("ambiguous"):
            world.store_faults += 1
            raise StoreUnusable("the connection was lost at the commit")
        return result

    def _finds_none(self, platforms: object, at: float) -> bool:
        """Whether a look for work would find none; nine in ten of such looks are not made."""
        if self.vault.nothing_new(platforms, at):
            return True
        if self._world.rng.random() < _LOOKS_ALL_THE_SAME or not self.vault.none_free(at):
            return False
        self.vault.found_none(platforms)
        return True

    async def read(
        self, fn: Callable[[Connection, *Ts], T], *args: *Ts, patience: float = PATIENCE
    ) -> T:
        """Run a transaction that reads."""
        await self._world.passes(f"before {fn.__name__}", self._life)
        if self._world.out("store"):
            await asyncio.sleep(0.5)
            raise StoreBusy("locked")
        return self.vault.transact(fn, *args)
