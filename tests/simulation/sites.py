"""A platform and everything on it: what people see, and what is noticed whenever that changes.

The two platforms are in slack_site and discord_site. They answer HTTP requests by the documented
rules; between them and the real adapters stands the weather (`wire`).
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from core.ports import Thread
from core.types import Allowance, Limits, PartId, Prompt
from tests.simulation.loop import now
from tests.simulation.weather import BAD_UNTIL
from tests.simulation.world import Life, World

SMALL = 400
"""Size of a part, so that answers have several; the platforms' own limits are rarely reached."""
LOCKED_FOR = (5.0, 50.0, 300.0)
"""Seconds for which a bot token is refused, until somebody mends it."""
ASKS_EVERY = 59.0
"""Seconds between two questions whether it is taken again, at least."""
FOLLOW_UP = "a follow-up"
"""Key of messages that have none: nobody can find them again, nor can they be posted once only."""

Said = tuple[int, Mapping[str, str], Any]
"""Status, headers and JSON of an HTTP answer."""


@dataclass(frozen=True, slots=True)
class Door:
    """A process's way to a platform. ask: one call that says whether the bot token is taken."""

    open: Callable[[Prompt], Thread]
    ask: Callable[[], Coroutine[Any, Any, object]]


Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
MakeLine = Callable[[Any, "Site", Life, str], object]
"""Puts something before an adapter's `Api`: for a platform, a process and a prompt's identity."""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. identity: of the prompt that it is made for. name: for people.
    sent: when, in virtual seconds. decided: when it was made up, which a stop may put off. by: the
    live handle's line.
    """

    life: Life
    identity: str
    name: str
    method: str
    path: str
    args: Mapping[str, Any]
    sent: float
    decided: float
    by: object = None


@dataclass(slots=True)
class Shown:
    """One message of ours on a platform. texts: what it showed, one after the other.

    sealed_at: of a native stream that nobody ended: when the platform does. by: which handle wrote
    it last, by what it had decided then. stays: it can't be touched any more, as was said; foreign:
    to a handle that can't know what it says; overtaken: it was written over by something older.
    """

    identity: str
    key: str
    texts: list[str]
    at: float
    gone: bool = False
    by_people: bool = False
    sealed_at: float | None = None
    by: object = None
    decided: float = 0.0
    stays: bool = False
    foreign: bool = False
    overtaken: bool = False


@dataclass(slots=True)
class _Bucket:
    """The rate that one process may use, checked from the platform's side."""

    tokens: float
    at: float = 0.0


