"""A platform thread in memory: keeps every state, enforces size and order, fails on request."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from core.errors import DeliveryError, PartGone, RateLimited, TooLarge
from core.ports import FindsPost, RemovesPart, Thread
from core.types import Allowance, Limits, PartId
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


def _typed(thread: FakeThread, able: AbleThread) -> tuple[Thread, FindsPost, RemovesPart]:
    """The fakes satisfy the ports: checked by the type checker."""
    return thread, able, able
