"""Messages on their way to the store: in the order in which they came, after what was missed.

Discord doesn't bring a message again, so each is kept until the store has it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, TypeVarTuple

import structlog

from adapters.discord import calls, missed
from adapters.discord.calls import Api
from adapters.discord.events import (
    Edited,
    Ignored,
    addresses,
    deleted,
    edited,
    read,
    thread_deleted,
)
from adapters.discord.ids import is_snowflake
from adapters.discord.intake import Intake
from adapters.discord.session import Session
from core.errors import DeliveryError, StoreError
from core.ports import Edits, Recent
from core.types import Prompt

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

log = structlog.get_logger()

QUEUE = 10_000
"""Messages that may wait for the store; beyond that new ones are dropped, and logged."""
_AGAIN = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_THREADS = (10, 11, 12)


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
        self._waiting: asyncio.Queue[tuple[str, Mapping[str, Any]]] = asyncio.Queue(QUEUE)
        self.looked = asyncio.Event()
        self._caught_up = asyncio.Event()  # what was missed has been read back
        self._catching_up: asyncio.Task[None] | None = None
        self._first: float | None = None  # when the first session began

    def add(self, name: str, message: Mapping[str, Any]) -> None:
        """One more event about a message, as the gateway brings it."""
        try:
            self._waiting.put_nowait((name, dict(message)))
        except asyncio.QueueFull:
            log.error("discord.message_dropped", waiting=QUEUE)

    def begin(self) -> None:
        """A new session has begun: what was missed comes first."""
        self._first = self._first or time.monotonic()
        self._caught_up.clear()
        if self._catching_up:
            self._catching_up.cancel()
        self._catching_up = asyncio.create_task(self._catch_up())

    async def run(self) -> None:
        """Take one message after the other, until cancelled."""
        while True:
            name, message = await self._waiting.get()
            try:
                await self._caught_up.wait()
                await self._take(name, message)
            except Exception as error:  # noqa: BLE001 - the next message is not to suffer
                log.error("discord.broken", error=type(error).__name__)
            finally:
                self._waiting.task_done()

    async def taken(self) -> None:
        """Wait until everything that came is stored."""
        await self._waiting.join()

    async def close(self) -> None:
        """Read nothing more back."""
        if self._catching_up:
            self._catching_up.cancel()
            await asyncio.gather(self._catching_up, return_exceptions=True)

    async def _catch_up(self) -> None:
        """Accept what was asked before this session; new messages wait until that is done."""
        try:
            # Before anything of the new session is stored, which needs no reading back.
            recent = await self._recent(time.time() - missed.KNOWN)
            self.looked.set()
            await self._all_named()
            await self._read_back(recent)
        except Exception as error:
            log.error("discord.broken", error=type(error).__name__, exc_info=error)
        self._caught_up.set()  # not when cancelled: the next session reads back then

    async def _all_named(self) -> None:
        try:
            async with asyncio.timeout(missed.NAMING):
                await self._session.complete.wait()
        except TimeoutError:
            self._session.complete.set()  # a server is down; its messages come when it is back

    async def _read_back(self, recent: Sequence[Recent]) -> None:
        now, session = time.time(), self._session
        places = [place for known in session.places.values() for place in known]
        age = time.monotonic() - (self._first or 0.0)
        reading = missed.Reading(self._api, session.bot, session.readable, age)
        here = [known for known in recent if session.concerns(known.thread)]
        async for prompt in reading.prompts(places, here, now, recent):
            await self._commit(prompt)

    async def _recent(self, since: float) -> Sequence[Recent]:
        """What was talked in lately, however long the store takes: the rest waits for it, too."""
        for pause in pauses():
            try:
                return await self._intake.recent(since)
            except StoreError as error:
                log.error("discord.not_read_back", again_in=pause, reason=str(error))
                await asyncio.sleep(pause)
        return ()

    async def _take(self, name: str, message: Mapping[str, Any]) -> None:
        if name == "THREAD_DELETE":
            if talk := thread_deleted(message):
                await _stored(self._edits.withdraw_thread, talk)
            return
        if name.startswith("MESSAGE_DELETE"):
            for gone in deleted(message):
                await _stored(self._edits.withdraw, gone)
            return
        bot, thread = self._session.bot, await self._is_thread(message)
        outcome: Prompt | Edited | Ignored
        if name == "MESSAGE_CREATE":
            outcome = read(message, bot, thread=thread)
        else:
            outcome = edited(message, bot, thread=thread, now=time.time())
        if isinstance(outcome, Prompt):
            await self._commit(outcome)
        elif isinstance(outcome, Edited):
            known = await _stored(self._edits.amend, outcome.identity, outcome.text)
            if outcome.asked and not known:
                await self._commit(outcome.asked)
        else:
            log.debug("discord.ignored", why=outcome.why)

    async def _is_thread(self, message: Mapping[str, Any]) -> bool | None:
        """Whether a message was written in a thread; None where it need not be known."""
        channel = message.get("channel_id")
        if not message.get("guild_id") or not is_snowflake(channel):
            return None
        known = self._session.is_thread(channel)
        if known is not None or not addresses(message, self._session.bot):
            return known
        try:
            found = (await self._api.call(calls.CHANNEL, {"channel": channel})).body
        except DeliveryError:
            return None
        return isinstance(found, Mapping) and found.get("type") in _THREADS

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
