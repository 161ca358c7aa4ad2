"""A Slack on the loopback, and our adapter pointed at it."""

from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from adapters.slack.app import SlackPlatform
from core.types import Prompt
from tests.emulators.slack import SlackServer


class Inbox:
    """Accepts prompts as the store does: once by identity, follow-ups only in a known thread.

    fail: errors to raise before the next ones are taken. gate: waited for before each.
    """

    def __init__(self) -> None:
        self.taken: list[Prompt] = []
        self.offered: list[Prompt] = []
        self.fail: list[Exception] = []
        self.gate: Callable[[], object] | None = None

    async def accept(self, prompt: Prompt) -> bool:
        self.offered.append(prompt)
        if self.gate:
            await self.gate()  # type: ignore[misc]
        if self.fail:
            raise self.fail.pop(0)
        known = {taken.identity for taken in self.taken}
        threads = {taken.thread for taken in self.taken}
        if prompt.identity in known or (prompt.follow_up and prompt.thread not in threads):
            return False
        self.taken.append(prompt)
        return True


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer(unlimited=True, scale=0.001, ack_timeout=0.5) as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def platform(
    slack: SlackServer, session: aiohttp.ClientSession, inbox: Inbox
) -> AsyncIterator[SlackPlatform]:
    """Connected by Socket Mode, with pings fast enough for a test."""
    made = SlackPlatform(
        bot_token=slack.app.bot_token,
        app_token=slack.app.app_token,
        accept=inbox.accept,
        session=session,
        api_url=slack.api_url,
        ping=0.2,
    )
    await made.connect()
    yield made
    await made.close()
