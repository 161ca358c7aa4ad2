"""Who may spend a platform's rate budget, and when. Pure: the time comes from outside.

A token bucket per allowance. It believes the platform more than the documented numbers: a refusal
empties it and lowers it, successes raise it back. A share is kept for calls that matter more.
"""

from dataclasses import dataclass

from core.types import Allowance, Kind

LOWER_RATE, LOWER_BURST, RECOVERY = 0.75, 0.6, 0.01
"""What a refusal leaves of rate and burst, and what a success gives back of the documented ones."""
FLOOR = 0.1
"""A bucket never gets below this share of the documented numbers (and a burst of one call)."""
RESERVE = 2.0
"""Tokens that interim edits leave in the bucket, at most half of the burst. First paints: half."""
LATE = 0.05
"""Seconds by which the one whose turn it is may be late; then it is another's."""
YIELD = 0.01
"""Seconds by which another asks later than the one whose turn it is."""
MOST = 4096
"""Pacers that are kept: far more than answers are ever written at the same time."""
_ROUNDING = 1e-6


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


class Order:
    """Of the interim edits that wait for one allowance, the one whose text waits longest is next.

    All that wait are told about the same moment. Without an order, who asks first then is chance,
    and one answer may be rewritten all the time while others stand still. Times are as a Pacer's.
    """

    def __init__(self) -> None:
        self._since = float("inf")  # when the oldest waiting text came
        self._back = float("-inf")  # when its reply was told to ask again

    def left(self, age: float, now: float) -> float:
        """0.0: text that has waited for `age` seconds is next; else seconds until it may be."""
        older = self._since < now - age - _ROUNDING
        return max(0.0, self._back - now) + YIELD if older and now <= self._back + LATE else 0.0

    def told(self, age: float, wait: float, now: float) -> None:
        """The next one asked: it was told to wait (0.0: it was granted)."""
        self._since, self._back = (now - age, now + wait) if wait else (now, float("-inf"))


class Pacer:
    """One allowance. Times are seconds of one monotonic clock.

    In any 60 seconds at most `burst + 60 * rate` calls are granted.
    level: what another pacer of this allowance came to; without one it begins full.
    order: whose turn it is of those who wait here; no part of the level.
    """

    def __init__(self, allowance: Allowance, level: Level | None = None) -> None:
        self.burst = min(level.burst, allowance.burst) if level else allowance.burst
        self.rate = min(level.rate, allowance.rate) if level else allowance.rate
        self.order = Order()
        self._documented = allowance
        self._tokens = level.tokens if level else allowance.burst
        self._at = level.at if level else None
        self._blocked_until = level.blocked_until if level else float("-inf")

    def level(self, now: float) -> Level:
        """What it has come to."""
        self._refill(now)
        at = now if self._at is None else self._at
        return Level(self._tokens, at, self.rate, self.burst, self._blocked_until)

    def grant(self, kind: Kind, now: float) -> float:
        """0.0: granted, and the token is taken. Else seconds after which to ask again."""
        self._refill(now)
        if now < self._blocked_until - _ROUNDING:
            return self._blocked_until - now
        reserve = min(RESERVE, self.burst / 2) * (Kind.FINAL - kind) / Kind.FINAL
        needed = min(1 + reserve, self.burst)
        if self._tokens >= needed - _ROUNDING:
            self._tokens -= 1
            return 0.0
        return (needed - self._tokens) / self.rate

    def refused(self, retry_after: float, now: float) -> None:
        """The platform said 429 and asked to wait `retry_after` seconds."""
        self._refill(now)
        self._blocked_until = max(self._blocked_until, now + retry_after)
        self._tokens = 0.0
        self.rate = max(self.rate * LOWER_RATE, self._documented.rate * FLOOR)
        self.burst = max(self.burst * LOWER_BURST, self._documented.burst * FLOOR, 1.0)

    def succeeded(self, now: float) -> None:
        """A call went through: one per cent of the way back to the documented numbers."""
        self._refill(now)  # what came in until now came in at the lower rate
        self.rate = min(self.rate + self._documented.rate * RECOVERY, self._documented.rate)
        self.burst = min(self.burst + self._documented.burst * RECOVERY, self._documented.burst)

    def spent(self, calls: int, now: float) -> None:
        """So many calls were made without asking."""
        self._refill(now)
        self._tokens = max(0.0, self._tokens - calls)

    def _refill(self, now: float) -> None:
        """Add what has come in since the last time; nothing comes in while blocked."""
        since = now if self._at is None else max(self._at, min(self._blocked_until, now))
        self._tokens = min(self.burst, self._tokens + max(0.0, now - since) * self.rate)
        self._at = now if self._at is None else max(self._at, now)


class Pacers:
    """The pacers of all allowances, made when first asked for, the latest `MOST` kept.

    Some platforms have one for every thread, and a service runs for months.
    """

    def __init__(self) -> None:
        self._pacers: dict[str, Pacer] = {}

    def of(self, allowance: Allowance) -> Pacer:
        """The pacer of everybody who shares `allowance.key`."""
        pacer = self._pacers.pop(allowance.key, None) or Pacer(allowance)
        self._pacers[allowance.key] = pacer
        if len(self._pacers) > MOST:
            del self._pacers[next(iter(self._pacers))]
        return pacer
