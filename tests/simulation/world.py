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

from adapters.discord import calls as discord
from adapters.slack import calls as slack
from core.store.clock import Uptime
from core.types import Prompt, Usage
from tests.simulation.books import Books
from tests.simulation.loop import now
from tests.simulation.sayings import EARLY
from tests.simulation.store import Vault
from tests.simulation.weather import BAD_UNTIL, CALM, Regime, Weather

MOST_LATE = 25.0
"""Seconds after which a call that was sent surely has no effect any more."""
_HOUR = 3600.0
_FENCED = frozenset(
    {"renew", "attempt", "announce", "posted", "answer", "park", "deliver", "finish"}
)
"""Transactions that only the newest claim of a conversation may make."""
_WRITES = (
    *("accept", "adopt", "amend", "announce", "answer", "attempt", "claim", "deliver", "finish"),
    *("park", "posted", "release", "renew", "take_over", "withdraw"),
)
_READS = ("ahead", "load", "recent", "strangers")
_SLACK = [
    *(slack.POST, slack.EPHEMERAL, slack.UPDATE, slack.DELETE, slack.REPLIES, slack.STATUS),
    *(slack.AUTH, slack.START, slack.APPEND, slack.STOP),
]
_DISCORD = [
    *(
        discord.ME,
        discord.CHANGE_CHANNEL,
        discord.READ,
        discord.READ_ONE,
        discord.POST,
        discord.EDIT,
    ),
    *(discord.DELETE, discord.REACT, discord.UNREACT, discord.TYPING, discord.OPEN_THREAD),
    *(discord.EDIT_ORIGINAL, discord.FOLLOW_UP, discord.EDIT_FOLLOW_UP, discord.DELETE_FOLLOW_UP),
]
_CALLS = [method.name for method in _SLACK] + [route.name for route in _DISCORD]
POINTS = frozenset(
    [f"{when} {what}" for when in ("before", "behind") for what in _WRITES]
    + [f"before {what}" for what in _READS]
    + [f"{when} {call}" for when in ("before", "during", "behind") for call in _CALLS]
    + ["asleep", "before stream", "before the acknowledgement", "in a stream", "poison"]
)
"""Every place where a process can die."""


class Dead(BaseException):
    """The process that makes this call is no more."""


