"""`Turns` and `History` of `core.ports` and `Seats` of `core.seats`, on a database, as they say."""

import asyncio
from collections.abc import Callable, Sequence

from core.lifecycle import State
from core.ports import Amended, Exchange, Recent, Turn
from core.seats import Seat, Seating
from core.store import claims, edits, history, inbox, leases, places, retention, seats
from core.store.clock import Clock, Uptime
from core.store.exchanges import exchanges
from core.store.opening import Transactions
from core.store.recent import recent as recent_of
from core.store.retention import Erased
from core.store.strangers import strangers
from core.types import Conversation, Kept, Memory, Outcome, PartId, Prompt, Remembered, ThreadKey

INGRESS_PATIENCE = 1.5
"""Seconds: half of the time in which Slack wants an event acknowledged. A page waits no longer."""

SET_BACK_AGAIN = 10.0
"""Seconds between two looks for leases from before the clock was set back."""

SEAT_PATIENCE = 3.0
"""Seconds to wait for the database about a seat: it is asked again before a lease ends."""

ERASING = 0.005
"""Seconds that one transaction erases what is old, and others wait for it."""

RELEASE_PATIENCE = 3.0
"""Seconds to give a turn back: whoever does is about to end, and its lease runs out anyway."""


class SqlTurns:
    """The durable inbox. clock, uptime: its times; the database's own, if none are given."""

    def __init__(
        self,
        database: Transactions,
        clock: Clock | None = None,
        uptime: Callable[[], Uptime] | None = None,
    ) -> None:
        self._database = database
        self._clock = clock or database.clock
        self._uptime = uptime or database.uptime
        self._set_back_from = float("-inf")

    async def accept(self, prompt: Prompt) -> bool:
        """Store prompt and turn; False when it is known already or a follow-up to nothing."""
        now = self._clock()
        new = await self._database.write(inbox.accept, prompt, now, patience=INGRESS_PATIENCE)
        if new:
            self._database.tell()
        return new

    async def claim(
        self, owner: str, platforms: Sequence[str], lease: float, full: Sequence[str] = ()
    ) -> Turn | None:
        """Take the head turn of a free conversation for `lease` seconds; None without one."""
        now, uptime = self._clock(), self._uptime()
        loop_s = asyncio.get_running_loop().time()
        look = loop_s >= self._set_back_from
        arguments = (owner, platforms, lease, now, uptime, look, full)
        found = await self._database.write(inbox.claim, *arguments)
        if look and found is None:
            self._set_back_from = loop_s + SET_BACK_AGAIN
        return found

    async def renew(self, turn: Turn, lease: float) -> None:
        """Hold the conversation for `lease` seconds from now."""
        await self._database.write(leases.renew, turn, lease, self._clock())

    async def attempt(self, turn: Turn) -> int:
        """Count one more API attempt before it is made; returns how many this text has had."""
        return await self._database.write(claims.attempt, turn)

    async def announce(self, turn: Turn, index: int, *, named: bool = False) -> None:
        """Say that the part `index` is about to be posted."""
        await self._database.write(claims.announce, turn, index, named)

    async def posted(self, turn: Turn, index: int, part: PartId, *, only: bool = False) -> None:
        """Keep the id of the posted part `index`."""
        await self._database.write(claims.posted, turn, index, part, only)

    async def strangers(
        self, turn: Turn, parts: Sequence[PartId], *, exclusive: bool
    ) -> Sequence[PartId]:
        """Those of these messages that were kept for no turn, in their order."""
        return await self._database.read(strangers, turn, parts, exclusive)

    async def answer(
        self, turn: Turn, outcome: Outcome, remember: Sequence[Remembered], memory: Memory
    ) -> None:
        """Commit the outcome, the history entries and the memory: claimed -> answered."""
        now = self._clock()
        await self._database.write(claims.answer, turn, outcome, remember, memory, now)

    async def park(self, turn: Turn, outcome: Outcome) -> None:
        """Put another outcome in the place of a committed one that won't be shown as it is."""
        await self._database.write(claims.park, turn, outcome)

    async def deliver(self, turn: Turn, seconds: float) -> None:
        """All is shown, but for so many seconds something older may land: answered -> delivered."""
        await self._database.write(claims.deliver, turn, seconds, self._uptime())

    async def finish(
        self, turn: Turn, state: State, reason: str = "", kept: Kept | None = None
    ) -> None:
        """Step to settled, abandoned or cancelled, and free the conversation."""
        await self._database.write(claims.finish, turn, state, reason, self._clock(), kept)

    async def release(self, turn: Turn) -> None:
        """Give the turn back, to be claimed again: claimed -> received; else it stays."""
        await self._database.write(claims.release, turn, patience=RELEASE_PATIENCE)

    async def waiting(self, thread: ThreadKey) -> int:
        """How many turns of this conversation are open, the one being answered included."""
        return await self._database.read(inbox.waiting, thread)

    async def ahead(self, prompt: Prompt) -> int:
        """How many open turns the one of this prompt, which was accepted, waits for."""
        return await self._database.read(inbox.ahead, prompt.identity)

    async def recent(self, platform: str, since: float, limit: int) -> Sequence[Recent]:
        """The conversations with a turn received since then, newest first, `limit` at most."""
        return await self._database.read(recent_of, platform, since, limit)

    async def exchanges(self, thread: ThreadKey, limit: int) -> Sequence[Exchange]:
        """What was asked in the conversation and what became of it: the newest turns, in order."""
        return await self._database.read(exchanges, thread, limit, patience=INGRESS_PATIENCE)

    async def take_over(self, platforms: Sequence[str]) -> int:
        """At the start of a service: free what a process that died held; returns how many.

        Raises ValueError when the database is not ours alone: the holders may be alive.
        """
        if not self._database.exclusive:
            raise ValueError("only who has the sole use of the database may void leases")
        return await self._database.write(leases.take_over, platforms)

    async def amend(self, identity: str, text: str) -> Amended:
        """The message was edited: turn and history follow, and so does an answer not yet begun."""
        return await self._database.write(edits.amend, identity, text, patience=INGRESS_PATIENCE)

    async def withdraw(self, identity: str) -> bool:
        """The message was deleted: its text leaves the store, an open turn isn't answered."""
        now = self._clock()
        return await self._database.write(edits.withdraw, identity, now, patience=INGRESS_PATIENCE)

    async def withdraw_thread(self, thread: ThreadKey) -> Sequence[str]:
        """The thread was deleted: `withdraw`, of every prompt in it; returns those still open."""
        arguments = (thread, self._clock())
        return await self._database.write(
            edits.withdraw_thread, *arguments, patience=INGRESS_PATIENCE
        )

    async def threads(self, within: str, naming: Sequence[str]) -> Sequence[ThreadKey]:
        """The conversations with a key that begins so and an address that contains one of these."""
        return await self._database.read(places.threads, within, naming)

    async def erase(self, age: float) -> Erased:
        """Take the words of turns that ended at least `age` seconds ago out of the store: some of
        them, so that nobody waits for long. Nothing: all are out.
        """
        arguments = (age, ERASING, self._clock())
        return await self._database.write(retention.erase, *arguments)


