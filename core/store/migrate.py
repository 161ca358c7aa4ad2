"""Bring a database file to the schema of this version: made if new, backed up if older.

alembic is slow to import (0.2 s) and large (11 MiB): it is imported only to upgrade. A new file
gets its tables from the schema, which the migrations are tested to come to.
"""

import re
import sqlite3
import time
from contextlib import closing, nullcontext
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from sqlalchemy import URL, create_engine, event
from sqlalchemy.pool import NullPool

from core.errors import StoreUnusable
from core.store.failures import RESTORE, explained
from core.store.files import InUse, create_private, database_file, require_place, sole_use
from core.store.schema import REVISION, metadata

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

SCRIPTS = Path(str(files("migrations")))
"""The directory of the migration scripts."""

_PATIENCE = 10.0
_LOOK_AGAIN = 0.05

_log = structlog.get_logger()


def migrate(url: str) -> None:
    """Bring the database of a DATABASE_URL to the schema of this version. Blocks.

    Raises: StoreBusy, StoreUnusable (also when a service is using an older schema).
    """
    migrate_file(database_file(url), locked=False)


def migrate_file(
    path: Path,
    *,
    locked: bool,
    scripts: Path = SCRIPTS,
    head: str = REVISION,
    patience: float = _PATIENCE,
) -> None:
    """Bring the file to the revision `head` of `scripts`. Blocks.

    locked: the caller has the sole use of it already. patience: seconds to wait for another
    process that migrates, and for a lock on the file. Raises: StoreBusy, StoreUnusable.
    """
    require_place(path)
    deadline = time.monotonic() + patience
    with explained(path):
        while stored_revision(path, patience) != head:
            try:
                with nullcontext() if locked else sole_use(path):
                    _upgrade(path, scripts, head, patience)
            except InUse:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_LOOK_AGAIN)


def stored_revision(path: Path, patience: float = _PATIENCE) -> str | None:
    """The revision of the file's schema; None when it is new. Changes nothing.

    Raises: sqlite3.Error, StoreUnusable when it holds tables of something else.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    with closing(sqlite3.connect(path, timeout=patience)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if "alembic_version" in tables:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return row and str(row[0])
    if tables:
        raise StoreUnusable(
            f"The database {path} holds the tables of another program: "
            "set DATABASE_URL to a file of its own."
        )
    return None


def config(connection: "Connection", scripts: Path = SCRIPTS) -> "Config":
    """What alembic has to know to work on an open connection."""
    from alembic.config import Config

    result = Config()
    result.set_main_option("script_location", str(scripts).replace("%", "%%"))
    result.attributes["connection"] = connection
    return result


def require_known(
    settings: "Config", place: str, revision: str | None, head: str, *, restore: str
) -> None:
    """Raises: StoreUnusable, when the scripts don't know what is there. restore: how to do that."""
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(settings).walk_revisions()}
    if revision is not None and revision not in known:
        raise StoreUnusable(
            f"The database {place} has the schema {revision} and this version of Threadseek "
            f"knows none after {head}: run the newer version that wrote it, or {restore}, "
            "or set DATABASE_URL to another database."
        )


def _upgrade(path: Path, scripts: Path, head: str, patience: float) -> None:
    """The work, for who has the sole use of the file."""
    create_private(path)
    revision = stored_revision(path, patience)
    if revision == head:
        return
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": patience, "isolation_level": None},
        poolclass=NullPool,
    )
    # The driver's own transactions leave DDL outside: with ours a migration is all or nothing.
    # Foreign keys stay off, SQLite's default: batch mode drops and makes tables again.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    backup = None
    with engine.begin() as connection:
        if revision is None and head == REVISION:
            _make(connection)
        else:
            backup = _run(connection, path, revision, scripts, head)
    _log.info(
        "database.migrated",
        path=str(path),
        before=revision,
        after=head,
        backup=backup and str(backup),
    )


def _make(connection: "Connection") -> None:
    """The tables of this version, marked as alembic does it."""
    metadata.create_all(connection)
    connection.exec_driver_sql(
        "CREATE TABLE IF NOT EXISTS alembic_version (\n"
        "\tversion_num VARCHAR(32) NOT NULL, \n"
        "\tCONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)\n)"
    )
    connection.exec_driver_sql("INSERT INTO alembic_version VALUES (?)", (REVISION,))


def _run(
    connection: "Connection", path: Path, revision: str | None, scripts: Path, head: str
) -> Path | None:
    """The scripts that are missing; returns the backup of what there was before."""
    from alembic import command

    settings = config(connection, scripts)
    require_known(settings, str(path), revision, head, restore=RESTORE.format(file=path.name))
    backup = _back_up(path, revision) if revision is not None else None
    command.upgrade(settings, head)
    return backup


def drop_backups(path: Path, age: float) -> int:
    """Delete our backups of the file that are `age` seconds old, unfinished ones too; returns how
    many. Blocks. What has any other name is somebody else's. Raises: StoreUnusable.
    """
    ours = re.compile(rf"{re.escape(path.name)}\.\d{{4}}\.backup(\.part)?")
    dropped = 0
    with explained(path):
        for file in path.parent.iterdir():
            if ours.fullmatch(file.name) and file.stat().st_mtime <= time.time() - age:
                file.unlink()
                dropped += 1
    return dropped


def _back_up(path: Path, revision: str) -> Path:
    """Copy the database to `<file>.<revision>.backup`, in whole or not at all."""
    backup = path.with_name(f"{path.name}.{revision}.backup")
    unfinished = backup.with_name(backup.name + ".part")
    unfinished.unlink(missing_ok=True)
    create_private(unfinished)
    with (
        closing(sqlite3.connect(path, timeout=_PATIENCE)) as source,
        closing(sqlite3.connect(unfinished)) as target,
    ):
        source.backup(target)
    return unfinished.replace(backup)
