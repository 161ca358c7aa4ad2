"""Discord as a platform: who we are there, what comes in, and a thread to answer in."""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from typing import Any

import aiohttp
import discord
import structlog

from adapters.discord import calls, commands
from adapters.discord.answering import Interactions
from adapters.discord.calls import Api
from adapters.discord.gateway import INTENTS_REFUSED, WRONG_TOKEN, Closed, Gateway
from adapters.discord.ids import PLATFORM
from adapters.discord.incoming import Incoming, pauses
from adapters.discord.intake import Intake
from adapters.discord.invite import invitation
from adapters.discord.posts import Posts
from adapters.discord.quiet import quiet
from adapters.discord.refusals import TOKEN_ADVICE
from adapters.discord.session import Session
from adapters.discord.thread import DiscordThread
from core.errors import ConfigurationError, DeliveryError, Undeliverable, Unreachable
from core.ports import Budget, Edits
from core.types import Prompt

log = structlog.get_logger()

CONNECTING = 60.0
"""Seconds for the first connection, until Discord has named all servers."""
REGISTERING = 10.0
"""Seconds that the start waits for the commands to be registered and for the store."""
ACCEPTING = 3.0
"""Seconds in which what has come in may still be stored at the end."""
_NO_CONTENT = (
    "without the Message Content intent: follow-ups in threads need a mention or a reply "
    "(switch it on under Bot at discord.com/developers/applications)"
)


