"""The stand-in refuses what Slack refuses, seen through the real AsyncWebClient."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.emulators.slack import SlackServer
from tests.emulators.slack_app import App
from tests.emulators.slack_workspace import BOT_USER

GENERAL = "C0GENERAL0"


@contextlib.asynccontextmanager
async def workspace(**options: Any) -> AsyncIterator[tuple[SlackServer, AsyncWebClient]]:
    """A server without rate budgets and a client that never retries by itself."""
    async with SlackServer(**{"unlimited": True, **options}) as slack:
        client = AsyncWebClient(slack.app.bot_token, slack.api_url, retry_handlers=[])
        yield slack, client


async def refusal(call: Any) -> dict[str, Any]:
    """The `ok: false` answer of a call."""
    with pytest.raises(SlackApiError) as caught:
        await call
    answer: dict[str, Any] = caught.value.response.data
    assert answer["ok"] is False
    return answer


async def error(call: Any) -> str:
    """The error code a call is refused with."""
    return str((await refusal(call))["error"])


async def test_tokens() -> None:
    async with workspace() as (slack, client):
        assert (await client.auth_test())["user_id"] == BOT_USER
        assert await error(client.auth_test(token="xoxb-wrong")) == "invalid_auth"
        assert await error(AsyncWebClient(base_url=slack.api_url).auth_test()) == "not_authed"
        assert await error(client.auth_test(token="xapp-1-stand-in")) == "not_allowed_token_type"
        assert await error(client.apps_connections_open(app_token="xoxb-1-stand-in")) == (
            "not_allowed_token_type"
        )
        assert await error(client.api_call("chat.shout", json={})) == "unknown_method"
        slack.app.token_error = "token_revoked"
        assert await error(client.auth_test()) == "token_revoked"


async def test_the_body_may_be_form_or_json_and_the_token_must_not_be_in_json() -> None:
    async with workspace() as (slack, _), aiohttp.ClientSession() as session:
        token, url = slack.app.bot_token, slack.api_url + "chat.postMessage"
        args = {"channel": GENERAL, "text": "x", "token": token}
        async with session.post(url, data=args) as answer:
            assert (await answer.json())["ok"] is True
        async with session.post(url, json=args) as answer:
            assert (await answer.json())["error"] == "not_authed"
        bearer = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        async with session.post(url, data="{", headers=bearer) as answer:
            assert (await answer.json())["error"] == "invalid_json"
        blocks = json.dumps([{"type": "section", "text": {"type": "mrkdwn", "text": "b"}}])
        async with session.post(url, data=args | {"blocks": blocks}) as answer:
            assert (await answer.json())["message"]["blocks"][0]["type"] == "section"
        url = slack.api_url + "conversations.history"
        async with session.post(url, json={"channel": GENERAL}, headers=bearer) as answer:
            assert (await answer.json())["error"] == "invalid_arguments"


async def test_scopes() -> None:
    async with workspace(app=App(scopes=frozenset({"channels:history"}))) as (slack, client):
        answer = await refusal(client.chat_postMessage(channel=GENERAL, text="x"))
        assert (answer["error"], answer["needed"]) == ("missing_scope", "chat:write")
        assert answer["provided"] == "channels:history"
        ts = slack.workspace.say("alice", "general", "x")
        answered = await client.conversations_replies(channel=GENERAL, ts=ts)
        assert answered.headers["x-oauth-scopes"] == "channels:history"
        direct = slack.workspace.direct("alice")
        said = slack.workspace.say("alice", direct, "x")
        answer = await refusal(client.conversations_replies(channel=direct, ts=said))
        assert answer["needed"] == "im:history"
        assert await error(client.users_info(user="U0ALICE000")) == "missing_scope"


async def test_where_one_can_post() -> None:
    async with workspace() as (slack, client):
        post, ws = client.chat_postMessage, slack.workspace
        assert await error(post(channel="C0NOWHERE", text="x")) == "channel_not_found"
        ws.expel("general")
        assert await error(post(channel=GENERAL, text="x")) == "not_in_channel"
        ws.channel("general").members.add(BOT_USER)
        secret = ws.add_channel("secret", "group", ("alice",), bot=False)
        assert await error(post(channel=secret, text="x")) == "channel_not_found"
        ws.channel("general").archived = True
        assert await error(post(channel=GENERAL, text="x")) == "is_archived"
        ws.channel("general").archived = False
        root = ws.say("alice", "general", "root")
        reply = ws.say("bob", "general", "reply", thread_ts=root)
        for bad, code in (("1.1", "invalid_thread_ts"), (reply, "cannot_reply_to_message")):
            assert await error(post(channel=GENERAL, text="x", thread_ts=bad)) == code
        ws.channel("general").locked.add(root)
        code = await error(post(channel=GENERAL, text="x", thread_ts=root))
        assert code == "restricted_action_thread_locked"
        assert (await post(channel="U0ALICE000", text="x"))["channel"] == ws.direct("alice")
        slack.app.messages_tab = False
        assert await error(post(channel="U0ALICE000", text="x")) == "messages_tab_disabled"


async def test_what_one_can_post() -> None:
    async with workspace() as (slack, client):
        section = {"type": "section", "text": {"type": "mrkdwn", "text": "s"}}
        bad: list[tuple[dict[str, Any], str]] = [
            ({"text": " "}, "no_text"),
            ({"markdown_text": "x" * 12_001}, "msg_too_long"),
            ({"markdown_text": "x", "text": "x"}, "markdown_text_conflict"),
            ({"text": "x", "blocks": [section] * 51}, "invalid_blocks"),
            ({"text": "x", "blocks": [section | {"block_id": "a"}] * 2}, "invalid_blocks"),
            ({"text": "x", "blocks": [{"text": "x"}]}, "invalid_blocks"),
            ({"text": "x", "blocks": "{"}, "invalid_blocks_format"),
            (
                {"text": "x", "blocks": [{"type": "markdown", "text": "x" * 6_001}] * 2},
                "msg_blocks_too_long",
            ),
            ({"text": "x", "metadata": {"event_type": "k"}}, "invalid_metadata_format"),
        ]
        for arguments, code in bad:
            sent = {"channel": GENERAL, **arguments}
            assert await error(client.api_call("chat.postMessage", json=sent)) == code
        long = await client.chat_postMessage(channel=GENERAL, text="x" * 40_001)
        assert (long["warning"], len(long["message"]["text"])) == ("message_truncated", 40_000)
        assert (await client.chat_postMessage(channel=GENERAL, markdown_text="x" * 12_000))["ok"]
        assert len(slack.record.bot_messages()) == 2
        a_b = await client.chat_postMessage(channel=GENERAL, text="a < b & c &lt; d <@U1> <x>")
        assert a_b["message"]["text"] == "a &lt; b &amp; c &lt; d <@U1> &lt;x&gt;"


async def test_update_and_delete() -> None:
    async with workspace() as (slack, client):
        kept = {"event_type": "turn", "event_payload": {"id": "7"}}
        posted = await client.chat_postMessage(channel=GENERAL, text="one", metadata=kept)
        ts = posted["ts"]
        update = client.chat_update
        assert await error(update(channel=GENERAL, ts=ts, text="x" * 4_001)) == "msg_too_long"
        assert (await update(channel=GENERAL, ts=ts, text="x" * 4_000))["ok"]
        both = update(channel=GENERAL, ts=ts, text="x", markdown_text="x")
        assert await error(both) == "markdown_text_conflict"
        alices = slack.workspace.say("alice", "general", "mine")
        assert await error(update(channel=GENERAL, ts=alices, text="x")) == "cant_update_message"
        assert await error(client.chat_delete(channel=GENERAL, ts=alices)) == "cant_delete_message"
        two = await update(channel=GENERAL, ts=ts, markdown_text="**two** & [x](https://y.z)")
        assert two["message"]["metadata"] == kept
        assert two["message"]["text"] == "two &amp; x (https://y.z)"
        slack.workspace.channel("general").archived = True
        assert await error(update(channel=GENERAL, ts=ts, text="x")) == "is_inactive"
        slack.workspace.channel("general").archived = False
        await client.chat_delete(channel=GENERAL, ts=ts)
        assert await error(update(channel=GENERAL, ts=ts, text="x")) == "message_not_found"
        states = slack.record.history(ts)
        shown = ["one", "x" * 4_000, "**two** & [x](https://y.z)", None]
        assert [state.text for state in states] == shown
        assert [state.edited for state in states] == [False, True, True, False]


async def test_blocks_show_no_edited_label_and_text_removes_them() -> None:
    async with workspace() as (slack, client):
        ts = (await client.chat_postMessage(channel=GENERAL, text="plain"))["ts"]
        section = {"type": "section", "text": {"type": "mrkdwn", "text": "in a block"}}
        await client.chat_update(channel=GENERAL, ts=ts, text="fallback", blocks=[section])
        assert not slack.record.history(ts)[-1].edited
        assert slack.record.history(ts)[-1].text == "in a block"
        without = await client.chat_update(channel=GENERAL, ts=ts, text="plain again")
        assert "blocks" not in without["message"]
        assert slack.record.history(ts)[-1].text == "plain again"


@pytest.mark.parametrize("honoured", [True, False])
async def test_a_repeated_client_msg_id(honoured: bool) -> None:
    async with workspace(app=App(client_msg_ids=honoured)) as (slack, client):
        say: dict[str, Any] = {"channel": GENERAL, "text": "once", "client_msg_id": "6ab1"}
        first = await client.chat_postMessage(**say)
        again = await client.chat_postMessage(**say)
        assert (first["ts"] == again["ts"]) is honoured
        assert len(slack.record.bot_messages()) == (1 if honoured else 2)


async def test_replies_and_history_are_pages() -> None:
    async with workspace() as (slack, client):
        root = slack.workspace.say("alice", "general", "root")
        said = [slack.workspace.say("bob", "general", f"{n}", thread_ts=root) for n in range(5)]
        kept = {"event_type": "turn", "event_payload": {"id": "7"}}
        await client.chat_postMessage(channel=GENERAL, thread_ts=root, text="5", metadata=kept)
        read = client.conversations_replies
        first = await read(channel=GENERAL, ts=root, limit=3)
        pages = [dict(page.data) async for page in first]
        assert [[m["text"] for m in page["messages"]] for page in pages] == [
            ["root", "0", "1"],
            ["2", "3", "4"],
            ["5"],
        ]
        assert [page["has_more"] for page in pages] == [True, True, False]
        assert pages[0]["messages"][0]["reply_count"] == 6
        assert "metadata" not in pages[2]["messages"][0]
        some = await read(channel=GENERAL, ts=root, oldest=said[3], include_all_metadata=True)
        assert [m["text"] for m in some["messages"]] == ["root", "4", "5"]
        assert some["messages"][-1]["metadata"] == kept
        some = await read(channel=GENERAL, ts=root, latest=said[1], inclusive=True)
        assert [m["text"] for m in some["messages"]] == ["root", "0", "1"]
        alone = await read(channel=GENERAL, ts=said[0])
        assert [m["text"] for m in alone["messages"]] == ["0"]
        assert await error(read(channel=GENERAL, ts="1.1")) == "thread_not_found"
        assert await error(read(channel=GENERAL, ts=root, cursor="?")) == "invalid_cursor"
        newer = slack.workspace.say("alice", "general", "newer")
        recent = await client.conversations_history(channel=GENERAL)
        assert [m["ts"] for m in recent["messages"]] == [newer, root]


async def test_a_distributed_app_reads_fifteen_objects_once_a_minute() -> None:
    app = App(distributed=True)
    async with workspace(app=app, unlimited=False) as (slack, client):
        for number in range(20):
            slack.workspace.say("alice", "general", str(number))
        page = await client.conversations_history(channel=GENERAL, limit=200)
        assert len(page["messages"]) == 15
        assert await error(client.conversations_history(channel=GENERAL)) == "ratelimited"


async def test_status_prompts_and_title() -> None:
    async with workspace(scale=0.004) as (slack, client):
        direct = slack.workspace.direct("alice")
        root = slack.workspace.say("alice", "general", "root")
        where: dict[str, Any] = {"channel_id": GENERAL, "thread_ts": root}
        status = client.assistant_threads_setStatus
        await status(**where, status="is thinking…", loading_messages=["a"] * 10)
        assert slack.record.status("general", root) == "is thinking…"
        await client.chat_postMessage(channel=GENERAL, thread_ts=root, text="here")
        assert slack.record.status("general", root) == ""
        await status(**where, status="is thinking again…")
        await slack.wait_for(lambda: not slack.record.status("general", root))
        why = [(shown.text, shown.why) for shown in slack.record.statuses("general", root)]
        assert why == [
            ("is thinking…", "set"),
            ("", "posted"),
            ("is thinking again…", "set"),
            ("", "expired"),
        ]
        many = status(**where, status="x", loading_messages=["a"] * 11)
        assert await error(many) == "invalid_arguments"
        nowhere = status(channel_id=GENERAL, thread_ts="1.1", status="x")
        assert await error(nowhere) == "invalid_thread_ts"
        prompts = [{"title": "t", "message": "m"}]
        ask = client.assistant_threads_setSuggestedPrompts
        await ask(channel_id=direct, thread_ts=root, prompts=prompts)
        assert slack.record.prompts == []
        await ask(channel_id=direct, prompts=prompts)
        assert slack.record.prompts[0]["prompts"] == prompts
        assert await error(ask(channel_id=direct, prompts=prompts * 5)) == "invalid_arguments"
        slack.app.agent_view = False
        assert await error(ask(channel_id=direct, prompts=prompts)) == "invalid_arguments"
        dm = slack.workspace.say("alice", direct, "hi")
        title = client.assistant_threads_setTitle
        await title(channel_id=direct, thread_ts=dm, title="About hi")
        assert slack.record.titles[0]["title"] == "About hi"


async def test_ephemerals_users_and_reactions() -> None:
    app = App(scopes=App().scopes | {"reactions:write", "channels:read"})
    async with workspace(app=app) as (slack, client):
        tell = client.chat_postEphemeral
        await tell(channel=GENERAL, user="U0ALICE000", text="only you")
        assert slack.record.ephemerals[0]["text"] == "only you"
        assert slack.record.bot_messages() == []
        nobody = tell(channel=GENERAL, user="U0NOBODY", text="x")
        assert await error(nobody) == "user_not_in_channel"
        assert (await client.users_info(user="U0BOB00000"))["user"]["real_name"] == "Bob"
        assert await error(client.users_info(user="U0NOBODY")) == "user_not_found"
        assert (await client.conversations_info(channel=GENERAL))["channel"]["is_member"]
        ts = slack.workspace.say("alice", "general", "x")
        eyes = {"channel": GENERAL, "timestamp": ts, "name": "eyes"}
        await client.reactions_add(**eyes)
        assert await error(client.reactions_add(**eyes)) == "already_reacted"


def test_an_app_is_what_its_manifest_says() -> None:
    app = App.from_manifest(
        {
            "features": {"agent_view": {}, "app_home": {"messages_tab_enabled": True}},
            "oauth_config": {"scopes": {"bot": ["chat:write", "im:history"]}},
            "settings": {"event_subscriptions": {"bot_events": ["message.im", "app_mention"]}},
        },
        distributed=True,
    )
    assert (app.agent_view, app.messages_tab, app.distributed) == (True, True, True)
    assert [app.receives(e) for e in ("message.im", "app_mention", "message.mpim")] == [
        True,
        False,
        False,
    ]
    bare = App.from_manifest({})
    assert (bare.agent_view, bare.messages_tab, bare.scopes) == (False, False, frozenset())
