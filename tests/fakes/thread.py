"""A platform thread in memory: keeps every state, enforces size and order, fails on request."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.errors import DeliveryError, PartGone, RateLimited, Stopped, StreamOver, TooLarge
from core.ports import FindsPost, HasNameless, RemovesPart, Streams, Thread
from core.types import Allowance, Limits, PartId, StreamLimits
from tests.fakes.clock import now


def limits(size: int = 1000, gap: float = 1.0, name: str = "") -> Limits:
    """Limits like Slack's, measured in characters."""
    return Limits(
        size=size,
        measure=len,
        gap=gap,
        post=Allowance(f"post{name}", 5, 1.0),
        edit=Allowance(f"edit{name}", 10, 50 / 60),
    )


def streaming(size: int = 1000, life: float = 270.0, starts: float = 5) -> Limits:
    """The same with native streams. starts: how many at once."""
    return replace(
        limits(size),
        stream=StreamLimits(
            start=Allowance("start", starts, 20 / 60),
            append=Allowance("append", 20, 100 / 60),
            stop=Allowance("stop", starts, 20 / 60),
            gap=0.25,
            life=life,
        ),
    )


@dataclass(frozen=True, slots=True)
class Fault:
    """A scripted failure. landed: the call had its effect nevertheless."""

    error: DeliveryError
    landed: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call as the platform saw it. ok: it was not refused."""

    name: str
    at: float
    part: PartId | None
    text: str
    ok: bool


@dataclass(slots=True)
class Limiter:
    """A platform's own token bucket: refuses with the seconds until the next token."""

    burst: float
    rate: float
    tokens: float = field(init=False)
    at: float = 0.0
    refusals: int = 0

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def take(self) -> None:
        """Raises: RateLimited."""
        self.tokens = min(self.burst, self.tokens + (now() - self.at) * self.rate)
        self.at = now()
        if self.tokens < 1 - 1e-6:
            self.refusals += 1
            raise RateLimited((1 - self.tokens) / self.rate)
        self.tokens -= 1


class FakeThread:
    """A thread that can only post and edit.

    latency: seconds before and again after a call takes effect. faults: taken one per post or edit;
    None lets the call pass. states: every text each message showed, with its time.
    """

    def __init__(
        self,
        thread_limits: Limits | None = None,
        *,
        latency: Callable[[], float] = lambda: 0.075,
        faults: tuple[Fault | None, ...] = (),
        limiter: Limiter | None = None,
    ) -> None:
        self._limits = thread_limits or limits()
        self._latency = latency
        self.faults = deque(faults)
        self._limiter = limiter
        self._busy: set[str] = set()
        self.calls: list[Call] = []
        self.states: dict[PartId, list[tuple[float, str]]] = {}
        self.made: dict[PartId, str] = {}
        self.gone: set[PartId] = set()

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def visible(self) -> list[str]:
        """What a person sees now, message by message."""
        return [states[-1][1] for part, states in self.states.items() if part not in self.gone]

    async def post(self, text: str, key: str) -> PartId:
        landed: list[PartId] = []

        def land() -> None:
            landed.append(PartId(f"m{len(self.states)}"))
            self.land(landed[0], key, text)

        await self._call("post", key, None, text, land)
        return landed[0]

    async def edit(self, part: PartId, text: str) -> None:
        def land() -> None:
            if part in self.gone:
                raise PartGone(part)
            self.states[part].append((now(), text))

        await self._call("edit", part, part, text, land)

    def land(self, part: PartId, key: str, text: str) -> None:
        """A post shows up, by itself when it was cut off on its way."""
        self.states[part] = [(now(), text)]
        self.made[part] = key

    async def _call(
        self, name: str, subject: str, part: PartId | None, text: str, land: Callable[[], None]
    ) -> None:
        """One call on one message, with its latency, the scripted fault and the size limit."""
        assert subject not in self._busy, f"overlapping calls on {subject}"
        assert text.strip(), "an empty text was sent"
        self._busy.add(subject)
        try:
            await asyncio.sleep(self._latency())
            self._effect(name, part, text, land)
            await asyncio.sleep(self._latency())
        finally:
            self._busy.discard(subject)

    def _effect(self, name: str, part: PartId | None, text: str, land: Callable[[], None]) -> None:
        fault = self.faults.popleft() if self.faults else None
        ok = fault is None or fault.landed
        self.calls.append(Call(name, now(), part, text, ok))
        if self._limiter is not None:
            self._limiter.take()
        if self._limits.measure(text) > self._limits.size:
            raise TooLarge(f"{self._limits.measure(text)} units")
        if ok:
            land()
        if fault is not None:
            raise fault.error


