"""Questions about what a person saw in a Slack thread, moment by moment."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

from tests.emulators.slack import SlackServer
from tests.emulators.slack_workspace import BOT_USER


def answers(slack: SlackServer, channel: str, root: str) -> list[str]:
    """The bot's messages in the thread as they stand, oldest first."""
    return slack.record.visible(channel, root)


async def until(predicate: Callable[[], object], within: float = 10.0) -> None:
    """Wait for something that happens outside of Slack."""
    async with asyncio.timeout(within):
        while not predicate():  # noqa: ASYNC110 - servers keep plain records
            await asyncio.sleep(0.02)


def calm(slack: SlackServer) -> None:
    """Nothing that a person saw was wrong at any moment."""
    assert not slack.record.pings
    assert not slack.record.unfurls
    assert not slack.record.broken_fences()
    for post in slack.workspace.posts.values():
        if post.user == BOT_USER:
            assert not slack.record.went_back(post.ts)


def one_at_a_time(slack: SlackServer) -> None:
    """Every edit of a message was answered before the next was sent, about a second apart, and
    every piece of a stream about a quarter."""
    for method, least in (("chat.update", 0.5), ("chat.appendStream", 0.2)):
        by_message: dict[str, list[float]] = {}
        for call in slack.record.called_with(method):
            by_message.setdefault(str(call.args["ts"]), []).append(call.time)
        for times in by_message.values():
            gaps = [b - a for a, b in pairwise(times)]
            assert all(gap > least for gap in gaps[:-1]), (method, gaps)
