"""Messages on their way to the store: in the order in which they came, after what was missed there.

Discord doesn't bring a message again, so each is kept until the store has it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any, TypeVar, TypeVarTuple

import structlog

from adapters.discord import missed
from adapters.discord.calls import Api
from adapters.discord.events import (
    Edited,
    Ignored,
    channel_deleted,
    deleted,
    edited,
    read,
    thread_deleted,
)
from adapters.discord.holding import Event, Holding
from adapters.discord.ids import is_snowflake
from adapters.discord.intake import Edits, Intake
from adapters.discord.missed import Place, looked_up
from adapters.discord.session import Session
from core.errors import DeliveryError, StoreError
from core.ports import Recent
from core.types import Prompt

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

log = structlog.get_logger()

QUEUE = 10_000
"""Messages that may wait for the store; beyond that new ones are dropped, and logged."""
HELD = 10.0
"""Seconds that new messages wait at most for what was missed in the same place, or until it is
known what that place is."""
_AGAIN = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


def pauses() -> Iterable[float]:
    """Seconds between tries that go on for days."""
    return (*_AGAIN, *[_AGAIN[-1]] * QUEUE)


class Incoming:
    """The messages of one shard's sessions. `run` takes them, for as long as we have the shard.

    looked: a first session knows which conversations there were before it.
    """

    def __init__(self, api: Api, intake: Intake, edits: Edits, session: Session) -> None:
        self._api = api
        self._intake = intake
        self._edits = edits
        self._session = session
        self._waiting: asyncio.Queue[Event] = asyncio.Queue()
        self._count = 0  # of those that wait, in the queue and held
        self._held = Holding(self._one)
        self.looked = asyncio.Event()
        self._aware = asyncio.Event()  # it is known what has to be read back
        self._reading: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(missed.SIDE_BY_SIDE)
        self._known: missed.Known | None = None
        self._falling: set[str] = set()  # servers that went down just now
        self._down: dict[str, missed.Known] = {}  # what was known when they did
        self._looking = asyncio.Lock()
        self._first: float | None = None  # when the first session began

    def add(self, name: str, message: Mapping[str, Any]) -> None:
        """One more event about a message, as the gateway brings it."""
        if self._count >= QUEUE:
            log.error("discord.message_dropped", waiting=QUEUE)
            return
        self._count += 1
        self._waiting.put_nowait((name, dict(message)))

    def begin(self) -> None:
        """A new session has begun: what was missed comes first."""
        self._first = self._first or time.monotonic()
        self._aware.clear()
        self._known = None
        self._falling.clear()
        self._down.clear()
        for task in self._reading:
            task.cancel()
        self._spawn(self._catch_up())

    def down(self, guild: str) -> None:
        """A server of this session went down; it is read back from there on when it comes."""
        self._falling.add(guild)
        self._spawn(self._note_down())

    def named(self, guild: str) -> None:
        """A server of this session has been named; one that comes late is read back by itself."""
        if known := self._known:
            self._spawn(self._read_late(guild, known))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a part of a session's reading back, until the next session begins."""
        self._reading.add(task := asyncio.create_task(self._guarded(work)))
        task.add_done_callback(self._reading.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            log.error("discord.broken", error=type(error).__name__, exc_info=error)
            if not self._aware.is_set():  # new messages are taken all the same
                self._aware.set()
                await self._held.open_others(())

    async def run(self) -> None:
        """Take one message after the other, until cancelled."""
        while True:
            event = await self._waiting.get()
            await self._aware.wait()
            if self._held.held(event):
                continue
            if place := self._unlisted(*event):
                self._held.close([place.channel])
                self._held.held(event)
                self._spawn(self._look_up(place))
            else:
                await self._one(event)

    async def _one(self, event: Event) -> None:
        try:
            await self._take(*event)
        except Exception as error:  # noqa: BLE001 - the next message is not to suffer
            log.error("discord.broken", error=type(error).__name__)
        self._count -= 1  # not when cancelled: then it is still to be taken
        self._waiting.task_done()

    async def taken(self) -> None:
        """Wait until everything that came is stored."""
        await self._waiting.join()

    async def close(self) -> None:
        """Read nothing more back."""
        reading = list(self._reading)
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)

    async def _catch_up(self) -> None:
        """Accept what was asked before this session."""
        # Before anything of the new session is stored, which needs no reading back.
        known = await self._look()
        self.looked.set()
        await self._named_within(missed.GATHERING)
        self._known = known
        places = [place for named in self._session.places.values() for place in named]
        self._spawn(self._read_back(places, known.recent, known))
        if not await self._named_within(missed.NAMING - missed.GATHERING):
            log.warning("discord.servers_down", servers=self._session.enough())

    async def _note_down(self) -> None:
        """Keep what is known now for the servers that went down: many do so at once."""
        async with self._looking:
            if falling := frozenset(self._falling):
                known = await self._look()
                self._down |= dict.fromkeys(falling, known)
                self._falling -= falling

    async def _named_within(self, seconds: float) -> bool:
        """Whether all servers have been named, in these seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._session.complete.wait()
        except TimeoutError:
            return False
        return True

    async def _read_late(self, guild: str, known: missed.Known) -> None:
        """Accept what was asked in a server that was named when the others were being read, or
        while it was down.
        """
        if self._session.complete.is_set():
            log.info("discord.server_late", server=guild)
        async with self._looking:  # it may have gone down just now
            known = self._down.pop(guild, known)
        await self._read_back(self._session.places.get(guild, ()), known.of(guild), known)

    async def _read_back(
        self, places: Sequence[Place], recent: Sequence[Recent], known: missed.Known
    ) -> None:
        """Accept what was asked there; new messages of a place that is being read wait."""
        age, session = time.monotonic() - (self._first or 0.0), self._session
        reading = missed.Reading(self._api, session.bot, session.readable, known, age, self._slots)
        wanted = reading.wanted(places, recent)
        channels = [place.channel for place in wanted]
        self._held.close(channels)
        if not self._aware.is_set():
            self._aware.set()
            await self._held.open_others(channels)  # left by a session that ended
        self._spawn(self._open_in_time(channels))
        async for place, prompts in reading.prompts(wanted):
            session.learn(place)
            for prompt in prompts:
                await self._commit(prompt)
            await self._held.open([place.channel])

    async def _open_in_time(self, channels: Sequence[str]) -> None:
        """New messages don't wait for a place that can't be read for long."""
        await asyncio.sleep(HELD)
        await self._held.open(channels)

    async def _look(self) -> missed.Known:
        """What was talked in lately, however long the store takes: the rest waits for it, too."""
        now, recent = time.time(), await self._recent()
        here = [known for known in recent if self._session.concerns(known.thread)]
        return missed.Known(here, recent, now)

    async def _recent(self) -> Sequence[Recent]:
        for pause in pauses():
            try:
                return await self._intake.recent(time.time() - missed.KNOWN)
            except StoreError as error:
                log.error("discord.not_read_back", again_in=pause, reason=str(error))
                await asyncio.sleep(pause)
        return ()

    async def _take(self, name: str, message: Mapping[str, Any]) -> None:
        if "_DELETE" in name:
            await self._take_away(name, message)
            return
        known, parent = self._thread(message)
        bot, thread = self._session.bot, bool(known)  # a channel never becomes a conversation
        outcome: Prompt | Edited | Ignored
        if name == "MESSAGE_CREATE":
            outcome = read(message, bot, thread=thread, parent=parent)
        else:
            outcome = edited(message, bot, thread=thread, parent=parent, now=time.time())
        if isinstance(outcome, Prompt):
            await self._commit(outcome)
        elif isinstance(outcome, Edited):
            known = await _stored(self._edits.amend, outcome.identity, outcome.text)
            if outcome.asked and not known:
                await self._commit(outcome.asked)
        else:
            log.debug("discord.ignored", why=outcome.why)

    async def _take_away(self, name: str, event: Mapping[str, Any]) -> None:
        """What was deleted: messages, a thread, or a channel with its threads."""
        match name:
            case "CHANNEL_DELETE":
                if talks := channel_deleted(event):
                    await _stored(self._edits.withdraw_threads, *talks)
            case "THREAD_DELETE":
                if talk := thread_deleted(event):
                    await _stored(self._edits.withdraw_thread, talk)
            case _:
                for gone in deleted(event):
                    await _stored(self._edits.withdraw, gone)

    def _thread(self, message: Mapping[str, Any]) -> tuple[bool | None, str]:
        """Whether a message was written in a thread, and the channel that is in; None where it
        isn't known.
        """
        channel = message.get("channel_id")
        if not message.get("guild_id") or not is_snowflake(channel):
            return False, ""
        return self._session.thread(channel)

    def _unlisted(self, name: str, message: Mapping[str, Any]) -> Place | None:
        """The place of a message that means something if that is a thread, which isn't known."""
        if "_DELETE" in name or self._thread(message)[0] is not None:
            return None
        meant = read(message, self._session.bot, thread=True)
        if isinstance(meant, Ignored) or (meant.follow_up and name != "MESSAGE_CREATE"):
            return None
        return Place(message["channel_id"], str(message["guild_id"]), thread=False, listed=False)

    async def _look_up(self, place: Place) -> None:
        """Learn what a place is, for a while; then take what waited for that."""
        try:
            async with asyncio.timeout(HELD):
                self._session.learn(await looked_up(self._api, place, HELD))
        except (DeliveryError, TimeoutError) as error:
            reason = str(error) or "Discord didn't say in time"
            log.warning("discord.place_unknown", channel=place.channel, reason=reason)
        await self._held.open([place.channel])

    async def _commit(self, prompt: Prompt) -> None:
        """Store a prompt."""
        new = await _stored(self._intake.accept, prompt)
        log.info("discord.prompt", identity=prompt.identity, new=new, late=prompt.late)


async def _stored(write: Callable[[*Ts], Awaitable[T]], *what: *Ts) -> T | None:
    """Store it, however long the store takes: Discord doesn't bring it again."""
    for pause in pauses():
        try:
            return await write(*what)
        except StoreError as error:
            log.error("discord.not_accepted", again_in=pause, reason=str(error))
            await asyncio.sleep(pause)
    return None
