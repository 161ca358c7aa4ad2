"""The real statements on a real SQLite database, without threads, so that any clock will do."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from sqlalchemy import Connection, create_engine
from sqlalchemy.pool import StaticPool

from core.errors import StoreError
from core.store.clock import Uptime
from core.store.database import PATIENCE, Database, configure
from core.store.schema import metadata
from tests.fakes.clock import now

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class InlineDatabase(Database):
    """Runs each transaction at once, on the caller's own thread, in memory.

    broken: an error that writes raise from now on, None for none. writes: how many there were.
    boot: of the machine.
    """

    def __init__(self) -> None:
        self.path = Path(":memory:")
        self.exclusive = True
        self.broken: StoreError | None = None
        self.writes = 0
        self.boot = "this boot"
        self.uptime = lambda: Uptime(now(), self.boot)
        self._engine = create_engine(
            "sqlite://", poolclass=StaticPool, connect_args={"isolation_level": None}
        )
        configure(self._engine, "BEGIN IMMEDIATE")
        metadata.create_all(self._engine)

    async def read(
        self, fn: Callable[[Connection, *Ts], T], *args: *Ts, patience: float = PATIENCE
    ) -> T:
        """Run it."""
        with self._engine.begin() as connection:
            return fn(connection, *args)

    async def write(
        self, fn: Callable[[Connection, *Ts], T], *args: *Ts, patience: float = PATIENCE
    ) -> T:
        """Run it, unless the database is broken."""
        if self.broken:
            raise self.broken
        self.writes += 1
        with self._engine.begin() as connection:
            return fn(connection, *args)

    def now(self, fn: Callable[[Connection], T]) -> T:
        """Run it outside of any loop, whatever is broken: for looking at what is stored."""
        with self._engine.begin() as connection:
            return fn(connection)

    def close(self) -> None:
        """Let go of the memory."""
        self._engine.dispose()
