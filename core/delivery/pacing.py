"""Who may spend a platform's rate budget, and when. Pure: the time comes from outside.

A token bucket per allowance. It believes the platform more than the documented numbers: a refusal
empties it and lowers it, successes raise it back. A share is kept for calls that matter more, and
interim calls spread what is left: hoarding it shows nothing sooner, burning it makes all blind.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from typing import TypeVar

from core.types import Allowance, Kind, Left, Unseen

LOWER_RATE, LOWER_BURST, RECOVERY = 0.75, 0.6, 0.03
"""What a refusal leaves of rate and burst, and what a success gives back of the documented ones."""
LOWER_GUESS = 0.65
"""What it leaves of a rate that is a guess."""
PROBATION = 60.0
"""Seconds after a refusal's end from which successes count: until then they only show that what is
left isn't too much."""
FLOOR = 0.1
"""A bucket never gets below this share of the documented numbers (and a burst of one call)."""
RESERVE, FURTHER = 1.0, 0.4
"""Tokens that interim calls leave in the bucket, and for each further answer that will need its
last call out of it; at most half of the burst. First paints leave the second part only."""
SPREAD, SHORTEST = 16.6, 5.0
"""Seconds over which the interim calls of one answer spread the tokens at hand; of several, so much
less, but never less than the latter: then all are as fresh as one."""
SPARE = 0.5
"""Calls of what a platform says is left that are kept, likewise, where several answers may end."""
LAST, SEVERAL = 0.1, 0.225
"""Seconds for which a last text may find none left, over all, of the calls that a platform gives
for some time; the latter where several answers may end. Is the last call spent when so much of the
time is left, that share of last texts finds none, and waits for half of it."""
HORIZON = 10.0
"""Seconds that a usual answer takes."""
LONG = 5.0
"""Seconds from which nobody is to wait for a platform that takes no calls."""
LATE = 0.05
"""Seconds by which the one whose turn it is may be late; then it is another's."""
YIELD, SPACING = 0.01, 0.001
"""Seconds by which another asks later than the one whose turn it is, and each further one later
than the one before: each call that one gets has all others ask again, not in the same moment."""
MOST = 8192
"""Desks that are kept beside those that answers are written with: two for each of 4,000 that wait
for their first call. Each is full again long before so many others were asked for."""
_ROUNDING = 1e-6
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Level:
    """What a pacer knows at the time `at`: so it can be kept, and another can go on with it.

    rate, burst: what is granted of the documented ones now. blocked_until: a refusal's end.
    """

    tokens: float
    at: float
    rate: float
    burst: float
    blocked_until: float