@dataclass(eq=False)
class Life:
    """One process, from its start to its death. stopped_until: SIGSTOP, virtual seconds."""

    number: int
    began: float
    alive: bool = True
    stopped_until: float = 0.0
    stopped: bool = False  # was ever
    died: asyncio.Event = field(default_factory=asyncio.Event)
    ended: float = float("inf")
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT so many seconds later; what waited then goes on in its order."""
        self.stopped = True
        self.stopped_until = now() + seconds
        self.goes_on.clear()
        asyncio.get_running_loop().call_at(self.stopped_until, self.goes_on.set)

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
        self.books = Books(self.wrong)
        self.prompts: dict[str, Prompt] = {}
        self.acknowledged: set[str] = set()
        self.stored: set[str] = set()
        self.ended: dict[str, str] = {}
        self.erased: set[str] = set()  # deleted by the person, whether we heard of it or not
        self.unasked: set[str] = set()  # follow-ups to nothing that was stored by then
        self.asked: Counter[str] = Counter()
        self.asked_anew: Counter[str] = Counter()  # edited back to what it had said when asked
        self.deaths: Counter[str] = Counter()  # by text, of whom it kills
        self.usage: dict[tuple[str, int], Usage] = {}  # by text and number of the attempt
        self.complete: dict[str, tuple[Life, float, int]] = {}  # answers that came to their end
        self.store_faults = 0
        self.streams: dict[str, list[Life]] = {}
        self.holder: dict[str, Life] = {}  # by thread: who claimed last
        self.voided: dict[str, float] = {}  # by thread: when an edit last voided a claim
        self.lives = 0
        self._step = self.rng.choice((-_HOUR, _HOUR)) if self.regime.steps else 0.0
        self._step_at = self.rng.uniform(0.0, BAD_UNTIL)
        self._epoch = 1_800_000_000.0
        self._booted = 0.0

    def wall(self) -> float:
        """The wall clock: seconds since the epoch, stepped by an hour in some schedules."""
        return self._epoch + now() + (self._step if now() >= self._step_at else 0.0)

    def uptime(self) -> Uptime:
        """How long the machine runs."""
        return Uptime(now() - self._booted, str(self._booted))

    def life(self) -> Life:
        """A new process begins; of one that is alone, every third on a machine begun anew."""
        self.lives += 1
        if self.regime.replicas == 1 and self.lives % 3 == 0:
            self._booted = now()
        life = Life(self.lives, now())
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

    def killed(self, text: str, life: Life) -> None:
        """The process dies of what it does for this prompt. Raises: Dead."""
        self.deaths[text] += 1
        self.points["poison"] += 1
        life.die()
        raise Dead

    def works_on(self, name: str, args: tuple[Any, ...], life: Life) -> None:
        """A transaction is about to be made. Raises: Dead: this prompt kills."""
        if name == "attempt" and EARLY in args[0].prompt.text:
            self.killed(args[0].prompt.text, life)

    async def passes(self, place: str, life: Life, share: float = 1.0) -> None:
        """A place where the process may die. share: of the usual chance. Raises: Dead."""
        if not life.alive:
            raise Dead
        weather = self.weather
        if weather.crashes and self.rng.random() < weather.crash * share:
            self._crash(place, life)
            raise Dead
        if life.stopped and life.stopped_until > now():
            await life.goes_on.wait()
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
        for name, begin, end in self.regime.outages:
            if name == subject and begin <= now() < end:
                self.hits[f"outage of {subject}"] += 1
                return True
        return False

    def later(self, sent: float, land: Callable[[], object]) -> None:
        """A call was cut off on its way: it may have its effect all the same, at a later time."""
        latest = sent + MOST_LATE - now()
        if latest > 0 and self.happens("late"):
            self.lands(self.rng.uniform(0.0, latest), land)

    def lands(self, delay: float, land: Callable[[], object]) -> None:
        """A call that nobody waits for has its effect in `delay` seconds."""
        asyncio.get_running_loop().call_later(delay, land)

    def committed(self, name: str, args: tuple[Any, ...], result: object, life: Life) -> None:
        """A transaction is durable: note what it means, check what must hold at all times."""
        if name == "amend" and (case := self.books.cases.get(args[0])) and case.text != args[1]:
            self.asked_anew[args[1]] += self.asked[args[1]] > 0
        self.books.note(name, args, result)
        if name == "accept" and result:
            self.stored.add(args[0].identity)
        elif name in _FENCED and self.holder.get(args[0].prompt.thread) is not life:
            self.wrong(f"written under an old claim: {name} of {args[0].prompt.identity}")
        if name == "finish":
            self.ended[args[0].prompt.identity] = str(args[1])
        elif name == "amend" and result.fence:  # type: ignore[attr-defined]
            self.voided[self.books.cases[args[0]].thread] = now()
            if self.ended.pop(args[0], None):
                self.hits["asked anew after the end"] += 1
        elif name == "claim" and result is not None:
            self.holder[result.prompt.thread] = life  # type: ignore[attr-defined]
            self._in_order(result.prompt)  # type: ignore[attr-defined]

    def _in_order(self, claimed: Prompt) -> None:
        """I13: what was asked earlier in the thread, and was stored, is through."""
        cases = self.books.cases
        if claimed.identity not in cases or cases[claimed.identity].crowded:
            return
        for identity, case in cases.items():
            if (
                case.thread == claimed.thread
                and not (case.ended or case.crowded)
                and identity in self.prompts
                and self.prompts[identity].sequence < self.prompts[claimed.identity].sequence
            ):
                self.wrong(f"I13 out of order: {claimed.identity} before {identity}")

    def wrong(self, what: str) -> None:
        """An invariant is broken at this moment."""
        self.seen_wrong.append(f"{what} (at {now():.1f} s)")

    def clear(self) -> None:
        """The bad weather is over."""
        self.weather = CALM
