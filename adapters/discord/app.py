"""Discord as a platform: who we are there, what comes in, and a thread to answer in."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import aiohttp
import discord
import structlog

from adapters.discord import calls, commands
from adapters.discord.calls import Api
from adapters.discord.connection import CONNECTING, NO_CONTENT, Connection, Ends
from adapters.discord.gateway import WRONG_TOKEN, Closed
from adapters.discord.ids import PLATFORM, Bot, keys_near
from adapters.discord.incoming import pauses
from adapters.discord.intake import Edits, Intake
from adapters.discord.invite import invitation
from adapters.discord.posts import Posts
from adapters.discord.quiet import quiet
from adapters.discord.refusals import TOKEN_ADVICE, Refused
from adapters.discord.session import Account
from adapters.discord.shards import LEASE, Shards
from adapters.discord.starts import Starts
from adapters.discord.thread import DiscordThread
from core.budget import Budget
from core.errors import ConfigurationError, DeliveryError, LockedOut, Undeliverable, Unreachable
from core.proxies import DIRECT, Proxies
from core.seats import Seat, Seats
from core.types import Prompt, ThreadKey

log = structlog.get_logger()

REGISTERING = 10.0
"""Seconds that the start waits for the commands to be registered and for the store."""
STANDBY = "standby"
"""What is said of a process without a shard: it answers, and takes over when another one ends."""
_DOWN = "the gateway is down; reconnecting"
_WRONG_TOKEN = f"DISCORD_BOT_TOKEN: Discord refused it; {TOKEN_ADVICE}"


class DiscordPlatform:
    """One bot in all its servers, over a gateway connection for each shard that is ours.

    intake: commits prompts and answers questions about conversations. edits: told of messages that
    people edit and delete. seats: shares the shards out among the processes. session: shared by
    all calls; stays the caller's to close. api_url: with its version, as `/api/v10`. shards: how
    many there are, 0 for as many as Discord advises. lease: seconds that a shard is held unrenewed.
    budget: shared with other processes of the bot; None without any. proxies: for
    calls and gateway.
    """

    name = PLATFORM

    def __init__(
        self,
        *,
        bot_token: str,
        intake: Intake,
        edits: Edits,
        seats: Seats,
        session: aiohttp.ClientSession,
        api_url: str,
        gateway_url: str,
        shards: int = 0,
        lease: float = LEASE,
        budget: Budget | None = None,
        proxies: Proxies = DIRECT,
    ) -> None:
        quiet()
        # discord.py reads its addresses from here (2.7.1 http.py Route); one bot a process.
        discord.http.Route.BASE = api_url
        self._account = Account(bot_token, gateway_url, proxies=proxies)
        self._intake, self._edits, self._seats = intake, edits, seats
        self._api = Api(bot_token, api_url, session, budget=budget, proxies=proxies)
        self._posts = Posts()
        self._count, self._lease = shards, lease
        self._ends: Ends | None = None
        self._shards: Shards | None = None
        self._running: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self) -> str:
        """Find out who we are, let events in, register the commands; "as Threadseek in 3 servers"
        and the lines that an operator should read then.

        Raises: ConfigurationError when Discord refuses the token, Unreachable. It may be called
        again after an error.
        """
        self._account.refused = None
        shards = self._shards = await self._prepared()
        self._running = asyncio.create_task(self._stay(shards), name="discord")
        settled = asyncio.create_task(shards.settled())
        try:
            done, _ = await asyncio.wait(
                {self._running, settled}, timeout=CONNECTING, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            settled.cancel()
        if self._running in done or settled not in done:
            await self._failed(self._running)
        shards.patient = True
        started = {self._spawn(self._register()), self._spawn(_looked(shards))}
        await asyncio.wait(started, timeout=REGISTERING)
        return self._introduction(shards)

    async def close(self) -> None:
        """Let nothing more in, finish what is being accepted, let others have the shards. Threads
        keep working.
        """
        await _ended(self._running)
        await _ended(*(self._ends.commands if self._ends else ()), *self._tasks)

    def problem(self) -> str:
        """What keeps events from coming in, or answers from going out; empty when nothing does,
        `STANDBY` when they come in elsewhere.
        """
        if self._api.refused:
            return f"off: {self._api.refused}"
        if self._account.refused:
            return f"off: {_refusal(self._account.refused)}"
        if self._shards is None:
            return "not connected"
        shards = self._shards
        if shards.standby:
            return STANDBY
        if shards.connections:
            return "" if all(one.up for one in shards.connections.values()) else _DOWN
        return f"no shard is ours: {shards.trouble}" if shards.trouble else _DOWN

    async def readmitted(self) -> bool:
        """Whether Discord takes the bot token again. Raises: DeliveryError."""
        try:
            await self._api.call(calls.ME, {})
        except LockedOut:
            return False
        return True

    def open(self, prompt: Prompt) -> DiscordThread:
        """The live handle for answering this prompt; makes no call.

        Raises: Unreachable before the first `connect`.
        """
        return DiscordThread(self._api, self._account.bot, prompt, self._spawn, self._posts)

    def place(self, thread: ThreadKey) -> str:
        """Its server: an address of Discord's names no channel, and new threads wait for others."""
        return keys_near(thread)

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

    async def _prepared(self) -> Shards:
        """Who we are, and how many shards there are. Raises: ConfigurationError, Unreachable."""
        try:
            me = (await self._api.call(calls.ME, {})).body
            application = (await self._api.call(calls.APPLICATION, {})).body
            bot = Bot(str(me["id"]), str(application["id"]), str(me.get("username", "")))
            scope = f"{PLATFORM}:{bot.application}"
            starts = Starts(self._api, self._seats, scope)
            count = self._count or await starts.shards()
        except (LockedOut, Closed) as error:
            raise ConfigurationError([_WRONG_TOKEN]) from error
        except Refused as error:
            raise Unreachable(str(error)) from error
        except (TypeError, KeyError) as error:
            raise Unreachable("Discord didn't say who we are") from error
        known = self._account.known
        self._account.known = known or bot
        ends = self._ends = Ends(
            self._account, self._api, self._intake, self._edits, self._posts, starts, self._kept
        )

        def opened(seat: Seat, until: float) -> Connection:
            return Connection(ends, seat, until)

        return Shards(self._seats, starts, scope, count, opened, lease=self._lease)

    async def _stay(self, shards: Shards) -> None:
        """Keep our shards, until Discord won't have us back."""
        try:
            await shards.run()
        except Closed as closed:
            self._account.refused = closed
            if shards.patient:  # else who connects hears of it
                log.error("discord.off", reason=_refusal(closed))
            raise
        except Exception:
            if shards.patient:
                log.exception("discord.off", reason="a mistake of ours: restart, and report it")
            raise

    async def _failed(self, running: asyncio.Task[None]) -> None:
        """The first connection came to nothing. Raises: what `connect` raises."""
        if not running.done():
            await _ended(running)
            raise Unreachable("Discord's gateway didn't become ready in time")
        error = running.exception()
        if isinstance(error, Closed):
            problem = _WRONG_TOKEN if error.code == WRONG_TOKEN else f"DISCORD_BOT_TOKEN: {error}"
            raise ConfigurationError([problem]) from error
        if isinstance(error, Unreachable):
            raise error
        raise Unreachable(f"Discord's gateway can't be reached ({type(error).__name__})") from error

    async def _register(self) -> None:
        """Tell Discord our commands, if it knows other ones."""
        names = {"application": self._account.bot.application}
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

    def _introduction(self, shards: Shards) -> str:
        bot = self._account.bot
        count = sum(len(one.session.places) for one in shards.connections.values())
        where = f"{count} server{'s' if count != 1 else ''}" if count else "no server yet"
        if shards.standby:
            where = f"{STANDBY}: other processes have its shards"
        lines = [f"as {bot.name} in {where}", f"invite it: {invitation(bot.application)}"]
        return "\n".join([*lines, *([] if self._account.content else [NO_CONTENT])])


def _refusal(closed: Closed) -> str:
    return _WRONG_TOKEN if closed.code == WRONG_TOKEN else str(closed)


async def _looked(shards: Shards) -> None:
    """What is asked from now on is not taken for something that was missed."""
    for connection in list(shards.connections.values()):
        await connection.incoming.looked.wait()


async def _ended(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel them and wait for their ends."""
    running = [task for task in tasks if task]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
