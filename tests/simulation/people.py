"""People and the platforms' ways to bring what they say: events, acknowledgements, reading back."""

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from core.errors import StoreError
from core.types import Prompt, ThreadKey
from tests.simulation.loop import now
from tests.simulation.places import Places, asked_at
from tests.simulation.process import Process
from tests.simulation.weather import BAD_UNTIL
from tests.simulation.world import Dead, World

DELIVERIES = (0.0, 0.0, 60.0, 360.0)
"""Seconds after which Slack delivers an event that was not acknowledged."""
MARGIN = 900.0
"""Seconds before the newest known prompt from which on is read back."""
_KNOWN_AGAIN = 0.3
"""Share of what is known already that is accepted again all the same; only the cost keeps it so
low."""
LATE = 60.0
"""Seconds after which a missed prompt gets one line instead of an answer."""


def prompts_of(rng: random.Random, sites: tuple[str, ...]) -> list[tuple[float, Prompt]]:
    """What people write in a schedule, with the time at which they do."""
    at, result, places = 0.0, [], Places(rng)
    for number in range(rng.randint(2, 4)):
        at += rng.choice((0.0, 0.5, 5.0, 30.0))
        site = rng.choice(sites)
        thread = f"sim:{site}:{rng.randint(1, 2)}"
        text = "" if rng.random() < 0.04 else f"[{thread}] p{number}"
        identity, address = places.address(site, thread, number, at)
        prompt = Prompt(
            platform=site,
            thread=ThreadKey(thread),
            identity=identity,
            sequence=f"{number:06d}",
            author="",
            text=text,
            asked_at=at,
            address=address,
        )
        result.append((at, prompt))
    return result


class People:
    """Brings what people write to whichever process lives. running: the processes, dead or not."""

    def __init__(self, world: World, running: list[Process | None]) -> None:
        self._world = world
        self._running = running
        self._spoken: list[tuple[float, Prompt]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def speak(self) -> None:
        """All that is written, until the platforms have stopped bringing it."""
        for at, prompt in prompts_of(self._world.rng, self._world.regime.sites):
            await asyncio.sleep(max(0.0, at - now()))
            self._world.prompts[prompt.identity] = prompt
            self._spoken.append((at, prompt))
            bring = self._by_events if prompt.platform == "slack" else self._by_gateway
            self._spawn(bring(prompt))
            if self._world.happens("twice"):
                self._spawn(bring(prompt))
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _process(self) -> Process | None:
        living = [p for p in self._running if p is not None and p.life.alive]
        return self._world.rng.choice(living) if living else None

    async def _by_events(self, prompt: Prompt) -> None:
        """As Slack does: four times at most, until it is acknowledged."""
        started = now()
        for after in DELIVERIES:
            await asyncio.sleep(max(0.0, started + after - now()))
            process = self._process()
            if process is None or self._world.out("slack"):
                continue
            try:
                await process.accept(prompt)
            except (StoreError, Dead):
                continue
            self.acknowledge(prompt)
            if not self._world.happens("unacknowledged"):
                return

    async def _by_gateway(self, prompt: Prompt) -> None:
        """As Discord does: once, and whoever is away misses it."""
        process = self._process()
        if process is None or self._world.out("discord"):
            self._world.hits["missed event"] += 1
            return
        await process.accept_patiently(prompt)

    def acknowledge(self, prompt: Prompt) -> None:
        """I6: the platform hears that a prompt is safe; so it must be."""
        self._world.acknowledged.add(prompt.identity)
        if prompt.identity not in self._world.stored:
            self._world.wrong(f"acknowledged, not committed: {prompt.identity}")

    async def read_back(self, process: Process) -> None:
        """What adapters do with each new session: everything since the newest known prompt."""
        world = self._world
        sessions = [0.0]
        sessions += [end for name, _, end in world.regime.outages if name in process.sites]
        for at in sorted({max(now(), at) for at in sessions}):
            await asyncio.sleep(max(0.0, at - now()))
            for site in process.sites:
                if not world.out(site):
                    await self._read(process, site)

    async def _read(self, process: Process, site: str) -> None:
        world = self._world
        while True:
            try:
                recent = await process.turns.recent(site, world.wall() - 30 * 86_400.0, 50)
                break
            except StoreError:
                await asyncio.sleep(1.0)
        since = max((asked_at(site, known.address) for known in recent), default=0.0) - MARGIN
        for at, prompt in list(self._spoken):
            known = prompt.identity in world.stored and world.rng.random() > _KNOWN_AGAIN
            if prompt.platform == site and at >= since and not known:
                late = now() - at > LATE
                world.hits["read back"] += 1
                await process.accept_patiently(replace(prompt, late=late))

    async def archive(self) -> None:
        """A Discord-like thread falls asleep now and then."""
        process = self._process()
        while now() < BAD_UNTIL:
            await asyncio.sleep(self._world.rng.uniform(5.0, 60.0))
            process = self._process() or process
            if process and "discord" in process.sites:
                thread = f"sim:discord:{self._world.rng.randint(1, 2)}"
                process.sites["discord"].archived.add(thread)
                self._world.hits["archived"] += 1
