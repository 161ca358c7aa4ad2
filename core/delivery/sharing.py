"""A rate budget that one process spends alone, and what each says to the others about a shared one.

Pure. Where the shared level is kept is the store's to know; what a call does to it is said here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from core.delivery.pacing import Desk, Desks, Level, Pacer
from core.types import NOTHING, Allowance, Kind, Left, Unseen

SHARE = 0.25
"""Of an allowance, while the others can't be asked: up to four processes then stay within it."""
STEPPED = 1.0
"""Seconds by which a level may be from the future; beyond that the clock was set back."""
_MOST_TOLD = 100  # more refusals or successes in a row change nothing any more


class OwnBudget:
    """The budget of a process that shares with nobody. Satisfies `core.budget.Budget`.

    now: a monotonic clock, in seconds. Nothing here waits for anything.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._desks = Desks()

    async def take(self, allowance: Allowance, kind: Kind, unseen: Unseen = NOTHING) -> float:
        """Ask at the desk of the allowance and of every wider one; all grant it, or none."""
        now, desks = self._now(), [self.desk(each) for each in widening(allowance)]
        for desk in desks:
            if (wait := desk.wait(kind, unseen, now)) > 0:
                return wait
        for desk in desks:
            desk.take(kind, unseen, now)
        return 0.0

    def share(self, allowance: Allowance) -> float:
        """By what is at hand, and comes in."""
        return min(self.desk(each).share(self._now()) for each in widening(allowance))

    def soonest(self, allowance: Allowance, *, spare: bool = False) -> float:
        """By what is at hand."""
        return max(self.desk(each).soonest(self._now(), spare) for each in widening(allowance))

    def join(self, allowance: Allowance, *, final: bool = True) -> None:
        """Count it at the desk."""
        for each in widening(allowance):
            self.desk(each).queue.joins(1, final=final)

    def leave(self, allowance: Allowance, *, final: bool = True) -> None:
        """Count it no more."""
        for each in widening(allowance):
            self.desk(each).queue.joins(-1, final=final)

    def pace(self, allowance: Allowance, left: Left) -> None:
        """Believe it more than the pacer."""
        self.desk(allowance).pace(left, self._now())

    async def refused(self, allowance: Allowance, retry_after: float) -> None:
        """Tell the pacers; nobody knows which of them the platform meant."""
        for each in widening(allowance):
            self.desk(each).pacer.refused(retry_after, self._now())

    async def succeeded(self, allowance: Allowance) -> None:
        """Tell the pacers."""
        for each in widening(allowance):
            self.desk(each).pacer.succeeded(self._now())

    def desk(self, allowance: Allowance) -> Desk:
        """Where it is known who spends one allowance, and what of it is left."""
        return self._desks.of(allowance)

    def returned(self, allowance: Allowance) -> None:
        """A granted call isn't made after all."""
        self.desk(allowance).pacer.spent(-1, self._now())


def widening(allowance: Allowance) -> Iterator[Allowance]:
    """The allowance, and those that it is within."""
    yield allowance
    while allowance.within:
        allowance = allowance.within
        yield allowance


@dataclass(frozen=True, slots=True)
class News:
    """What happened to calls of one process and isn't part of the shared level yet.

    unasked: calls made while the others couldn't be asked, less those that were granted and not
    made. until: when the latest block ends,
    by the process's own clock.
    """

    successes: int = 0
    refusals: int = 0
    unasked: int = 0
    until: float = float("-inf")

    def __bool__(self) -> bool:
        return bool(self.successes or self.refusals or self.unasked)

    def __add__(self, other: "News") -> "News":
        return News(
            min(self.successes + other.successes, _MOST_TOLD),
            min(self.refusals + other.refusals, _MOST_TOLD),
            self.unasked + other.unasked,
            max(self.until, other.until),
        )

    def tell(self, pacer: Pacer, left: float, now: float) -> None:
        """Make it part of the pacer's level. left: seconds until `until`; now: by its clock."""
        pacer.spent(self.unasked, now)
        for _ in range(self.successes):
            pacer.succeeded(now)
        for _ in range(self.refusals):
            pacer.refused(max(0.0, left), now)


def moved(level: Level, seconds: float) -> Level:
    """The level by a clock that is so many seconds ahead."""
    return replace(level, at=level.at + seconds, blocked_until=level.blocked_until + seconds)


def steady(level: Level, now: float) -> Level:
    """The level, by a clock that may have been set back since: else nothing comes in for hours."""
    ahead = level.at - now
    if ahead <= STEPPED:
        return level
    return replace(level, at=now, blocked_until=level.blocked_until - ahead)


def alone(allowance: Allowance, now: float) -> Pacer:
    """The pacer of a fair share; it begins with one call, because others may begin as well."""
    burst = max(1.0, allowance.burst * SHARE)
    share = replace(allowance, burst=burst, rate=allowance.rate * SHARE)
    return Pacer(share, Level(1.0, now, share.rate, share.burst, float("-inf")))


class Waits:
    """For how long asking again is futile: what matters less waits at least as long."""

    def __init__(self) -> None:
        self._until = dict.fromkeys(Kind, float("-inf"))

    def left(self, kind: Kind, now: float) -> float:
        """Seconds; 0.0 when it is time to ask."""
        return max(0.0, max(end for other, end in self._until.items() if other >= kind) - now)

    def told(self, kind: Kind, until: float) -> None:
        """A call of this kind is not granted before then."""
        self._until[kind] = max(self._until[kind], until)
