"""People and the platforms' ways to bring what they say: events, acknowledgements, reading back."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import replace
from typing import Any

from core.errors import StoreError
from core.types import Prompt
from tests.simulation.loop import now
from tests.simulation.places import EPOCH, asked_at
from tests.simulation.process import Process
from tests.simulation.sayings import Saying, sayings_of
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
_RECONNECTS = 0.01
"""Seconds after an outage until there is a session."""
_PAGE_TAKES = (0.1, 0.1, 1.0, 8.0)
"""Seconds until what was on the platform has been read."""
_A_MOMENT = 0.001
"""Seconds after an edit until what is written has seen it; before, it may overtake the edit."""
SETTLE = 10.0
"""Seconds between an event that the store refused and the reading back."""

_Event = Callable[[Process], Coroutine[Any, Any, None]]


class People:
    """Brings what people write to whichever process lives. running: the processes, dead or not."""

    def __init__(self, world: World, running: list[Process | None]) -> None:
        self._world = world
        self._running = running
        self._spoken: list[Saying] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def speak(self) -> None:
        """All that is written, until the platforms have stopped bringing it."""
        for saying in sayings_of(self._world.rng, self._world.regime, self._world.weather):
            await asyncio.sleep(max(0.0, saying.at - now()))
            if saying.named:
                self._say(saying)
                self._tell(saying, self._asked(saying))
            for after, text in saying.changes:
                self._spawn(self._change(saying, after, text))
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _say(self, saying: Saying) -> None:
        """There is a prompt on the platform from now on."""
        self._world.prompts[saying.prompt.identity] = saying.prompt
        self._spoken.append(saying)

    async def _change(self, saying: Saying, after: float, text: str) -> None:
        """The person edits the message or deletes it (text: empty)."""
        await asyncio.sleep(after)
        if saying.deleted:
            return
        if text:
            saying.text = text
            event = self._edited(saying, text, names=not saying.named)
            if not saying.named:
                saying.named, saying.at = True, now() + _A_MOMENT
                self._say(saying)
            self._world.prompts[saying.prompt.identity] = replace(saying.prompt, text=text)
            self._world.hits["edited"] += 1
            self._tell(saying, event)
        else:
            saying.deleted = True
            self._world.erased.add(saying.prompt.identity)
            self._world.hits["erased"] += 1
            self._tell(saying, self._erased(saying))

    def _asked(self, saying: Saying) -> _Event:
        """The event of a new message."""

        async def event(process: Process) -> None:
            await self._accept(process, saying.prompt)

        return event

    def _edited(self, saying: Saying, text: str, *, names: bool) -> _Event:
        """The event of an edit, as the adapters take it. names: it makes the message a prompt."""
        identity = saying.prompt.identity

        async def event(process: Process) -> None:
            known = await process.amend(identity, text)
            if names and not known:
                await self._accept(process, replace(saying.prompt, text=text), edited=True)
            self._heard(identity, text)

        return event

    def _erased(self, saying: Saying) -> _Event:
        """The event of a deletion, as the adapters take it."""
        identity = saying.prompt.identity

        async def event(process: Process) -> None:
            await process.withdraw(identity)
            self._heard(identity, "")

        return event

    def _tell(self, saying: Saying, event: _Event) -> None:
        """Let the platform bring an event, now and then in two copies."""
        bring = self._by_events if saying.prompt.platform == "slack" else self._by_gateway
        self._spawn(bring(event))
        if self._world.happens("twice"):
            self._spawn(bring(event))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _process(self) -> Process | None:
        living = [p for p in self._running if p is not None and p.life.alive]
        return self._world.rng.choice(living) if living else None

    async def _by_events(self, event: _Event) -> None:
        """As Slack does: four times at most, until it is acknowledged."""
        started = now()
        for after in DELIVERIES:
            await asyncio.sleep(max(0.0, started + after - now()))
            process = self._process()
            if process is None or self._world.out("slack"):
                continue
            try:
                await event(process)
            except StoreError:
                process.refused = True
                continue
            except Dead:
                continue
            if not self._world.happens("unacknowledged"):
                return

    async def _by_gateway(self, event: _Event) -> None:
        """As Discord does: once, and whoever is away misses it; the store has all the time."""
        process = self._process()
        if process is None or self._world.out("discord"):
            self._world.hits["missed event"] += 1
            return
        while True:
            try:
                await event(process)
                return
            except StoreError:
                await asyncio.sleep(1.0)
            except Dead:
                return

    async def _accept(self, process: Process, prompt: Prompt, *, edited: bool = False) -> None:
        """Take a prompt in; a follow-up that overtakes its question waits for that. edited: it was
        none before, and what was said below it was not for us.
        """
        await process.accept(prompt)
        if prompt.identity in self._world.stored:
            self.acknowledge(prompt)
            if edited:
                process.early = [early for early in process.early if not _below(early, prompt)]
            await self._again(process)
            return
        if prompt.follow_up:
            self._world.hits["overtook its question"] += 1
            process.early.append(prompt)
            if self._world.regime.replicas > 1 or self._follows_nothing(prompt):
                self._world.unasked.add(prompt.identity)
            await self._again(process)
            return
        self.acknowledge(prompt)

    async def _again(self, process: Process) -> None:
        """Offer once more what came before the question above it was stored."""
        stored = [one.prompt for one in self._spoken if one.prompt.identity in self._world.stored]
        for early in [one for one in process.early if any(_below(one, two) for two in stored)]:
            if early in process.early:  # nobody else has offered it meanwhile
                process.early.remove(early)
                self._world.hits["offered again"] += 1
                await process.accept_patiently(early)
                self._followed(early)

    def acknowledge(self, prompt: Prompt) -> None:
        """I6: the platform hears that a prompt is safe; so it must be."""
        self._world.acknowledged.add(prompt.identity)
        if prompt.identity not in self._world.stored:
            self._world.wrong(f"I6 acknowledged, not committed: {prompt.identity}")

    def _heard(self, identity: str, text: str) -> None:
        """I6, for edits and deletions."""
        if (identity, text) not in self._world.books.heard:
            self._world.wrong(f"I6 a change acknowledged, not committed: {identity}")

    async def read_back(self, process: Process) -> None:
        """What adapters do with each new session: everything since the newest known prompt.

        After an event that the store refused, it is done again.
        """
        world = self._world
        sessions = [0.0]
        sessions += [
            end + _RECONNECTS for name, _, end in world.regime.outages if name in process.sites
        ]
        for at in sorted({max(now(), at) for at in sessions}):
            await asyncio.sleep(max(0.0, at - now()))
            for site in process.sites:
                if not world.out(site):
                    await self._read(process, site)
        while "slack" in process.sites:
            await asyncio.sleep(SETTLE)
            if process.refused and not world.out("slack"):
                process.refused = False
                await self._read(process, "slack")

    async def _read(self, process: Process, site: str) -> None:
        world = self._world
        while True:
            try:
                recent = await process.turns.recent(site, world.wall() - 30 * 86_400.0, 50)
                break
            except StoreError:
                await asyncio.sleep(1.0)
        stored = {(one.thread, one.sequence): one.address for one in world.prompts.values()}
        newest = (stored[known.thread, known.sequence] for known in recent)
        since = max((asked_at(site, address) for address in newest), default=0.0) - MARGIN
        process.reading = True
        page = list(self._spoken)
        await asyncio.sleep(world.rng.choice(_PAGE_TAKES))
        for saying in page:
            prompt = saying.prompt
            known = prompt.identity in world.stored and world.rng.random() > _KNOWN_AGAIN
            wanted = saying.at >= since and not saying.deleted and not known
            if prompt.platform == site and wanted:
                late = now() - saying.at > LATE
                world.hits["read back"] += 1
                await process.accept_patiently(replace(prompt, text=saying.text, late=late))
                self._followed(prompt)
                await self._again(process)
        process.reading = False

    def _followed(self, prompt: Prompt) -> None:
        """What was read back is stored, but for what follows up on nothing."""
        stored = prompt.identity in self._world.stored
        if prompt.follow_up and not stored and self._follows_nothing(prompt):
            self._world.unasked.add(prompt.identity)

    def _follows_nothing(self, prompt: Prompt) -> bool:
        """`gone`, or what it follows up was one too many, which is in no conversation."""
        cases = self._world.books.cases
        above = (one.prompt for one in self._spoken if _below(prompt, one.prompt))
        crowded = any(one.identity in cases and cases[one.identity].crowded for one in above)
        return crowded or gone(prompt, self._spoken)

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


def _below(prompt: Prompt, other: Prompt) -> bool:
    """Whether it comes after the other in one thread."""
    return prompt.thread == other.thread and prompt.sequence > other.sequence


def gone(prompt: Prompt, spoken: Iterable[Saying]) -> bool:
    """What this follows up was no question when it was written, or is none any more."""
    before = [
        saying
        for saying in spoken
        if saying.prompt.thread == prompt.thread and saying.prompt.sequence < prompt.sequence
    ]
    written = prompt.asked_at - EPOCH + 1e-6  # an edit may have made it a question later
    asked = any(not saying.prompt.follow_up and saying.at <= written for saying in before)
    return not asked or any(saying.deleted for saying in before)
