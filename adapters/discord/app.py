"""Discord as a platform: who we are there, what comes in, and a thread to answer in."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar, TypeVarTuple

import aiohttp
import discord
import structlog

from adapters.discord import calls, commands, missed
from adapters.discord.answering import Interactions
from adapters.discord.calls import Api
from adapters.discord.events import Edited, Ignored, addresses, deleted, edited, read
from adapters.discord.gateway import INTENTS_REFUSED, WRONG_TOKEN, Closed, Gateway
from adapters.discord.ids import PLATFORM, Bot, is_snowflake
from adapters.discord.intake import Intake
from adapters.discord.invite import invitation
from adapters.discord.missed import Place, places_of
from adapters.discord.posts import Posts
from adapters.discord.quiet import quiet
from adapters.discord.refusals import TOKEN_ADVICE
from adapters.discord.thread import DiscordThread
from core.errors import ConfigurationError, DeliveryError, StoreError, Unreachable
from core.ports import Edits
from core.types import Prompt

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

log = structlog.get_logger()

CONNECTING = 60.0
"""Seconds for the first connection, until Discord has named all servers."""
QUEUE = 10_000
"""Messages that may wait for the store; beyond that new ones are dropped, and logged."""
_AGAIN = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds between tries to commit a prompt
_THREADS = frozenset({10, 11, 12})
_NO_CONTENT = (
    "without the Message Content intent: follow-ups in threads need a mention or a reply "
    "(switch it on under Bot at discord.com/developers/applications)"
)


class DiscordPlatform:
    """One bot in all its servers, over one gateway connection.

    intake: commits prompts and answers questions about conversations. edits: told of messages that
    people edit and delete. session: shared by all calls; stays the caller's to close. api_url: with
    its version, as `/api/v10`.
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
    ) -> None:
        quiet()
        # discord.py reads its addresses from here (2.7.1 http.py Route); one bot a process.
        discord.http.Route.BASE = api_url
        self._token = bot_token
        self._intake = intake
        self._edits = edits
        self._gateway_url = gateway_url
        self._api = Api(bot_token, api_url, session)
        self._bot: Bot | None = None
        self._client: Gateway | None = None
        self._content = True
        self._off = ""
        self._complete = asyncio.Event()  # every server of this session has been named
        self._caught_up = asyncio.Event()  # what was missed has been read back
        self._missing: set[str] = set()
        self._posts = Posts()
        self._places: dict[str, list[Place]] = {}
        self._messages: asyncio.Queue[tuple[str, Mapping[str, Any]]] = asyncio.Queue(QUEUE)
        self._running: asyncio.Task[None] | None = None
        self._catching_up: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self) -> str:
        """Log in, let events in, register the commands; "as Threadseek in 3 servers" and the
        lines that an operator should read then.

        Raises: ConfigurationError when Discord refuses the token, Unreachable. It may be called
        again after an error.
        """
        self._complete.clear()
        client = await self._login()
        self._running = asyncio.create_task(self._stay(client), name="discord")
        ready = asyncio.create_task(self._complete.wait())
        try:
            done, _ = await asyncio.wait(
                {self._running, ready}, timeout=CONNECTING, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            ready.cancel()
        if ready not in done:
            await self._failed(self._running)
        self._spawn(self._take_messages())
        await self._register()
        return self._introduction()

    async def close(self) -> None:
        """Let nothing more in and finish what is being accepted. Threads keep working."""
        tasks = [task for task in (self._running, self._catching_up, *self._tasks) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client:
            await self._client.close()

    def problem(self) -> str:
        """What keeps events from coming in now; empty when nothing does."""
        if self._off or self._client is None:
            return self._off or "not connected"
        return "" if self._client.up else "the gateway is down; reconnecting"

    def open(self, prompt: Prompt) -> DiscordThread:
        """The live handle for answering this prompt; makes no call.

        Raises: Unreachable before the first `connect`.
        """
        return DiscordThread(self._api, self._me(), prompt, self._spawn, self._posts)

    def _me(self) -> Bot:
        if self._bot is None:
            raise Unreachable("not connected to Discord yet")
        return self._bot

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside everything else, until the platform closes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("discord.broken", error=type(error).__name__, exc_info=error)

    # The connection.

    async def _login(self) -> Gateway:
        """A client that Discord knows. Raises: ConfigurationError, Unreachable."""
        if self._client:
            await self._client.close()
        client = Gateway(content=self._content, address=self._gateway_url, on_event=self._on_event)
        try:
            async with asyncio.timeout(CONNECTING):
                await client.login(self._token)
        except discord.LoginFailure as error:
            await client.close()
            raise ConfigurationError([_WRONG_TOKEN]) from error
        except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
            await client.close()
            raise Unreachable(f"Discord can't be reached ({type(error).__name__})") from error
        self._client = client
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
                reason = _WRONG_TOKEN if closed.code == WRONG_TOKEN else str(closed)
                self._off = f"off: {reason}"
                log.error("discord.off", reason=reason)
                raise

    async def _again(self) -> Gateway:
        """Log in once more, however long that takes. Raises: ConfigurationError."""
        while True:
            try:
                return await self._login()
            except Unreachable as error:
                log.warning("discord.not_connected", reason=str(error))
                await asyncio.sleep(_AGAIN[-1])

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

    async def _register(self) -> None:
        """Tell Discord our commands, if it knows other ones."""
        names = {"application": self._me().application}
        try:
            known = (await self._api.call(calls.COMMANDS, names)).body
            if not commands.same(known):
                await self._api.call(calls.SET_COMMANDS, names, list(commands.COMMANDS))
                log.info("discord.commands_registered")
        except DeliveryError as error:
            log.warning("discord.commands_not_registered", reason=str(error))

    def _introduction(self) -> str:
        bot, count = self._me(), len(self._places)
        where = f"{count} server{'s' if count != 1 else ''}" if count else "no server yet"
        lines = [f"as {bot.name} in {where}", f"invite it: {invitation(bot.application)}"]
        return "\n".join([*lines, *([] if self._content else [_NO_CONTENT])])

    # Events, as the gateway brings them.

    def _on_event(self, name: str, data: Any) -> None:
        match name:
            case "READY":
                self._began(data)
            case "GUILD_CREATE":
                self._named(data)
            case "GUILD_DELETE":
                self._places.pop(str(data["id"]), None)
                self._heard_of(str(data["id"]))
            case "MESSAGE_CREATE" | "MESSAGE_UPDATE" if self._ours(data):
                self._posts.heard(data)  # every edit of ours comes back, too
            case "MESSAGE_CREATE" | "MESSAGE_UPDATE" | "MESSAGE_DELETE" | "MESSAGE_DELETE_BULK":
                try:
                    self._messages.put_nowait((name, dict(data)))
                except asyncio.QueueFull:
                    log.error("discord.message_dropped", waiting=QUEUE)
            case "INTERACTION_CREATE":
                interactions = Interactions(self._api, self._me(), self._intake)
                self._spawn(interactions.take(dict(data)))

    def _ours(self, message: Mapping[str, Any]) -> bool:
        return (message.get("author") or {}).get("id") == self._me().user

    def _began(self, data: Mapping[str, Any]) -> None:
        """A new session: nothing that happened before it will be told."""
        user = data["user"]
        application = str((data.get("application") or {}).get("id") or user["id"])
        self._bot = Bot(str(user["id"]), application, str(user.get("username", "")))
        self._places.clear()
        self._missing = {str(guild["id"]) for guild in data.get("guilds") or ()}
        self._complete.clear()
        self._caught_up.clear()
        if self._catching_up:
            self._catching_up.cancel()
        self._catching_up = asyncio.create_task(self._catch_up())
        if not self._missing:
            self._complete.set()

    def _named(self, guild: Mapping[str, Any]) -> None:
        """A server and all that is in it."""
        bot, id_ = self._me(), str(guild["id"])
        ours = frozenset(
            str(role["id"])
            for role in guild.get("roles") or ()
            if str((role.get("tags") or {}).get("bot_id")) == bot.user
        )
        self._bot = Bot(bot.user, bot.application, bot.name, bot.roles | ours)
        joined = guild.get("joined_at")
        since = discord.utils.parse_time(joined).timestamp() if joined else 0.0
        self._places[id_] = list(places_of(guild, since))
        self._heard_of(id_)

    def _heard_of(self, guild: str) -> None:
        self._missing.discard(guild)
        if not self._missing:
            self._complete.set()

    # Messages, in the order in which they came.

    async def _catch_up(self) -> None:
        """Accept what was asked before this session; new messages wait until that is done."""
        try:
            try:
                async with asyncio.timeout(missed.NAMING):
                    await self._complete.wait()
            except TimeoutError:
                self._complete.set()  # a server that is down; its messages come when it is back
            now = time.time()
            recent = await self._intake.recent(now - missed.KNOWN)
            places = [place for known in self._places.values() for place in known]
            async for prompt in missed.read_back(self._api, self._me(), places, recent, now):
                await self._commit(prompt)
        except StoreError as error:
            log.error("discord.not_read_back", reason=str(error))
        finally:
            self._caught_up.set()

    async def _take_messages(self) -> None:
        while True:
            name, message = await self._messages.get()
            await self._caught_up.wait()
            if name.startswith("MESSAGE_DELETE"):
                for gone in deleted(message):
                    await self._stored(self._edits.withdraw, gone)
                continue
            bot, thread = self._me(), await self._is_thread(message)
            if name == "MESSAGE_CREATE":
                await self._take(read(message, bot, thread=thread))
            else:
                await self._take(edited(message, bot, thread=thread, now=time.time()))

    async def _take(self, outcome: Prompt | Edited | Ignored) -> None:
        if isinstance(outcome, Prompt):
            await self._commit(outcome)
        elif isinstance(outcome, Edited):
            known = await self._stored(self._edits.amend, outcome.identity, outcome.text)
            if outcome.asked and not known:
                await self._commit(outcome.asked)
        else:
            log.debug("discord.ignored", why=outcome.why)

    async def _is_thread(self, message: Mapping[str, Any]) -> bool | None:
        """Whether a message was written in a thread; None where it need not be known."""
        channel = message.get("channel_id")
        if not message.get("guild_id") or not is_snowflake(channel) or self._client is None:
            return None
        known = self._client.get_channel(int(channel))
        if known is not None:
            return isinstance(known, discord.Thread)
        if not addresses(message, self._me()):
            return None
        try:
            found = (await self._api.call(calls.CHANNEL, {"channel": channel})).body
        except DeliveryError:
            return None
        return isinstance(found, Mapping) and found.get("type") in _THREADS

    async def _commit(self, prompt: Prompt) -> None:
        """Store a prompt."""
        new = await self._stored(self._intake.accept, prompt)
        log.info("discord.prompt", identity=prompt.identity, new=new, late=prompt.late)

    async def _stored(self, write: Callable[[*Ts], Awaitable[T]], *what: *Ts) -> T | None:
        """Store it, however long the store takes: Discord doesn't bring it again."""
        for pause in (*_AGAIN, *[_AGAIN[-1]] * QUEUE):
            try:
                return await write(*what)
            except StoreError as error:
                log.error("discord.not_accepted", again_in=pause, reason=str(error))
                await asyncio.sleep(pause)
        return None


_WRONG_TOKEN = f"DISCORD_BOT_TOKEN: Discord refused it; {TOKEN_ADVICE}"
