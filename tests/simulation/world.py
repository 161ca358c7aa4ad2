"""What outlives processes: the database, the platforms, the API, the people, and the seed.

Everything random comes from the seed and time is virtual, so a seed is a replay. A process can die
at every call that leaves it and while it sleeps; what a dead process still tries has no effect.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from core.types import Prompt
from tests.simulation.loop import now
from tests.simulation.store import Vault
from tests.simulation.weather import BAD_UNTIL, CALM, Regime, Weather

MOST_LATE = 25.0
"""Seconds after which a call that was sent surely has no effect any more."""
_HOUR = 3600.0
_FENCED = frozenset({"renew", "attempt", "announce", "posted", "answer", "deliver", "finish"})
"""Transactions that only the newest claim of a conversation may make."""


class Dead(BaseException):
    """The process that makes this call is no more."""


@dataclass(eq=False)
class Life:
    """One process, from its start to its death. stopped_until: SIGSTOP, virtual seconds."""

    number: int
    alive: bool = True
    stopped_until: float = 0.0
    stopped: bool = False  # was ever
    died: asyncio.Event = field(default_factory=asyncio.Event)
    ended: float = float("inf")

    def die(self) -> None:
        """Kill -9."""
        self.alive = False
        self.ended = min(self.ended, now())
        self.died.set()


class World:
    """One schedule's surroundings, and what is noticed at all times (`seen_wrong`)."""

    def __init__(self, seed: int, weather: Weather) -> None:
        self.rng = random.Random(seed)
        self.weather = weather
        self.regime = Regime.drawn(self.rng, weather)
        self.vault = Vault()
        self.hits: Counter[str] = Counter()
        self.points: Counter[str] = Counter()
        self.seen_wrong: list[str] = []
        self.prompts: dict[str, Prompt] = {}
        self.acknowledged: set[str] = set()
        self.stored: set[str] = set()
        self.ended: dict[str, str] = {}
        self.asked: Counter[str] = Counter()
        self.complete: dict[str, tuple[Life, float, int]] = {}  # answers that came to their end
        self.store_faults = 0
        self.streams: dict[str, list[Life]] = {}
        self.holder: dict[str, Life] = {}  # by thread: who claimed last
        self.lives = 0
        self._step = self.rng.choice((-_HOUR, _HOUR)) if self.regime.steps else 0.0
        self._step_at = self.rng.uniform(0.0, BAD_UNTIL)
        self._epoch = 1_800_000_000.0

    def wall(self) -> float:
        """The wall clock: seconds since the epoch, stepped by an hour in some schedules."""
        return self._epoch + now() + (self._step if now() >= self._step_at else 0.0)

    def life(self) -> Life:
        """A new process begins."""
        self.lives += 1
        life = Life(self.lives)
        if self.weather.crashes and self.rng.random() < self.weather.asleep:
            delay = self.rng.expovariate(1 / 20)
            asyncio.get_running_loop().call_later(delay, self._crash, "asleep", life)
        return life

    def _crash(self, place: str, life: Life) -> bool:
        if not (life.alive and self.weather.crashes):
            return False
        self.weather = replace(self.weather, crashes=self.weather.crashes - 1)
        self.points[place] += 1
        life.die()
        return True

    async def passes(self, place: str, life: Life, share: float = 1.0) -> None:
        """A place where the process may die. share: of the usual chance. Raises: Dead."""
        if not life.alive:
            raise Dead
        weather = self.weather
        if weather.crashes and self.rng.random() < weather.crash * share:
            self._crash(place, life)
            raise Dead
        if life.stopped_until > now():
            await asyncio.sleep(life.stopped_until - now())
        if not life.alive:
            raise Dead

    def happens(self, what: str) -> bool:
        """Whether this trouble comes now."""
        chance = float(getattr(self.weather, what))
        if not chance or self.rng.random() >= chance:
            return False
        self.hits[what] += 1
        return True

    def out(self, subject: str) -> bool:
        """Whether this is out altogether."""
        at = now()
        for name, begin, end in self.regime.outages:
            if name == subject and begin <= at < end:
                self.hits[f"outage of {subject}"] += 1
                return True
        return False

    def later(self, sent: float, land: Callable[[], object]) -> None:
        """A call was cut off on its way: it may have its effect all the same, at a later time."""
        latest = sent + MOST_LATE - now()
        if latest > 0 and self.happens("late"):
            asyncio.get_running_loop().call_later(self.rng.uniform(0.0, latest), land)

    def committed(self, name: str, args: tuple[Any, ...], result: object, life: Life) -> None:
        """A transaction is durable: note what it means, check what must hold at all times."""
        if name == "accept" and result:
            self.stored.add(args[0].identity)
        elif name in _FENCED and self.holder.get(args[0].prompt.thread) is not life:
            self.wrong(f"written under an old claim: {name} of {args[0].prompt.identity}")
        if name == "finish":
            self.ended[args[0].prompt.identity] = str(args[1])
        elif name == "claim" and result is not None:
            self.holder[result.prompt.thread] = life  # type: ignore[attr-defined]
            self._in_order(result.prompt)  # type: ignore[attr-defined]

    def _in_order(self, claimed: Prompt) -> None:
        """I13: what was asked earlier in the thread, and was stored, is through."""
        mine = self.prompts.get(claimed.identity)
        for identity, prompt in self.prompts.items():
            if (
                mine
                and prompt.thread == mine.thread
                and prompt.sequence < mine.sequence
                and identity in self.stored
                and identity not in self.ended
            ):
                self.wrong(f"out of order: {mine.identity} before {identity}")

    def wrong(self, what: str) -> None:
        """An invariant is broken at this moment."""
        self.seen_wrong.append(f"{what} (at {now():.1f} s)")

    def clear(self) -> None:
        """The bad weather is over."""
        self.weather = CALM
