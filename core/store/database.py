"""One SQLite database: a writer, readers beside it, and transactions as functions.

A transaction is a plain function of a `sqlalchemy.Connection`; `Database` says when it runs and
turns every error of the database into a `StoreError`. Settings of the engine:
WAL, so that readers and the writer do not wait for each other; synchronous FULL, so that what is
committed outlives a power cut; secure_delete, so that what is deleted is gone from the file.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

import structlog
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from core.errors import StoreUnusable
from core.store.failures import busy, explained, is_busy
from core.store.files import database_file, sole_use
from core.store.migrate import migrate_file

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PATIENCE = 30.0
"""Seconds that a worker waits to write. An ingress that a platform waits for names its own."""

_READERS = 4
_OPENING = 5.0  # seconds of patience
# Seconds that SQLite itself waits, on its own thread, before we look at our patience again.
_WRITER_WAITS = 0.05
_READER_WAITS = 5.0

_log = structlog.get_logger()


class Database:
    """An open database; use `Database.open`."""

    def __init__(self, path: Path, *, exclusive: bool) -> None:
        self.path = path
        self.exclusive = exclusive
        self._writer = _engine(path, "BEGIN IMMEDIATE", _WRITER_WAITS, connections=1)
        self._reader = _engine(path, "BEGIN", _READER_WAITS, connections=_READERS)
        self._threads = ThreadPoolExecutor(1 + _READERS, thread_name_prefix="store")
        self._writing = asyncio.Lock()
        self._reading = asyncio.Semaphore(_READERS)
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, exclusive: bool = True) -> AsyncGenerator["Database", None]:
        """Open the database of a DATABASE_URL, made or migrated first if it has to be.

        exclusive: no other process may open it so. The terminal chat beside a running service
        opens it shared. Raises: StoreBusy, StoreUnusable.
        """
        path = database_file(url)
        async with AsyncExitStack() as stack:
            if exclusive:
                stack.enter_context(sole_use(path))
            await asyncio.to_thread(migrate_file, path, locked=exclusive)
            database = cls(path, exclusive=exclusive)
            stack.push_async_callback(database._close)
            # A file that can't be written shall fail the start, not the first event.
            await database.write(lambda _: None, patience=_OPENING)
            _log.info("database.opened", path=str(path), exclusive=exclusive)
            yield database

    async def read(self, fn: Callable[[Connection, *Ts], T], *args: *Ts) -> T:
        """Run a transaction that only reads, on one snapshot. Raises: StoreBusy, StoreUnusable."""
        await self._reading.acquire()
        return await self._to_the_end(partial(self._look, fn, args), self._reading.release)

    async def write(
        self, fn: Callable[[Connection, *Ts], T], *args: *Ts, patience: float = PATIENCE
    ) -> T:
        """Run a transaction alone, and commit it; whatever it raises rolls it back.

        patience: seconds to wait for other writers, of this process and of others.
        A caller that is cancelled leaves a transaction that has begun to end by itself.
        Raises: StoreBusy, StoreUnusable, and what `fn` raises.
        """
        deadline = time.monotonic() + patience
        try:
            async with asyncio.timeout(patience):
                await self._writing.acquire()
        except TimeoutError:
            raise busy(self.path) from None
        transaction = partial(self._transact, fn, args, deadline)
        return await self._to_the_end(transaction, self._writing.release)

    async def _to_the_end(self, transaction: Callable[[], T], free: Callable[[], None]) -> T:
        """Run it on a thread; it ends, and only then lets the next one in, come what may."""
        if self._closed:
            free()
            raise StoreUnusable(f"The database {self.path} is closed: the process is stopping.")
        running = asyncio.get_running_loop().run_in_executor(self._threads, transaction)
        running.add_done_callback(lambda _: free())
        return await asyncio.shield(running)

    def _look(self, fn: Callable[[Connection, *Ts], T], args: tuple[*Ts]) -> T:
        with explained(self.path), self._reader.begin() as connection:
            return fn(connection, *args)

    def _transact(self, fn: Callable[[Connection, *Ts], T], args: tuple[*Ts], deadline: float) -> T:
        with explained(self.path), self._begin(deadline) as connection:
            result = fn(connection, *args)
            connection.commit()
            return result

    def _begin(self, deadline: float) -> Connection:
        """A connection with SQLite's write lock, which another process may hold now."""
        while True:
            connection = None
            try:
                connection = self._writer.connect()
                connection.begin()
                return connection
            except DBAPIError as error:
                if connection:
                    connection.close()
                if not is_busy(error) or self._closed or time.monotonic() >= deadline:
                    raise

    async def _close(self) -> None:
        """Let the running transactions end, refuse the next, close the file."""
        self._closed = True
        async with self._writing, AsyncExitStack() as readers:
            for _ in range(_READERS):
                await readers.enter_async_context(self._reading)
            self._reader.dispose()
            self._writer.dispose()
            self._threads.shutdown()


def configure(engine: Engine, begin: str) -> None:
    """Give an SQLite engine our settings, for an engine of any driver.

    The driver's own transactions have to be off (isolation_level None): begin is the statement
    that opens one, `BEGIN IMMEDIATE` for writers.
    """

    @event.listens_for(engine, "connect")
    def _set(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for setting in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",
        ):
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _engine(path: Path, begin: str, timeout: float, *, connections: int) -> Engine:
    """hide_parameters: an error must not carry what people wrote into a log."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": timeout, "isolation_level": None, "check_same_thread": False},
        pool_size=connections,
        max_overflow=0,
        hide_parameters=True,
    )
    configure(engine, begin)
    return engine