class Pacer:
    """One allowance. Times are seconds of one monotonic clock.

    In any 60 seconds at most `burst + 60 * rate` calls are granted.
    level: what another pacer of this allowance came to; without one it begins full.
    """

    def __init__(self, allowance: Allowance, level: Level | None = None) -> None:
        self.burst = min(level.burst, allowance.burst) if level else allowance.burst
        self.rate = min(level.rate, allowance.rate) if level else allowance.rate
        self._documented = allowance
        self._tokens = level.tokens if level else allowance.burst
        self._at = level.at if level else None
        self._blocked_until = level.blocked_until if level else float("-inf")

    def level(self, now: float) -> Level:
        """What it has come to."""
        self._refill(now)
        at = now if self._at is None else self._at
        return Level(self._tokens, at, self.rate, self.burst, self._blocked_until)

    def grant(self, kind: Kind, now: float, finals: int = 1) -> float:
        """0.0: granted, and the token is taken. Else seconds after which to ask again.

        finals: how many answers will need their last call out of it.
        """
        wait = self.wait(kind, now, finals)
        if wait == 0:
            self._tokens -= 1
        return wait

    def wait(self, kind: Kind, now: float, finals: int = 1) -> float:
        """What `grant` would say, without taking anything."""
        return self.leaving(self._reserve(kind, finals), now)

    def leaving(self, tokens: float, now: float) -> float:
        """Seconds after which a call would be granted that leaves so many tokens."""
        self._refill(now)
        if now < self._blocked_until - _ROUNDING:
            return self._blocked_until - now
        needed = min(1 + tokens, self.burst)
        if self._tokens >= needed - _ROUNDING:
            return 0.0
        return (needed - self._tokens) / self.rate

    def gap(self, now: float, active: int = 1, finals: int = 1) -> float:
        """Seconds from an interim call to the next one of anybody.

        active: how many answers are written with it.
        """
        self._refill(now)
        spread = max(SHORTEST, SPREAD / max(1, active))
        spare = max(0.0, self._tokens - self._reserve(Kind.INTERIM, finals))
        return 1 / (self.rate + spare / spread)

    def within(self, seconds: float, now: float) -> float:
        """How many calls are to be had in so many seconds from now."""
        self._refill(now)
        blocked = max(0.0, self._blocked_until - now)
        return self._tokens + max(0.0, seconds - blocked) * self.rate

    def refused(self, retry_after: float, now: float) -> None:
        """The platform said 429 and asked to wait `retry_after` seconds.

        Calls that were on their way together are refused together: that is one lesson.
        """
        self._refill(now)
        known = now < self._blocked_until
        self._blocked_until = max(self._blocked_until, now + retry_after)
        self._tokens = 1.0  # for the call that passes then, by the platform's own word
        if not known:
            lower = LOWER_GUESS if self._documented.guessed else LOWER_RATE
            self.rate = max(self.rate * lower, self._documented.rate * FLOOR)
            self.burst = max(self.burst * LOWER_BURST, self._documented.burst * FLOOR, 1.0)

    def succeeded(self, now: float) -> None:
        """A call went through: three per cent of the documented numbers more, up to them."""
        self._refill(now)  # what came in until now came in at the lower rate
        if now < self._blocked_until + PROBATION:
            return
        self.rate = min(self.rate + self._documented.rate * RECOVERY, self._documented.rate)
        self.burst = min(self.burst + self._documented.burst * RECOVERY, self._documented.burst)

    def empty(self, seconds: float, now: float) -> None:
        """The platform said in time that it takes no call for so long: nobody was refused."""
        self._refill(now)
        self._blocked_until = max(self._blocked_until, now + seconds)
        self._tokens = min(1.0, self._tokens)

    def spent(self, calls: int, now: float) -> None:
        """Count calls that were made without asking; less than none: that weren't made at all."""
        self._refill(now)
        self._tokens = min(self.burst, max(0.0, self._tokens - calls))

    def _reserve(self, kind: Kind, finals: int) -> float:
        """Tokens that a call of this kind leaves to those that matter more."""
        if kind is Kind.FINAL or finals == 0:
            return 0.0
        first = RESERVE if kind is Kind.INTERIM else 0.0
        return min(first + FURTHER * (finals - 1), self.burst / 2)

    def _refill(self, now: float) -> None:
        """Add what has come in since the last time; nothing comes in while blocked."""
        since = now if self._at is None else max(self._at, min(self._blocked_until, now))
        self._tokens = min(self.burst, self._tokens + max(0.0, now - since) * self.rate)
        self._at = now if self._at is None else max(self._at, now)


