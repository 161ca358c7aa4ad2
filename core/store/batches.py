"""One connection to a SQLite file, on aiosqlite's thread: transactions that wait share a commit.

Those that come while a commit goes on are the next batch: one BEGIN, a savepoint for each, one
COMMIT, in one go on the thread. One that raises goes back to its savepoint, and the others stand;
nobody is told of anything before the commit.
"""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite
from sqlalchemy import Connection, Engine, StaticPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from core.errors import StoreError, StoreUnusable
from core.store.failures import busy, explain, is_busy
from core.store.statements import ERASED

T = TypeVar("T")

_MOST = 64  # transactions in one batch, so that the first does not wait long for the last
_LONG = 0.05  # seconds
_CUT_AGAIN = 1.0  # seconds between two tries to empty the write-ahead log
_OF_DATABASE = (SQLAlchemyError, sqlite3.Error, OSError)


@dataclass(eq=False, slots=True)
class _Job:
    """A transaction that waits. deadline: on the loop's clock. told: what its caller awaits.

    over: it ended, with the result or the error.
    """

    run: Callable[[Connection], Any]
    deadline: float
    told: "asyncio.Future[Any]"
    over: bool = False
    result: Any = None
    error: BaseException | None = None

    def tell(self, error: BaseException | None) -> None:
        """Let the caller know, unless it was cancelled."""
        if self.told.done():
            return
        if error is None:
            self.told.set_result(self.result)
        else:
            self.told.set_exception(error)


class _Connection(sqlite3.Connection):
    """What aiosqlite holds. A function that is given to it as a script is run on its thread: so
    a batch is one way there and back, where each statement would be one (docs/decisions.md).
    """

    def executescript(self, script: Any) -> sqlite3.Cursor:
        """Run the function."""
        cursor = self.cursor()  # before, since the function may close the connection
        script()
        return cursor


