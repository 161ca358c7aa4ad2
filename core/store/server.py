"""A PostgreSQL server: its URL, the name a person may read, and how to connect to it."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from core.errors import StoreUnusable

if TYPE_CHECKING:
    from asyncpg import Connection  # type: ignore[import-untyped]

CONNECT_TIMEOUT = 5.0  # seconds for one try
_FORM = "Set DATABASE_URL to postgresql://user:password@host/name."

# What the server does by itself, when the process that connected has stopped or is cut off. Set
# when connected: a pooler refuses a connection that names at its start what it doesn't know.
# A process that is paused in a transaction holds a conversation's lock for 10 seconds at most.
_SETTINGS = """
SET idle_in_transaction_session_timeout = '10s';
SET statement_timeout = '60s';
SET tcp_keepalives_idle = 30;
SET tcp_keepalives_interval = 10;
SET tcp_keepalives_count = 3
"""


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect to. place: without password and parameters."""

    dsn: str = field(repr=False)
    place: str

    @classmethod
    def of(cls, url: str) -> "Server":
        """The server that a DATABASE_URL names; no error repeats the URL. Raises: StoreUnusable."""
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):
            raise StoreUnusable(f"DATABASE_URL is not a database URL. {_FORM}") from None
        if not parsed.database:
            raise StoreUnusable(f"DATABASE_URL names no database. {_FORM}")
        scheme, _, rest = url.partition("://")
        return cls(dsn=f"{scheme.partition('+')[0]}://{rest}", place=_place(parsed))

    async def connect(self) -> "Connection[Any]":
        """A new connection. Raises: StoreUnusable, what asyncpg raises, OSError, TimeoutError."""
        import asyncpg

        named = {"application_name": "threadseek"}
        try:
            connection = await asyncpg.connect(
                self.dsn, timeout=CONNECT_TIMEOUT, server_settings=named
            )
        except ValueError:  # its words may quote the URL
            raise StoreUnusable(f"DATABASE_URL is not of a form that is known. {_FORM}") from None
        try:
            await connection.execute(_SETTINGS, timeout=CONNECT_TIMEOUT)
        except BaseException:
            connection.terminate()
            raise
        return connection


def require_driver() -> None:
    """Raises: StoreUnusable when the library for PostgreSQL is not installed."""
    try:
        import asyncpg  # noqa: F401
    except ImportError:
        raise StoreUnusable(
            "DATABASE_URL names PostgreSQL, and what talks to it is not installed: "
            "pip install threadseek[postgres], or set DATABASE_URL to a file."
        ) from None


def _place(parsed: URL) -> str:
    host = parsed.host or _first(parsed.query.get("host")) or "localhost"
    port = f":{parsed.port}" if parsed.port else ""
    user = f"{parsed.username}@" if parsed.username else ""
    return f"postgresql://{user}{host}{port}/{unquote(str(parsed.database))}"


def _first(value: object) -> str:
    return str(value[0] if isinstance(value, tuple) else value or "")
