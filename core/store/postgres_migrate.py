"""Bring a PostgreSQL database to the schema of this version, in one transaction, under a lock.

Several replicas start at once: the first that has the lock migrates, the others wait for it and
find nothing left to do. No backup is made: whoever runs a server has a way of their own.
"""

import asyncio
from pathlib import Path

import structlog
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from core.errors import StoreUnusable
from core.store import postgres_failures as failures
from core.store.migrate import SCRIPTS, config, require_known
from core.store.schema import REVISION

_LOCK = 0x7468726561647365  # "threadse": our number among the advisory locks of a database
_MIGRATING = 600.0  # seconds: a migration may rewrite a large table, and others wait for it
_PAUSE = 0.2  # seconds between two tries to reach a server that starts

_log = structlog.get_logger()


async def migrate_server(
    engine: AsyncEngine,
    place: str,
    *,
    patience: float,
    scripts: Path = SCRIPTS,
    head: str = REVISION,
) -> None:
    """Bring the database to the revision `head` of `scripts`.

    patience: seconds to wait for the server. Raises: StoreBusy, StoreUnusable.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience
    while True:
        try:
            async with asyncio.timeout(_MIGRATING), engine.connect() as connection:
                if await connection.run_sync(stored_revision, place) != head:
                    await connection.rollback()
                    await connection.run_sync(_upgrade, place, scripts, head)
                    await connection.commit()
                return
        except Exception as error:
            if not failures.of_database(error):
                raise
            if not failures.away(error) or clock() + _PAUSE >= deadline:
                raise failures.explain(error, place) from None
        await asyncio.sleep(_PAUSE)


def stored_revision(connection: Connection, place: str) -> str | None:
    """The revision of the schema; None when it is new. Changes nothing.

    Raises: StoreUnusable when it holds tables of something else.
    """
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        return str(row[0]) if row else None
    if tables:
        raise StoreUnusable(
            f"The database {place} holds the tables of another program: "
            "set DATABASE_URL to a database of its own."
        )
    return None


def _upgrade(connection: Connection, place: str, scripts: Path, head: str) -> None:
    """Wait for the lock, which ends with the transaction, and do what is left to do."""
    connection.execute(text(f"SET LOCAL statement_timeout = '{_MIGRATING:.0f}s'"))
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    revision = stored_revision(connection, place)
    if revision == head:
        return
    from alembic import command

    settings = config(connection, scripts)
    require_known(settings, place, revision, head)
    command.upgrade(settings, head)
    _log.info("database.migrated", place=place, before=revision, after=head)
