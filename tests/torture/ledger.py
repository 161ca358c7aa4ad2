"""What is stored, read from outside: from the database file, or from the server."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any, Protocol

import asyncpg  # type: ignore[import-untyped]

from tests.contract.store.serving import connected

Row = dict[str, Any]
DATABASE = "threadseek.db"
_STAYS = {DATABASE, f"{DATABASE}.lock"}
_TURNS = "SELECT * FROM turn ORDER BY conversation_id, sequence, id"
_WITHIN = 5.0  # seconds for a look at the server, which may be down


class Ledger(Protocol):
    """A database that services write."""

    async def turns(self) -> list[Row]:
        """Every turn, in the order of their sequence; none while the database can't be read."""

    async def damage(self) -> list[str]:
        """What is wrong with the database itself, and what lies about that should not."""


class FileLedger:
    """The database file of one service, in its folder. Call `damage` when the service has ended."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def turns(self) -> list[Row]:
        """Every turn; none before there is a table."""
        path = self._folder / DATABASE
        if not path.exists():
            return []
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
        connection.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in connection.execute(_TURNS)]
        except sqlite3.OperationalError:
            return []  # killed before the tables were made
        finally:
            connection.close()

    async def damage(self) -> list[str]:
        """Files that should not be there, then what the database's own checks say."""
        here = self._folder.iterdir()  # first: a reader makes files of its own
        left = [f"left behind: {path.name}" for path in here if path.name not in _STAYS]
        connection = sqlite3.connect(self._folder / DATABASE)
        try:
            said = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            said += [str(tuple(row)) for row in connection.execute("PRAGMA foreign_key_check")]
        finally:
            connection.close()
        return left + [f"database: {line}" for line in said if line != "ok"]


class ServerLedger:
    """The database of several services on a server. url: as asyncpg takes it."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder = url, folder

    async def turns(self) -> list[Row]:
        """Every turn; none while the server is away or before there is a table."""
        try:
            async with asyncio.timeout(_WITHIN), connected(self._url) as connection:
                return [dict(row) for row in await connection.fetch(_TURNS)]
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return []

    async def damage(self) -> list[str]:
        """Files that a service left, and conversations that nobody holds and nobody gave up."""
        left = [f"left behind: {path.name}" for path in self._folder.iterdir()]
        async with connected(self._url) as connection:
            held = await connection.fetchval("SELECT count(*) FROM conversation WHERE owner <> ''")
        return left + ([f"database: {held} conversations are still held"] if held else [])