class DiscordPlatform:
    """One bot in all its servers, over one gateway connection.

    intake: commits prompts and answers questions about conversations. edits: told of messages that
    people edit and delete. session: shared by all calls; stays the caller's to close. api_url: with
    its version, as `/api/v10`. budget: shared with other processes of the bot; None without any.
    """

    name = PLATFORM

    def __init__(
        self,
        *,
        bot_token: str,
        intake: Intake,
        edits: Edits,
        session: aiohttp.ClientSession,
        api_url: str,
        gateway_url: str,
        budget: Budget | None = None,
    ) -> None:
        quiet()
        # discord.py reads its addresses from here (2.7.1 http.py Route); one bot a process.
        discord.http.Route.BASE = api_url
        self._token = bot_token
        self._intake = intake
        self._gateway_url = gateway_url
        self._api = Api(bot_token, api_url, session, budget=budget)
        self._session = Session()
        self._incoming = Incoming(self._api, intake, edits, self._session)
        self._posts = Posts()
        self._content = True
        self._off = ""
        self._running: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._commands: set[asyncio.Task[None]] = set()

    async def connect(self) -> str:
        """Log in, let events in, register the commands; "as Threadseek in 3 servers" and the
        lines that an operator should read then.

        Raises: ConfigurationError when Discord refuses the token, Unreachable. It may be called
        again after an error.
        """
        self._session.complete.clear()
        client = await self._login()
        self._running = asyncio.create_task(self._stay(client), name="discord")
        ready = asyncio.create_task(self._session.complete.wait())
        try:
            done, _ = await asyncio.wait(
                {self._running, ready}, timeout=CONNECTING, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ready.cancel()
        if ready not in done:
            await self._failed(self._running)
        self._spawn(self._incoming.run())
        started = {self._spawn(self._register()), self._spawn(self._looked())}
        await asyncio.wait(started, timeout=REGISTERING)
        return self._introduction()

    async def close(self) -> None:
        """Let nothing more in and finish what is being accepted. Threads keep working."""
        await _ended(self._running)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ACCEPTING):
                await self._incoming.taken()
                await asyncio.gather(*self._commands)
        await _ended(*self._commands, *self._tasks)
        await self._incoming.close()
        if self._session.client:
            await self._session.client.close()

    def problem(self) -> str:
        """What keeps events from coming in now; empty when nothing does."""
        if self._off or self._session.client is None:
            return self._off or "not connected"
        return "" if self._session.client.up else "the gateway is down; reconnecting"

    def open(self, prompt: Prompt) -> DiscordThread:
        """The live handle for answering this prompt; makes no call.

        Raises: Unreachable before the first `connect`.
        """
        return DiscordThread(self._api, self._session.bot, prompt, self._spawn, self._posts)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside everything else, until the platform closes."""
        return self._kept(work, self._tasks)

    def _kept(
        self, work: Coroutine[Any, Any, None], among: set[asyncio.Task[None]]
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)
        task.add_done_callback(self._told)
        return task

    def _told(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            log.error("discord.broken", error=type(error).__name__, exc_info=error)

    # The connection.

    async def _login(self) -> Gateway:
        """A client that Discord knows. Raises: ConfigurationError, Unreachable."""
        if self._session.client:
            await self._session.client.close()
        client = Gateway(
            content=self._content,
            address=self._gateway_url,
            on_event=self._on_event,
            before=self._session.client,
        )
        try:
            async with asyncio.timeout(CONNECTING):
                await client.login(self._token)
        except discord.LoginFailure as error:
            await client.close()
            raise ConfigurationError([_WRONG_TOKEN]) from error
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
            await client.close()
            raise Unreachable(f"Discord can't be reached ({type(error).__name__})") from error
        self._session.client = client
        return client

    async def _stay(self, client: Gateway) -> None:
        """Stay connected; without the message content intent where it is refused."""
        while True:
            try:
                await client.stay()
            except Closed as closed:
                if closed.code == INTENTS_REFUSED and self._content:
                    self._content = False
                    log.warning("discord.no_message_content", fix=_NO_CONTENT)
                    client = await self._again()
                    continue
                self._end(_WRONG_TOKEN if closed.code == WRONG_TOKEN else str(closed))
                raise

    def _end(self, reason: str) -> None:
        """Nothing will come in any more."""
        self._off = f"off: {reason}"
        log.error("discord.off", reason=reason)

    async def _again(self) -> Gateway:
        """Log in once more, however long that takes. Raises: ConfigurationError."""
        for pause in pauses():
            try:
                return await self._login()
            except ConfigurationError:
                self._end(_WRONG_TOKEN)
                raise
            except Unreachable as error:
                log.warning("discord.not_connected", reason=str(error), again_in=pause)
                await asyncio.sleep(pause)
        raise Unreachable("Discord can't be reached")

    async def _failed(self, running: asyncio.Task[None]) -> None:
        """The first connection came to nothing. Raises: what `connect` raises."""
        if not running.done():
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            raise Unreachable("Discord's gateway didn't become ready in time")
        error = running.exception()
        if isinstance(error, Closed):
            problem = _WRONG_TOKEN if error.code == WRONG_TOKEN else f"DISCORD_BOT_TOKEN: {error}"
            raise ConfigurationError([problem]) from error
        if isinstance(error, ConfigurationError):
            raise error
        raise Unreachable(f"Discord's gateway can't be reached ({type(error).__name__})") from error

    async def _looked(self) -> None:
        """What is asked from now on is not taken for something that was missed."""
        await self._incoming.looked.wait()

    async def _register(self) -> None:
        """Tell Discord our commands, if it knows other ones."""
        names = {"application": self._session.bot.application}
        for pause in pauses():
            try:
                known = (await self._api.call(calls.COMMANDS, names)).body
                if not commands.same(known):
                    await self._api.call(calls.SET_COMMANDS, names, list(commands.COMMANDS))
                    log.info("discord.commands_registered")
                return
            except DeliveryError as error:
                log.warning("discord.commands_not_registered", reason=str(error))
                if isinstance(error, Undeliverable):
                    return
                await asyncio.sleep(pause)

    def _introduction(self) -> str:
        bot, count = self._session.bot, len(self._session.places)
        where = f"{count} server{'s' if count != 1 else ''}" if count else "no server yet"
        lines = [f"as {bot.name} in {where}", f"invite it: {invitation(bot.application)}"]
        return "\n".join([*lines, *([] if self._content else [_NO_CONTENT])])

    # Events, as the gateway brings them.

    def _on_event(self, name: str, data: Any) -> None:
        match name:
            case "READY":
                self._session.begin(data)
                self._incoming.begin()
            case "GUILD_CREATE":
                self._session.named(data)
            case "GUILD_DELETE":
                self._session.left(str(data["id"]))
            case "MESSAGE_CREATE" | "MESSAGE_UPDATE" if self._ours(data):
                self._posts.heard(data)  # every edit of ours comes back, too
            case "MESSAGE_CREATE" | "MESSAGE_UPDATE" | "MESSAGE_DELETE" | "MESSAGE_DELETE_BULK":
                self._incoming.add(name, data)
            case "INTERACTION_CREATE":
                interactions = Interactions(self._api, self._session.bot, self._intake)
                self._kept(interactions.take(dict(data)), self._commands)

    def _ours(self, message: Mapping[str, Any]) -> bool:
        return (message.get("author") or {}).get("id") == self._session.bot.user


async def _ended(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel them and wait for their ends."""
    running = [task for task in tasks if task]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


_WRONG_TOKEN = f"DISCORD_BOT_TOKEN: Discord refused it; {TOKEN_ADVICE}"
