"""When a new session may be begun: Discord counts those of all processes of a bot together.

docs.discord.com/developers/topics/gateway#session-start-limit-object: `max_concurrency` buckets by
the shard's number, one identify in five seconds each; so many a day, after which Discord ends every
session and resets the token.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from itertools import count
from typing import Any

import structlog

from adapters.discord import calls
from adapters.discord.calls import Api
from adapters.discord.gateway import IDENTIFY_EVERY, WRONG_TOKEN, Begun, Closed
from core.errors import LockedOut, RateLimited, StoreError, Unreachable
from core.seats import Seats

log = structlog.get_logger()

OPENING = 15.0
"""Seconds for which the others wait while a session is being opened."""
ASKING = 0.25
"""Seconds between two looks whether it is our turn."""
EXHAUSTED = 60.0
"""Seconds, at most, between two looks whether Discord allows new sessions again."""

_tickets = count()  # of this process: whoever tries again is another one


class Starts:
    """The starts of one bot. scope: whose seats, as in `core.seats.Seats`."""

    def __init__(self, api: Api, seats: Seats, scope: str) -> None:
        self._api = api
        self._seats = seats
        self._scope = scope

    async def shards(self) -> int:
        """How many shards Discord wants the bot to have. Raises: Closed, DeliveryError."""
        wanted = (await self._gateway()).get("shards")
        return wanted if isinstance(wanted, int) and wanted > 0 else 1

    @contextlib.asynccontextmanager
    async def turn(self, shard: int) -> AsyncIterator[Begun]:
        """Wait for the turn of a shard; within, nobody else of its bucket begins a session.

        Raises: Closed when the token is refused, DeliveryError, StoreError.
        """
        bucket = f"start {shard % await self._buckets()}"
        ticket = f"{shard}.{next(_tickets)}"
        begun = free = False
        while not free:
            free = await self._seats.reserve(self._scope, bucket, ticket, OPENING)
            await asyncio.sleep(0 if free else ASKING)

        async def begin() -> None:
            nonlocal begun
            begun = await self._seats.reserve(self._scope, bucket, ticket, IDENTIFY_EVERY)
            if not begun:
                raise Unreachable("the gateway took too long; another session is being begun")

        try:
            yield begin
        finally:
            if not begun:
                with contextlib.suppress(StoreError):  # it ends by itself
                    await self._seats.reserve(self._scope, bucket, ticket, 0)

    async def _buckets(self) -> int:
        """How many sessions may be begun at once; waits until one may be begun at all."""
        while True:
            limit = (await self._gateway()).get("session_start_limit")
            told = limit if isinstance(limit, Mapping) else {}
            if told.get("remaining", 1) > 0:
                return max(1, int(told.get("max_concurrency", 1)))
            pause = min(EXHAUSTED, told.get("reset_after", 0) / 1000 + 1)
            log.error("discord.no_sessions_left", again_in=round(pause, 1))
            await asyncio.sleep(pause)

    async def _gateway(self) -> Mapping[str, Any]:
        """GET /gateway/bot, however often Discord says to wait."""
        while True:
            try:
                body = (await self._api.call(calls.GATEWAY, {})).body
            except RateLimited as error:
                await asyncio.sleep(max(error.retry_after, 0.1))
            except LockedOut as error:
                raise Closed(WRONG_TOKEN) from error
            else:
                return body if isinstance(body, Mapping) else {}
