"""The two platforms: what people see on them, and how their calls fail.

Slack-like: posts are found again by their key. Discord-like: they are not; but a key posted again
within 300 seconds gives the first message, and edits into an archived thread are refused until it
is opened again, which the live handle does.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from core.errors import PartGone, RateLimited, Unreachable
from core.types import Allowance, Limits, PartId, Prompt, Remembered
from tests.simulation.logs import SECRET
from tests.simulation.loop import now
from tests.simulation.world import Dead, Life, World

T = TypeVar("T")

TIMEOUT = 10.0
"""Seconds after which our side gives a call up."""
KEY_LIVES = 300.0
"""Seconds for which a Discord-like platform knows a key again."""
_BURST, _RATE = {"post": 3.0, "edit": 10.0}, 1.0


@dataclass(slots=True)
class Shown:
    """One message of ours on a platform. final: what it showed when its turn was settled."""

    identity: str
    key: str
    texts: list[str]
    at: float
    gone: bool = False
    by_people: bool = False


@dataclass(slots=True)
class _Bucket:
    """The rate that one process may use, checked from the platform's side."""

    tokens: float
    at: float = 0.0


@dataclass
class Site:
    """One platform and everything on it."""

    name: str
    world: World
    finds: bool
    messages: dict[PartId, Shown] = field(default_factory=dict)
    archived: set[str] = field(default_factory=set)
    _buckets: dict[tuple[int, str, str], _Bucket] = field(default_factory=dict)

    @property
    def posts_are_idempotent(self) -> bool:
        """A key posted again gives the first message."""
        return not self.finds

    def create(self, prompt: Prompt, text: str, key: str) -> PartId:
        """A post takes effect."""
        self._read(prompt, text)
        if self.posts_are_idempotent:
            for part, shown in self.messages.items():
                if shown.key == key and now() - shown.at < KEY_LIVES:
                    return part
        part = PartId(f"{self.name}{len(self.messages)}")
        self.messages[part] = Shown(prompt.identity, key, [text], now())
        if self.world.ended.get(prompt.identity) == "cancelled" and now() > 0:
            self.world.hits["post landed after a cancellation"] += 1
        if self.world.happens("deleted"):
            delay = self.world.rng.uniform(0.5, 30.0)
            asyncio.get_running_loop().call_later(delay, self._delete_by_person, part)
        return part

    def rewrite(self, prompt: Prompt, part: PartId, text: str) -> None:
        """An edit takes effect. Raises: PartGone."""
        self._read(prompt, text)
        shown = self.messages[part]
        if shown.gone:
            raise PartGone(part)
        settled = self.world.ended.get(prompt.identity) == "settled"
        if settled and text != shown.texts[-1]:
            self.world.wrong(f"an older state after the end: {prompt.identity}")
        shown.texts.append(text)

    def visible(self, identity: str) -> list[str]:
        """What people see of a prompt's answer."""
        return [
            m.texts[-1] for m in self.messages.values() if m.identity == identity and not m.gone
        ]

    def _delete_by_person(self, part: PartId) -> None:
        shown = self.messages[part]
        shown.gone = shown.by_people = True

    def spend(self, life: Life, kind: str) -> None:
        """I12: one process never asks faster than its allowance, but for one call: between leave
        and call the store is told of a post, and may take its time.
        """
        bucket = self._buckets.setdefault((life.number, self.name, kind), _Bucket(_BURST[kind]))
        bucket.tokens = min(_BURST[kind], bucket.tokens + (now() - bucket.at) * _RATE)
        bucket.at = now()
        bucket.tokens -= 1
        if bucket.tokens < -1 - 1e-6:
            self.world.wrong(f"faster than the allowance: {kind} on {self.name}")

    def _read(self, prompt: Prompt, text: str) -> None:
        """I9: people never see words of another conversation."""
        if "[sim:" in text.replace(f"[{prompt.thread}]", ""):
            self.world.wrong(f"words of another conversation in {prompt.thread}")


class SimThread:
    """The live handle of an adapter: every call may fail before or after its effect."""

    def __init__(self, site: Site, life: Life, prompt: Prompt) -> None:
        self._site = site
        self._world = site.world
        self._life = life
        self._prompt = prompt

    @property
    def limits(self) -> Limits:
        """Small parts, so that answers have several."""
        name = self._site.name
        return limits_of(name)

    async def post(self, text: str, key: str) -> PartId:
        """Post; on a platform that knows the key again, bring the message up to date."""
        self._site.spend(self._life, "post")
        part = await self._call("post", lambda: self._site.create(self._prompt, text, key))
        if self._site.posts_are_idempotent and self._site.messages[part].texts[-1] != text:
            await self._rewrite(part, text)
        return part

    async def edit(self, part: PartId, text: str) -> None:
        """Edit."""
        self._site.spend(self._life, "edit")
        await self._rewrite(part, text)

    async def _rewrite(self, part: PartId, text: str) -> None:
        if str(self._prompt.thread) in self._site.archived:
            await self._call("open", lambda: self._site.archived.discard(self._prompt.thread))
        await self._call("edit", lambda: self._site.rewrite(self._prompt, part, text))

    async def remove(self, part: PartId) -> None:
        """Delete."""

        def land() -> None:
            self._site.messages[part].gone = True

        await self._call("remove", land)

    async def earlier(self) -> Sequence[Remembered]:
        """Nothing was said before."""
        return await self._call("earlier", lambda: ())

    async def _call(self, name: str, land: Callable[[], T]) -> T:
        world, site, sent = self._world, self._site, now()
        world.books.called(self._prompt.identity)
        await world.passes(f"before {name}", self._life)
        takes = world.rng.uniform(0.02, 0.4)
        if world.happens("tail"):
            takes = world.rng.uniform(3.0, 25.0)
        if world.out(site.name):
            await asyncio.sleep(min(takes, TIMEOUT))
            raise Unreachable("out")
        try:
            await asyncio.sleep(min(takes, TIMEOUT))
            if self._life.stopped_until > now():  # its connection is dead when it goes on
                raise Unreachable("stopped")
            await world.passes(f"during {name}", self._life)
        except (Dead, asyncio.CancelledError, Unreachable):
            world.later(sent, lambda: _quietly(land))
            raise
        if takes > TIMEOUT:
            asyncio.get_running_loop().call_later(takes - TIMEOUT, _quietly, land)
            raise Unreachable(f"timed out {SECRET}")
        world.admit(self._prompt, name)
        if world.happens("refused"):
            raise RateLimited(world.rng.choice((0.5, 1.0, 5.0)))
        if world.happens("lost_before"):
            world.later(sent, lambda: _quietly(land))
            raise Unreachable(f"lost before {SECRET}")
        result = land()
        await world.passes(f"behind {name}", self._life)
        if world.happens("lost_after"):
            raise Unreachable("lost after")
        return result


class FindingThread(SimThread):
    """A live handle that can also find posts by their key."""

    async def find(self, key: str) -> Sequence[PartId]:
        """The messages posted with this key, oldest first."""
        messages = self._site.messages
        return await self._call(
            "find", lambda: [p for p, m in messages.items() if m.key == key and not m.gone]
        )


def limits_of(name: str) -> Limits:
    """The limits of a platform."""
    return Limits(
        size=400,
        measure=len,
        gap=1.0,
        post=Allowance(f"{name}:post", _BURST["post"], _RATE),
        edit=Allowance(f"{name}:edit", _BURST["edit"], _RATE),
    )


def _quietly(land: Callable[[], object]) -> None:
    """A call takes effect that nobody waits for."""
    try:
        land()
    except PartGone:
        return