@dataclass
class Site(ABC):
    """One platform. finds: posts can be found by their key at any time.

    limits: of the handles for each prompt. threads: the conversation of each prompt.
    archived: conversations that sleep. closed: those that take nothing any more: since when and
    why. refused: prompts that were told so. locked: the bot token is refused, from and until.
    most: size of a text that is taken.
    """

    name: str
    world: World
    messages: dict[PartId, Shown] = field(default_factory=dict)
    archived: set[str] = field(default_factory=set)
    closed: dict[str, tuple[float, str]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    threads: dict[str, str] = field(default_factory=dict)
    limits: dict[str, Limits] = field(default_factory=dict)
    locked: tuple[float, float] = (0.0, 0.0)
    most: int = field(init=False)
    _buckets: dict[tuple[int, str], _Bucket] = field(default_factory=dict)
    # By process: when it heard that its token is refused, and when it last asked or heard.
    _locked_out: dict[int, tuple[float, float]] = field(default_factory=dict)

    finds: ClassVar[bool] = False
    reasons: ClassVar[tuple[str, ...]] = ()
    documented: ClassVar[int] = 0

    def __post_init__(self) -> None:
        rng = self.world.rng
        strict = rng.random() < self.world.weather.strict
        self.most = SMALL - rng.choice((50, 150)) if strict else self.documented
        if rng.random() < self.world.weather.closed:
            thread = f"sim:{self.name}:{rng.randint(1, 2)}"
            self.closed[thread] = rng.uniform(0.0, BAD_UNTIL), rng.choice(self.reasons)
        if rng.random() < self.world.weather.locked:
            begin = rng.uniform(0.0, BAD_UNTIL / 2)
            self.locked = begin, begin + rng.choice(LOCKED_FOR)

    @abstractmethod
    def render(self, text: str) -> str:
        """What people see of a text of ours."""

    @abstractmethod
    def connect(self, life: Life, spawn: Spawn, line: MakeLine) -> Door:
        """A process's way to open conversations."""

    @abstractmethod
    def answer(self, call: Call) -> Said:
        """A request takes effect."""

    @abstractmethod
    def too_many(self, call: Call, wait: float) -> Said:
        """The answer 429."""

    @abstractmethod
    def ends(self, call: Call) -> bool:
        """Whether a refusal for good of this call is one of the answer."""

    @abstractmethod
    def refuses_token(self, said: Said) -> bool:
        """Whether this answer says that the bot token is refused."""

    def arrives(self, call: Call, *, asks: bool) -> None:
        """I11: with a refused token a process only asks, each minute, whether it is taken again.

        asks: it does. Who was stopped sends what was about to be sent when it goes on.
        """
        number = call.life.number
        since, asked = self._locked_out.get(number, (float("inf"), 0.0))
        if call.sent > since and not asks:
            self.world.wrong(f"I11 the bot token was refused, and is used: {call.name}")
        if asks:
            if now() - asked < ASKS_EVERY and not call.life.stopped:
                self.world.wrong(f"I11 asks for its token too often on {self.name}")
            self._locked_out[number] = since, now()

    def heard(self, call: Call, said: Said, *, asks: bool) -> None:
        """The answer to a request came through. asks: it tells whether the token is taken."""
        number = call.life.number
        if self.refuses_token(said):
            self.world.hits["locked out"] += 1
            self._locked_out.setdefault(number, (now(), now()))
        elif asks and said[0] == 200:
            self._locked_out.pop(number, None)

    def meet(self, prompt: Prompt, limits: Limits) -> None:
        """A process opens the conversation of a prompt."""
        self.threads[prompt.identity] = str(prompt.thread)
        self.limits[prompt.identity] = limits

    def closing(self, call: Call, thread: str) -> str:
        """Why nothing is taken in a conversation; empty when something is."""
        at, reason = self.closed.get(thread, (float("inf"), ""))
        if now() < at:
            return ""
        self.world.hits[f"for good: {reason}"] += 1
        self.refused.add(call.identity)
        return reason

    def is_locked(self) -> bool:
        """Whether the bot token is refused now."""
        return self.locked[0] <= now() < self.locked[1]

    def create(self, call: Call, part: PartId, key: str, text: str) -> None:
        """A post takes effect."""
        self._read(call.identity, text)
        self.messages[part] = Shown(call.identity, key, [text], now(), by=call.by)
        if self.world.ended.get(call.identity) == "cancelled" and now() > 0:
            self.world.hits["post landed after a cancellation"] += 1
        if self.world.happens("deleted"):
            delay = self.world.rng.uniform(0.5, 30.0)
            asyncio.get_running_loop().call_later(delay, self._delete_by_person, part)

    def rewrite(self, call: Call, part: PartId, text: str) -> bool:
        """An edit takes effect. False: there is no such message any more."""
        self._read(call.identity, text)
        shown = self.messages.get(part)
        if shown is None or shown.gone:
            return False
        if shown.identity != call.identity and self._is_left_over(part, shown):
            self.world.hits["a message left over taken for one that was lost"] += 1
            shown.identity = call.identity
        settled = self.world.ended.get(shown.identity) == "settled"
        if settled and text != shown.texts[-1]:
            self.world.wrong(f"an older state after the end: {shown.identity}")
        shown.texts.append(text)
        shown.overtaken |= call.decided < shown.decided
        shown.by, shown.decided = call.by, call.decided
        return True

    def stick(self, call: Call, part: PartId) -> None:
        """An edit is refused for ever."""
        shown = self.messages[part]
        shown.stays = True
        shown.foreign |= shown.by is not call.by
        self.world.hits["a message that can't be touched"] += 1

    def _is_left_over(self, part: PartId, shown: Shown) -> bool:
        """Whether nobody misses it: its own answer is over, and is shown without it."""
        question = (
            "SELECT 1 FROM part JOIN turn ON turn.id = turn_id WHERE identity = ? AND part_id = ?"
        )
        known = self.world.vault.rows(question, shown.identity, part)
        return shown.identity in self.world.ended and not known

    def remove(self, part: PartId) -> bool:
        """A deletion takes effect. False: there is no such message any more."""
        shown = self.messages.get(part)
        if shown is None or shown.gone:
            return False
        shown.gone = True
        return True

    def spend(self, call: Call, allowance: Allowance) -> None:
        """I12: one process never asks faster than its allowance, but for one call: between leave
        and call the store is told of a post, and may take its time.

        Who was stopped sends everything that was about to be sent when it goes on.
        """
        if call.life.stopped:
            return
        bucket = self._buckets.setdefault(
            (call.life.number, allowance.key), _Bucket(allowance.burst, now())
        )
        earned = (now() - bucket.at) * allowance.rate
        bucket.tokens, bucket.at = min(allowance.burst, bucket.tokens + earned) - 1, now()
        if bucket.tokens < -1 - 1e-6:
            self.world.wrong(f"faster than the allowance: {call.name} on {self.name}")

    def spare(self, call: Call, allowance: Allowance) -> None:
        """A call more is due to what the platform answered."""
        if bucket := self._buckets.get((call.life.number, allowance.key)):
            bucket.tokens += 1

    def _delete_by_person(self, part: PartId) -> None:
        shown = self.messages[part]
        shown.gone = shown.by_people = True

    def _read(self, identity: str, text: str) -> None:
        """I9: people never see words of another conversation."""
        thread = self.threads[identity]
        if "[sim:" in text.replace(f"[{thread}]", ""):
            self.world.wrong(f"words of another conversation in {thread}")
