"""Who may spend a platform's rate budget, and when. Pure: the time comes from outside.

A token bucket per allowance. It believes the platform more than the documented numbers: a refusal
empties it and lowers it, successes raise it back. A share is kept for calls that matter more.
"""

from enum import IntEnum

from core.types import Allowance

LOWER_RATE, LOWER_BURST, RECOVERY = 0.75, 0.6, 0.01
"""What a refusal leaves of rate and burst, and what a success gives back of the documented ones."""
FLOOR = 0.1
"""A bucket never gets below this share of the documented numbers (and a burst of one call)."""
RESERVE = 2.0
"""Tokens that interim edits leave in the bucket, at most half of the burst. First paints: half."""
MOST = 4096
"""Pacers that are kept: far more than answers are ever written at the same time."""
_ROUNDING = 1e-6


class Kind(IntEnum):
    """What a call is for; a larger one matters more."""

    INTERIM = 0
    FIRST = 1
    FINAL = 2


class Pacer:
    """One allowance. Times are seconds of one monotonic clock.

    In any 60 seconds at most `burst + 60 * rate` calls are granted.
    """

    def __init__(self, allowance: Allowance) -> None:
        self.burst = allowance.burst
        self.rate = allowance.rate
        self._documented = allowance
        self._tokens = allowance.burst
        self._at: float | None = None
        self._blocked_until = float("-inf")

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

    def succeeded(self) -> None:
        """A call went through: one per cent of the way back to the documented numbers."""
        self.rate = min(self.rate + self._documented.rate * RECOVERY, self._documented.rate)
        self.burst = min(self.burst + self._documented.burst * RECOVERY, self._documented.burst)

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
