"""Models of what refuses calls on a platform's side. Pure: seconds come from outside."""

import math
from collections import deque
from enum import StrEnum
from typing import Protocol

STINGY = 0.6
"""What a stingier platform gives of the documented budget: 40 % less."""
_ROUNDING = 1e-6


class Shape(StrEnum):
    """How a platform may count. Slack doesn't say; Discord's headers describe a fixed window."""

    BUCKET = "bucket"
    FIXED = "fixed"
    SLIDING = "sliding"


class Limiter(Protocol):
    """One budget."""

    def wait(self, now: float) -> float:
        """0.0: a call would pass now. Else seconds until one would."""

    def take(self, now: float) -> None:
        """Count a call that passes."""

    def most(self, seconds: float) -> int:
        """How many calls can pass at most in so long a time."""

    def told(self, now: float) -> tuple[int, float]:
        """What headers would say: calls that remain, seconds until there are more."""


class Bucket:
    """Tokens: `burst` at first and at most, `rate` more a second."""

    def __init__(self, burst: float, rate: float) -> None:
        self.burst, self.rate = burst, rate
        self._tokens, self._at = burst, 0.0

    def wait(self, now: float) -> float:
        """See Limiter."""
        self._tokens = min(self.burst, self._tokens + max(0.0, now - self._at) * self.rate)
        self._at = max(now, self._at)
        return 0.0 if self._tokens >= 1 - _ROUNDING else (1 - self._tokens) / self.rate

    def take(self, now: float) -> None:
        """See Limiter."""
        self.wait(now)
        self._tokens -= 1

    def most(self, seconds: float) -> int:
        """See Limiter."""
        return math.floor(self.burst + self.rate * seconds)

    def told(self, now: float) -> tuple[int, float]:
        """See Limiter."""
        self.wait(now)
        missing = math.floor(self._tokens + 1 + _ROUNDING) - self._tokens
        return math.floor(self._tokens + _ROUNDING), missing / self.rate


class Fixed:
    """`calls` in a window of `period` seconds, which opens with the first call after the last."""

    def __init__(self, calls: int, period: float) -> None:
        self.calls, self.period = calls, period
        self._opened, self._made = float("-inf"), 0

    def wait(self, now: float) -> float:
        """See Limiter."""
        ends = self._opened + self.period
        return 0.0 if now >= ends - _ROUNDING or self._made < self.calls else ends - now

    def take(self, now: float) -> None:
        """See Limiter."""
        if now >= self._opened + self.period - _ROUNDING:
            self._opened, self._made = now, 0
        self._made += 1

    def most(self, seconds: float) -> int:
        """See Limiter."""
        return self.calls * (1 + math.floor(seconds / self.period))

    def told(self, now: float) -> tuple[int, float]:
        """See Limiter."""
        ends = self._opened + self.period
        return (self.calls - self._made, ends - now) if now < ends else (self.calls, 0.0)


class Sliding:
    """`calls` in any `period` seconds."""

    def __init__(self, calls: int, period: float) -> None:
        self.calls, self.period = calls, period
        self._made: deque[float] = deque(maxlen=calls)

    def wait(self, now: float) -> float:
        """See Limiter."""
        if len(self._made) < self.calls:
            return 0.0
        left = self._made[0] + self.period - now
        return left if left > _ROUNDING else 0.0

    def take(self, now: float) -> None:
        """See Limiter."""
        self._made.append(now)

    def most(self, seconds: float) -> int:
        """See Limiter."""
        return self.calls * (1 + math.floor(seconds / self.period))

    def told(self, now: float) -> tuple[int, float]:
        """See Limiter."""
        young = [at for at in self._made if at + self.period > now + _ROUNDING]
        reset = young[0] + self.period - now if young else 0.0
        return self.calls - len(young), reset


def limiter(shape: Shape, calls: int, period: float, burst: int, share: float = 1.0) -> Limiter:
    """A limiter of that shape for `calls` in `period` seconds.

    burst: of a bucket; windows have none beside their calls. share: of everything (see STINGY).
    """
    if shape is Shape.BUCKET:
        return Bucket(max(1.0, burst * share), calls / period * share)
    kind = Fixed if shape is Shape.FIXED else Sliding
    return kind(max(1, round(calls * share)), period)
