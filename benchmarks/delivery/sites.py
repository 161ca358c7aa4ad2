"""Models of Slack and Discord: which budgets a call is counted under, and how long it takes."""

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from benchmarks.delivery.answers import Answer
from benchmarks.delivery.limiters import STINGY, Bucket, Fixed, Limiter, Shape, limiter
from tests.simulation.loop import now

LATENCY, SPREAD = 0.15, 0.35
"""Seconds a call takes: median and sigma of a log-normal. Its text is visible when it returns."""


class Place(StrEnum):
    """Where the answers of a cell go: each into a thread of its own unless it says `shared`."""

    SLACK = "Slack"
    THREADS = "Discord threads"
    SHARED = "Discord, one channel"
    COMMANDS = "Discord commands"


class Method(StrEnum):
    """The calls. What answers a Discord command goes by its interaction (see Site.keys)."""

    POST = "post"
    EDIT = "edit"
    START = "start"
    APPEND = "append"
    STOP = "stop"


class Refused(Exception):
    """429. wait: the seconds the platform asks for. narrow: it says that only the narrowest budget
    is meant.
    """

    def __init__(self, wait: float, *, narrow: bool) -> None:
        super().__init__(f"refused for {wait:.3f} s")
        self.wait, self.narrow = wait, narrow


@dataclass(frozen=True)
class Terms:
    """How the platform counts. stingy: it gives 40 % less than it documents."""

    shape: Shape = Shape.BUCKET
    stingy: bool = False

    @property
    def share(self) -> float:
        """Of the documented budget."""
        return STINGY if self.stingy else 1.0

    def __str__(self) -> str:
        return f"{self.shape}{' -40%' if self.stingy else ''}"


class Site:
    """One platform for the life of one cell.

    paused_until: until when a client library that stops all its calls after a 429 does so.
    log: by budget's key, whether each call passed, in order.
    most: characters that one message takes. Slack's `markdown_text` takes 12,000, more than any
    trace has; its `text` takes 40,000.
    """

    def __init__(self, place: Place, terms: Terms, seed: int) -> None:
        self.place, self.terms = place, terms
        self.most = 12_000 if place is Place.SLACK else 2_000
        self.paused_until = 0.0
        self.log: dict[str, list[bool]] = {}
        self.random = random.Random(seed)
        self._limiters: dict[str, Limiter] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    def keys(self, answer: Answer, method: Method, *, first: bool = True) -> Sequence[str]:
        """The budgets that a call is counted under, the narrowest first.

        first: it is about the first message of an answer, or of a command about a follow-up, which
        goes by the interaction too. Else it is about one in the command's thread.
        """
        if self.place is Place.SLACK:
            posting = method is Method.POST
            return (f"post:{answer.channel}", "posts") if posting else (method.value,)
        if self.place is Place.COMMANDS and first:
            return (f"hook:{answer.number}",)
        return (f"{method}:{answer.channel}", "global")

    def budget(self, key: str) -> Limiter:
        """The limiter of that key, made when first asked for."""
        if key not in self._limiters:
            make = _slack if self.place is Place.SLACK else _discord
            self._limiters[key] = make(key.partition(":")[0], self.terms)
        return self._limiters[key]

    def lock(self, key: str) -> asyncio.Lock:
        """Who calls through a library that queues calls holds this meanwhile."""
        return self._locks.setdefault(key, asyncio.Lock())

    async def call(
        self, answer: Answer, method: Method, shown: Callable[[], None], *, first: bool = True
    ) -> None:
        """One call that does `shown` when it returns. Raises: Refused."""
        answer.calls += 1
        keys = self.keys(answer, method, first=first)
        limiters = [self.budget(key) for key in keys]
        waits = [each.wait(now()) for each in limiters]
        wait = max(waits)
        for key in keys:
            self.log.setdefault(key, []).append(wait <= 0)
        if wait > 0:
            answer.refused += 1
            await asyncio.sleep(LATENCY / 2)
            if self.place is Place.SLACK:
                raise Refused(max(1, math.ceil(wait)), narrow=False)
            raise Refused(wait, narrow=max(waits[1:], default=0.0) <= 0)
        for each in limiters:
            each.take(now())
        await asyncio.sleep(self.random.lognormvariate(math.log(LATENCY), SPREAD))
        shown()


def _slack(name: str, terms: Terms) -> Limiter:
    """Documented: posts 1 a second and channel; chat.update is Tier 3, 50 a minute; startStream
    and stopStream Tier 2, 20; appendStream Tier 4, 100. Bursts are guessed; so is the limit of
    all posts of a workspace, "several hundred a minute" (docs.slack.dev/apis/web-api/rate-limits).
    """
    if name == "post":
        return Bucket(3, 1.0)
    minute, burst = {
        "posts": (300, 30),
        Method.EDIT: (50, 10),
        Method.START: (20, 5),
        Method.APPEND: (100, 20),
        Method.STOP: (20, 5),
    }[name]
    return limiter(terms.shape, minute, 60.0, burst, terms.share)


def _discord(name: str, terms: Terms) -> Limiter:
    """Measured: 5 in 5 seconds a channel, for posts and for edits; 5 in 2 an interaction.
    Documented: 50 a second altogether (docs.discord.com/developers/topics/rate-limits)."""
    if name == "global":
        return Fixed(50, 1.0)
    period = 2.0 if name == "hook" else 5.0
    return limiter(terms.shape, 5, period, 5, terms.share)
