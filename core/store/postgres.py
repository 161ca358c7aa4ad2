"""One PostgreSQL database that any number of processes share.

The same transactions as on SQLite, each on a connection of a pool, READ COMMITTED for writers
and one read-only snapshot for readers. A transaction that the server undid for another's sake, or
that lost the server before it was committed, is run again until its patience ends.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeVar, TypeVarTuple

import structlog
from sqlalchemy import Connection

from core.errors import StoreError, StoreUnusable
from core.store import postgres_failures as failures
from core.store.clock import Clock, server_clock, server_uptime
from core.store.database import PATIENCE
from core.store.files import InUse
from core.store.notices import Notices
from core.store.postgres_connections import READER, SINGLE, WRITER, Connections
from core.store.postgres_migrate import migrate_server
from core.store.server import Server, require_driver
from core.store.statements import stands_alone

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_CONNECTIONS = 10  # of each process; the server has to allow them for every replica
_OPENING = 10.0  # seconds of patience with a server that starts together with us
_LOOKING = 1.5  # seconds of patience when somebody asks whether it works
_LOCKING = 3.0  # seconds for the answer whether somebody else has a name
_COMMITTING = 1.0  # seconds that a commit gets beyond its patience: half done is not known
_CLOSING = 3.0  # seconds that running transactions get when the process ends
_PAUSES = (0.01, 1.0)  # seconds between two tries: the first, the longest

_log = structlog.get_logger()


class PostgresDatabase:
    """An open database; use `PostgresDatabase.open`. A `core.store.opening.Transactions`."""

    exclusive = False

    def __init__(self, server: Server, *, connections: int = _CONNECTIONS) -> None:
        self._server = server
        self.place = server.place
        self.clock: Clock = server_clock
        self.uptime = server_uptime
        self._connections = Connections(server)
        self._unused = asyncio.Semaphore(connections)
        self._running: set[asyncio.Future[Any]] = set()
        self._notices = Notices(server)
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, patience: float = _OPENING
    ) -> AsyncGenerator["PostgresDatabase", None]:
        """Open the database of a DATABASE_URL, its tables made or migrated first.

        Of several processes that open it at once, one migrates and the others wait.
        patience: seconds to wait for a server that is not there yet.
        Raises: StoreBusy (the server is away), StoreUnusable.
        """
        require_driver()
        database = cls(Server.of(url))
        try:
            await migrate_server(database._connections.engine, database.place, patience=patience)
            _log.info("database.opened", place=database.place, exclusive=False)
            yield database
        finally:
            await database._close()

    async def read(
        self, fn: Callable[[Connection, *Ts], T], *args: *Ts, patience: float = PATIENCE
    ) -> T:
        """Run a transaction that only reads, on one snapshot. Raises: StoreBusy, StoreUnusable."""
        begin = SINGLE if stands_alone(fn) else READER
        return await self._turn(fn, args, patience, begin)

    async def write(
        self, fn: Callable[[Connection, *Ts], T], *args: *Ts, patience: float = PATIENCE
    ) -> T:
        """Run a transaction and commit it; whatever it raises rolls it back.

        patience: seconds for all of it: a connection, the locks of others, and running it again.
        A StoreBusy leaves open whether it was committed, if the server was lost in that moment.
        A caller that is cancelled leaves a transaction that has begun to end by itself.
        Raises: StoreBusy, StoreUnusable, and what `fn` raises.
        """
        return await self._turn(fn, args, patience, WRITER)

    async def problem(self) -> str:
        """What keeps prompts from being stored now; "" for nothing.

        Only a question to the server: its disk is watched where it runs.
        """
        try:
            await self.probe()
        except StoreError as error:
            return str(error)
        return ""

    async def probe(self) -> None:
        """Ask the least. Raises: StoreBusy, StoreUnusable, as any write would now."""
        await self.write(_ask, patience=_LOOKING)

    async def drop_backups(self, age: float) -> int:
        """None is made here: whoever runs the server has a way of their own."""
        return 0

    @asynccontextmanager
    async def sole(self, name: str) -> AsyncGenerator[None, None]:
        """Within it, no other process gets past this for the same name. Raises: InUse.

        The lock is on the name's hash, and ends with the connection it was taken on.
        """
        lock = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"
        with self._explained():
            connection = await self._server.connect()
        try:
            with self._explained():
                alone = await connection.fetchval(lock, name, timeout=_LOCKING)
            if not alone:
                raise InUse(f"Another process has {name} of the database {self.place} open.")
            yield
        finally:
            connection.terminate()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """The store's own error for one of the database."""
        try:
            yield
        except Exception as error:
            if not failures.of_database(error):
                raise
            raise failures.explain(error, self.place) from None

    def tell(self) -> None:
        """Let the other processes know that there is work, soon and together with what follows."""
        self._notices.tell()

    def listening(self, wake: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Within it, `wake` is called when another process tells of work, and now and then."""
        return self._notices.listening(wake)

    async def _turn(
        self,
        fn: Callable[[Connection, *Ts], T],
        args: tuple[*Ts],
        patience: float,
        begin: str,
    ) -> T:
        deadline = asyncio.get_running_loop().time() + patience
        try:
            async with asyncio.timeout_at(deadline):
                await self._unused.acquire()
        except TimeoutError as error:
            raise failures.explain(error, self.place) from None
        return await self._to_the_end(self._tried(fn, args, deadline, begin), deadline)

    async def _to_the_end(self, transaction: Coroutine[Any, Any, T], deadline: float) -> T:
        """Run it whole, and only then give its connection on, even if the caller is cancelled.

        A connection on which nothing comes back takes its time to be closed; nobody waits for it.
        """
        if self._closed:
            transaction.close()
            self._unused.release()
            raise StoreUnusable(f"The database {self.place} is closed: the process is stopping.")
        running = asyncio.ensure_future(transaction)
        self._running.add(running)
        running.add_done_callback(self._ended)
        patience = deadline + _COMMITTING - running.get_loop().time()
        await asyncio.wait([running], timeout=patience)  # which leaves it alone, however this ends
        if not running.done():
            raise failures.explain(TimeoutError(), self.place)
        return running.result()

    def _ended(self, transaction: asyncio.Future[Any]) -> None:
        """Give its connection on. How it failed was told to its caller, if there still is one."""
        self._running.discard(transaction)
        self._unused.release()
        if not transaction.cancelled():
            transaction.exception()

    async def _tried(
        self,
        fn: Callable[[Connection, *Ts], T],
        args: tuple[*Ts],
        deadline: float,
        begin: str,
    ) -> T:
        """Run it, and again as long as that can help and is allowed."""
        clock = asyncio.get_running_loop().time
        pause, longest = _PAUSES
        while True:
            attempt = _Attempt(self._connections, deadline, begin)
            try:
                return await attempt.run(fn, args)
            except Exception as error:
                if not failures.of_database(error):
                    raise
                may_help = failures.undone(error) or (
                    failures.away(error) and not attempt.committing
                )
                if not may_help or self._closed or clock() + pause >= deadline:
                    raise failures.explain(error, self.place) from None
            await asyncio.sleep(pause)
            pause = min(longest, pause * 2)

    async def _close(self) -> None:
        """Let the running transactions end soon, refuse the next, close the connections."""
        self._closed = True
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=_CLOSING)
            for transaction in late:
                transaction.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._connections.close()


class _Attempt:
    """One run of a transaction. committing: whether it got as far as its commit."""

    def __init__(self, connections: Connections, deadline: float, begin: str) -> None:
        self._connections = connections
        self._deadline = deadline
        self._begin = begin
        self.committing = False

    async def run(self, fn: Callable[[Connection, *Ts], T], args: tuple[*Ts]) -> T:
        """Begin, run, commit."""
        clock = asyncio.get_running_loop().time
        async with (
            asyncio.timeout_at(self._deadline) as limit,
            self._connections.begun(self._begin) as transaction,
        ):
            result = await transaction.run(lambda conn: fn(conn, *args))
            if clock() + _COMMITTING > self._deadline:
                limit.reschedule(clock() + _COMMITTING)
            self.committing = True
            await transaction.commit()
            return result


def _ask(connection: Connection) -> None:
    """The least that a server has to answer."""
    connection.exec_driver_sql("SELECT 1")
