"""The manifest asks Slack for exactly what the code needs, no more and no less."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from adapters.slack import calls, events
from adapters.slack.app import SlackPlatform
from tests.adapters.slack.conftest import Inbox
from tests.emulators.slack import SlackServer
from tests.emulators.slack_app import App

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "adapters" / "slack"
MANIFEST: dict[str, Any] = json.loads((FOLDER / "manifest.json").read_text())
SCOPES = set(MANIFEST["oauth_config"]["scopes"]["bot"])
SUBSCRIBED = set(MANIFEST["settings"]["event_subscriptions"]["bot_events"])

EVENT_SCOPES = {
    "app_home_opened": None,
    "app_mention": "app_mentions:read",
    "message.channels": "channels:history",
    "message.groups": "groups:history",
    "message.im": "im:history",
    "message.mpim": "mpim:history",
}
"""What Slack wants for each event (docs.slack.dev/reference/events)."""

LEGACY = {"assistant_thread_started"}
"""Handled for apps made before the agent view; such an app has a manifest of its own."""


def _used_methods() -> Iterator[str]:
    """The names in `api.call(calls.NAME, ...)` everywhere in the adapter."""
    for file in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "call":
                method = node.args[0]
                assert isinstance(method, ast.Attribute), f"{file.name}: not from the table"
                yield getattr(calls, method.attr).name


def test_every_method_called_is_in_the_table_and_the_other_way_round() -> None:
    assert set(_used_methods()) == set(calls.METHODS)


def test_no_call_goes_past_the_table() -> None:
    for file in FOLDER.glob("*.py"):
        if file.name != "calls.py":
            assert "api_call" not in file.read_text(), file.name


def test_every_scope_is_needed_and_every_need_has_its_scope() -> None:
    by_events = {EVENT_SCOPES[event] for event in SUBSCRIBED} - {None}
    for method in calls.METHODS.values():
        assert not method.scopes or method.scopes & SCOPES, method.name
    by_methods = {scope for method in calls.METHODS.values() for scope in method.scopes}
    assert by_events | by_methods == SCOPES == calls.SCOPES


def test_every_event_handled_is_subscribed_to_and_the_other_way_round() -> None:
    assert {event.partition(".")[0] for event in SUBSCRIBED} == set(events.EVENTS) - LEGACY


def test_it_is_for_the_slack_of_today() -> None:
    features = MANIFEST["features"]
    assert "assistant_view" not in features
    assert len(features["agent_view"]["agent_description"]) <= 300
    assert features["app_home"]["messages_tab_enabled"]
    assert not features["app_home"]["messages_tab_read_only_enabled"]
    assert MANIFEST["settings"]["socket_mode_enabled"]
    assert 174 <= len(MANIFEST["display_information"]["long_description"]) <= 4000
    assert len(MANIFEST["display_information"]["description"]) <= 140
    assert len(MANIFEST["display_information"]["name"]) <= 35


def test_the_guide_explains_every_scope_event_and_variable() -> None:
    guide = (ROOT / "docs" / "slack.md").read_text()
    variables = {"SLACK_BOT_TOKEN", "SLACK_APP_TOKEN", "SLACK_SIGNING_SECRET", "SLACK_API_URL"}
    for word in SCOPES | SUBSCRIBED | variables:
        assert f"`{word}`" in guide, word


async def test_the_manifest_is_enough_in_every_kind_of_conversation(
    session: aiohttp.ClientSession, inbox: Inbox
) -> None:
    app = App.from_manifest(MANIFEST)
    async with SlackServer(app, unlimited=True) as slack:
        platform = SlackPlatform(
            bot_token=app.bot_token,
            app_token=app.app_token,
            accept=inbox.accept,
            edits=inbox,
            session=session,
            api_url=slack.api_url,
        )
        await platform.connect()
        slack.events.open_messages("alice")
        await slack.wait_for(lambda: slack.record.prompts)
        say, add = slack.workspace.say, slack.workspace.add_channel
        for channel in (
            "general",
            add("secret", "group", ("alice",)),
            add("trio", "mpim", ("alice", "bob")),
            slack.workspace.direct("alice"),
        ):
            inbox.taken.clear()
            root = say("alice", channel, "one")
            asked = say("alice", channel, f"{slack.mention} two", thread_ts=root)
            await slack.wait_for(lambda: any(p.text == "two" for p in inbox.taken))
            thread = platform.open(next(p for p in inbox.taken if p.text == "two"))
            assert [entry.content for entry in await thread.earlier()] == ["one"], channel
            await thread.status("is thinking…")
            part = await thread.post("three", "1:0")
            await thread.edit(part, "four")
            assert await thread.find("1:0") == [part]
            assert slack.record.visible(channel, root) == ["four"]
            await thread.remove(part)
            say("alice", channel, "five", thread_ts=root)
            await slack.wait_for(lambda: any(p.text == "five" for p in inbox.taken))
            assert asked
        await platform.close()
