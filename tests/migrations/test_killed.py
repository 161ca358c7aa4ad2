"""A start that is killed, wherever, is begun anew by the next one."""

import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from core.store.migrate import SCRIPTS, migrate_file, stored_revision
from core.store.schema import REVISION
from tests.migrations.test_migrations import (
    contents,
    definitions,
    make_first,
    put_conversation,
    scripts_with_next,
)

CODE = """
import sys
from pathlib import Path
from core.store.migrate import migrate_file
migrate_file(Path(sys.argv[1]), locked=False, scripts=Path(sys.argv[2]), head=sys.argv[3])
"""
KILL = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
TRIES = 8
MANY = 60_000  # conversations: a backup and a migration then take long enough to be met


def migrating(path: Path, scripts: Path = SCRIPTS, head: str = REVISION) -> subprocess.Popen[bytes]:
    """A process that brings the file to a revision."""
    arguments = [sys.executable, "-c", CODE, str(path), str(scripts), head]
    return subprocess.Popen(arguments, cwd=SCRIPTS.parent, stderr=subprocess.DEVNULL)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file as the first version left it, with something in it."""
    made = tmp_path / "t.db"
    make_first(made)
    put_conversation(made, count=MANY)
    return made


def sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_killed_in_the_middle_of_a_migration(path: Path, tmp_path: Path) -> None:
    """Its tables are half made then, in a transaction that nobody ends."""
    before = definitions(path)
    scripts = scripts_with_next(tmp_path, then=KILL)
    assert migrating(path, scripts, "next").wait() == -signal.SIGKILL
    assert (stored_revision(path), definitions(path)) == ("0001", before)
    migrate_file(path, locked=False)
    assert stored_revision(path) == REVISION
    assert contents(path) == (MANY, 1)
    assert sound(path)


@pytest.mark.parametrize("suffix", [".0001.backup.part", ".0001.backup", "-journal"])
def test_killed_as_soon_as_a_file_appears(path: Path, suffix: str) -> None:
    """While the backup is written, when it is whole, and while the tables are changed."""
    left = any(_killed_when_there(path, suffix) for _ in range(TRIES))
    assert left, "it was never met in the middle"
    migrate_file(path, locked=False)
    assert stored_revision(path) == REVISION
    backup = path.with_name("t.db.0001.backup")
    assert contents(path) == contents(backup) == (MANY, 1)
    assert sound(path)
    assert sound(backup)
    assert stored_revision(backup) == "0001"
    assert not path.with_name(backup.name + ".part").exists()


def _killed_when_there(path: Path, suffix: str) -> bool:
    """Kill a migration when a file appears beside the database; whether it was there and undone.

    A busy machine may let it come to its end first: then all is put back as it was.
    """
    beside = path.with_name(path.name + suffix)
    first = path.read_bytes()
    process = migrating(path)
    _until(lambda: beside.exists() or process.poll() is not None)
    process.kill()
    killed = process.wait() == -signal.SIGKILL
    if killed and beside.exists():
        return True
    for file in path.parent.glob(f"{path.name}?*"):
        file.unlink()
    path.write_bytes(first)
    return False


def _until(met: Callable[[], bool], within: float = 30.0) -> None:
    deadline = time.monotonic() + within
    while not met():
        assert time.monotonic() < deadline
