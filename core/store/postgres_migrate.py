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

LOCK = 0x7468726561647365  # "threadse": our number among the advisory locks of a database
_MIGRATING = 600.0  # seconds: a migration may rewrite a large table, and others wait for it
_PAUSE = 0.2  # seconds between two tries to reach a server that starts
_LOCKED_PAUSE = 5.0  # seconds between two tries to have tables that somebody holds
# Seconds: more than an autovacuum gets to see that it is in the way (the server's
# deadlock_timeout, 1 s), less than an old replica has for an event (INGRESS_PATIENCE).
_LOCKED = 1.3
_HOLDER = """
SELECT application_name AS name, usename, pid FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid IN (
    SELECT pid FROM pg_locks JOIN pg_class ON pg_class.oid = pg_locks.relation
    WHERE granted AND relnamespace = current_schema()::regnamespace
)
ORDER BY xact_start, pid LIMIT 1
"""

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
    began = clock()
    waiting = _Waiting(place)
    while True:
        try:
            async with asyncio.timeout(_MIGRATING), engine.connect() as connection:
                if await connection.run_sync(stored_revision, place) != head:
                    await connection.rollback()
                    await connection.run_sync(_upgrade, waiting, scripts, head)
                    await connection.commit()
                return
        except Exception as error:
            if not failures.of_database(error):
                raise
            locked = failures.locked(error)
            most, pause = (_MIGRATING, _LOCKED_PAUSE) if locked else (patience, _PAUSE)
            again = locked or failures.away(error)
            if not again or clock() + pause >= began + most:
                raise failures.explain(error, place) from None
        await asyncio.sleep(pause)


class _Waiting:
    """Says once what a migration of this place waits for: the first that it finds."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._said = False

    def say(self, holder: str) -> None:
        """Say who has what it waits for."""
        if not self._said:
            self._said = True
            fix = "let it end, or end it; until then this replica does not start"
            _log.warning("database.waiting", place=self.place, holder=holder, fix=fix)


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


def _upgrade(connection: Connection, waiting: _Waiting, scripts: Path, head: str) -> None:
    """Wait for the lock, which ends with the transaction, and do what is left to do.

    The locks on tables are waited for a moment only, since whoever asks for one of these tables
    later waits behind us: the old replicas, whose answers would stand still with a pg_dump.
    """
    connection.execute(text(f"SET LOCAL statement_timeout = '{_MIGRATING:.0f}s'"))
    lock = {"lock": LOCK}
    if not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), lock):
        waiting.say("another replica, which migrates it")
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), lock)
    revision = stored_revision(connection, waiting.place)
    if revision == head:
        return
    from alembic import command

    settings = config(connection, scripts)
    require_known(settings, waiting.place, revision, head, restore="restore a backup")
    connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCKED * 1000:.0f}ms'"))
    before = connection.begin_nested()
    try:
        command.upgrade(settings, head)
    except Exception as error:
        if failures.locked(error):
            before.rollback()
            waiting.say(_holder(connection))
        raise
    before.commit()
    _log.info("database.migrated", place=waiting.place, before=revision, after=head)


def _holder(connection: Connection) -> str:
    """Who holds a table of ours, for longest: what a migration did not get."""
    found = connection.execute(text(_HOLDER)).first()
    if found is None:
        return "somebody who has let go of it now"
    return f"{found.name or found.usename} (process {found.pid} in pg_stat_activity)"
