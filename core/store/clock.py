"""The time that leases are measured by, which no change of the wall clock can step."""

from collections.abc import Callable


def steady(wall: Callable[[], float], monotonic: Callable[[], float]) -> Callable[[], float]:
    """Seconds since the epoch as `wall` has them now, going on as `monotonic` does.

    A wall clock that is stepped by an hour would end every lease at once, and a process would
    claim the turns that it is working on itself.
    """
    offset = wall() - monotonic()
    return lambda: monotonic() + offset
