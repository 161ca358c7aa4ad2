"""A pooler between us and the server, as PgBouncer is: https://www.pgbouncer.org/config.html"""

import struct

import pytest
from sqlalchemy import Connection, text

from core.errors import StoreUnusable
from core.store.postgres import PostgresDatabase
from tests.contract.store.gateway import Gateway

KNOWN = {b"user", b"database", b"application_name", b"client_encoding"}
"""What it takes of us at the start; it refuses everything else that it wasn't told to ignore."""


def failure(severity: bytes, code: bytes, message: bytes) -> bytes:
    """An error as a server sends it."""
    fields = b"S%s\0V%s\0C%s\0M%s\0\0" % (severity, severity, code, message)
    return b"E" + struct.pack("!I", len(fields) + 4) + fields


def at_the_start(said: bytes) -> bytes:
    """What it says to the first message of a connection."""
    if said[4:8] != struct.pack("!I", 196608):
        return b""
    for name in said[8:].split(b"\0")[:-2:2]:
        if name not in KNOWN:
            return failure(b"FATAL", b"08P01", b"unsupported startup parameter: " + name)
    return b""


def without_sessions(said: bytes) -> bytes:
    """What is heard where each transaction is another session's: no statement is prepared there."""
    if b"\0__asyncpg_stmt" not in said:
        return at_the_start(said)
    return failure(b"ERROR", b"26000", b"prepared statement does not exist") + b"Z\0\0\0\5I"


async def test_one_that_keeps_sessions_is_used_and_the_server_has_our_limits(
    way: Gateway, far_url: str
) -> None:
    def limit(conn: Connection) -> object:
        return conn.execute(text("SHOW idle_in_transaction_session_timeout")).scalar()

    way.answer = at_the_start
    async with PostgresDatabase.open(far_url, patience=1.0) as database:
        assert await database.problem() == ""
        assert await database.read(limit) == "10s"


async def test_one_that_keeps_none_is_named_with_what_to_do(way: Gateway, far_url: str) -> None:
    way.answer = without_sessions
    with pytest.raises(StoreUnusable, match="doesn't keep sessions: set it to session mode"):
        async with PostgresDatabase.open(far_url, patience=1.0):
            pass
