"""Settings -> a running service, as async context managers. The only place that joins parts.

What only some configurations need is imported where they need it: a platform's SDK costs tens of
MiB, and a fifth of a second at the start.
"""

import asyncio
import os
import random
import secrets
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp
import structlog

from adapters.web.app import WebPlatform
from bots.connecting import Say, connected
from bots.retention import erased_after
from bots.server import Health, serve
from bots.settings import Loaded, Settings
from bots.vitals import spared, watched
from core.budget import Budget
from core.deepseek.client import DeepSeek, Options
from core.delivery.sharing import OwnBudget
from core.ports import Completions, Recent, Threads
from core.proxies import Proxies
from core.store.budgets import SharedBudget
from core.store.opening import Transactions, open_database
from core.store.sql import SqlHistory, SqlSeats, SqlTurns
from core.turns import metrics
from core.turns.engine import Engine
from core.turns.means import Means, Policy
from core.turns.window import Room
from core.types import Prompt, ThreadKey

if TYPE_CHECKING:
    from adapters.discord.app import DiscordPlatform
    from adapters.slack.app import SlackPlatform

log = structlog.get_logger()

ALONE = 3_600.0
"""Seconds that a seat is held where no other process can want it."""

_TERMINAL_LEASE = 10.0  # seconds: a terminal that died doesn't keep the next one waiting long
_BESIDE = 96  # turns that wait for the API, or are shown and settled, beside those that ask it
_ANSWER_ROOM = 8_192  # tokens kept free for the answer when DEEPSEEK_MAX_TOKENS doesn't say
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}

_CONVERSATIONS = 500  # that are looked at when what was missed is read back


@dataclass(frozen=True, slots=True)
class Core:
    """The platform-neutral half of a service. source: what answers, for a person to read.

    concurrency: turns that are worked on at the same time.
    """

    database: Transactions
    turns: SqlTurns
    means: Means
    source: str
    offline: bool
    concurrency: int


@asynccontextmanager
async def core_of(settings: Settings, *, terminal: bool = False) -> AsyncGenerator[Core, None]:
    """Store and API client. terminal: for one person's conversation beside a running service.

    Raises: StoreError.
    """
    async with AsyncExitStack() as stack:
        opening = open_database(settings.database_url, exclusive=not terminal)
        database = await stack.enter_async_context(opening)
        base_url, model = settings.deepseek_base_url, settings.deepseek_model
        offline = settings.deepseek_api_key is None
        source = f"{model} at {base_url}"
        if offline:
            from bots.offline import MODEL, OfflineServer

            server = await stack.enter_async_context(OfflineServer())
            base_url, model = server.url, MODEL
            source = (
                f"the built-in offline server at {base_url} (set DEEPSEEK_API_KEY for DeepSeek)"
            )
        client = DeepSeek(_client_options(settings, base_url, model), _proxies(settings))
        completions = await stack.enter_async_context(client)
        turns = SqlTurns(database)
        now = asyncio.get_running_loop().time
        sole = database.exclusive or terminal  # a terminal has no platform to share
        budget = OwnBudget(now) if sole else SharedBudget(database, now)
        history = SqlHistory(database)
        means = _means(
            settings, turns, history, completions, budget, terminal=terminal, exclusive=sole
        )
        concurrency = settings.deepseek_concurrency + _BESIDE
        yield Core(database, turns, means, source, offline, concurrency)


def _client_options(settings: Settings, base_url: str, model: str) -> Options:
    key = settings.deepseek_api_key
    return Options(
        base_url=base_url,
        api_key=key.get_secret_value() if key else "",
        model=model,
        temperature=settings.deepseek_temperature,
        max_tokens=settings.deepseek_max_tokens,
        n=settings.deepseek_n,
        response_format=settings.deepseek_response_format,
        extra_body=settings.deepseek_extra_body,
        stream=settings.deepseek_stream,
        connect_timeout=settings.deepseek_connect_timeout,
        idle_timeout=settings.deepseek_idle_timeout,
        first_token_timeout=settings.deepseek_first_token_timeout,
        progress_timeout=settings.deepseek_progress_timeout,
        turn_timeout=settings.deepseek_turn_timeout,
        concurrency=settings.deepseek_concurrency,
    )


def _proxies(settings: Settings) -> Proxies:
    https, http = settings.https_proxy, settings.http_proxy
    return Proxies(
        https=https.get_secret_value() if https else "",
        http=http.get_secret_value() if http else "",
        spared=settings.no_proxy or "",
    )


def _means(
    settings: Settings,
    turns: SqlTurns,
    history: SqlHistory,
    completions: Completions,
    budget: Budget,
    *,
    terminal: bool,
    exclusive: bool,
) -> Means:
    answer = settings.deepseek_max_tokens or _ANSWER_ROOM
    return Means(
        turns=turns,
        history=history,
        completions=completions,
        budget=budget,
        policy=Policy(
            system_prompt=settings.system_prompt,
            room=Room(context=settings.context_tokens, answer=answer),
            json_object=settings.deepseek_response_format == "json_object",
            seconds=settings.deepseek_turn_timeout,
            operator=terminal,
        ),
        lease=_TERMINAL_LEASE if terminal else settings.lease_seconds,
        now=asyncio.get_running_loop().time,
        chance=random.random,
        exclusive=exclusive,
        began=time.time(),
    )