class Queue:
    """Those of one process who spend one allowance: whose turn it is, and when.

    All that wait are told about the same moment. Without an order, who asks first then is chance,
    and one answer may be rewritten all the time while others stand still. A reply's
    character-seconds grow without bound while it waits, so nobody starves. Times as a Pacer's.

    active: answers written with it. finals: those of them that need their last call out of it.
    """

    def __init__(self) -> None:
        self.active = 0
        self.finals = 0
        self._next = float("-inf")  # when the next interim call is due
        self._ahead: _Standing | None = None
        self._told = dict[Kind, float]()  # the latest moments, to the others of a kind

    def left(self, kind: Kind, unseen: Unseen, now: float) -> float:
        """0.0: who asks this is next, the pacer may be asked; else seconds until that may be."""
        ahead = self._ahead
        if ahead and now <= ahead.back + LATE and ahead.before(kind, unseen, now):
            behind = max(ahead.back, now) + YIELD
            at = max(behind, self._told.get(kind, behind) + SPACING)
            self._told[kind] = at
            return at - now
        wait = self._next - now if kind is Kind.INTERIM else 0.0
        if wait <= _ROUNDING:
            return 0.0
        self._ahead = _Standing(kind, unseen, now, now + wait)
        return wait

    def told(self, kind: Kind, unseen: Unseen, wait: float, pacer: Pacer, now: float) -> None:
        """The next one asked: it was told to wait (0.0: it was granted)."""
        if wait:
            self._ahead = _Standing(kind, unseen, now, now + wait)
        elif self._ahead and self._ahead.kind >= kind:
            self._ahead = None  # else it is next still, though something more important went first
        if not wait and kind is Kind.INTERIM:
            self._next = now + pacer.gap(now, self.active, self.finals)

    def pace(self, left: Left, now: float) -> None:
        """Spread what is left, but the last call later; of several answers, one may end meanwhile
        and need its last call.
        """
        several = self.finals > 1
        whole, calls = left.age + left.seconds, left.calls - SPARE * several
        gap = whole / max(1.0, calls + 1)
        if calls > 0:
            kept = sqrt(2 * left.period * (SEVERAL if several else LAST))
            gap = max(gap, (whole - kept) / max(1.0, calls))
        self._next = now - left.age + gap

    def share(self, pacer: Pacer, now: float) -> float:
        """As `core.budget.Budget.share`."""
        return pacer.within(HORIZON, now) / (self.active + 1)

    def joins(self, count: int, *, final: bool) -> None:
        """So many answers more, or less."""
        self.active = max(0, self.active + count)
        self.finals = max(0, self.finals + count * final)


@dataclass(frozen=True, slots=True)
class _Standing:
    """Who is next, as it asked at the time `at`; `back`: when it was told to ask again."""

    kind: Kind
    unseen: Unseen
    at: float
    back: float

    def before(self, kind: Kind, unseen: Unseen, now: float) -> bool:
        """Whether it comes before one that asks now: its text has waited on since."""
        area = self.unseen.area + self.unseen.characters * (now - self.at)
        return (self.kind, area) > (kind, unseen.area + _ROUNDING)


class Desk:
    """Where the answers of one process ask for the calls of one allowance."""

    def __init__(self, allowance: Allowance) -> None:
        self.pacer = Pacer(allowance)
        self.queue = Queue()

    def wait(self, kind: Kind, unseen: Unseen, now: float) -> float:
        """0.0: the call may be made. Else seconds after which to ask again."""
        wait = self.queue.left(kind, unseen, now)
        if wait == 0:
            wait = self.pacer.wait(kind, now, self.queue.finals)
            if wait:
                self.queue.told(kind, unseen, wait, self.pacer, now)
        return wait

    def take(self, kind: Kind, unseen: Unseen, now: float) -> None:
        """The call is made."""
        self.pacer.spent(1, now)
        self.queue.told(kind, unseen, 0.0, self.pacer, now)

    def pace(self, left: Left, now: float) -> None:
        """As `core.budget.Budget.pace`."""
        self.queue.pace(left, now)
        if left.calls == 0 and left.seconds > LONG:
            self.pacer.empty(left.seconds, now)

    def share(self, now: float) -> float:
        """As `core.budget.Budget.share`."""
        return self.queue.share(self.pacer, now)

    def soonest(self, now: float, spare: bool) -> float:
        """As `core.budget.Budget.soonest`."""
        return self.pacer.leaving(self.pacer.burst / 2 if spare else 0.0, now)


class Desks:
    """The desks of all allowances, made when first asked for; see `forget`.

    Some platforms have one for every thread, and a service runs for months.
    """

    def __init__(self) -> None:
        self._desks: dict[str, Desk] = {}

    def of(self, allowance: Allowance) -> Desk:
        """The desk of everybody who shares `allowance.key`."""
        desk = self._desks.pop(allowance.key, None) or Desk(allowance)
        self._desks[allowance.key] = desk
        forget(self._desks, lambda one: one.queue)
        return desk


def forget(kept: dict[str, _T], queue: Callable[[_T], Queue]) -> None:
    """Of more than `MOST`, drop the one that was asked for longest ago, unless an answer is written
    with it; then it counts as asked for now.
    """
    if len(kept) > MOST:
        key = next(iter(kept))
        oldest = kept.pop(key)
        if queue(oldest).active:
            kept[key] = oldest
