"""A workspace with a past, and the reading of it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from adapters.slack.app import SlackPlatform
from adapters.slack.calls import Api
from adapters.slack.events import read
from adapters.slack.ids import Bot
from adapters.slack.missed import Backlog, as_told
from core.types import Prompt
from tests.adapters.slack.conftest import Inbox
from tests.emulators.slack import SlackServer
from tests.emulators.slack_workspace import BOT, BOT_USER, TEAM, Post

US = Bot(user=BOT_USER, bot=BOT, team=TEAM)


class Past:
    """People who wrote a while ago, in a workspace whose app was told nothing of it."""

    def __init__(self, slack: SlackServer) -> None:
        self.slack = slack
        self.general = slack.workspace.channel("general").id
        self.now = time.time()
        self._count = 0

    def say(
        self, ago: float, text: str, where: str = "", root: str | None = None, **changes: Any
    ) -> str:
        """A message `ago` seconds before now; returns its ts."""
        self._count += 1
        ts = f"{int(self.now - ago)}.{self._count:06d}"
        user = changes.pop("user", self.slack.workspace.user("alice").id)
        post = Post(ts, where or self.general, user, text, thread_ts=root, **changes)
        self.slack.deliverer.hold()
        self.slack.workspace.put(post)
        self.slack.deliverer.hold()  # forgets what was held
        self.slack.deliverer.release()
        return ts

    def ask(self, ago: float, text: str, where: str = "", root: str | None = None) -> str:
        """The same with a mention."""
        return self.say(ago, f"{self.slack.mention} {text}", where, root)

    def prompt(self, ts: str) -> Prompt:
        """What the message would have been live."""
        post = self.slack.workspace.posts[ts]
        message = {"user": post.user, "text": post.text, "ts": ts}
        message |= {"thread_ts": post.thread_ts} if post.thread_ts else {}
        outcome = read(as_told(message, TEAM, post.channel), US)
        assert isinstance(outcome, Prompt)
        return outcome


@asynccontextmanager
async def reading(
    slack: SlackServer, inbox: Inbox, settle: float = 0.02, gap: float = 0
) -> AsyncIterator[Backlog]:
    """A backlog that has begun to read."""
    async with aiohttp.ClientSession() as session:
        api = Api(slack.app.bot_token, slack.api_url, session)
        made = Backlog(api, inbox.accept, inbox.recent, settle, gap)
        await made.look()
        made.start(US)
        try:
            yield made
        finally:
            await made.close()


@asynccontextmanager
async def connected(platform: SlackPlatform) -> AsyncIterator[None]:
    """Connected, and closed whatever happens."""
    try:
        await platform.connect()
        yield
    finally:
        await platform.close()


async def until(predicate: Callable[[], object], within: float = 5.0) -> None:
    """Wait for something that happens outside of Slack."""
    async with asyncio.timeout(within):
        while not predicate():  # noqa: ASYNC110 - inboxes keep plain records
            await asyncio.sleep(0.01)


def calls(slack: SlackServer) -> int:
    """How often Slack was asked for a history."""
    read = ("conversations.history", "conversations.replies")
    return sum(call.method in read for call in slack.record.calls)


async def reading_ends(slack: SlackServer, after: int) -> None:
    """Wait for so many calls, and see that no other follows."""
    await slack.wait_for(lambda: calls(slack) >= after)
    await asyncio.sleep(0.1)
    assert calls(slack) == after
