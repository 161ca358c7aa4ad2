"""What time it is, in seconds since the epoch, where the leases are kept.

With a file of one machine that is the machine's clock, kept steady. The machines that share a
PostgreSQL disagree about the time, so there it is the server's: an expression that the very
statement evaluates which compares or stores it, and no question asked before.
"""

from collections.abc import Callable
from typing import TypeAlias

from sqlalchemy import ColumnElement, Double, cast, extract, func

Now: TypeAlias = float | ColumnElement[float]
"""Seconds since the epoch: a number, or what the server will know."""

Clock: TypeAlias = Callable[[], Now]


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
    return cast(extract("epoch", func.statement_timestamp()), Double)
