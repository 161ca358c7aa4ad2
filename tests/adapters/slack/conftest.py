"""A Slack on the loopback, and our adapter pointed at it."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from adapters.slack.app import SlackPlatform
from adapters.slack.calls import Api
from adapters.slack.ids import Bot
from adapters.slack.thread import SlackThread
from core.errors import StoreBusy, StreamOpen
from core.ports import Recent
from core.types import PartId, Prompt
from tests.adapters.slack.payloads import prompt
from tests.emulators.slack import SlackServer
from tests.emulators.slack_workspace import BOT, BOT_USER, TEAM

Make = Callable[..., SlackPlatform]
Open = Callable[..., SlackThread]


class Inbox:
    """Accepts prompts as the store does: once by identity, follow-ups only behind another prompt of
    their thread.

    fail: errors to raise before the next ones are taken. gate: waited for before each.
    changes: identities and new texts, None for deleted messages.
    broken: how often it can't say what was talked in lately. asked: since when it was to say that.
    """

    def __init__(self) -> None:
        self.taken: list[Prompt] = []
        self.offered: list[Prompt] = []
        self.fail: list[Exception] = []
        self.gate: Callable[[], object] | None = None
        self.changes: list[tuple[str, str | None]] = []
        self.broken = 0
        self.asked: list[float] = []

    async def accept(self, prompt: Prompt) -> bool:
        self.offered.append(prompt)
        if self.gate:
            await self.gate()  # type: ignore[misc]
        if self.fail:
            raise self.fail.pop(0)
        known = {taken.identity for taken in self.taken}
        above = (t for t in self.taken if t.thread == prompt.thread)
        follows = any(taken.sequence < prompt.sequence for taken in above)
        if prompt.identity in known or (prompt.follow_up and not follows):
            return False
        self.taken.append(prompt)
        return True

    async def amend(self, identity: str, text: str) -> bool:
        if self.fail:
            raise self.fail.pop(0)
        self.changes.append((identity, text))
        return identity in {taken.identity for taken in self.taken}

    async def withdraw(self, identity: str) -> None:
        if self.fail:
            raise self.fail.pop(0)
        self.changes.append((identity, None))

    async def recent(self, since: float) -> Sequence[Recent]:
        self.asked.append(since)
        if self.broken:
            self.broken -= 1
            raise StoreBusy("locked")
        ordered = sorted(self.taken, key=lambda prompt: prompt.sequence)
        first = {p.thread: p.sequence for p in reversed(ordered)}
        newest = {p.thread: Recent(p.thread, p.sequence, first[p.thread]) for p in ordered}
        return sorted(newest.values(), key=lambda known: known.sequence, reverse=True)

    def texts(self) -> list[str]:
        return [prompt.text for prompt in self.taken]


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with SlackServer(unlimited=True, scale=0.001, ack_timeout=0.5, stream_life=300) as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def make(slack: SlackServer, session: aiohttp.ClientSession, inbox: Inbox) -> Make:
    """Builds a platform that nobody has connected."""

    def build(**changes: Any) -> SlackPlatform:
        given: dict[str, Any] = {
            "bot_token": slack.app.bot_token,
            "app_token": slack.app.app_token,
            "accept": inbox.accept,
            "edits": inbox,
            "session": session,
            "api_url": slack.api_url,
            "ping": 0.2,
        }
        return SlackPlatform(**(given | changes))

    return build


@pytest.fixture
async def http(slack: SlackServer, make: Make) -> AsyncIterator[SlackPlatform]:
    """Connected, with its route served and subscribed to."""
    made = make(app_token="", signing_secret=slack.app.signing_secret)
    application = web.Application()
    application.add_routes(made.routes())
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.http.url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    await made.connect()
    yield made
    await made.close()
    await runner.cleanup()


@pytest.fixture(params=["socket", "http"])
def either(request: pytest.FixtureRequest) -> SlackPlatform:
    """Connected, by each transport in turn."""
    name = "platform" if request.param == "socket" else "http"
    return cast(SlackPlatform, request.getfixturevalue(name))


@pytest.fixture
async def platform(make: Make) -> AsyncIterator[SlackPlatform]:
    """Connected by Socket Mode, with pings fast enough for a test."""
    made = make()
    await made.connect()
    yield made
    await made.close()


@pytest.fixture
async def api(slack: SlackServer, session: aiohttp.ClientSession) -> Api:
    return Api(slack.app.bot_token, slack.api_url, session, timeout=1.5)


@pytest.fixture
async def root(slack: SlackServer) -> str:
    return slack.workspace.say("alice", "general", f"{slack.mention} what is a fence?")


@pytest.fixture
def opened(slack: SlackServer, api: Api, root: str) -> Open:
    """A handle for a message, by default for the root; as after a restart."""

    def build(ts: str = root, channel: str = "general") -> SlackThread:
        return SlackThread(api, Bot(BOT_USER, BOT, TEAM), prompt(slack, ts, channel))

    return build


@pytest.fixture
def thread(opened: Open) -> SlackThread:
    return opened()


async def edit_met(thread: SlackThread, part: PartId, text: str) -> None:
    """Edit a message that is a stream which this handle didn't start: that is told first."""
    with pytest.raises(StreamOpen):
        await thread.edit(part, text)
    await thread.edit(part, text)