class SqlHistory:
    """The stored conversations."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    async def load(self, thread: ThreadKey) -> Conversation:
        """The conversation as it stands; an empty, fresh one when there is none."""
        return await self._database.read(history.load, thread)

    async def adopt(self, turn: Turn, earlier: Sequence[Remembered], memory: Memory) -> None:
        """Store what was said before the bot came: once, before the first turn's own messages."""
        await self._database.write(history.adopt, turn, earlier, memory)

    async def restart(self, thread: ThreadKey) -> bool | None:
        """Start afresh. None: no such conversation; False: a turn is open, nothing was changed."""
        return await self._database.write(history.restart, thread)


class SqlSeats:
    """The seats as one process takes them. owner: its name, different for every start.

    clock: as for `SqlTurns`.
    """

    def __init__(self, database: Transactions, owner: str, clock: Clock | None = None) -> None:
        self._database = database
        self._owner = owner
        self._clock = clock or database.clock

    async def renew(self, scope: str, lease: float) -> frozenset[Seat]:
        """Hold on to what is held; returns it."""
        now = self._clock()
        arguments = (scope, self._owner, lease, now)
        return await self._database.write(seats.renew, *arguments, patience=SEAT_PATIENCE)

    async def look(self, scope: str, wanted: int, lease: float) -> Seating:
        """Take part: take free seats up to our share."""
        arguments = (scope, self._owner, wanted, lease, self._clock())
        return await self._database.write(seats.look, *arguments, patience=SEAT_PATIENCE)

    async def release(self, scope: str, seat: Seat) -> None:
        """Let go of a seat."""
        arguments = (scope, self._owner, seat)
        await self._database.write(seats.release, *arguments, patience=SEAT_PATIENCE)

    async def leave(self, scope: str) -> None:
        """Let go of every seat, and take part no more."""
        arguments = (scope, self._owner)
        await self._database.write(seats.leave, *arguments, patience=SEAT_PATIENCE)

    async def take_over(self) -> None:
        """At the start of a service: free what processes that died held.

        Raises ValueError when the database is not ours alone: the holders may be alive.
        """
        if not self._database.exclusive:
            raise ValueError("only who has the sole use of the database may void leases")
        await self._database.write(seats.take_over, patience=SEAT_PATIENCE)

    async def reserve(self, scope: str, name: str, who: str, seconds: float) -> bool:
        """Keep a name to ourselves for so long; False: it is another's."""
        arguments = (scope, f"{self._owner}:{who}", name, seconds, self._clock())
        return await self._database.write(seats.reserve, *arguments, patience=SEAT_PATIENCE)
