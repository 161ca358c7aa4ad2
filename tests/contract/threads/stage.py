"""What every platform must offer so that the same cases can be played on it.

A stage is a place where people ask and a bot answers. People act through `ask`, `say` and
`delete`; trouble comes through `trouble` and `end`; what a person saw is in `shown` and `states`.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from enum import Enum, StrEnum, auto
from types import TracebackType
from typing import ClassVar, Self

from core.errors import DeliveryError, Undeliverable
from core.ports import Thread
from core.types import PartId, Prompt
from tests.emulators.faults import AnyFault

TOKEN = "xoxb-very-secret-token-1234"
"""The bot token on every stage that has one: nothing that is raised may contain it."""


HURRY, LATE = 0.1, 0.15
"""Seconds until a handle without patience gives up, and for which something late is late."""
SOON = 1.0
"""Seconds in which what is on its way comes, also while the machine is busy."""


class Trait(Enum):
    """What a platform has by its nature, so that a case about it applies.

    NETWORK: it is reached by calls that may fail, and a message may be deleted by somebody.
    REPLACES: a text that was shown can be taken back. PARTS: a reply may have several messages.
    MANY: several conversations are open at once. READS: earlier messages can be read.
    LASTS: the record of each message's states is kept. STATUS: status shows until the first words.
    MENDS: every post whose answer was lost can be made good, not only a reply's first.
    DEDUPES: the same key posted again is the same message.
    ROOTED: an answer needs the message that it belongs to: the question, or what waits for it.
    """

    NETWORK = auto()
    REPLACES = auto()
    PARTS = auto()
    MANY = auto()
    READS = auto()
    LASTS = auto()
    STATUS = auto()
    MENDS = auto()
    DEDUPES = auto()
    ROOTED = auto()


class Trouble(StrEnum):
    """What goes wrong with one call. Before and after: of its effect.

    LATE: its answer comes late, LANDS: its effect does. Handles that are opened before the call of
    one of these has come have no patience.
    """

    CUT_BEFORE = "cut before"
    CUT_AFTER = "cut after"
    LATE = "late"
    LANDS = "lands late"
    BROKEN = "broken"
    LIMITED = "limited"


LOST = (Trouble.CUT_BEFORE, Trouble.CUT_AFTER, Trouble.LATE, Trouble.BROKEN)
"""After these nobody knows whether the call took effect."""


class Call(StrEnum):
    """Which call goes wrong. POST: a reply's first one, NEXT: any other. EDIT: of the first.

    ANY: the first call, whichever that is.
    """

    POST = "post"
    NEXT = "next"
    EDIT = "edit"
    REMOVE = "remove"
    ANY = "any"


class Stage(ABC):
    """One platform, or one place on it. Entered with `async with`.

    traits: see Trait. endings: how a conversation can end for ever, and whether edits and removals
    of its first message fail then, too. refused: units of a text that the platform is known to
    refuse. wait: seconds in a 429, cooling: for how many of them calls are really refused.
    uprooted: what a first post raises after `uproot`: PartGone where the message that went was the
    bot's own.
    tokens: what would ping somebody if it were sent as it stands.
    """

    traits: ClassVar[frozenset[Trait]] = frozenset()
    endings: ClassVar[Mapping[str, bool]] = {}
    refused: ClassVar[int] = 0
    wait: ClassVar[float] = 0.0
    cooling: ClassVar[float] = 0.0
    uprooted: ClassVar[type[DeliveryError]] = Undeliverable

    def __init__(self) -> None:
        self.stack = AsyncExitStack()
        self.planned: AnyFault | None = None
        self.hurried = False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stack.aclose()

    @abstractmethod
    async def start(self) -> None:
        """Make everything ready; what must be closed goes to `stack`."""

    @abstractmethod
    async def ask(self, text: str = "what is a fence?") -> Prompt:
        """Somebody begins a conversation."""

    @abstractmethod
    def open(self, prompt: Prompt) -> Thread:
        """The live handle for this prompt, as after a restart of the bot."""

    @abstractmethod
    async def shown(self, prompt: Prompt) -> list[str]:
        """What the bot's messages in this prompt's conversation show now, oldest first."""

    @property
    def tokens(self) -> list[str]:
        """Whatever pings here."""
        return ["@everyone", "@here", "@channel"]

    # With Trait.READS.

    async def say(self, prompt: Prompt, who: str, text: str) -> Prompt:
        """Somebody goes on in the prompt's conversation."""
        raise NotImplementedError

    # With Trait.LASTS.

    def states(self, part: PartId) -> list[str | None]:
        """All that a message ever showed; None: it was deleted."""
        raise NotImplementedError

    def harm(self) -> list[str]:
        """Pings, previews, open code blocks: whatever happened that never should."""
        raise NotImplementedError

    # With Trait.STATUS.

    async def status(self, prompt: Prompt) -> bool:
        """Whether a status is shown now; waits a little for what is on its way."""
        raise NotImplementedError

    # With Trait.NETWORK.

    def patience(self) -> float:
        """Seconds in which a call of the handle that is being opened must be answered."""
        hurried = self.hurried and self.planned is not None and self.planned.times > 0
        return HURRY if hurried else 5.0

    async def comes(self) -> bool:
        """Whether the call that goes wrong reaches the platform. While the machine stands still, a
        handle without patience may give it up before it is sent.
        """
        assert self.planned is not None
        end = asyncio.get_running_loop().time() + SOON
        while self.planned.times > 0:
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(0.01)
        return True

    def trouble(self, trouble: Trouble, call: Call, times: int = 1) -> None:
        """The next such calls go wrong."""
        raise NotImplementedError

    def calls(self, call: Call) -> int:
        """How many such calls the platform has dealt with."""
        raise NotImplementedError

    async def settled(self, call: Call, count: int) -> int:
        """The same, once there were `count`: a late one is counted when it is answered."""
        await self.wait_for(lambda: self.calls(call) >= count)
        await asyncio.sleep(0.02)
        return self.calls(call)

    async def wait_for(self, predicate: Callable[[], bool]) -> None:
        """Wait until something has happened at the platform."""
        raise NotImplementedError

    def delete(self, part: PartId) -> None:
        """Somebody deletes a message of the bot."""
        raise NotImplementedError

    def uproot(self, prompt: Prompt) -> None:
        """Somebody deletes the message that the answer belongs to. With Trait.ROOTED."""
        raise NotImplementedError

    def end(self, prompt: Prompt, way: str) -> None:
        """The conversation ends for ever, by one of `endings`."""
        raise NotImplementedError

    async def go_away(self) -> None:
        """The platform is down."""
        raise NotImplementedError
