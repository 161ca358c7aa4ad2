"""What time it is, in seconds since the epoch, where the leases are kept.

With a file of one machine that is the machine's clock, kept steady. The machines that share a
PostgreSQL disagree about the time, so there it is the server's: an expression that the very
statement evaluates which compares or stores it, and no question asked before.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import ColumnElement, Double, bindparam, cast, extract, func

Now: TypeAlias = float | ColumnElement[float]
"""Seconds since the epoch: a number, or what the server will know."""

Clock: TypeAlias = Callable[[], Now]

LONGEST = 600.0
"""Seconds that a lease lasts at most: the settings allow no longer one of what several share."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")

_SERVER_TIME: ColumnElement[float] = cast(extract("epoch", func.statement_timestamp()), Double)


@dataclass(frozen=True, slots=True)
class Uptime:
    """A reading, in seconds, of a clock that goes on from one process to the next.

    since: what it counts from; readings with another one can't be compared.
    """

    at: Now
    since: str


def machine_uptime(monotonic: Callable[[], float]) -> Callable[[], Uptime]:
    """The time since this machine was started, whatever its wall clock is set to meanwhile."""
    return lambda: Uptime(monotonic(), boot(_BOOT))


def server_uptime() -> Uptime:
    """What the server's clock says: it has none that can't be set."""
    return Uptime(_SERVER_TIME, "the server")


@cache
def boot(path: Path) -> str:
    """What tells this boot of the machine from others: Linux names each
    (man7.org/linux/man-pages/man4/random.4.html), and `time.monotonic` is one clock for all
    processes of one. Elsewhere every process counts for itself.
    """
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return uuid.uuid4().hex


def steady(wall: Callable[[], float], monotonic: Callable[[], float]) -> Callable[[], float]:
    """Seconds since the epoch as `wall` has them now, going on as `monotonic` does.

    A wall clock that is stepped by an hour would end every lease at once, and a process would
    claim the turns that it is working on itself.
    """
    offset = wall() - monotonic()
    return lambda: monotonic() + offset


def server_clock() -> ColumnElement[float]:
    """The time at which the server began the statement.

    Who waited for a lock had an older one: its lease ends early rather than late, and it sees
    no lease as over that is not.
    """
    return _SERVER_TIME


def by_server(now: Now) -> bool:
    """Whether it is the server that knows the time, and no parameter of a statement says it."""
    return isinstance(now, ColumnElement)


def given(now: Now) -> dict[str, Now]:
    """The parameter `now` of a statement, where it has one."""
    return {} if isinstance(now, ColumnElement) else {"now": now}


def time_in(server: bool) -> ColumnElement[float]:
    """What a statement that is built once says for "now": the server's time, or a parameter."""
    return _SERVER_TIME if server else bindparam("now", type_=Double())


def set_back(until: ColumnElement[float], now: Now) -> ColumnElement[bool]:
    """Whether a lease ends so late that the clock was set back after it was taken.

    Whoever holds it may be alive, or dead: so it becomes one that begins now, and is not over.
    """
    return until > now + LONGEST
