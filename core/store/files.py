"""The file behind an SQLite database: its URL, its place, and who uses it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from core.errors import StoreUnusable
from core.store.failures import explained

_FORM = "Set DATABASE_URL to a file: sqlite:///threadseek.db, or sqlite:////srv/threadseek.db."


def is_postgres(url: str) -> bool:
    """Whether a DATABASE_URL names a PostgreSQL server: `postgresql://` or `postgres://`."""
    return url.startswith(("postgresql:", "postgres:", "postgresql+asyncpg:"))


def database_file(url: str) -> Path:
    """The file that a DATABASE_URL names: `sqlite:///relative` or `sqlite:////absolute`.

    One file has one path, whichever symbolic link it is named by: its lock is found by that.
    The message never repeats the URL, which may hold a password. Raises: StoreUnusable.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreUnusable(f"DATABASE_URL is not a database URL. {_FORM}") from None
    if parsed.drivername != "sqlite" or parsed.host or parsed.query:
        raise StoreUnusable(f"DATABASE_URL is not of a form that Threadseek knows. {_FORM}")
    if "?" in url:  # what follows it would be lost, and another file opened
        raise StoreUnusable(f"A file that DATABASE_URL names has no ? in it: rename it. {_FORM}")
    if parsed.database in (None, "", ":memory:"):
        raise StoreUnusable(f"Conversations have to outlive the process. {_FORM}")
    return Path(os.path.realpath(str(parsed.database)))


def require_place(path: Path) -> None:
    """There is a directory for the file, and no directory in its place. Raises: StoreUnusable."""
    if path.is_dir():
        raise StoreUnusable(f"The database {path} is a directory. {_FORM}")
    if not path.parent.is_dir():
        raise StoreUnusable(
            f"The database {path} can't be made, there is no directory {path.parent}: "
            "create it, or set DATABASE_URL to another file."
        )


def create_private(path: Path) -> None:
    """Make an empty file that only its owner can read, if there is none.

    SQLite gives its `-wal` and `-shm` files the same mode.
    """
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


@contextmanager
def sole_use(path: Path) -> Iterator[None]:
    """Keep every other process off the database; the system lets go when this process dies.

    The lock is on `<file>.lock`, which holds the process id and stays: removing it would let two
    processes lock two files of one name. Raises: StoreUnusable.
    """
    require_place(path)
    lock = path.with_name(path.name + ".lock")
    with explained(path):
        descriptor = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        with explained(path):
            _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        raise InUse(
            f"The database {path} is in use by process {holder or 'unknown'}: stop it, "
            "or set DATABASE_URL to another file."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


class InUse(StoreUnusable):
    """Another process holds the database."""
