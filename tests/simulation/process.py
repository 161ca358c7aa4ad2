"""One process: the real engine, writer and statements on a schedule's world; the API it asks."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from core.delivery.sharing import OwnBudget
from core.errors import CompletionError, Failure, LockedOut, StoreError
from core.ports import History, Thread, Threads
from core.store.clock import steady
from core.store.sql import SqlHistory, SqlTurns
from core.turns.engine import Engine
from core.turns.means import Means, Policy
from core.turns.window import Room
from core.types import Chunk, CompletionRequest, Prompt, Usage
from tests.simulation.logs import SECRET
from tests.simulation.loop import now
from tests.simulation.sayings import POISON
from tests.simulation.sites import Door, Site
from tests.simulation.store import LifeDatabase
from tests.simulation.wire import Line
from tests.simulation.world import Dead, Life, World

LEASE = 20.0
_CANARY = re.compile(r"\[sim:[^\]]*\]")
_FAILURES = (Failure.SERVER, Failure.TRUNCATED, Failure.EMPTY, Failure.CREDENTIALS, Failure.BUSY)
_WORDS = "for <@U1> and @everyone, " + "and so on " * 10
"""Fills parts; adapters have to make mentions harmless."""
_AT_ONCE = 5.0
"""Seconds within which an answer that came to its end is committed while the store works."""


@dataclass(frozen=True)
class Protocol:
    """What a process is made of; a mutant replaces one of it.

    takes_up: reads back what was missed. wraps: what is between the writer and the live
    handles. line: what is between those and their calls.
    """

    name: str = "as it is"
    turns: type[SqlTurns] = SqlTurns
    history: Callable[[LifeDatabase], History] = SqlHistory
    engine: type[Engine] = Engine
    wraps: Callable[[Thread], Thread] = lambda thread: thread
    reads_back: bool = True
    line: type[Line] = Line


class SimCompletions:
    """An API whose answers name the prompt; it may fail before or in the middle of an answer."""

    def __init__(self, world: World, life: Life) -> None:
        self._world = world
        self._life = life

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        """One attempt, with what must hold whenever one is made."""
        world, life = self._world, self._life
        last = request.messages[-1].content.rsplit("\n\n", 1)[-1]
        thread = last.split("]")[0] + "]"
        await world.passes("before stream", life)
        world.asked[last] += 1
        attempt = world.asked[last]
        self._check(last, thread, request)
        if POISON in last:
            world.killed(last, life)
        others = world.streams.setdefault(thread, [])
        others.append(life)
        try:
            if world.out("api"):
                raise CompletionError(Failure.TRANSPORT)
            for number in range(world.rng.randint(1, 6)):
                await asyncio.sleep(world.rng.uniform(0.05, 2.0))
                await world.passes("in a stream", life)
                if world.happens("api"):
                    raise CompletionError(world.rng.choice(_FAILURES), f"{SECRET}: {last}")
                yield Chunk(text=f"{last} word {number} of {attempt} {_WORDS}")
            usage = Usage(sum(len(m.content) for m in request.messages) // 4 + 1, attempt)
            world.usage[last, attempt] = usage
            yield Chunk(finish_reason="stop", usage=usage)
            world.complete[last] = (life, now(), world.store_faults)
            yield Chunk(done=True)
        finally:
            others.remove(life)

    def _check(self, last: str, thread: str, request: CompletionRequest) -> None:
        world, life = self._world, self._life
        # Who was stopped past its lease may still hold the stream of a claim that it lost.
        if not life.stopped and any(other is life for other in world.streams.get(thread, ())):
            world.wrong(f"two turns of one conversation at once: {thread}")
        # Another process learns of an edit that voided its claim when it writes or renews.
        voided = now() - world.voided.get(thread[1:-1], float("-inf")) < LEASE
        if not voided and any(
            other is not life and other.alive and not other.stopped
            for other in world.streams.get(thread, ())
        ):
            world.wrong(f"two processes in one conversation: {thread}")
        for message in request.messages:
            if set(_CANARY.findall(message.content)) - {thread}:
                world.wrong(f"a request with words of another conversation: {thread}")
        if last in world.complete:
            by, at, faults = world.complete.pop(last)
            if not by.stopped and by.ended - at > _AT_ONCE and faults == world.store_faults:
                world.wrong(f"asked again after a complete answer: {last}")


class _Platform:
    """A platform as a process's engine sees it. Satisfies `Threads` and `Readmits`."""

    def __init__(self, protocol: Protocol, door: Door) -> None:
        self._protocol = protocol
        self._door = door

    def open(self, prompt: Prompt) -> Thread:
        """The live handle for a prompt."""
        return self._protocol.wraps(self._door.open(prompt))

    async def readmitted(self) -> bool:
        """Whether the bot token is taken again. Raises: DeliveryError."""
        try:
            await self._door.ask()
        except LockedOut:
            return False
        return True


