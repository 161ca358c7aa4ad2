"""Plays one schedule: processes that live and die until everything is quiet, then the checks."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.baseline import counted, held, left
from tests.simulation.changed import tallied
from tests.simulation.checks import violations
from tests.simulation.discord_site import DiscordSite
from tests.simulation.logs import watched
from tests.simulation.loop import now, run
from tests.simulation.people import People
from tests.simulation.process import Process, Protocol
from tests.simulation.sites import Site
from tests.simulation.slack_site import SlackSite
from tests.simulation.weather import BAD_UNTIL, Weather
from tests.simulation.world import Dead, World

_PLATFORMS: dict[str, type[Site]] = {"slack": SlackSite, "discord": DiscordSite}
SETTLED_BY = 3_000.0
"""Seconds by which nothing may be open."""
_REST = 3.0
"""Seconds after which mostly nothing is held either."""
_REST_MOST = 300.0
"""Seconds after which nothing may be: a sign of typing lasts 65, and signs wait for each other."""


@dataclass
class Played:
    """What a schedule came to. missed: prompts that no delivery brought in, nor could have."""

    problems: list[str]
    seconds: float = 0.0
    hits: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    prompts: int = 0
    missed: int = 0
    regime: str = ""


class Schedule:
    """One seed, played to its end."""

    def __init__(self, seed: int, weather: Weather, protocol: Protocol) -> None:
        self.world = World(seed, weather)
        self.sites = [_PLATFORMS[name](name, self.world) for name in self.world.regime.sites]
        self._protocol = protocol
        self._running: list[Process | None] = [None] * self.world.regime.replicas
        self.people = People(self.world, self._running)
        self._wrong: list[str] = []

    async def play(self) -> Played:
        """Until everything is quiet."""
        world = self.world
        loop = asyncio.get_running_loop()
        loop.call_later(BAD_UNTIL, world.clear)
        speaking = asyncio.ensure_future(self.people.speak())
        end = asyncio.ensure_future(self._quiet(speaking))
        others = [asyncio.ensure_future(self._replica(n, end)) for n in range(len(self._running))]
        if "discord" in world.regime.sites:
            others.append(asyncio.ensure_future(self.people.archive()))
        await asyncio.gather(end, *others)
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)
        problems = world.seen_wrong + self._wrong + violations(world, self.sites)
        await self._nothing_left()
        seconds = now()
        missed = sum(i not in world.stored | world.erased | world.unasked for i in world.prompts)
        regime = world.regime
        kind = f"{'+'.join(regime.sites)} x{regime.replicas}"
        return Played(problems, seconds, world.hits, world.points, len(world.prompts), missed, kind)

    async def _nothing_left(self) -> None:
        """End what should have ended by itself, which the baseline has told of."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _replica(self, number: int, end: "asyncio.Task[None]") -> None:
        """One process after the other, until the end."""
        world = self.world
        while not end.done():
            process = Process(world, self.sites, self._protocol)
            self._running[number] = process
            beside = [asyncio.ensure_future(self._read_back(process))]
            if world.regime.replicas > 1:
                beside.append(asyncio.ensure_future(self._stop_sometimes(process)))
            await process.run(end)
            self._running[number] = None
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            if not end.done():
                await asyncio.wait({end}, timeout=world.rng.choice((0.1, 2.0, 20.0)))

    async def _read_back(self, process: Process) -> None:
        if not (self.world.regime.reads_back and self._protocol.reads_back):
            return
        try:
            await self.people.read_back(process)
        except Dead:
            return

    async def _stop_sometimes(self, process: Process) -> None:
        """SIGSTOP and, later, SIGCONT: past its lease or not."""
        rng, life = self.world.rng, process.life
        await asyncio.sleep(rng.expovariate(1 / 30))
        if life.alive and now() < BAD_UNTIL:
            life.stop(rng.choice((2.0, 15.0, 25.0, 60.0)))
            self.world.hits["stopped"] += 1

    async def _quiet(self, speaking: "asyncio.Task[None]") -> None:
        await asyncio.wait({speaking}, timeout=SETTLED_BY)
        await asyncio.sleep(max(0.0, BAD_UNTIL + 2 - now()))
        while now() < SETTLED_BY:
            if self._nothing_open():
                self._wrong += await self._held()
                return
            await asyncio.sleep(1.0)

    async def _held(self) -> list[str]:
        """I14: what is still held once that should be over."""
        latest = now() + _REST_MOST
        found = ["not looked yet"]
        while found and now() < latest:
            await asyncio.sleep(_REST)
            found = left(asyncio.all_tasks())
            for process in filter(None, self._running):
                found += held(process) if process.life.alive else []
        return found

    def _nothing_open(self) -> bool:
        world = self.world
        if any(process and process.life.stopped_until > now() for process in self._running):
            return False
        looks = world.regime.reads_back and self._protocol.reads_back
        if looks and any(process is None for process in self._running):
            return False  # the next one may find something missed
        if looks and any(
            process and (process.refused or process.reading) for process in self._running
        ):
            return False
        if any(process and process.engine._locked_out for process in self._running):
            return False
        found = world.vault.rows("SELECT 1 FROM turn WHERE settled_at IS NULL LIMIT 1")
        return not found


def play(seed: int, weather: Weather | None = None, protocol: Protocol | None = None) -> Played:
    """The schedule of a seed. protocol: the one to play with; a test may hand in a broken one."""

    async def main() -> Played:
        schedule = Schedule(seed, weather or Weather(), protocol or Protocol())
        before = counted()
        with watched(schedule.world.wrong):
            played = await schedule.play()
        played.problems += tallied(schedule.world, before, counted())
        return played

    return run(main())
