"""A Discord on the loopback, and the calls of our adapter pointed at it."""

from collections.abc import AsyncIterator, Sequence

import aiohttp
import pytest

from adapters.discord import calls, commands
from adapters.discord.calls import Api
from adapters.discord.ids import Bot
from core.ports import Recent
from core.types import Prompt, ThreadKey
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_rules import BOT

US = Bot(BOT, BOT, "threadseek")


class Inbox:
    """Accepts prompts once by identity. fail: errors to raise before the next are taken.

    restarts: what `restart` answers.
    """

    def __init__(self) -> None:
        self.taken: list[Prompt] = []
        self.fail: list[Exception] = []
        self.restarts: bool | None = True

    async def accept(self, prompt: Prompt) -> bool:
        if self.fail:
            raise self.fail.pop(0)
        new = prompt.identity not in {taken.identity for taken in self.taken}
        if new:
            self.taken.append(prompt)
        return new

    async def restart(self, _thread: ThreadKey) -> bool | None:
        if self.fail:
            raise self.fail.pop(0)
        return self.restarts

    async def recent(self, _since: float) -> Sequence[Recent]:
        return ()


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    """A server whose app has our commands."""
    async with DiscordServer(ack_timeout=1.0) as server:
        async with aiohttp.ClientSession() as session:
            api = Api(server.app.token, server.api_url, session)
            names = {"application": BOT}
            await api.call(calls.SET_COMMANDS, names, list(commands.COMMANDS))
        yield server


@pytest.fixture
async def api(discord: DiscordServer) -> AsyncIterator[Api]:
    """Our calls, with nothing learnt yet."""
    async with aiohttp.ClientSession() as session:
        yield Api(discord.app.token, discord.api_url, session)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()
