"""The platform over both transports: nothing is acknowledged before it is accepted."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from adapters.slack.app import SlackPlatform
from adapters.slack.ids import Bot, keys_near, thread_key
from core.errors import ConfigurationError, StoreBusy
from core.types import Prompt, ThreadKey
from tests.adapters.slack.conftest import Inbox, Make
from tests.emulators.slack import SlackServer
from tests.emulators.slack_faults import Fault


@pytest.mark.parametrize("order", ["mention first", "message first"])
async def test_both_copies_of_a_mention_are_one_prompt(
    slack: SlackServer, either: SlackPlatform, inbox: Inbox, order: Any
) -> None:
    slack.events.order = order
    slack.deliverer.duplicates = 1
    ts = slack.workspace.say("alice", "general", f"{slack.mention} what is a fence?")
    await slack.wait_for(lambda: len([d for d in slack.deliverer.of(ts) if d.acked]) == 4)
    assert len(inbox.offered) == 4
    assert [(p.text, p.follow_up) for p in inbox.taken] == [("what is a fence?", False)]


async def test_follow_ups_and_direct_messages(
    slack: SlackServer, either: SlackPlatform, inbox: Inbox
) -> None:
    say = slack.workspace.say
    root = say("alice", "general", f"{slack.mention} one")
    await slack.wait_for(lambda: inbox.taken)
    say("bob", "general", "two", thread_ts=root)
    await slack.wait_for(lambda: len(inbox.taken) == 2)
    say("bob", "general", "nothing to do with it")
    say("alice", slack.workspace.direct("alice"), "three")
    await slack.wait_for(lambda: len(inbox.taken) == 3)
    await slack.wait_for(lambda: not slack.deliverer.unacked())
    assert [p.text for p in inbox.taken] == ["one", "two", "three"]


async def test_own_words_edits_and_joins_are_acknowledged_and_nothing_else(
    slack: SlackServer, either: SlackPlatform, inbox: Inbox
) -> None:
    root = slack.workspace.say("alice", "general", f"{slack.mention} one")
    await slack.wait_for(lambda: inbox.taken)
    thread = either.open(inbox.taken[0])
    part = await thread.post("first", "1:0")
    await thread.edit(part, "second")
    slack.workspace.edit(root, f"{slack.mention} one!")
    slack.workspace.add_user("carol")
    slack.workspace.join("carol", "general")
    slack.workspace.delete(root)
    await slack.wait_for(lambda: len(slack.deliverer.deliveries) >= 7)
    await slack.wait_for(lambda: not slack.deliverer.unacked())
    assert len(inbox.taken) == 1
    assert {p.identity for p in inbox.offered} == {inbox.taken[0].identity}


async def test_no_acknowledgement_before_the_commit(
    slack: SlackServer, either: SlackPlatform, inbox: Inbox
) -> None:
    opened = asyncio.Event()
    inbox.gate = opened.wait
    ts = slack.workspace.say("alice", slack.workspace.direct("alice"), "hello")
    await slack.wait_for(lambda: inbox.offered)
    # The first attempt runs into Slack's limit, since nothing is committed.
    first = await slack.wait_for(lambda: [d for d in slack.deliverer.of(ts) if d.failure])
    assert not first[0].acked
    assert inbox.taken == []
    opened.set()
    await slack.wait_for(lambda: any(d.acked for d in slack.deliverer.of(ts)))
    assert [p.text for p in inbox.taken] == ["hello"]


async def test_what_was_not_committed_is_delivered_again(
    slack: SlackServer, either: SlackPlatform, inbox: Inbox
) -> None:
    inbox.fail = [StoreBusy("locked"), RuntimeError("oops")]
    ts = slack.workspace.say("alice", slack.workspace.direct("alice"), "hello")
    await slack.wait_for(lambda: any(d.acked for d in slack.deliverer.of(ts)))
    attempts = slack.deliverer.of(ts)
    assert [d.acked for d in attempts] == [False, False, True]
    assert [d.status for d in attempts] in ([500, 500, 200], [0, 0, 0])
    assert len(inbox.offered) == 3
    assert [p.text for p in inbox.taken] == ["hello"]


async def test_suggestions_when_a_conversation_opens(
    slack: SlackServer, either: SlackPlatform
) -> None:
    slack.events.open_home("bob")
    channel = slack.events.open_messages("alice")
    calls = await slack.wait_for(
        lambda: slack.record.called_with("assistant.threads.setSuggestedPrompts")
    )
    await slack.wait_for(lambda: not slack.deliverer.unacked())
    assert [shown["channel"] for shown in slack.record.prompts] == [channel]
    assert len(calls) == 1


async def test_suggestions_in_the_older_assistant_view(
    slack: SlackServer, platform: SlackPlatform
) -> None:
    slack.app.agent_view = False
    slack.app.events |= {"assistant_thread_started"}
    root = slack.events.open_assistant("alice")
    shown = await slack.wait_for(lambda: slack.record.prompts)
    assert shown[0]["thread_ts"] == root


async def test_failing_suggestions_trouble_nobody(
    slack: SlackServer, platform: SlackPlatform, inbox: Inbox
) -> None:
    slack.faults.add(Fault("assistant.threads.setSuggestedPrompts", error="unknown_method"))
    slack.events.open_messages("alice")
    await slack.wait_for(lambda: slack.record.called_with("assistant.threads.setSuggestedPrompts"))
    slack.workspace.say("alice", slack.workspace.direct("alice"), "hello")
    await slack.wait_for(lambda: inbox.taken)
    assert [prompt.text for prompt in inbox.taken] == ["hello"]


async def test_who_we_are_is_asked_once(
    slack: SlackServer, either: SlackPlatform, inbox: Inbox
) -> None:
    for number in range(5):
        slack.workspace.say("alice", slack.workspace.direct("alice"), str(number))
    await slack.wait_for(lambda: len(inbox.taken) == 5)
    assert len(slack.record.called_with("auth.test")) == 1


# Connecting.


async def test_it_says_who_it_is(make: Make) -> None:
    platform = make()
    assert await platform.connect() == "as @threadseek in Stand-in"
    await platform.close()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"bot_token": "xoxb-wrong"}, r"SLACK_BOT_TOKEN.*invalid_auth.*xoxb-"),
        ({"app_token": "xapp-wrong"}, r"SLACK_APP_TOKEN.*invalid_auth.*connections:write"),
    ],
)
async def test_a_wrong_token_is_explained(make: Make, changes: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        await make(**changes).connect()
    for token in changes.values():
        assert not token.strip() or token not in str(caught.value)


def test_without_a_secret_no_event_could_be_trusted(make: Make) -> None:
    with pytest.raises(ValueError, match="signing_secret"):
        make(app_token="")


# What may be read afterwards.


async def test_logs_hold_no_text_and_no_secret(
    slack: SlackServer,
    make: Make,
    inbox: Inbox,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as events:
        platform = make()
        await platform.connect()
        inbox.fail = [RuntimeError("parameters: canary-text")]
        slack.workspace.say("alice", slack.workspace.direct("alice"), "canary-text")
        await slack.wait_for(lambda: inbox.taken)
        thread = platform.open(inbox.taken[0])
        await thread.post("canary-text", "1:0")
        slack.faults.add(Fault("chat.update", error="msg_too_long"))
        with pytest.raises(Exception, match="size"):
            await thread.edit(await thread.post("canary-text", "1:1"), "canary-text")
        slack.sockets.address = "ws://127.0.0.1:9"
        await slack.sockets.refresh()
        await slack.wait_for(lambda: any("Failed" in r.getMessage() for r in caplog.records))
        await platform.close()
    written = caplog.text + repr(events)
    assert "slack.not_accepted" in written
    for canary in ("canary-text", "ticket=", slack.app.bot_token, slack.app.app_token):
        assert canary not in written


async def test_accept_is_awaited_for_every_prompt(make: Make, slack: SlackServer) -> None:
    """The platform takes any coroutine function, as the wiring gives it."""
    seen: list[str] = []

    async def accept(prompt: Prompt) -> bool:
        seen.append(prompt.text)
        return True

    checked: Callable[[Prompt], Awaitable[bool]] = accept
    platform = make(accept=checked)
    await platform.connect()
    slack.workspace.say("alice", slack.workspace.direct("alice"), "hello")
    await slack.wait_for(lambda: seen == ["hello"])
    await platform.close()


def test_a_conversation_stands_in_its_channel() -> None:
    thread = thread_key("T1", "C1", "5.1")
    assert keys_near(thread) == keys_near(ThreadKey(f"{thread}#slack:T1:C1:6.1")) == "slack:T1:C1:"


@pytest.mark.parametrize("kept", [{"im:history", "assistant:write"}, None])
async def test_scopes_that_were_not_granted_are_named_at_the_start(
    slack: SlackServer, make: Make, monkeypatch: pytest.MonkeyPatch, kept: set[str] | None
) -> None:
    missing = "app_mentions:read,channels:history,chat:write,groups:history,mpim:history"
    if kept is not None:
        monkeypatch.setattr(slack.app, "scopes", frozenset(kept))
    platform = make()
    with structlog.testing.capture_logs() as events:
        await platform.connect()
    await platform.close()
    told = [event["scopes"] for event in events if event["event"] == "slack.scopes_missing"]
    assert told == ([missing] if kept else [])


async def test_where_slack_tells_no_scopes_none_are_missed(
    session: aiohttp.ClientSession, inbox: Inbox
) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"ok": True, "user_id": "U0BOT", "team_id": "T"})

    async with TestServer(_with(answer)) as server:
        platform = SlackPlatform(
            bot_token="xoxb-1",
            signing_secret="s",
            accept=inbox.accept,
            edits=inbox,
            session=session,
            api_url=str(server.make_url("/")),
        )
        with structlog.testing.capture_logs() as events:
            await platform.connect()
        await platform.close()
    assert not [event for event in events if event["event"] == "slack.scopes_missing"]


async def test_tokens_of_two_apps_are_told_of_once(
    slack: SlackServer, either: SlackPlatform, inbox: Inbox
) -> None:
    bot = Bot("U0OTHER", "B0OTHER", "T0ACME")
    with structlog.testing.capture_logs() as events:
        slack.workspace.say("alice", "general", f"{slack.mention} one")
        await slack.wait_for(lambda: inbox.taken)
        assert not [event for event in events if event["event"] == "slack.other_bot"]
        either._bot = bot
        for word in ("two", "three"):
            slack.workspace.say("alice", "general", f"{slack.mention} {word}")
        await slack.wait_for(lambda: len(inbox.taken) == 3)
    told = [event for event in events if event["event"] == "slack.other_bot"]
    assert [(event["ours"], event["bot"] == slack.mention[2:-1]) for event in told] == [
        ("U0OTHER", True)
    ]


def _with(answer: Callable[[web.Request], Awaitable[web.Response]]) -> web.Application:
    application = web.Application()
    application.router.add_post("/auth.test", answer)
    return application
