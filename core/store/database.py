"""One SQLite database: a writer, readers beside it, and transactions as functions.

A transaction is a plain function of a `sqlalchemy.Connection`; `Database` says when it runs and
turns every error of the database into a `StoreError`. Settings of the engine:
WAL, so that readers and the writer do not wait for each other; synchronous FULL, so that what is
committed outlives a power cut; secure_delete, so that what is deleted is gone from the file.
Its log is emptied after each deletion (`Batches`), since a checkpoint alone leaves it as it is.
"""

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

import structlog
from sqlalchemy import Connection, Engine, event

from core.errors import StoreError, StoreUnusable
from core.store.batches import Batches
from core.store.clock import Clock, machine_uptime, steady
from core.store.failures import Damaged, explained
from core.store.files import database_file, sole_use
from core.store.migrate import drop_backups, migrate_file

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

PATIENCE = 30.0
"""Seconds that a worker waits to write. An ingress that a platform waits for names its own."""

_READERS = 4
_OPENING = 5.0  # seconds of patience
_LOOKING = 1.5  # seconds of patience when somebody asks whether it works
LOOK_AGAIN = 1.0  # seconds in which nobody makes us look twice
_LOG = 4 * 2**20  # bytes: to which the write-ahead log shrinks when a long reader let it grow
_ROOM = 16 * 2**20  # bytes: for the write-ahead log, the rest is time to do something
# Seconds that SQLite itself waits, on its own thread, before we look at our patience again.
_WRITER_WAITS = 0.05
_READER_WAITS = 5.0

_log = structlog.get_logger()


class Database:
    """An open database; use `Database.open`."""

    def __init__(self, path: Path, *, exclusive: bool) -> None:
        self.path = path
        self.place = str(path)
        self.clock: Clock = steady(time.time, time.monotonic)
        self.uptime = machine_uptime(time.monotonic)
        self.exclusive = exclusive
        writing = partial(configure, begin="BEGIN IMMEDIATE")
        reading = partial(configure, begin="BEGIN")
        self._writer = Batches(path, writing, _WRITER_WAITS)
        self._readers = [Batches(path, reading, _READER_WAITS) for _ in range(_READERS)]
        self._file = _identity(path)
        self._looked = (float("-inf"), "")
        self._damaged = ""

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
            await _whole(asyncio.to_thread(migrate_file, path, locked=exclusive))
            database = cls(path, exclusive=exclusive)
            stack.push_async_callback(database._close)
            # A file that can't be written shall fail the start, not the first event.
            await database.write(lambda _: None, patience=_OPENING)
            _log.info("database.opened", path=str(path), exclusive=exclusive)
            yield database

    @asynccontextmanager
    async def sole(self, name: str) -> AsyncGenerator[None, None]:
        """Within it, no other process gets past this for the same name. Raises: InUse."""
        with sole_use(self.path.with_name(f"{self.path.name}.{name}")):
            yield

    async def problem(self) -> str:
        """What keeps prompts from being stored now, or soon will; "" for nothing.

        Finds out by writing, as the disk's own figures don't say what a quota, a broken disk or
        one that became read-only refuses. A damaged page is met by who needs it, and stays.
        """
        if self._damaged:
            return self._damaged
        now = asyncio.get_running_loop().time()
        if now >= self._looked[0] + LOOK_AGAIN:
            self._looked = (now, self._looked[1])
            self._looked = (now, await self._look_for_problems())
        return self._looked[1]

    async def _look_for_problems(self) -> str:
        try:
            await self.probe()
            with explained(self.path):
                free = shutil.disk_usage(self.path.parent).free
        except StoreError as error:
            return str(error)
        if free >= _ROOM:
            return ""
        return (
            f"The disk of the database {self.path} is nearly full ({free / 2**20:.1f} MiB free, "
            f"{_ROOM // 2**20} are needed): free some space. Prompts are answered until it is full."
        )

    async def probe(self) -> None:
        """Write what changes nothing. Raises: StoreBusy, StoreUnusable, as any write would now."""
        await self.write(_rewrite_header, patience=_LOOKING)

    async def drop_backups(self, age: float) -> int:
        """Delete the backups made before migrations that are `age` seconds old; returns how many.

        Raises: StoreUnusable.
        """
        return await asyncio.to_thread(drop_backups, self.path, age)

    def tell(self) -> None:
        """Nobody else works on a file."""

    @asynccontextmanager
    async def listening(self, wake: Callable[[], None]) -> AsyncGenerator[None, None]:
        """Nobody else tells of work in a file: `wake` is never called."""
        yield

    async def read(
        self, fn: Callable[[Connection, *Ts], T], *args: *Ts, patience: float = PATIENCE
    ) -> T:
        """Run a transaction that only reads, on one snapshot. Raises: StoreBusy, StoreUnusable."""
        # One after the other on one thread costs least, as long as none of them takes long.
        quick = (reader for reader in self._readers if not reader.takes_long)
        reader = next(quick, self._readers[0])
        with self._damage_kept():
            return await reader.run(lambda connection: fn(connection, *args), patience)

    async def write(
        self, fn: Callable[[Connection, *Ts], T], *args: *Ts, patience: float = PATIENCE
    ) -> T:
        """Run a transaction alone, and commit it; whatever it raises rolls it back.

        patience: seconds to wait for other writers, of this process and of others.
        A caller that is cancelled leaves a transaction that has begun to end by itself.
        It may be run twice, if SQLite undid it for the sake of another; only once with an effect.
        Raises: StoreBusy, StoreUnusable, and what `fn` raises.
        """

        def run(connection: Connection) -> T:
            self._require_file()
            return fn(connection, *args)

        with self._damage_kept():
            return await self._writer.run(run, patience)

    @contextmanager
    def _damage_kept(self) -> Iterator[None]:
        """What somebody met in the file is a problem until it is opened again."""
        try:
            yield
        except Damaged as error:
            self._damaged = str(error)
            raise

    def _require_file(self) -> None:
        """The file still has its name: SQLite would go on writing into one that nobody finds again.

        Raises: StoreUnusable.
        """
        if _identity(self.path) != self._file:
            raise StoreUnusable(
                f"The database {self.path} was deleted or replaced while it was in use, so nothing "
                "more is stored: put the file back, or leave it to begin a new one, and restart."
            )

    async def _close(self) -> None:
        """Let the running transactions end, refuse the next, close the file."""
        for batches in (*self._readers, self._writer):
            await batches.close()


async def _whole(work: Coroutine[Any, Any, None]) -> None:
    """Wait until it ends, also when cancelled: it can't be stopped, and nobody may be beside it."""
    working = asyncio.ensure_future(work)
    try:
        await asyncio.shield(working)
    finally:
        await asyncio.wait([working])


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one that has its name later; None without one."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _rewrite_header(connection: Connection) -> None:
    """Write a page that changes nothing: a number in the header that is ours and not used."""
    connection.exec_driver_sql("PRAGMA user_version = 0")


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
            f"journal_size_limit = {_LOG}",
        ):
            cursor.execute(f"PRAGMA {setting}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)
