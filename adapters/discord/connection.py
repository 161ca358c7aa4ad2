"""One shard, from the moment its seat is ours: the gateway, the session, messages on their way."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import discord
import structlog

from adapters.discord.answering import Interactions
from adapters.discord.calls import Api
from adapters.discord.gateway import INTENTS_REFUSED, WRONG_TOKEN, Closed, Gateway
from adapters.discord.incoming import Incoming, pauses
from adapters.discord.intake import Edits, Intake
from adapters.discord.posts import Posts
from adapters.discord.session import Account, Session
from adapters.discord.starts import Starts
from core.errors import Unreachable
from core.seats import Seat

log = structlog.get_logger()

CONNECTING = 60.0
"""Seconds for the first connection, until Discord has named all servers."""
ACCEPTING = 3.0
"""Seconds in which what has come in may still be stored at the end."""
NO_CONTENT = (
    "without the Message Content intent: follow-ups in threads need a mention or a reply "
    "(switch it on under Bot at discord.com/developers/applications)"
)


@dataclass(slots=True)
class Ends:
    """What every shard's events lead to. commands: those that are being taken; they outlive the
    connection that brought them.
    """

    account: Account
    api: Api
    intake: Intake
    edits: Edits
    posts: Posts
    starts: Starts
    keep: Callable[[Coroutine[Any, Any, None], set[asyncio.Task[None]]], asyncio.Task[None]]
    commands: set[asyncio.Task[None]] = field(default_factory=set)


class Connection:
    """The shard of one seat. until: the loop's time at which the seat may be another's.

    Nothing that Discord says after that is taken, whatever the socket still brings.
    """

    def __init__(self, ends: Ends, seat: Seat, until: float) -> None:
        self.until = until
        self.session = Session(ends.account, seat)
        self.incoming = Incoming(ends.api, ends.intake, ends.edits, self.session)
        self._ends = ends
        self._seat = seat
        self._clock = asyncio.get_running_loop().time
        self._limit: asyncio.Timeout | None = None
        self._commands: set[asyncio.Task[None]] = set()

    @property
    def up(self) -> bool:
        """Whether events come in."""
        return self.session.client is not None and self.session.client.up

    def extend(self, until: float) -> None:
        """The seat was renewed."""
        self.until = until
        if self._limit and not self._limit.expired():
            self._limit.reschedule(until)  # an end that has come stands

    async def run(self) -> None:
        """Stay connected until the seat's lease is over.

        Raises: Closed and ConfigurationError when Discord won't have us back; whatever went wrong
        before the first session.
        """
        taking = self._ends.keep(self.incoming.run(), set())
        try:
            async with asyncio.timeout_at(self.until) as limit:
                self._limit = limit
                try:
                    await self._stay(await self._login())
                finally:
                    self._limit = None
        except Closed as closed:
            if not closed.too_few:
                self._ends.account.refused = closed
            raise
        except TimeoutError:
            if not limit.expired():
                raise
            log.error("discord.seat_lost", shard=self._seat.number, of=self._seat.size)
        finally:
            await self._end(taking)

    async def _end(self, taking: asyncio.Task[None]) -> None:
        """Finish what has come in: it was ours."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ACCEPTING):
                await self.incoming.taken()
                await asyncio.gather(*self._commands, return_exceptions=True)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await self.incoming.close()
        if self.session.client:
            await self.session.client.close()

    async def _login(self) -> Gateway:
        """A client that Discord knows. Raises: Closed, Unreachable."""
        account, seat, session = self._ends.account, self._seat, self.session
        if session.client:
            await session.client.close()
        client = Gateway(
            content=account.content,
            address=account.gateway_url,
            on_event=self.on_event,
            before=session.client,
            shard=(seat.number, seat.size),
            start=lambda: self._ends.starts.turn(seat.number),
            proxies=account.proxies,
        )
        try:
            async with asyncio.timeout(CONNECTING):
                await client.login(account.token)
            session.client = client
        except discord.LoginFailure as error:
            raise Closed(WRONG_TOKEN) from error
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
            if told := account.proxies.trouble(discord.http.Route.BASE, error):
                raise told from None
            raise Unreachable(f"Discord can't be reached ({type(error).__name__})") from error
        except (TypeError, LookupError, ValueError) as error:  # discord.py takes it as it comes
            what = f"what Discord answered at the login can't be read ({type(error).__name__})"
            raise Unreachable(f"{what}: is there a proxy in between that changes it?") from error
        finally:
            if session.client is not client:
                await client.close()
        return client

    async def _stay(self, client: Gateway) -> None:
        """Stay connected; without the message content intent where it is refused."""
        while True:
            try:
                await client.stay()
            except Closed as closed:
                if closed.code != INTENTS_REFUSED or not client.content:
                    raise
                if self._ends.account.content:
                    self._ends.account.content = False
                    log.warning("discord.no_message_content", fix=NO_CONTENT)
                client = await self._again()

    async def _again(self) -> Gateway:
        """Log in once more, however long that takes. Raises: Closed."""
        for pause in pauses():
            try:
                return await self._login()
            except Unreachable as error:
                log.warning("discord.not_connected", reason=str(error), again_in=pause)
                await asyncio.sleep(pause)
        raise Unreachable("Discord can't be reached")

    # Events, as the gateway brings them.

    def on_event(self, name: str, data: Any) -> None:
        """One event, unless the seat may be another's by now."""
        if self._clock() >= self.until:
            return  # we were paused in the middle of it
        match name:
            case "READY":
                self.session.begin(data)
                self.incoming.begin()
            case "GUILD_CREATE" | "GUILD_DELETE":
                self._on_server(name, data)
            case "MESSAGE_CREATE" | "MESSAGE_UPDATE" if self._ours(data):
                self._ends.posts.heard(data)  # every edit of ours comes back, too
            case "MESSAGE_CREATE" | "MESSAGE_UPDATE":
                self.incoming.add(name, data)
            case "MESSAGE_DELETE" | "MESSAGE_DELETE_BULK" | "THREAD_DELETE" | "CHANNEL_DELETE":
                self.incoming.add(name, data)
            case "INTERACTION_CREATE":
                ends = self._ends
                interactions = Interactions(ends.api, self.session.bot, ends.intake)
                task = ends.keep(interactions.take(dict(data)), ends.commands)
                self._commands.add(task)
                task.add_done_callback(self._commands.discard)

    def _on_server(self, name: str, guild: Mapping[str, Any]) -> None:
        """A server has come, is down, or we are in it no longer."""
        id_, down = str(guild["id"]), bool(guild.get("unavailable"))
        if name == "GUILD_CREATE" and not down:
            if self.session.named(guild):
                self.incoming.named(id_)
        elif self.session.left(id_, down=down):
            self.incoming.down(id_)

    def _ours(self, message: Mapping[str, Any]) -> bool:
        return (message.get("author") or {}).get("id") == self.session.bot.user
