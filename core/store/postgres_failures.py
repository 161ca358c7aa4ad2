"""What PostgreSQL reported, as a sentence that says what happened and what to do.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from core.errors import StoreBusy, StoreError, StoreUnusable

_AWAY = (
    "is not to be reached and nothing more is written until it is: start it, or set "
    "DATABASE_URL to the server that runs."
)
_SLOW = "took too long: it is overloaded or away, or someone holds a lock (pg_stat_activity)."
_POOLED = (
    "is behind a pooler that doesn't keep sessions: set it to session mode, or set DATABASE_URL to "
    "the server itself."
)
_LOCKED = "55P03"
_READ_ONLY = "25006"

# The beginning of an SQLSTATE -> what to say after "The database <place> ". Longest match wins.
_UNUSABLE = {
    "26000": _POOLED,  # a prepared statement that isn't there, or ...
    "42P05": _POOLED,  # ... is there already: another's
    "28": "refused the user or the password: set DATABASE_URL to ones that the server knows "
    "(its pg_hba.conf says who may connect from where).",
    "3D000": "does not exist on the server: create it (CREATE DATABASE), or set DATABASE_URL to "
    "one that is there.",
    "3F000": "has no schema to put tables into: create the schema, or repair the search_path.",
    "42501": "does not give this user the rights that are needed: grant CONNECT on the database "
    "and USAGE and CREATE on the schema, or make the user its owner.",
    _READ_ONLY: "is read only, a standby perhaps: set DATABASE_URL to the primary server.",
    "53100": "can't grow, the server's disk is full: free some space there.",
    "58": "can't be read or written, the server's disk fails: check it.",
    "XX001": "is damaged: restore a backup.",
    "XX002": "is damaged: restore a backup.",
}
_BUSY = {
    "08": _AWAY,
    "57P": _AWAY,
    "25P": "ended a transaction that took too long: it was undone and can be tried again.",
    "53": "has no room for one more connection or its memory is full: raise max_connections, "
    "or run fewer replicas.",
    _LOCKED: _SLOW,
    "57014": _SLOW,
    "40": "undid the transaction for the sake of another, and did so each time it was tried.",
}

_TAKES_TURNS = ("40001", "40P01")  # serialization failure, deadlock: the whole may be run again
_OUTDATED = "InvalidCachedStatementError"  # asyncpg's; its code says anything that isn't supported
_WENT_AWAY = ("08", "57P", "25P03")
_TRIED_AGAIN = (*_WENT_AWAY, "53300")


def sqlstate(error: BaseException) -> str:
    """The server's code, of an error or of the error it wraps; "" when no server said it."""
    for cause in _chain(error):
        if code := getattr(cause, "sqlstate", None):
            return str(code)
    return ""


def of_database(error: BaseException) -> bool:
    """Whether the database or the way to it raised it, not our own code or the store itself."""
    return isinstance(error, SQLAlchemyError | OSError) or type(error).__module__.startswith(
        "asyncpg."
    )


def undone(error: BaseException) -> bool:
    """Whether the server undid the transaction so that another could go on, or as a migration has
    changed what a prepared statement gives: the driver prepares it anew.
    """
    outdated = any(type(cause).__name__ == _OUTDATED for cause in _chain(error))
    return outdated or sqlstate(error) in _TAKES_TURNS


def away(error: BaseException) -> bool:
    """Whether the server, or the way to it, was not there: what has not begun may begin again."""
    code = sqlstate(error)
    return code.startswith(_TRIED_AGAIN) if code else _lost(error)


def locked(error: BaseException) -> bool:
    """Whether a lock was not to be had within the server's `lock_timeout`."""
    return sqlstate(error) == _LOCKED


def read_only(error: BaseException) -> bool:
    """Whether the server takes no writes: a standby, which says so in words where it begins one."""
    code = sqlstate(error)
    return code == _READ_ONLY or (code == "0A000" and "recovery" in _reason(error))


def explain(error: BaseException, place: str) -> StoreError:
    """The store's own error for a library's."""
    code = sqlstate(error)
    if read_only(error):
        code = _READ_ONLY
    about = f"The database {place}"
    for length in range(5, 1, -1):
        if sentence := _UNUSABLE.get(code[:length]):
            return StoreUnusable(f"{about} {sentence} ({_reason(error)})")
        if sentence := _BUSY.get(code[:length]):
            return StoreBusy(f"{about} {sentence} ({_reason(error)})")
    if not code and _timed_out(error):
        return StoreBusy(f"{about} {_SLOW} (no answer in time)")
    if not code and _lost(error):
        return StoreBusy(f"{about} {_AWAY} ({_reason(error)})")
    return StoreUnusable(
        f"{about} refused a statement, or speaks another language than PostgreSQL: "
        f"look into the server's log. ({_reason(error)})"
    )


def _timed_out(error: BaseException) -> bool:
    return any(isinstance(cause, TimeoutError) for cause in _chain(error))


def _lost(error: BaseException) -> bool:
    """No connection, or one that broke off without a word from the server.

    TimeoutError is an OSError too; asyncpg has InterfaceError for a connection that is closed.
    """
    *_, innermost = _chain(error)
    return type(innermost).__name__ in ("InterfaceError", "InternalClientError") or any(
        isinstance(cause, OSError) for cause in _chain(error)
    )


def _reason(error: BaseException) -> str:
    """The library's words, on one line, and nothing of what people wrote.

    A server's detail quotes whole rows, and asyncpg the arguments it can't encode: neither is
    used, and who raises what `explain` made raises it `from None`.
    """
    *_, innermost = _chain(error)
    if code := sqlstate(error):
        return " ".join(f"{code}: {getattr(innermost, 'message', None) or ''}".split())
    if isinstance(innermost, OSError):
        return innermost.strerror or type(innermost).__name__
    return type(innermost).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was made from."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = getattr(cause, "orig", None) or cause.__cause__
