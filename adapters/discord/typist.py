"""The sign that we are typing, where an answer will come."""

import asyncio

import structlog

from adapters.discord import calls
from adapters.discord.calls import Api
from adapters.discord.opening import Opening, Spawn
from core.errors import DeliveryError, LockedOut, RateLimited, Undeliverable

log = structlog.get_logger()

TYPING = 9.0
"""Seconds between two signs of typing; Discord shows one for ten."""
LEAST = 0.5
"""Seconds between two tries to open a thread that Discord won't have opened yet, at least."""
TYPING_MOST = 65.0
"""Seconds for which one status types; the engine repeats its status every minute."""


class Typist:
    """Types until the answer comes. spawn: runs what goes on beside the calls."""

    def __init__(self, api: Api, opening: Opening, spawn: Spawn) -> None:
        self._api = api
        self._opening = opening
        self._spawn = spawn
        self._typing: asyncio.Task[None] | None = None
        self._until = 0.0

    def start(self) -> None:
        """Type, for as long as one status may last."""
        self._until = asyncio.get_running_loop().time() + TYPING_MOST
        if self._typing is None or self._typing.done():
            self._typing = self._spawn(self._type())

    def stop(self) -> None:
        """Stop; a thread that is just being opened is waited for, not asked for twice."""
        self._until = 0.0
        if self._typing and not self._opening.under_way:
            self._typing.cancel()
            self._typing = None

    async def _type(self) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < self._until:
            pause = TYPING
            try:
                try:
                    place = await self._opening.place()
                except RateLimited as error:  # where it was asked, until the thread is there
                    place, pause = self._opening.channel, min(pause, error.retry_after)
                if loop.time() < self._until:
                    await self._api.call(calls.TYPING, {"channel": place})
            except (Undeliverable, LockedOut) as error:
                log.info("discord.not_typing", reason=str(error))
                return
            except DeliveryError as error:
                log.debug("discord.not_typing", reason=str(error))
            await asyncio.sleep(max(pause, LEAST))
