"""The connections of one process to its PostgreSQL server, and transactions on them.

Each is asyncpg's, inside a SQLAlchemy connection for the statements that are built anew each time.
SQLAlchemy is told that every statement commits itself, because transactions begin and end here, on
asyncpg: what SQLAlchemy does around one costs more than the statements in between.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, NullPool
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from core.store import postgres_failures as failures
from core.store.server import Server
from core.store.statements import ALONE

T = TypeVar("T")

SINGLE = ""
"""Begins nothing: for a reader that makes one statement."""
WRITER = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
READER = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"


class Begun:
    """A connection with a transaction. Raises what asyncpg, or SQLAlchemy, raises."""

    def __init__(self, connection: AsyncConnection, driver: Any) -> None:
        self.connection = connection
        self.driver = driver
        self._single = False

    async def begin(self, how: str) -> None:
        """Begin with that statement; or with none, for a single one."""
        self._single = how == SINGLE
        if not self._single:
            await self.driver.execute(how)

    async def run(self, fn: Callable[[Connection], T]) -> T:
        """What `fn` returns; it waits for the server in plain calls."""
        return await self.connection.run_sync(self._told, fn)

    def _told(self, conn: Connection, fn: Callable[[Connection], T]) -> T:
        conn.info[ALONE] = self._single
        return fn(conn)

    async def commit(self) -> None:
        """Commit what was begun."""
        if not self._single:
            await self.driver.execute("COMMIT;")


class Connections:
    """As many as are in use at once: who uses them has to limit that."""

    def __init__(self, server: Server) -> None:
        # Makes one at each call, with transactions as SQLAlchemy makes them: for migrations.
        # hide_parameters: an error must not carry what people wrote into a log.
        self.engine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=server.connect,
            poolclass=NullPool,
            hide_parameters=True,
        )
        self._unused: list[Begun] = []

    @asynccontextmanager
    async def begun(self, begin: str) -> AsyncGenerator[Begun, None]:
        """A transaction, begun by that statement, undone when it is left by an error.

        Its connection is used again, unless it was lost, or left while the server was at work. None
        is, of a server that has become a standby: the same address may lead to the primary by now.
        """
        transaction = await self._opened()
        reusable = False
        try:
            await transaction.begin(begin)
            yield transaction
            reusable = True
        except Exception as error:
            reusable = await _undone(transaction)
            if failures.read_only(error):
                reusable = False
                await self.close()
            raise
        finally:
            if reusable:
                self._unused.append(transaction)
            else:
                await _drop(transaction)

    async def close(self) -> None:
        """Close those that are not in use, all at once: each may have died without a word."""
        unused, self._unused = self._unused, []
        await asyncio.gather(*map(_drop, unused))

    async def _opened(self) -> Begun:
        """One that is not in use, or a new one."""
        while self._unused:
            unused = self._unused.pop()
            if not unused.driver.is_closed():
                return unused
            await _drop(unused)
        connection = await self.engine.connect()
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        raw = await connection.get_raw_connection()
        return Begun(connection, raw.driver_connection)


async def _undone(transaction: Begun) -> bool:
    """Roll back; False when the connection is lost, which has the same effect."""
    try:
        await transaction.driver.execute("ROLLBACK;")
    except Exception as error:
        if not failures.of_database(error):
            raise
        return False
    return True


async def _drop(transaction: Begun) -> None:
    """Close it for good, even if nothing comes back on it: SQLAlchemy waits 2 s for that."""
    await transaction.connection.invalidate()
    await transaction.connection.close()
