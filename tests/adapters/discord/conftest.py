"""A Discord on the loopback, our adapter pointed at it, and an inbox in memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import structlog
from discord.http import Route

from adapters.discord import calls, commands
from adapters.discord.app import DiscordPlatform
from adapters.discord.calls import Api
from adapters.discord.ids import Bot
from core.ports import Recent
from core.store.sql import SqlSeats
from core.types import Prompt, ThreadKey
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_rules import BOT
from tests.fakes.store import InlineDatabase

US = Bot(BOT, BOT, "threadseek")
Make = Callable[..., DiscordPlatform]
Log = list[dict[str, Any]]


class Inbox:
    """Accepts prompts as the store does: once by identity, follow-ups only in a known thread.

    fail: errors to raise before the next ones are taken. blind: errors of the next `recent`.
    restarts: what `restart` answers. changed: (identity, new text), "" for a deletion.
    """

    def __init__(self) -> None:
        self.taken: list[Prompt] = []
        self.offered: list[Prompt] = []
        self.fail: list[Exception] = []
        self.blind: list[Exception] = []
        self.restarts: bool | None = True
        self.changed: list[tuple[str, str]] = []
        self._rang = asyncio.Event()

    async def accept(self, prompt: Prompt) -> bool:
        self.offered.append(prompt)
        if self.fail:
            raise self.fail.pop(0)
        known = {taken.identity for taken in self.taken}
        threads = {taken.thread for taken in self.taken}
        if prompt.identity in known or (prompt.follow_up and prompt.thread not in threads):
            return False
        self.taken.append(prompt)
        self._rang.set()
        return True

    async def amend(self, identity: str, text: str) -> bool:
        self.changed.append((identity, text))
        return identity in {taken.identity for taken in self.taken}

    async def withdraw(self, identity: str) -> None:
        self.changed.append((identity, ""))

    async def withdraw_thread(self, thread: ThreadKey) -> None:
        self.changed.append((thread, ""))

    async def withdraw_threads(self, within: str, naming: Sequence[str]) -> None:
        gone = {p.thread for p in self.taken if any(text in p.address for text in naming)}
        self.changed += [(key, "") for key in sorted(gone) if key.startswith(within)]

    async def restart(self, _thread: ThreadKey) -> bool | None:
        if self.fail:
            raise self.fail.pop(0)
        return self.restarts

    async def recent(self, since: float) -> Sequence[Recent]:
        if self.blind:
            raise self.blind.pop(0)
        newest: dict[ThreadKey, Recent] = {}
        for prompt in self.taken:
            first = min(p.sequence for p in self.taken if p.thread == prompt.thread)
            newest[prompt.thread] = Recent(prompt.thread, prompt.sequence, first)
        return sorted(newest.values(), key=lambda recent: recent.sequence, reverse=True)

    @property
    def texts(self) -> list[str]:
        """What was asked, in the order it was taken."""
        return [prompt.text for prompt in self.taken]

    async def holds(self, *texts: str, within: float = 10.0) -> None:
        """Wait until these and no others were taken, in this order."""
        try:
            async with asyncio.timeout(within):
                while len(self.taken) < len(texts):
                    self._rang.clear()
                    await self._rang.wait()
        except TimeoutError:
            pass
        assert self.texts == list(texts)


async def until(condition: Callable[[], Any], within: float = 10.0) -> None:
    """Wait until it is true."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what is waited for rings no bell
            await asyncio.sleep(0.01)


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    base = Route.BASE
    # Two processes may sign in one after the other; that ours waits is seen in `identifies`.
    async with DiscordServer(scale=0.0001) as server:
        yield server
    Route.BASE = base


@asynccontextmanager
async def registered() -> AsyncIterator[DiscordServer]:
    """A server whose app has our commands, and whose people are told soon that none came."""
    async with DiscordServer(ack_timeout=1.0) as server:
        async with aiohttp.ClientSession() as session:
            api = Api(server.app.token, server.api_url, session)
            names = {"application": BOT}
            await api.call(calls.SET_COMMANDS, names, list(commands.COMMANDS))
        yield server


@pytest.fixture
async def api(discord: DiscordServer, session: aiohttp.ClientSession) -> Api:
    """Our calls, with nothing learnt yet."""
    return Api(discord.app.token, discord.api_url, session)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def log() -> Log:
    """Every line that is logged from now on."""
    lines: Log = []

    def keep(_logger: Any, level: str, event: Any) -> Any:
        lines.append({**event, "level": level})
        raise structlog.DropEvent

    structlog.configure(processors=[keep])
    return lines


@pytest.fixture(autouse=True)
def _reset_log() -> Any:
    yield
    structlog.reset_defaults()


@pytest.fixture
async def make(
    discord: DiscordServer, session: aiohttp.ClientSession, inbox: Inbox
) -> AsyncIterator[Make]:
    """Builds platforms that nobody has connected; closes them at the end."""
    made: list[DiscordPlatform] = []

    def build(**changes: Any) -> DiscordPlatform:
        given: dict[str, Any] = {
            "bot_token": discord.app.token,
            "intake": inbox,
            "edits": inbox,
            "seats": SqlSeats(InlineDatabase(), "us", time.monotonic),
            "session": session,
            "api_url": discord.api_url,
            "gateway_url": discord.gateway_url,
        }
        made.append(DiscordPlatform(**(given | changes)))
        return made[-1]

    yield build
    for platform in made:
        await platform.close()


@pytest.fixture
async def platform(make: Make) -> DiscordPlatform:
    """Connected."""
    made = make()
    await made.connect()
    return made
