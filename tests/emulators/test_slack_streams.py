"""The stand-in's native streams are as strict as Slack's, seen through the real AsyncWebClient."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.emulators.slack import SlackServer
from tests.emulators.slack_app import App
from tests.emulators.slack_limits import Limits
from tests.emulators.slack_streams import MAX_STREAM
from tests.emulators.slack_workspace import TEAM
from tests.emulators.test_slack_web_api import GENERAL, error, workspace

LIFE = 0.3
"""Seconds that a stream lives at a scale of 0.001."""
PERSON: dict[str, Any] = {"recipient_team_id": TEAM, "recipient_user_id": "U0ALICE000"}


def thread(slack: SlackServer, channel: str = GENERAL) -> dict[str, Any]:
    """Where to start a stream: under a message of Alice's."""
    root = slack.workspace.say("alice", channel, "root")
    return {"channel": channel, "thread_ts": root}


async def started(slack: SlackServer, client: AsyncWebClient, text: str = "one") -> dict[str, Any]:
    """The message of a new stream."""
    where = thread(slack)
    answer = await client.chat_startStream(**where, **PERSON, markdown_text=text)
    return {"channel": answer["channel"], "ts": answer["ts"]}


async def test_it_grows_and_ends() -> None:
    async with workspace() as (slack, client):
        message = await started(slack, client, "one ")
        await client.chat_appendStream(**message, markdown_text="two ")
        extra = [{"type": "section", "text": {"type": "mrkdwn", "text": "beneath"}}]
        await client.chat_stopStream(**message, markdown_text="three", blocks=extra)
        for call in (client.chat_appendStream, client.chat_stopStream):
            ended = await error(call(**message, markdown_text="four"))
            assert ended == "message_not_in_streaming_state"
        texts = [state.text for state in slack.record.history(message["ts"])]
        assert texts == ["one ", "one two ", "one two three\nbeneath"]


async def test_chunks_are_another_way_to_say_it() -> None:
    async with workspace() as (slack, client):
        message = await started(slack, client)
        said = [{"type": "markdown_text", "text": " two"}]
        await client.chat_appendStream(**message, chunks=said)
        odd = client.chat_appendStream(**message, chunks=[{"type": "poem"}])
        assert await error(odd) == "invalid_chunks"
        assert slack.record.history(message["ts"])[-1].text == "one two"


async def test_a_text_is_needed_to_go_on_but_not_to_begin_or_end() -> None:
    async with workspace() as (slack, client):
        message = await started(slack, client, "")
        for blank in ("", " \n"):
            assert (
                await error(client.chat_appendStream(**message, markdown_text=blank)) == "no_text"
            )
        await client.chat_stopStream(**message)


async def test_outside_direct_messages_somebody_is_named() -> None:
    async with workspace() as (slack, client):
        where = thread(slack)
        nobody = await error(client.chat_startStream(**where, markdown_text="x"))
        assert nobody == "missing_recipient_team_id"
        half = client.chat_startStream(**where, recipient_team_id=TEAM)
        assert await error(half) == "missing_recipient_user_id"
        stranger = PERSON | {"recipient_user_id": "U0ELSEWHERE"}
        assert await error(client.chat_startStream(**where, **stranger)) == "user_not_found"
        foreign = PERSON | {"recipient_team_id": "T0ELSEWHERE"}
        assert await error(client.chat_startStream(**where, **foreign)) == "team_not_found"
        direct = thread(slack, slack.workspace.direct("alice"))
        assert (await client.chat_startStream(**direct, markdown_text="x"))["ok"]


async def test_a_thread_is_needed() -> None:
    async with workspace() as (slack, client):
        where = thread(slack) | {"thread_ts": "1.1"}
        assert await error(client.chat_startStream(**where, **PERSON)) == "invalid_thread_ts"
        where = thread(slack)
        slack.workspace.channel("general").archived = True
        assert await error(client.chat_startStream(**where, **PERSON)) == "is_archived"
        slack.workspace.channel("general").archived = False
        slack.workspace.expel("general")
        assert await error(client.chat_startStream(**where, **PERSON)) == "not_in_channel"


async def test_an_open_stream_is_not_edited_until_slack_seals_it() -> None:
    async with workspace(scale=0.001) as (slack, client):
        message = await started(slack, client)
        update = client.chat_update
        assert await error(update(**message, markdown_text="x")) == "streaming_state_conflict"
        await client.chat_appendStream(**message, markdown_text=" two")
        await asyncio.sleep(LIFE + 0.1)  # active or not
        for call in (client.chat_appendStream, client.chat_stopStream):
            sealed = await error(call(**message, markdown_text=" three"))
            assert sealed == "message_not_in_streaming_state"
        await update(**message, markdown_text="repaired")
        assert slack.record.history(message["ts"])[-1].text == "repaired"


async def test_an_edit_that_is_refused_for_an_open_stream_counts() -> None:
    """Slack doesn't say so; whoever counts on the opposite would be refused."""
    async with workspace(limits=Limits("fixed"), unlimited=False) as (slack, client):
        message = await started(slack, client)
        update = client.chat_update
        for _ in range(50):
            assert await error(update(**message, markdown_text="x")) == "streaming_state_conflict"
        assert await error(update(**message, markdown_text="x")) == "ratelimited"


async def test_an_open_stream_can_be_deleted() -> None:
    async with workspace() as (slack, client):
        message = await started(slack, client)
        await client.chat_delete(**message)
        for call in (client.chat_appendStream, client.chat_stopStream):
            assert await error(call(**message, markdown_text="x")) == "message_not_found"


