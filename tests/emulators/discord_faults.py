"""Trouble on purpose, per REST route.

A fault is used up `times` times. `delay` passes before the route takes effect (a late request
lands even when its client has given up), `reply_delay` after it.
"""

import asyncio
import random
from dataclasses import dataclass
from typing import Literal


@dataclass
class Fault:
    """What happens to the next `times` calls of `route` ("*": of any).

    route: as "POST /channels/{channel}/messages".
    status: an HTTP error with a text/plain body instead of JSON, without effect.
    code: a refusal with this error code, without effect.
    retry_after: a 429 of so many seconds, without effect. via False: without the header `Via`, as
    Cloudflare bans answer. everywhere: it is the global limit.
    cut: the connection is cut "before" the route takes effect, or "after" it: for the client both
    look the same.
    delay, reply_delay: seconds.
    """

    route: str
    times: int = 1
    status: int = 0
    code: int = 0
    retry_after: float = 0.0
    via: bool = True
    everywhere: bool = False
    cut: Literal["", "before", "after"] = ""
    delay: float = 0.0
    reply_delay: float = 0.0


@dataclass
class Tail:
    """A heavy tail: a share of the calls of `route` lands `low` to `high` seconds late."""

    route: str
    share: float
    low: float
    high: float


class Faults:
    """The trouble in force. latency: seconds that every call takes, by route or "*".

    spread: sigma of a log-normal around it, 0 for always the same.
    """

    def __init__(self, seed: int) -> None:
        self.latency: dict[str, float] = {}
        self.spread = 0.0
        self.tails: list[Tail] = []
        self._planned: list[Fault] = []
        self._random = random.Random(seed)

    def add(self, fault: Fault) -> Fault:
        """Plan a fault; faults of one route are used in the order they were added."""
        self._planned.append(fault)
        return fault

    def clear(self) -> None:
        """No trouble any more."""
        self.latency.clear()
        self.spread = 0.0
        self.tails.clear()
        self._planned.clear()

    def take(self, route: str) -> Fault:
        """The fault of this call; one that does nothing when none is planned."""
        for fault in self._planned:
            if fault.route in (route, "*"):
                fault.times -= 1
                if fault.times <= 0:
                    self._planned.remove(fault)
                return fault
        return Fault(route)

    async def delay(self, route: str, fault: Fault) -> None:
        """Wait as long as this call is on its way to its effect."""
        seconds = self.latency.get(route, self.latency.get("*", 0.0))
        seconds = seconds * self._random.lognormvariate(0.0, self.spread) + fault.delay
        for tail in self.tails:
            if tail.route in (route, "*") and self._random.random() < tail.share:
                seconds += self._random.uniform(tail.low, tail.high)
        if seconds > 0:
            await asyncio.sleep(seconds)
