"""One schedule: the real engine and statements against a platform, an API and a process that fail.

Everything random comes from the schedule's seed, time is virtual, so a seed is a replay. A crash
can come at every call that leaves the process; what the dead process still tries has no effect.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

from sqlalchemy import Connection

from core.delivery.pacing import Pacers
from core.errors import CompletionError, Failure, RateLimited, StoreBusy, Unreachable
from core.ports import Threads
from core.store.database import PATIENCE
from core.store.sql import SqlHistory, SqlTurns
from core.turns.answering import Means
from core.turns.asking import Policy
from core.turns.engine import Engine
from core.turns.window import Room
from core.types import (
    Allowance,
    Chunk,
    CompletionRequest,
    Limits,
    PartId,
    Prompt,
    Remembered,
    ThreadKey,
)
from tests.fakes.clock import now
from tests.fakes.store import InlineDatabase

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

RETRIES = (0.0, 1.0, 60.0, 360.0)
"""Seconds after which Slack delivers an event that was not acknowledged."""
LIMITS = Limits(
    size=400, measure=len, gap=1.0, post=Allowance("post", 3, 1.0), edit=Allowance("edit", 10, 1.0)
)


class Dead(BaseException):
    """The process that makes this call is no more."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad a schedule is; shares of calls. crashes: the most that may come."""

    crashes: int = 3
    crash: float = 0.02
    refused: float = 0.08
    lost_before: float = 0.05
    lost_after: float = 0.05
    api: float = 0.15
    store: float = 0.03
    unacknowledged: float = 0.15
    late: float = 0.5  # of the calls that a crash or a lost connection cut off


CALM = Weather(0, 0, 0, 0, 0, 0, 0, 0, 0)
LATEST = 12.0
"""Seconds after which a call that was cut off can still take effect."""


@dataclass(slots=True)
class Shown:
    """One message on the platform."""

    identity: str
    key: str
    texts: list[str]
    gone: bool = False


class World:
    """What outlives processes: the database file, the platform, the API, and the seed."""

    def __init__(self, seed: int, weather: Weather, turns: type[SqlTurns] = SqlTurns) -> None:
        self.rng = random.Random(seed)
        self.turns = turns
        self.weather = weather
        self.database = _CrashingDatabase(self)
        self.messages: dict[PartId, Shown] = {}
        self.acknowledged: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.asking: Counter[str] = Counter()
        self.overlaps = 0
        self.foreign = 0
        self.life = 0
        self.crashed = asyncio.Event()
        self.hits: Counter[str] = Counter()

    async def passes(self, place: str, life: int) -> None:
        """A place where the process may die. Raises: Dead."""
        weather = self.weather
        chance = weather.crash / (20 if place.endswith(" claim") else 1)  # it polls
        if life == self.life and weather.crashes and self.rng.random() < chance:
            self.weather = _fewer(weather)
            self.hits[f"crash at {place}"] += 1
            self.life += 1
            self.crashed.set()
        if life != self.life:
            raise Dead
        await asyncio.sleep(0)

    def happens(self, what: str) -> bool:
        """Whether this trouble comes now."""
        if self.rng.random() >= float(getattr(self.weather, what)):
            return False
        self.hits[what] += 1
        return True

    def later(self, land: Callable[[], None]) -> None:
        """A call was cut off on its way: it may take effect all the same, at some later time."""
        if self.happens("late"):
            asyncio.get_running_loop().call_later(self.rng.uniform(0.5, LATEST), land)

    def process(self) -> "Process":
        """A new process on what the last one left."""
        self.crashed.clear()
        self.life += 1
        return Process(self, self.life)


def _fewer(weather: Weather) -> Weather:
    values = {name: getattr(weather, name) for name in Weather.__slots__}
    return Weather(**{**values, "crashes": weather.crashes - 1})