class Batches:
    """Runs transactions one after the other, each whole or not at all.

    configure: gives an engine its settings, among them how a transaction begins. timeout: seconds
    that SQLite itself waits for a lock. The file is opened with the first transaction.
    """

    def __init__(self, path: Path, configure: Callable[[Engine], None], timeout: float) -> None:
        self._path = path
        self._timeout = timeout
        self._made: list[_Connection] = []
        # hide_parameters: an error must not carry what people wrote into a log.
        self._engine = create_engine(
            "sqlite+pysqlite://",
            creator=lambda: self._made[0],
            poolclass=StaticPool,
            hide_parameters=True,
        )
        configure(self._engine)
        self._thread: aiosqlite.Connection | None = None
        self._waiting: dict[_Job, asyncio.TimerHandle] = {}
        self._batch: list[_Job] = []
        self._working: asyncio.Task[None] | None = None
        self._began: float | None = None
        self._closed = False
        self._cut_from = float("inf")  # when the write-ahead log is to be emptied (monotonic clock)

    @property
    def takes_long(self) -> bool:
        """Whether the batch at work has been for a while."""
        return self._began is not None and asyncio.get_running_loop().time() > self._began + _LONG

    async def run(self, transaction: Callable[[Connection], T], patience: float) -> T:
        """Run a transaction and commit it; whatever it raises rolls it back.

        patience: seconds to wait until it may begin. A caller that is cancelled takes away what
        has not begun, and leaves what has to end by itself.
        Raises: StoreBusy, StoreUnusable, and what `transaction` raises.
        """
        if self._closed:
            raise self._is_closed()
        loop = asyncio.get_running_loop()
        job = _Job(transaction, loop.time() + patience, loop.create_future())
        self._waiting[job] = loop.call_at(job.deadline, self._give_up, job)
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        result: T = await job.told
        return result

    async def close(self) -> None:
        """Let what has begun end, refuse what waits and what comes, close the connection."""
        self._closed = True
        for job, timer in self._waiting.items():
            timer.cancel()
            job.tell(self._is_closed())
        self._waiting.clear()
        if self._working:
            await self._working
        if self._thread:
            await self._on_thread(self._thread, self._engine.dispose)
            await self._thread.close()

    def _is_closed(self) -> StoreUnusable:
        return StoreUnusable(f"The database {self._path} is closed: the process is stopping.")

    def _give_up(self, job: _Job) -> None:
        """Its patience ended while others were at work."""
        del self._waiting[job]
        job.tell(busy(self._path))

    async def _work(self) -> None:
        """Batch after batch, as long as somebody waits."""
        loop = asyncio.get_running_loop()
        while self._batch or self._waiting:
            self._take()
            self._began = loop.time()
            try:
                self._thread = self._thread or await self._open()
                await self._on_thread(self._thread, self._go)
            except Exception as error:  # noqa: BLE001 - else they, and all who come, wait for ever
                self._fail(error)
            self._batch = [job for job in self._batch if not self._ended(job, loop.time())]
        self._began = self._working = None

    async def _open(self) -> aiosqlite.Connection:
        """Open the file, on a thread that lives until it is closed. Raises: sqlite3.Error."""

        def make(*args: Any, **settings: Any) -> _Connection:
            connection = _Connection(*args, **settings)
            self._made = [connection]
            return connection

        return await aiosqlite.connect(
            self._path, factory=make, timeout=self._timeout, isolation_level=None
        )

    async def _on_thread(self, thread: aiosqlite.Connection, work: Callable[[], None]) -> None:
        await thread.executescript(work)

    def _take(self) -> None:
        """Fill the batch with those who wait longest: from here on they have begun."""
        while self._waiting and len(self._batch) < _MOST:
            job = next(iter(self._waiting))
            self._waiting.pop(job).cancel()
            if not job.told.done():  # else its caller was cancelled
                self._batch.append(job)

    def _ended(self, job: _Job, now: float) -> bool:
        """Whether nothing is left to do for it, which its caller is told then."""
        if job.over:
            job.tell(job.error)
        elif self._closed or now >= job.deadline:
            job.tell(busy(self._path))
        else:
            return False
        return True

    def _go(self) -> None:
        """The batch, on the thread. What did not get the lock is not over, and comes again."""
        if not self._batch:
            return
        try:
            with self._engine.connect() as connection:
                connection.begin()
                self._transact(connection)
                if connection.info.pop(ERASED, False):
                    self._cut_from = time.monotonic()
                if time.monotonic() >= self._cut_from:
                    self._cut(connection.connection.dbapi_connection)
        except _OF_DATABASE as error:
            if is_busy(error):
                return
            self._fail(error)

    def _cut(self, driver: Any) -> None:
        """Write what the write-ahead log has into the file, which overwrites it, and empty the log,
        where it stands otherwise until other pages come. Not while somebody reads an older state:
        then it is tried again, with a later batch.
        """
        try:
            ((blocked, *_),) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except sqlite3.Error:  # the batch is committed, whatever the disk says now
            blocked = True
        self._cut_from = time.monotonic() + _CUT_AGAIN if blocked else float("inf")

    def _transact(self, connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        for job in self._batch:
            self._run(job, connection, driver)
            if not driver.in_transaction:
                # SQLite undid it all, as it may for a full disk: the others are run again.
                job.over = True
                return
        try:
            connection.commit()
        except _OF_DATABASE as error:
            if driver.in_transaction:  # which SQLAlchemy takes for ended
                driver.execute("ROLLBACK")
            self._fail(error)
        for job in self._batch:
            job.over = True

    def _run(self, job: _Job, connection: Connection, driver: Any) -> None:
        """One transaction between its savepoint and the next."""
        driver.execute("SAVEPOINT one")
        try:
            job.error = None
            job.result = job.run(connection)
        except BaseException as error:  # noqa: BLE001 - the caller's, whatever it is
            job.error = self._explained(error) if isinstance(error, _OF_DATABASE) else error
            if driver.in_transaction:
                driver.execute("ROLLBACK TO one")
        if driver.in_transaction:
            driver.execute("RELEASE one")

    def _fail(self, error: Exception) -> None:
        """None of the batch was committed."""
        for job in self._batch:
            job.over = True
            if job.error is None:
                job.error = self._explained(error)

    def _explained(self, error: Exception) -> StoreError:
        """The store's own error for what kept a transaction from its end."""
        explained = explain(error, self._path)
        explained.__cause__ = error
        return explained
