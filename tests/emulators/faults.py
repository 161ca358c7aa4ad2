"""Trouble on purpose, per call of a platform's interface.

A fault is used up `times` times. `delay` passes before the call takes effect (a late request lands
even when its client has given up), `reply_delay` after it.
"""

import asyncio
import random
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar


@dataclass
class AnyFault:
    """What happens to the next `times` calls that are named `call` ("*": to any).

    status: an HTTP error with a text/plain body instead of JSON, without effect.
    cut: the connection is cut "before" the call takes effect, or "after" it: for the client both
    look the same.
    delay, reply_delay: seconds.
    """

    call: str
    times: int = 1
    status: int = 0
    cut: Literal["", "before", "after"] = ""
    delay: float = 0.0
    reply_delay: float = 0.0


@dataclass
class Tail:
    """A heavy tail: a share of the calls named `call` lands `low` to `high` seconds late."""

    call: str
    share: float
    low: float
    high: float


_F = TypeVar("_F", bound=AnyFault)


class Faults(Generic[_F]):
    """The trouble in force. latency: seconds that every call takes, by its name or "*".

    kind: of the faults here. spread: sigma of a log-normal around the latency, 0 for always the
    same.
    """

    def __init__(self, kind: type[_F], seed: int) -> None:
        self.latency: dict[str, float] = {}
        self.spread = 0.0
        self.tails: list[Tail] = []
        self._kind = kind
        self._planned: list[_F] = []
        self._random = random.Random(seed)

    def add(self, fault: _F) -> _F:
        """Plan a fault; faults of one call are used in the order they were added."""
        self._planned.append(fault)
        return fault

    def clear(self) -> None:
        """No trouble any more."""
        self.latency.clear()
        self.spread = 0.0
        self.tails.clear()
        self._planned.clear()

    def take(self, call: str) -> _F:
        """The fault of this call; one that does nothing when none is planned."""
        for fault in self._planned:
            if fault.call in (call, "*"):
                fault.times -= 1
                if fault.times <= 0:
                    self._planned.remove(fault)
                return fault
        return self._kind(call)

    async def delay(self, call: str, fault: _F) -> None:
        """Wait as long as this call is on its way to its effect."""
        seconds = self.latency.get(call, self.latency.get("*", 0.0))
        seconds = seconds * self._random.lognormvariate(0.0, self.spread) + fault.delay
        for tail in self.tails:
            if tail.call in (call, "*") and self._random.random() < tail.share:
                seconds += self._random.uniform(tail.low, tail.high)
        if seconds > 0:
            await asyncio.sleep(seconds)
