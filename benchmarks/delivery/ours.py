"""Our own delivery: the real Reply, Budget and Writer, over a thread that calls a modelled site.

A lane is a class of thread: what it can do are the abilities of `core.ports` that it has. The
limits are those that the adapters state.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from adapters.discord.calls import Api as DiscordApi
from adapters.discord.ids import Address as DiscordAddress
from adapters.discord.ids import Bot as DiscordBot
from adapters.discord.limits import Buckets
from adapters.discord.posts import Posts
from adapters.discord.thread import DiscordThread
from adapters.slack.calls import Api as SlackApi
from adapters.slack.ids import Address as SlackAddress
from adapters.slack.ids import Bot as SlackBot
from adapters.slack.thread import SlackThread
from benchmarks.delivery.answers import Answer
from benchmarks.delivery.sites import Method, Place, Refused, Site
from benchmarks.delivery.traces import letters
from core.delivery.reply import Reply
from core.delivery.sharing import OwnBudget
from core.delivery.writer import Writer
from core.errors import Held, RateLimited, StreamOver
from core.ports import Thread
from core.types import Left, Limits, PartId, Prompt, ThreadKey
from tests.simulation.loop import now


@dataclass
class Shared:
    """What the answers of one process share."""

    budget: OwnBudget = field(default_factory=lambda: OwnBudget(now))
    buckets: Buckets = field(default_factory=Buckets)


class Posting:
    """Post, then edit: the lane that every platform has."""

    lane = "edit"

    def __init__(self, site: Site, answer: Answer, shared: Shared) -> None:
        self._site, self._answer, self._shared = site, answer, shared
        self._texts: dict[PartId, str] = {}
        self._limits = _LIMITS[site.place](answer)

    @property
    def limits(self) -> Limits:
        """As the adapter states them."""
        return self._limits

    async def post(self, text: str, key: str) -> PartId:
        """A new message."""
        part = PartId(key)
        await self._call(Method.POST, part, text)
        return part

    async def edit(self, part: PartId, text: str) -> None:
        """A new text."""
        await self._call(Method.EDIT, part, text)

    async def _call(self, method: Method, part: PartId, text: str) -> None:
        try:
            await self._site.call(
                self._answer, method, lambda: self._show(part, text), first=self._first(part)
            )
        except Refused as refused:
            raise RateLimited(refused.wait, narrow=refused.narrow) from None

    def _first(self, part: PartId) -> bool:
        """Whether it is the first message of the answer."""
        return next(iter(self._texts), part) == part

    def _show(self, part: PartId, text: str) -> None:
        self._texts[part] = text
        texts = self._texts.values()
        self._answer.steps.append((now(), sum(letters(text) for text in texts)))
        self._answer.whole = "".join("".join(texts).split()) == self._answer.trace.solid


class Streaming(Posting):
    """Native streams besides, as Slack has them: a stream that is over takes no more."""

    lane = "stream"

    def __init__(self, site: Site, answer: Answer, shared: Shared) -> None:
        super().__init__(site, answer, shared)
        self._open = set[PartId]()

    async def start(self, text: str, key: str) -> PartId:
        """A new message that is open."""
        part = PartId(key)
        await self._call(Method.START, part, text)
        self._open.add(part)
        return part

    async def append(self, part: PartId, shown: str, text: str) -> None:
        """More of the text."""
        self._require(part, shown, text)
        await self._call(Method.APPEND, part, text)

    async def stop(self, part: PartId, shown: str, text: str) -> None:
        """The last of the text."""
        self._require(part, shown, text)
        await self._call(Method.STOP, part, text)
        self._open.discard(part)

    async def edit(self, part: PartId, text: str) -> None:
        """A new text; a stream is stopped before."""
        if part in self._open:
            await self._call(Method.STOP, part, self._texts[part])
            self._open.discard(part)
        await super().edit(part, text)

    def _require(self, part: PartId, shown: str, text: str) -> None:
        if part not in self._open or self._texts[part] != shown or not text.startswith(shown):
            raise StreamOver("the stream is over, or the text doesn't continue it")


class Heeding(Posting):
    """The same on Discord, where headers say what is left; like the adapter, this makes no call
    that they say would be refused."""

    def left(self, part: PartId) -> Left | None:
        """By the headers, as in the adapter."""
        keys = self._site.keys(self._answer, Method.EDIT, first=self._first(part))
        route, _, major = keys[0].partition(":")
        return self._shared.buckets.left(route, major, now())

    async def _call(self, method: Method, part: PartId, text: str) -> None:
        keys = self._site.keys(self._answer, method, first=self._first(part))
        route, _, major = keys[0].partition(":")
        counted, buckets = "global" in keys, self._shared.buckets
        if (wait := buckets.take(route, major, now(), counted=counted)) > 0:
            raise Held(wait)
        try:
            await super()._call(method, part, text)
        except RateLimited as limited:
            body = {"retry_after": limited.retry_after}
            buckets.refused({"Via": "1.1"}, body, route, major, now())
            raise
        limiter = self._site.budget(keys[0])
        left, reset = limiter.told(now())
        # What it says has travelled, so the reset is never later than it says.
        after = f"{math.ceil(reset * 1000) / 1000:.3f}"
        said = {
            "X-RateLimit-Limit": str(limiter.most(0)),
            "X-RateLimit-Remaining": str(left),
            "X-RateLimit-Reset-After": after,
        }
        buckets.heard(route, major, said, now())


class _Journal:
    """Keeps nothing: nobody dies here."""

    async def held(self) -> bool:
        """See Writer."""
        return True

    async def announce(self, index: int, *, named: bool) -> None:
        """See Writer."""

    async def posted(self, index: int, part: PartId, *, only: bool) -> None:
        """See Writer."""

    async def stored(self) -> None:
        """See Writer."""

    async def delivered(self, seconds: float) -> None:
        """See Writer."""

    async def strangers(self, parts: Sequence[PartId], *, exclusive: bool) -> Sequence[PartId]:
        """See Writer."""
        return ()


async def ours(answer: Answer, site: Site, shared: Shared) -> None:
    """Deliver one answer until all of it is visible. Raises: Undeliverable."""
    lane = Streaming if site.place is Place.SLACK else Heeding
    answer.lane = lane.lane
    thread: Thread = lane(site, answer, shared)
    reply = Reply(thread.limits)
    writer = Writer(
        thread,
        reply,
        shared.budget,
        _Journal(),
        now,
        key=f"{site.place}:{answer.number}",
        random=site.random.random,
    )
    _read(answer, reply, writer)
    await writer.run()


def _read(answer: Answer, reply: Reply, writer: Writer) -> None:
    """Add the tokens as they arrive; by callbacks, which cost less than a task that sleeps."""
    loop, tokens = asyncio.get_running_loop(), enumerate(answer.trace.texts, start=1)

    def token() -> None:
        number, text = next(tokens)
        reply.add(text)
        if number == answer.size:
            reply.finish()
        else:
            loop.call_at(answer.at(number), token)
        writer.wake()

    loop.call_at(answer.start, token)


def _slack_limits(answer: Answer) -> Limits:
    at = SlackAddress("T1", f"C{answer.channel}", str(answer.number), str(answer.number), "U1")
    return SlackThread(_SLACK, SlackBot("U0", "B0", "T1"), _prompt(at.encode())).limits


def _discord_limits(answer: Answer) -> Limits:
    name = str(answer.number)
    at = DiscordAddress(channel=str(answer.channel), before=name, message=name)
    return _discord(at)


def _command_limits(answer: Answer) -> Limits:
    name, asked = str(answer.number), str(_LATE + answer.number)
    return _discord(DiscordAddress(channel=name, before=asked, answer=name, token=name))


def _discord(at: DiscordAddress) -> Limits:
    bot = DiscordBot("1", "1")
    return DiscordThread(_DISCORD, bot, _prompt(at.encode()), _API, cast(Posts, _API)).limits


def _prompt(address: str) -> Prompt:
    return Prompt(
        platform="p",
        thread=ThreadKey("p:guild:1"),
        identity="p:1",
        sequence="1",
        author="",
        text="?",
        asked_at=0.0,
        address=address,
    )


_LATE = 1 << 62  # an interaction of a time to come, whose token lives
_API = cast(Any, None)  # stating limits makes no call
_SLACK = SlackApi("", "", _API)
_DISCORD = DiscordApi("", "", _API)
_LIMITS: dict[Place, Callable[[Answer], Limits]] = {
    Place.SLACK: _slack_limits,
    Place.THREADS: _discord_limits,
    Place.SHARED: _discord_limits,
    Place.COMMANDS: _command_limits,
}


def process() -> Callable[[Answer, Site], Awaitable[None]]:
    """Our policy, for the answers of one process."""
    shared = Shared()
    return lambda answer, site: ours(answer, site, shared)
