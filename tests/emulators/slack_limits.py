"""Slack's rate budgets: per method, per app, per workspace; `chat.postMessage` per channel too.

Tiers: docs.slack.dev/apis/web-api/rate-limits. How Slack enforces them and how large a burst may
be is not published, so three algorithms can be chosen and a client must live with each.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Algorithm = Literal["bucket", "fixed", "sliding"]


@dataclass(frozen=True)
class Budget:
    """per_minute: calls a minute, for ever. burst: calls at once, for the token bucket only."""

    per_minute: float
    burst: float


TIER_2, TIER_3, TIER_4 = Budget(20, 5), Budget(50, 10), Budget(100, 20)
POST_IN_CHANNEL, POST_IN_WORKSPACE = Budget(60, 5), Budget(300, 30)
SPECIAL = Budget(300, 50)

BUDGETS: dict[str, Budget] = {
    "apps.connections.open": TIER_3,
    "assistant.threads.setStatus": SPECIAL,
    "assistant.threads.setSuggestedPrompts": TIER_4,
    "assistant.threads.setTitle": TIER_4,
    "auth.test": SPECIAL,
    "chat.appendStream": TIER_4,
    "chat.delete": TIER_3,
    "chat.postEphemeral": TIER_4,
    "chat.postMessage": POST_IN_WORKSPACE,
    "chat.startStream": TIER_2,
    "chat.stopStream": TIER_2,
    "chat.update": TIER_3,
    "conversations.history": TIER_3,
    "conversations.info": TIER_3,
    "conversations.replies": TIER_3,
    "reactions.add": TIER_3,
    "users.info": TIER_4,
}


class _Meter:
    """One budget being spent. window: seconds that stand for Slack's minute."""

    def __init__(self, budget: Budget, algorithm: Algorithm, window: float, now: float) -> None:
        self._budget, self._algorithm, self._window = budget, algorithm, window
        self._tokens, self._at = budget.burst, now
        self._taken: deque[float] = deque()

    def wait(self, now: float) -> float:
        """Seconds until a call is allowed; 0 now."""
        if self._algorithm == "bucket":
            rate = self._budget.per_minute / self._window
            self._tokens = min(self._budget.burst, self._tokens + (now - self._at) * rate)
            self._at = now
            return max(0.0, (1 - self._tokens) / rate)
        if self._algorithm == "fixed" and now - self._at >= self._window:
            self._at = now
            self._taken.clear()
        while self._algorithm == "sliding" and self._taken and now - self._taken[0] >= self._window:
            self._taken.popleft()
        if len(self._taken) < self._budget.per_minute:
            return 0.0
        start = self._at if self._algorithm == "fixed" else self._taken[0]
        return start + self._window - now

    def take(self, now: float) -> None:
        """Spend one call."""
        self._tokens -= 1
        self._taken.append(now)


@dataclass
class Limits:
    """Who may call now. scale: a minute lasts `60 * scale` real seconds.

    budgets: may be changed for a test. burst: replaces the burst of every tier when set.
    """

    algorithm: Algorithm = "bucket"
    scale: float = 1.0
    burst: float | None = None
    budgets: dict[str, Budget] = field(default_factory=lambda: dict(BUDGETS))
    per_channel: Budget = POST_IN_CHANNEL
    clock: Callable[[], float] = time.monotonic
    _meters: dict[tuple[str, str], _Meter] = field(default_factory=dict)

    def refuse(self, method: str, channel: str) -> int:
        """Take one call; 0 when it is allowed, else whole seconds to wait (nothing is taken)."""
        now = self.clock()
        keys = [((method, ""), self.budgets[method])]
        if method == "chat.postMessage":
            keys.append(((method, channel), self.per_channel))
        meters = [self._meter(key, budget, now) for key, budget in keys]
        wait = max(meter.wait(now) for meter in meters)
        if wait > 1e-9:
            return max(1, math.ceil(wait))
        for meter in meters:
            meter.take(now)
        return 0

    def _meter(self, key: tuple[str, str], budget: Budget, now: float) -> _Meter:
        if key not in self._meters:
            chosen = Budget(budget.per_minute, self.burst or budget.burst)
            self._meters[key] = _Meter(chosen, self.algorithm, 60 * self.scale, now)
        return self._meters[key]