def _owner() -> str:
    """A name for this process in the database, different for every start."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


@asynccontextmanager
async def engine_of(
    core: Core, platforms: dict[str, Threads], grace: float = 0
) -> AsyncIterator[Engine]:
    """A running engine; leaving gives the turns that run so many seconds, then interrupts them."""
    engine = Engine(core.means, platforms, owner=_owner(), concurrency=core.concurrency)
    running = asyncio.create_task(engine.run(), name="engine")
    try:
        async with core.database.listening(engine.wake):
            yield engine
    finally:
        await engine.stop(grace)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def service(loaded: Loaded, say: Say) -> AsyncGenerator[None, None]:
    """Everything that `threadseek run` runs; leaving it ends it gracefully.

    say: takes the lines that a person reads at the start. Raises: StoreError, ConfigurationError.
    """
    settings = loaded.settings
    async with AsyncExitStack() as stack:
        core = await stack.enter_async_context(core_of(settings))
        say(f"Database       {core.database.place}")
        say(f"Model          {core.source}")
        health = Health()
        health.part("database", core.database.problem)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        platforms: dict[str, Threads] = {}
        if core.database.exclusive:  # else the leases of who died run out by themselves
            await core.turns.take_over(["web", "slack", "discord"])
        running = engine_of(core, platforms, settings.shutdown_grace)
        engine = await stack.enter_async_context(running)
        health.part("engine", engine.problem)
        web = _web(settings, core, engine)
        slack = _slack(settings, core, engine, session)
        routes = [*web.routes(), *(slack.routes() if slack else [])]
        port = await stack.enter_async_context(
            serve(settings.http_host, settings.http_port, routes, health)
        )
        platforms[web.name] = web
        metrics.from_zero(web.name)
        engine.wake()
        say(f"Playground     {web.address(settings.http_host, port)}")
        discord = await _discord(settings, core, engine, session)
        connecting = []
        for label, platform, off in (
            ("Slack", slack, _slack_off(settings)),
            ("Discord", discord, "off: set DISCORD_BOT_TOKEN (docs/discord.md)"),
        ):
            tell = _labelled(label, say)
            if platform:
                metrics.from_zero(platform.name)
                connection = connected(platform, platforms, engine, health, tell)
                connecting.append(stack.enter_async_context(connection))
            else:
                tell(off)
        await asyncio.gather(*connecting)  # at once: nobody waits for the other's silence
        erasing = erased_after(settings.retention_days, core.turns, core.database, web.forget)
        await stack.enter_async_context(erasing)
        await stack.enter_async_context(watched())
        stack.enter_context(spared())
        try:
            yield
        finally:
            # While answers end, prompts still come in: committed, and answered after the restart.
            health.part("engine", _stopping)
            await engine.stop(settings.shutdown_grace)


def _web(settings: Settings, core: Core, engine: Engine) -> WebPlatform:
    reachable = settings.http_host not in _LOOPBACK
    return WebPlatform(
        engine.accept,
        engine.cut_short,
        core.turns.exchanges,
        json=core.means.policy.json_object,
        about={"text": f"Answers come from {core.source}.", "offline": core.offline},
        key=secrets.token_urlsafe(12) if reachable else "",
    )


async def _stopping() -> str:
    return "stopping"


def _slack(
    settings: Settings, core: Core, engine: Engine, session: aiohttp.ClientSession
) -> "SlackPlatform | None":
    bot, app = settings.slack_bot_token, settings.slack_app_token
    secret = settings.slack_signing_secret
    if bot is None or (app is None and secret is None):
        return None
    from adapters.slack.app import SlackPlatform

    return SlackPlatform(
        bot_token=bot.get_secret_value(),
        app_token=app.get_secret_value() if app else "",
        signing_secret=secret.get_secret_value() if secret else "",
        api_url=settings.slack_api_url,
        accept=engine.accept,
        edits=engine,
        recent=lambda since: core.turns.recent("slack", since, _CONVERSATIONS),
        session=session,
        proxies=_proxies(settings),
    )


def _slack_off(settings: Settings) -> str:
    if settings.slack_bot_token:
        return "off: set SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP events), too"
    if settings.slack_app_token or settings.slack_signing_secret:
        return "off: set SLACK_BOT_TOKEN, too (docs/slack.md)"
    return "off: set SLACK_BOT_TOKEN and SLACK_APP_TOKEN (docs/slack.md)"


class _Intake:
    """What Discord asks of engine and store."""

    def __init__(self, core: Core, engine: Engine) -> None:
        self._core = core
        self._engine = engine

    async def accept(self, prompt: Prompt) -> bool:
        """Commit a prompt."""
        return await self._engine.accept(prompt)

    async def restart(self, thread: ThreadKey) -> bool | None:
        """Begin a conversation afresh."""
        return await self._core.means.history.restart(thread)

    async def recent(self, since: float) -> Sequence[Recent]:
        """The conversations of late."""
        return await self._core.turns.recent("discord", since, _CONVERSATIONS)


async def _discord(
    settings: Settings, core: Core, engine: Engine, session: aiohttp.ClientSession
) -> "DiscordPlatform | None":
    token = settings.discord_bot_token
    if token is None:
        return None
    from adapters.discord.app import DiscordPlatform
    from adapters.discord.shards import LEASE

    alone, seats = core.database.exclusive, SqlSeats(core.database, _owner())
    if alone:
        await seats.take_over()
    return DiscordPlatform(
        bot_token=token.get_secret_value(),
        intake=_Intake(core, engine),
        edits=engine,
        seats=seats,
        session=session,
        proxies=_proxies(settings),
        api_url=settings.discord_api_url,
        gateway_url=settings.discord_gateway_url,
        shards=settings.discord_shards or 0,
        lease=ALONE if alone else LEASE,
        budget=None if core.database.exclusive else core.means.budget,
    )


def _labelled(label: str, say: Say) -> Say:
    """Says each line behind the platform's name."""

    def tell(text: str) -> None:
        first, *more = text.splitlines()
        say(f"{label:15}{first}")
        for line in more:
            say(f"{'':15}{line}")

    return tell