async def test_a_person_ends_it() -> None:
    async with workspace() as (slack, client):
        message = await started(slack, client)
        slack.workspace.stop(message["ts"])
        for call in (client.chat_appendStream, client.chat_stopStream):
            assert await error(call(**message, markdown_text="x")) == "stopped_by_user"
        await client.chat_update(**message, markdown_text="edited after that")


async def test_only_its_own_messages_and_only_streams() -> None:
    async with workspace() as (slack, client):
        root = slack.workspace.say("alice", "general", "root")
        hers: dict[str, Any] = {"channel": GENERAL, "ts": root}
        for call in (client.chat_appendStream, client.chat_stopStream):
            owned = await error(call(**hers, markdown_text="x"))
            assert owned == "message_not_owned_by_app"
        posted = (await client.chat_postMessage(channel=GENERAL, text="posted"))["ts"]
        plain = client.chat_appendStream(channel=GENERAL, ts=posted, markdown_text="x")
        assert await error(plain) == "message_not_in_streaming_state"


async def test_sizes_of_a_call_and_of_the_whole() -> None:
    async with workspace() as (slack, client):
        long = client.chat_startStream(**thread(slack), **PERSON, markdown_text="x" * 12_001)
        assert await error(long) == "msg_too_long"
        message = await started(slack, client, "x" * 12_000)
        long = client.chat_appendStream(**message, markdown_text="x" * 12_001)
        assert await error(long) == "msg_too_long"
        rest = MAX_STREAM - 12_000
        for call in (client.chat_appendStream, client.chat_stopStream):
            whole = await error(call(**message, markdown_text="x" * (rest + 1)))
            assert whole == "msg_blocks_too_long"
        await client.chat_stopStream(**message, markdown_text="x" * rest)


async def test_addresses_may_be_previewed() -> None:
    """No argument forbids it, unlike `chat.postMessage`'s: to be on the safe side, it happens."""
    async with workspace() as (slack, client):
        message = await started(slack, client, "https://one.example")
        await client.chat_appendStream(**message, markdown_text=" and two")
        await client.chat_appendStream(**message, markdown_text=" https://two.example")
        await client.chat_stopStream(**message, markdown_text=" `https://three.example`")
        seen = [unfurl.what for unfurl in slack.record.unfurls]
        assert seen == ["https://one.example", "https://one.example", "https://two.example"]


async def test_metadata_comes_at_the_end_only() -> None:
    async with workspace() as (slack, client):
        where = thread(slack)
        named = {"event_type": "x", "event_payload": {"id": "1"}}
        begun = await client.chat_startStream(**where, **PERSON, metadata=named, markdown_text="a")
        message = {"channel": GENERAL, "ts": begun["ts"]}

        async def read() -> Any:
            page = await client.conversations_replies(
                channel=GENERAL, ts=where["thread_ts"], include_all_metadata=True
            )
            return page["messages"][-1].get("metadata")

        assert await read() is None
        await client.chat_stopStream(**message, metadata=named)
        assert await read() == named
        await client.chat_update(**message, markdown_text="b")
        assert await read() == named, "chat.update keeps what it isn't given"


@pytest.mark.parametrize("code", ["unknown_method", "feature_not_enabled"])
async def test_a_workspace_may_have_no_streams(code: str) -> None:
    async with workspace(app=App(no_streams=code)) as (slack, client):
        assert await error(client.chat_startStream(**thread(slack), **PERSON)) == code
        message: dict[str, Any] = {
            "channel": GENERAL,
            "ts": slack.workspace.say("alice", "general", "x"),
        }
        for call in (client.chat_appendStream, client.chat_stopStream):
            assert await error(call(**message, markdown_text="x")) == code


async def test_some_conversations_may_have_none() -> None:
    app = App(streams_in=frozenset({"im"}))
    async with workspace(app=app) as (slack, client):
        refused = client.chat_startStream(**thread(slack), **PERSON, markdown_text="x")
        assert await error(refused) == "channel_type_not_supported"
        direct = thread(slack, slack.workspace.direct("alice"))
        assert (await client.chat_startStream(**direct, markdown_text="x"))["ok"]


async def _calls_until_refused(call: Callable[[], Awaitable[Any]]) -> int:
    made = 0
    while True:
        try:
            await call()
        except SlackApiError as refused:
            response = refused.response
            assert (response.status_code, response["error"]) == (429, "ratelimited")
            assert 0 < int(response.headers["Retry-After"]) <= 60
            return made
        made += 1


async def test_each_method_has_a_budget_of_its_own() -> None:
    async with workspace(unlimited=False, limits=Limits("fixed")) as (slack, client):
        where = thread(slack) | PERSON
        messages: list[dict[str, Any]] = []

        async def start() -> None:
            answer = await client.chat_startStream(**where, markdown_text="x")
            messages.append({"channel": GENERAL, "ts": answer["ts"]})

        async def append() -> None:
            await client.chat_appendStream(**messages[0], markdown_text="x")

        async def stop() -> None:
            await client.chat_stopStream(**messages[-1])
            messages.pop()

        assert await _calls_until_refused(start) == 20
        assert await _calls_until_refused(append) == 100
        for _ in range(20):
            await stop()
        messages.append({"channel": GENERAL, "ts": "1.1"})
        assert await _calls_until_refused(stop) == 0