class Process:
    """One life of the service."""

    def __init__(self, world: World, sites: Sequence[Site], protocol: Protocol) -> None:
        self.world = world
        self.life = world.life()
        self.sites = {site.name: site for site in sites}
        self.refused = False  # an event that the store refused: something is to be read back
        self.reading = False  # what was missed is being read back
        self.early: list[Prompt] = []  # follow-ups to what is not stored yet
        exclusive = world.regime.replicas == 1
        self._protocol = protocol
        self._exclusive = exclusive
        database = LifeDatabase(world, self.life, exclusive=exclusive)
        self.turns = protocol.turns(database, steady(world.wall, now), world.uptime)
        means = Means(
            turns=self.turns,
            history=protocol.history(database),
            completions=SimCompletions(world, self.life),
            budget=OwnBudget(now),
            policy=Policy(system_prompt="", room=Room(100_000, 1_000)),
            lease=LEASE,
            now=now,
            chance=world.rng.random,
            exclusive=exclusive,
            began=world.wall(),
        )
        self._beside: dict[asyncio.Task[None], None] = {}  # in the order of their beginnings
        self._doors = {
            site.name: site.connect(self.life, self._spawn, protocol.line) for site in sites
        }
        platforms: dict[str, Threads] = {
            name: _Platform(protocol, door) for name, door in self._doors.items()
        }
        self.engine = protocol.engine(means, platforms, owner=f"life {self.life.number}")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Run something beside the turns, until the process ends."""
        task = asyncio.ensure_future(work)
        self._beside[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        del self._beside[task]
        if not task.cancelled():
            task.exception()  # Dead: then everything else is, too

    async def run(self, end: "asyncio.Task[None]") -> None:
        """Live until the end of the schedule, or until the crash; then nothing of it is left."""
        died = asyncio.ensure_future(self.life.died.wait())
        work = asyncio.ensure_future(self._work())
        await asyncio.wait({end, died}, return_when=asyncio.FIRST_COMPLETED)
        self.life.die()
        turns, asking = self.engine._running, self.engine._locked_out.values()
        doomed = [died, work, *turns, *asking, *self._beside]  # as a replay repeats it
        for task in doomed:
            task.cancel()
        await asyncio.gather(*doomed, return_exceptions=True)
        await self.engine._queueing.stop()

    async def _work(self) -> None:
        names = tuple(self.sites)
        while self._exclusive:
            try:
                await self.turns.take_over(names)
                break
            except StoreError:
                await asyncio.sleep(1.0)
        await self.engine.run()

    async def accept(self, prompt: Prompt) -> None:
        """An event comes in. Raises: Dead, StoreError."""
        await self.engine.accept(prompt)
        await self.world.passes("before the acknowledgement", self.life)

    async def amend(self, identity: str, text: str) -> bool:
        """Somebody edited a message; False: it was no prompt. Raises: Dead, StoreError."""
        known = await self.engine.amend(identity, text)
        await self.world.passes("before the acknowledgement", self.life)
        return known

    async def withdraw(self, identity: str) -> None:
        """Somebody deleted a message. Raises: Dead, StoreError."""
        await self.engine.withdraw(identity)
        await self.world.passes("before the acknowledgement", self.life)

    async def accept_patiently(self, prompt: Prompt) -> None:
        """As for platforms that wait for no acknowledgement: until the database has it."""
        while True:
            try:
                await self.accept(prompt)
                return
            except StoreError:
                await asyncio.sleep(1.0)
            except Dead:
                return
