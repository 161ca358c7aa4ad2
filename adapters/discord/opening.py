"""The thread in which a conversation that began in a channel goes on: opened once, if it can be."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog

from adapters.discord import calls, refusals
from adapters.discord.calls import Api
from adapters.discord.events import thread_name
from adapters.discord.ids import QUESTION, Address
from adapters.discord.reading import patiently
from adapters.discord.refusals import Refused
from core.errors import DeliveryError, PartGone, RateLimited, Undeliverable, Unreachable
from core.types import Prompt

log = structlog.get_logger()

LATER = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Seconds between the tries to open the thread of an answer that is shown; more where Discord says
so, up to PATIENCE in all."""
PATIENCE = 150.0

SOON = 10.0
"""Seconds that a question waits at most for Discord to take new threads; it is answered in the
channel where that takes longer."""

_NAME = frozenset({20031, refusals.INVALID_FORM, 200001})
"""What a thread is refused with whose name has words that the server, or Server Discovery, forbids:
the name is all that is sent with it."""

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Opening:
    """Where one answer goes: its thread, opened on the question or on a command's answer, or the
    channel. Raises what `core.ports.Thread` says.

    spawn: runs what goes on beside the calls. known: whether there is a thread; None while that
    isn't known.
    """

    def __init__(self, api: Api, at: Address, prompt: Prompt, spawn: Spawn) -> None:
        self._api = api
        self._spawn = spawn
        self._at = at
        named = at.opens == QUESTION
        self._name = thread_name(prompt.text, prompt.author) if named else at.opens
        self._on = at.answer or at.message
        self._lock = asyncio.Lock()
        self._told = False
        self._beside = False  # new messages go into the channel, thread or not
        self.known: bool | None = None if at.opens else False

    @property
    def under_way(self) -> bool:
        """Whether the thread is being opened right now."""
        return self._lock.locked()

    @property
    def channel(self) -> str:
        """Where the question was asked."""
        return self._at.channel

    @property
    def expected(self) -> str:
        """Where new messages go, unless no thread can be opened there."""
        return self._on if self._at.opens else self._at.channel

    def settle(self, place: str) -> None:
        """A former process has posted the answer to a question there, and so opened its thread, or
        couldn't.
        """
        if self.known is None and self._at.message and place in (self.expected, self.channel):
            self.known = place == self.expected

    async def place(self) -> str:
        """Where new messages go; opens the thread if there is to be one.

        An answer to a command may get its thread even where it goes on in the channel.
        """
        if self._beside:
            return self._at.channel
        try:
            return self.expected if await self._open() else self._at.channel
        except RateLimited as error:
            if not self._takes_long():
                self._tell(error)
                raise
            if self._at.answer:
                self._tell(error)
            elif self.known is None:
                self.known = False
                log.warning("discord.no_thread", code=0, reason=f"new threads are {error}")
            self._beside = True
            return self._at.channel

    def _takes_long(self) -> bool:
        """Whether new threads, and not all calls, have to wait for too long."""
        left = self._api.left(calls.OPEN_THREAD, {"channel": self._at.channel})
        return left is not None and left.calls == 0 and left.seconds > SOON

    async def on_answer(self) -> None:
        """Open the thread in which a conversation begun by a command goes on.

        The text is shown whether that works or not; it is tried again after the next text.
        """
        if self._at.answer:
            await self._tried()

    async def concluded(self) -> None:
        """The same where no text comes any more: it is tried again for a while, beside the rest."""
        if self._at.answer and (error := await self._tried()):
            self._spawn(self._later(error))

    async def _tried(self) -> RateLimited | Unreachable | None:
        """Try to open it; what may be over soon."""
        try:
            await self._open()
        except DeliveryError as error:
            self._tell(error)
            return error if isinstance(error, RateLimited | Unreachable) else None
        return None

    def _tell(self, error: DeliveryError) -> None:
        """Tell the operator, once an answer, that there is no thread yet."""
        if not self._told:
            log.info("discord.thread_later", reason=str(error))
        self._told = True

    async def _later(self, error: RateLimited | Unreachable) -> None:
        """Try it again after this error, until that takes too long."""
        clock = asyncio.get_running_loop().time
        end = clock() + PATIENCE
        for pause in LATER:
            if clock() + error.retry_after > end:
                break
            await asyncio.sleep(max(pause, error.retry_after))
            if (again := await self._tried()) is None:
                return
            error = again
        log.warning("discord.no_thread", code=0, reason=str(error))

    async def likely(self) -> bool:
        """Whether there may be a thread to look in, as far as the question tells."""
        if self.known is not None or not self._at.message:
            return self.known is not False
        names = {"channel": self._at.channel, "message": self._at.message}
        try:
            question = (await patiently(self._api, calls.READ_ONE, names, {})).body
        except PartGone:
            return True  # a thread outlives the message that it was opened on
        return not isinstance(question, Mapping) or "thread" in question

    async def _open(self) -> bool:
        """Open the thread, once; whether there is one."""
        async with self._lock:
            if self.known is None:
                self.known = await self._opens()
            return self.known

    async def _opens(self) -> bool:
        names = {"channel": self._at.channel, "message": self._on}
        try:
            try:
                await self._api.call(calls.OPEN_THREAD, names, {"name": self._name})
            except Refused as refused:
                if refused.code not in _NAME:
                    raise
                await self._api.call(calls.OPEN_THREAD, names, {"name": thread_name("", "")})
        except PartGone as gone:
            if self._at.answer:
                raise
            raise Undeliverable("the question was deleted before it was answered") from gone
        except Refused as refused:
            if refused.code == refusals.UNKNOWN_CHANNEL:
                raise
            if refused.code != refusals.THREAD_EXISTS:
                log.warning("discord.no_thread", code=refused.code, reason=str(refused))
                return False
        return True