class _CrashingDatabase(InlineDatabase):
    """The store: a crash before a transaction undoes it, one behind it loses only the answer."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.life = 0

    async def write(
        self, fn: Callable[[Connection, *Ts], T], *args: *Ts, patience: float = PATIENCE
    ) -> T:
        life = self.life
        await self._world.passes(f"before {fn.__name__}", life)
        if self._world.happens("store"):
            raise StoreBusy("locked")
        result = await super().write(fn, *args, patience=patience)
        await self._world.passes(f"behind {fn.__name__}", life)
        return result

    async def read(self, fn: Callable[[Connection, *Ts], T], *args: *Ts) -> T:
        await self._world.passes(f"before {fn.__name__}", self.life)
        return await super().read(fn, *args)


class SimThread:
    """A thread that can find and remove posts; every call may fail before or after its effect."""

    def __init__(self, world: World, life: int, prompt: Prompt) -> None:
        self._world = world
        self._life = life
        self._prompt = prompt

    @property
    def limits(self) -> Limits:
        return LIMITS

    async def post(self, text: str, key: str) -> PartId:
        landed: list[PartId] = []

        def land() -> None:
            self._see(text)
            landed.append(PartId(f"m{len(self._world.messages)}"))
            self._world.messages[landed[0]] = Shown(self._prompt.identity, key, [text])

        await self._call("post", land)
        return landed[0]

    async def edit(self, part: PartId, text: str) -> None:
        def land() -> None:
            self._see(text)
            self._world.messages[part].texts.append(text)

        await self._call("edit", land)

    async def find(self, key: str) -> Sequence[PartId]:
        found = [p for p, m in self._world.messages.items() if m.key == key and not m.gone]
        await self._call("find", lambda: None)
        return found

    async def remove(self, part: PartId) -> None:
        def land() -> None:
            self._world.messages[part].gone = True

        await self._call("remove", land)

    async def earlier(self) -> Sequence[Remembered]:
        await self._call("earlier", lambda: None)
        return ()

    def _see(self, text: str) -> None:
        canary = f"[{self._prompt.thread}]"
        self._world.foreign += "[sim:" in text.replace(canary, "")

    async def _call(self, name: str, land: Callable[[], None]) -> None:
        world = self._world
        await world.passes(f"before {name}", self._life)
        try:
            await asyncio.sleep(world.rng.uniform(0.02, 0.4))
            await world.passes(f"during {name}", self._life)
        except (Dead, asyncio.CancelledError):
            world.later(land)
            raise
        if world.happens("refused"):
            raise RateLimited(world.rng.choice((0.5, 1.0, 5.0)))
        if world.happens("lost_before"):
            world.later(land)
            raise Unreachable("lost before")
        land()
        await world.passes(f"behind {name}", self._life)
        if world.happens("lost_after"):
            raise Unreachable("lost after")


class SimCompletions:
    """An API whose answers name the prompt; it may fail before or in the middle of an answer."""

    def __init__(self, world: World, life: int) -> None:
        self._world = world
        self._life = life

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        world, last = self._world, request.messages[-1].content.rsplit("\n\n", 1)[-1]
        thread = last.split("]")[0]
        await world.passes("before stream", self._life)
        world.asked[last] += 1
        world.asking[thread] += 1
        world.overlaps += world.asking[thread] > 1
        try:
            for number in range(world.rng.randint(1, 8)):
                await asyncio.sleep(world.rng.uniform(0.05, 2.0))
                await world.passes("in a stream", self._life)
                if world.happens("api"):
                    kinds = (Failure.SERVER, Failure.TRUNCATED, Failure.EMPTY, Failure.CREDENTIALS)
                    raise CompletionError(world.rng.choice(kinds))
                yield Chunk(text=f"{last} word {number} " * world.rng.randint(1, 8))
            yield Chunk(finish_reason="stop")
            yield Chunk(done=True)
        finally:
            world.asking[thread] -= 1


class Process:
    """One life of the service."""

    name = "sim"

    def __init__(self, world: World, life: int) -> None:
        self._world = world
        self.life = life
        world.database.life = life
        self.turns = world.turns(world.database, now)
        history = SqlHistory(world.database)
        means = Means(
            turns=self.turns,
            history=history,
            completions=SimCompletions(world, life),
            pacers=Pacers(),
            policy=Policy(system_prompt="", room=Room(100_000, 1_000)),
            lease=60.0,
            now=now,
            chance=world.rng.random,
        )
        platforms: dict[str, Threads] = {"sim": self}
        self.engine = Engine(means, platforms, owner=f"life {life}")

    def open(self, prompt: Prompt) -> SimThread:
        """The live handle for a prompt."""
        return SimThread(self._world, self.life, prompt)

    async def run(self, until: Awaitable[object]) -> None:
        """Live until then, or until the crash; afterwards nothing of it is left."""
        end = asyncio.ensure_future(until)
        crash = asyncio.ensure_future(self._world.crashed.wait())
        work = asyncio.ensure_future(self._work())
        await asyncio.wait({end, crash}, return_when=asyncio.FIRST_COMPLETED)
        self._world.life += 1  # whatever it still tries has no effect
        doomed = {end, crash, work, *self.engine._running}
        for task in doomed:
            task.cancel()
        await asyncio.gather(*doomed, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            try:
                await self.turns.take_over(["sim"])
                await self.engine.run()
            except StoreBusy:
                await asyncio.sleep(1.0)


def prompts_of(rng: random.Random) -> deque[tuple[float, Prompt]]:
    """What people write in a schedule, by the time they do."""
    at, result = 0.0, []
    for number in range(rng.randint(2, 6)):
        at += rng.choice((0.0, 0.5, 5.0, 30.0))
        thread = f"sim:{rng.randint(1, 3)}"
        prompt = Prompt(
            platform="sim",
            thread=ThreadKey(thread),
            identity=f"{thread}:{number}",
            sequence=f"{number:06d}",
            author="",
            text=f"[{thread}] p{number}",
            asked_at=at,
            address="",
        )
        result.append((at, prompt))
    return deque(result)