class AbleThread(FakeThread):
    """A thread that can find its posts and remove them, too.

    lag: seconds until a post that landed can be found.
    """

    lag = 2.0

    async def find(self, key: str, known: Collection[PartId] | None = None) -> Sequence[PartId]:
        await asyncio.sleep(self._latency())
        return [part for part, made in self.made.items() if made == key and part not in self.gone]

    async def remove(self, part: PartId) -> None:
        await asyncio.sleep(self._latency())
        self.gone.add(part)


class ForgetfulThread(AbleThread):
    """One whose posts lose their key after a time, as in Discord. forgotten: those that did."""

    exclusive = False

    def __init__(self) -> None:
        super().__init__()
        self.forgotten: set[PartId] = set()

    async def find(self, key: str, known: Collection[PartId] | None = None) -> Sequence[PartId]:
        found = await super().find(key, known)
        return [part for part in found if part not in self.forgotten]

    async def nameless(self, key: str, within: float, after: PartId | None) -> Sequence[PartId]:
        await asyncio.sleep(self._latency())
        since = max(now() - within, self.states[after][0][0] if after else 0.0)
        there = self.forgotten - self.gone
        return [p for p, states in self.states.items() if p in there and states[0][0] >= since]


class StreamingThread(AbleThread):
    """One that has native streams, too, as strict as Slack: what is sent is put behind what the
    message really says, a stream that isn't open takes nothing, and after `ends` it isn't.

    ends: seconds after its start when the platform ends a stream by itself. stopped: streams that
    a person ended.
    """

    ends = 300.0

    def __init__(self, thread_limits: Limits | None = None, **named: Any) -> None:
        super().__init__(thread_limits or streaming(), **named)
        self.open: dict[PartId, float] = {}
        self.stopped: set[PartId] = set()

    async def start(self, text: str, key: str) -> PartId:
        landed: list[PartId] = []

        def land() -> None:
            landed.append(PartId(f"m{len(self.states)}"))
            self.land(landed[0], key, text)
            self.open[landed[0]] = now()

        await self._call("start", key, None, text, land)
        return landed[0]

    async def append(self, part: PartId, shown: str, text: str) -> None:
        assert text != shown, "nothing new was sent"
        await self._call("append", part, part, text, lambda: self._more(part, shown, text))

    async def stop(self, part: PartId, shown: str, text: str) -> None:
        def land() -> None:
            self._more(part, shown, text)
            del self.open[part]

        await self._call("stop", part, part, text, land)

    async def edit(self, part: PartId, text: str) -> None:
        if self.open.pop(part, None) is not None and part in self.stopped:
            raise Stopped(part)
        await super().edit(part, text)

    def _more(self, part: PartId, shown: str, text: str) -> None:
        if part in self.gone:
            raise PartGone(part)
        if part in self.stopped:
            self.open.pop(part, None)
            raise Stopped(part)
        if now() - self.open.get(part, -self.ends) >= self.ends:
            self.open.pop(part, None)
            raise StreamOver("message_not_in_streaming_state")
        if not text.startswith(shown):
            raise StreamOver("the text doesn't continue what was sent")
        self.states[part].append((now(), self.states[part][-1][1] + text[len(shown) :]))


def _typed(
    thread: FakeThread, able: ForgetfulThread, streams: StreamingThread
) -> tuple[Thread, FindsPost, HasNameless, RemovesPart, Streams]:
    """The fakes satisfy the ports: checked by the type checker."""
    return thread, able, able, able, streams
