"""What people wrote while the shipped command was away: answered once when it is back."""

import json
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import MANIFEST
from tests.e2e.seen import answers, calm
from tests.e2e.service import Service, running
from tests.emulators.deepseek import DeepSeekServer
from tests.emulators.slack import SlackServer
from tests.emulators.slack_app import App
from tests.emulators.slack_workspace import BOT_USER, Post


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    """Its four deliveries are over in less than a second; its budgets are Slack's."""
    app = App.from_manifest(json.loads(MANIFEST.read_text()))
    async with SlackServer(app, scale=0.002) as server:
        yield server


def ago(slack: SlackServer, seconds: float, text: str, root: str | None = None) -> str:
    """Alice wrote in general so long ago; returns the ts."""
    ts = f"{int(time.time() - seconds)}.{len(slack.workspace.posts):06d}"
    alice, general = slack.workspace.user("alice").id, slack.workspace.channel("general").id
    return slack.workspace.put(Post(ts, general, alice, text, thread_ts=root)).ts


async def given_up(slack: SlackServer, *messages: str) -> None:
    """Wait until Slack has delivered these messages for the last time."""
    for ts in messages:
        await slack.wait_for(partial(over, slack, ts), 10)


def over(slack: SlackServer, ts: str) -> bool:
    """Every event of this message was delivered four times, and there is one."""
    attempts = Counter(delivery.event_id for delivery in slack.deliverer.of(ts))
    return set(attempts.values()) == {4}


def posts(slack: SlackServer) -> list[str]:
    return [post.ts for post in slack.workspace.posts.values() if post.user == BOT_USER]


async def answered(slack: SlackServer, channel: str, root: str, text: str) -> None:
    await slack.wait_for(lambda: text in answers(slack, channel, root), 20)


async def let_in(service: Service, slack: SlackServer, transport: str) -> None:
    if transport == "http":
        assert await slack.subscribe(service.address + "slack/events")


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_what_was_asked_while_it_was_down(
    transport: str,
    tmp_path: Path,
    api: DeepSeekServer,
    slack: SlackServer,
    settings: dict[str, str],
) -> None:
    if transport == "http":
        del settings["SLACK_APP_TOKEN"]
        settings["SLACK_SIGNING_SECRET"] = slack.app.signing_secret
    say, general = slack.workspace.say, slack.workspace.channel("general").id
    direct = slack.workspace.direct("bob")
    await given_up(slack, ago(slack, 7000, f"{slack.mention} before it was ever started"))
    async with running(tmp_path, settings) as service:
        await let_in(service, slack, transport)
        root = ago(slack, 6000, f"{slack.mention} one")
        await answered(slack, general, root, "Question 1 was: one")
        hello = say("bob", direct, "hello")
        await answered(slack, direct, hello, "Question 1 was: hello")
        assert await service.end() == 0
    missed = [
        ago(slack, 3600, f"{slack.mention} an hour ago"),
        say("alice", "general", "two", thread_ts=root),
        say("alice", "general", "three", thread_ts=root),
        mention := say("bob", "general", f"{slack.mention} four"),
        say("bob", "general", "five", thread_ts=mention),
        private := say("bob", direct, "six"),
        lunch := say("bob", "general", "lunch?"),
        say("alice", "general", "yes", thread_ts=lunch),
    ]
    await given_up(slack, *missed)
    async with running(tmp_path, settings) as service:
        await let_in(service, slack, transport)
        await answered(slack, general, root, "Question 2 was: two")
        await answered(slack, general, root, "Question 3 was: three")
        await answered(slack, general, mention, "Question 1 was: four")
        await answered(slack, general, mention, "Question 2 was: five")
        await answered(slack, direct, private, "Question 1 was: six")
        await slack.wait_for(lambda: answers(slack, general, missed[0]), 10)
        await service.printed("slack.read_back ")
        assert await service.end() == 0
    count = len(posts(slack))
    assert count == 8
    (line,) = answers(slack, general, missed[0])
    assert "Question" not in line
    assert len(api.calls) == 7, "the hour-old one was not asked of the API"
    async with running(tmp_path, settings) as service:  # and once only
        await let_in(service, slack, transport)
        await service.printed("slack.read_back ")
        last = say("alice", "general", "seven", thread_ts=root)
        await answered(slack, general, root, "Question 4 was: seven")
    assert last
    assert len(posts(slack)) == count + 1
    calm(slack)


async def test_the_socket_is_down_longer_than_the_deliveries(
    tmp_path: Path, slack: SlackServer, settings: dict[str, str]
) -> None:
    general = slack.workspace.channel("general").id
    async with running(tmp_path, settings) as service:
        root = slack.workspace.say("alice", "general", f"{slack.mention} one")
        await answered(slack, general, root, "Question 1 was: one")
        await service.printed("slack.read_back ")
        await slack.go_away()
        missed = slack.workspace.say("alice", "general", "two", thread_ts=root)
        await given_up(slack, missed)
        await slack.come_back()
        await slack.wait_for(lambda: slack.sockets.open, 30)
        await slack.wait_for(lambda: len(answers(slack, general, root)) == 2, 40)
        await answered(slack, general, root, "Question 2 was: two")
    assert len(posts(slack)) == 2
    calm(slack)


async def test_the_database_refused_every_delivery(
    tmp_path: Path, slack: SlackServer, settings: dict[str, str]
) -> None:
    general = slack.workspace.channel("general").id
    async with running(tmp_path, settings):
        root = slack.workspace.say("alice", "general", f"{slack.mention} one")
        await answered(slack, general, root, "Question 1 was: one")
        other = sqlite3.connect(tmp_path / "threadseek.db", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            missed = slack.workspace.say("alice", "general", "two", thread_ts=root)
            await slack.wait_for(lambda: len(slack.deliverer.of(missed)) == 4, 30)
            await slack.wait_for(lambda: slack.deliverer.of(missed)[-1].failure, 10)
            other.execute("ROLLBACK")
        finally:
            other.close()
        assert not any(delivery.acked for delivery in slack.deliverer.of(missed))
        await slack.wait_for(lambda: len(answers(slack, general, root)) == 2, 40)
        await answered(slack, general, root, "Question 2 was: two")
    assert len(posts(slack)) == 2
    calm(slack)
