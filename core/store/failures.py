"""What the database reported, as a sentence that says what happened and what to do.

Codes: https://www.sqlite.org/rescode.html
"""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from core.errors import StoreBusy, StoreError, StoreUnusable

_ELSEWHERE = "or set DATABASE_URL to another file."
_NOT_WRITABLE = (
    "can't be opened for writing: give this user write access to the file and its directory, "
    + _ELSEWHERE
)
RESTORE = (
    "stop what uses it, remove `{file}-wal` and `{file}-shm`, then copy a backup over it "
    "(`{file}.*.backup`, or one of yours)"
)
"""How a backup is put back: the log that is left would be played into it. file: its name."""

_DAMAGED = f"is damaged or is not an SQLite database: {RESTORE}, {_ELSEWHERE}"

# Primary result code -> what to say after "The database <file> ".
_SENTENCES = {
    sqlite3.SQLITE_PERM: _NOT_WRITABLE,
    sqlite3.SQLITE_READONLY: _NOT_WRITABLE,
    sqlite3.SQLITE_CANTOPEN: _NOT_WRITABLE,
    sqlite3.SQLITE_AUTH: _NOT_WRITABLE,
    sqlite3.SQLITE_FULL: "can't grow, the disk is full: free some space, " + _ELSEWHERE,
    sqlite3.SQLITE_IOERR: "can't be read or written, the disk fails: check it, " + _ELSEWHERE,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
}

_DISK = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)

# What the system says of the files beside it (the lock, a backup) -> the same of the database.
_CODES = {
    errno.ENOSPC: sqlite3.SQLITE_FULL,
    errno.EDQUOT: sqlite3.SQLITE_FULL,
    errno.EIO: sqlite3.SQLITE_IOERR,
}


def sqlite_code(error: BaseException) -> int:
    """The primary result code of an error, or of the error it wraps; 0 without one."""
    cause = getattr(error, "orig", None) or error
    code = int(getattr(cause, "sqlite_errorcode", None) or 0)
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:  # the file beside the log can't grow: no room
        return sqlite3.SQLITE_FULL
    return code & 0xFF


def is_busy(error: BaseException) -> bool:
    """Whether another connection held the lock."""
    return sqlite_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def busy(path: Path) -> StoreBusy:
    """The error for a lock that was not to be had."""
    return StoreBusy(
        f"The database {path} stayed locked and nothing was written: try again; "
        "if it goes on, close what else has the file open (a backup, an SQL shell)."
    )


def explain(error: Exception, path: Path) -> StoreError:
    """The store's own error for a library's."""
    error = _of_disk(error) or error
    if is_busy(error):
        return busy(path)
    if isinstance(error, OSError):
        sentence = _SENTENCES[_CODES.get(error.errno or 0, sqlite3.SQLITE_CANTOPEN)]
        return StoreUnusable(f"The database {path} {sentence} ({error.strerror})")
    if not isinstance(error, SQLAlchemyError | sqlite3.Error):
        return StoreUnusable(
            f"The database {path} can't be worked with, try again; if it goes on, see what "
            f"threads and memory this machine has left. ({type(error).__name__}: {error})"
        )
    reason = getattr(error, "orig", None) or error
    sentence = _SENTENCES.get(sqlite_code(error), f"refused a statement, try again, {_ELSEWHERE}")
    if sentence is _DAMAGED:
        return Damaged(f"The database {path} {sentence.format(file=path.name)} ({reason})")
    return StoreUnusable(f"The database {path} {sentence} ({reason})")


def _of_disk(error: BaseException) -> Exception | None:
    """The disk's error that this one came after, if any: SQLite undid all, and more failed then."""
    earlier: BaseException | None = error
    while earlier is not None:
        if isinstance(earlier, Exception) and sqlite_code(earlier) in _DISK:
            return earlier
        earlier = earlier.__context__
    return None


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Let no error of a database library out: StoreBusy and StoreUnusable take their place."""
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise explain(error, path) from error


class Damaged(StoreUnusable):
    """A page of the file is not what SQLite wrote; others may be sound, and seem to work."""
