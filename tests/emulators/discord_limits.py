"""Discord's rate limits: buckets by route and major parameter, one global limit, their headers.

Discord publishes the headers and the global 50 a second (topics/rate-limits); the sizes of buckets
are as observed by many bots, and a client must read them from the headers.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Scope = Literal["user", "global", "shared"]


@dataclass(frozen=True)
class Budget:
    """calls in a window of `seconds` that starts with its first call."""

    calls: int
    seconds: float


POSTS = "POST /channels/{channel}/messages"
EDITS = "PATCH /channels/{channel}/messages/{message}"
WEBHOOK = "webhook"
GLOBAL, OLD_EDITS, OTHER = Budget(50, 1.0), Budget(10, 60.0), Budget(50, 1.0)
BUDGETS: dict[str, Budget] = {
    POSTS: Budget(5, 5.0),
    EDITS: Budget(5, 5.0),
    "DELETE /channels/{channel}/messages/{message}": Budget(5, 1.0),
    "GET /channels/{channel}/messages": Budget(5, 1.0),
    "POST /channels/{channel}/typing": Budget(5, 5.0),
    "POST /channels/{channel}/messages/{message}/threads": Budget(50, 300.0),
    "PUT /channels/{channel}/messages/{message}/reactions/{emoji}/@me": Budget(1, 0.25),
    WEBHOOK: Budget(5, 2.0),
}


@dataclass
class _Window:
    start: float
    used: int = 0


@dataclass(frozen=True)
class Grant:
    """One call's standing. wait: seconds until it is allowed, 0 when it was."""

    bucket: str
    limit: int
    remaining: int
    reset_after: float
    wait: float = 0.0
    scope: Scope = "user"

    def headers(self) -> dict[str, str]:
        """Discord's headers for it."""
        reset = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": f"{time.time() + self.reset_after:.3f}",
            "X-RateLimit-Reset-After": f"{self.reset_after:.3f}",
            "X-RateLimit-Bucket": self.bucket,
        }
        if not self.wait:
            return reset
        headers = {"Retry-After": str(math.ceil(self.wait)), "X-RateLimit-Scope": self.scope}
        headers["Via"] = "1.1 google"
        glob = {"X-RateLimit-Global": "true"} if self.scope == "global" else reset
        return headers | glob


@dataclass
class Limits:
    """Who may call now. scale: a second lasts `scale` real ones. budgets: may be changed."""

    scale: float = 1.0
    budgets: dict[str, Budget] = field(default_factory=lambda: dict(BUDGETS))
    everything: Budget = GLOBAL
    old_edits: Budget = OLD_EDITS
    clock: Callable[[], float] = time.monotonic
    _windows: dict[tuple[str, str], _Window] = field(default_factory=dict)

    def take(self, route: str, major: str, *, counted: bool) -> Grant:
        """Take one call of a route. counted: it spends of the global limit too."""
        if counted:
            overall = self._spend("global", "", self.everything, "global")
            if overall.wait:
                return overall
        return self._spend(route, major, self.budgets.get(route, OTHER), "user")

    def old_edit(self, channel: str) -> float:
        """Take one edit of a message older than an hour; seconds to wait, 0 when allowed."""
        return self._spend("old edits", channel, self.old_edits, "user").wait

    def _spend(self, route: str, major: str, budget: Budget, scope: Scope) -> Grant:
        now, length = self.clock(), budget.seconds * self.scale
        window = self._windows.get((route, major))
        if window is None or now - window.start >= length:
            window = self._windows[route, major] = _Window(now)
        left = window.start + length - now
        bucket = f"{hash_of(route):08x}"
        if window.used >= budget.calls:
            return Grant(bucket, budget.calls, 0, left, max(left, 0.001), scope)
        window.used += 1
        return Grant(bucket, budget.calls, budget.calls - window.used, left)


def hash_of(route: str) -> int:
    """A bucket's opaque number, the same in every run."""
    value = 0
    for letter in route:
        value = (value * 31 + ord(letter)) % 2**32
    return value
