"""Streams that Slack won't end or have edited, and what keeps them from being begun."""

from dataclasses import replace

import aiohttp
import pytest

from adapters.slack.calls import PAUSE, Api
from adapters.slack.ids import Address, Bot, split_part_id
from adapters.slack.thread import SlackThread
from core.errors import (
    DeliveryError,
    RateLimited,
    Stopped,
    StreamOpen,
    StreamOver,
    Unreachable,
    Untouchable,
)
from tests.adapters.slack.conftest import Open, edit_met
from tests.adapters.slack.payloads import prompt
from tests.adapters.slack.test_streams import START, STOP, calls, post, states
from tests.emulators.slack import SlackServer
from tests.emulators.slack_faults import Fault
from tests.emulators.slack_workspace import BOT, BOT_USER, TEAM


async def test_a_stream_that_cant_be_ended_is_tried_again(
    slack: SlackServer, thread: SlackThread
) -> None:
    part = await thread.start("one", "1:0")
    slack.faults.add(Fault(STOP, error="message_not_owned_by_app"))
    with pytest.raises(Unreachable):
        await thread.edit(part, "one two")
    slack.faults.add(Fault(STOP, retry_after=3))
    for told in (StreamOpen, RateLimited):
        with pytest.raises(told):
            await thread.edit(part, "one two")
    await thread.edit(part, "one two")
    assert states(slack, part)[-1] == "one two"


async def test_a_stop_by_a_person_is_heard_where_an_edit_ends_the_stream(
    slack: SlackServer, thread: SlackThread
) -> None:
    part = await thread.start("one", "1:0")
    slack.workspace.stop(split_part_id(part)[1])
    with pytest.raises(Stopped):
        await thread.edit(part, "another text")
    assert states(slack, part)[-1] == "one"
    slack.faults.add(Fault("chat.update", error="streaming_state_conflict"))  # it may lag behind
    await edit_met(thread, part, "one, no more")
    assert states(slack, part)[-1] == "one, no more"
    assert calls(slack) == ["startStream", *["stopStream", "update"] * 2]


@pytest.mark.parametrize("method", ["update", "delete"])
async def test_a_stop_by_a_person_of_what_a_dead_process_left_open(
    slack: SlackServer, opened: Open, thread: SlackThread, method: str
) -> None:
    """It comes just before the stream is ended: whoever deletes the message has no use for it."""
    part = await opened().start("one", "1:0")
    slack.workspace.stop(split_part_id(part)[1])
    slack.faults.add(Fault(f"chat.{method}", error="streaming_state_conflict"))
    if method == "delete":
        await thread.remove(part)
        assert slack.workspace.posts.get(split_part_id(part)[1]) is None
        return
    for told in (StreamOpen, Stopped):
        with pytest.raises(told):
            await thread.edit(part, "one two")
    assert states(slack, part)[-1] == "one"
    await thread.edit(part, "one, no more")
    assert states(slack, part)[-1] == "one, no more"


@pytest.mark.parametrize("code", ["user_not_found", "team_not_found", "a_code_of_tomorrow"])
async def test_a_stream_that_slack_will_not_end_is_left_and_no_other_begins_there(
    slack: SlackServer, opened: Open, thread: SlackThread, code: str
) -> None:
    part = await thread.start("one", "1:0")
    slack.faults.add(Fault(STOP, 2, error=code))
    with pytest.raises(StreamOver):
        await thread.stop(part, "one", "one two")
    with pytest.raises(Untouchable, match=code):
        await thread.edit(part, "one two")
    assert states(slack, part)[-1] == "one"
    assert opened().limits.stream is None
    elsewhere = slack.workspace.direct("alice")
    other = opened(slack.workspace.say("alice", elsewhere, "and here?"), elsewhere)
    assert other.limits.stream is not None


async def test_a_stream_is_for_the_workspace_of_who_asked(
    slack: SlackServer, session: aiohttp.ClientSession, root: str
) -> None:
    asked = prompt(slack, root)
    at = replace(Address.decode(asked.address), home="T9OTHER")
    slack.faults.add(Fault(START, error="team_not_found"))
    api = Api(slack.app.bot_token, slack.api_url, session)
    thread = SlackThread(api, Bot(BOT_USER, BOT, TEAM), replace(asked, address=at.encode()))
    with pytest.raises(StreamOver):
        await thread.start("one", "1:0")
    args = slack.record.called_with(START)[0].args
    assert (args["recipient_team_id"], args["recipient_user_id"]) == ("T9OTHER", at.user)


async def test_a_stream_whose_message_cant_be_touched_is_ended(
    slack: SlackServer, thread: SlackThread, root: str
) -> None:
    part = await thread.start("see:", "1:0")
    await thread.append(part, "see:", "see:\n\n```py\nx = 1")
    for _ in range(2):
        slack.faults.add(Fault("chat.update", error="edit_window_closed"))
        with pytest.raises(Untouchable, match="administrator"):
            await thread.edit(part, "another text")
    assert calls(slack) == ["startStream", "appendStream", "stopStream", "update", "update"]
    assert not post(slack, part).streaming
    assert slack.record.visible("general", root) == ["see:\n\n```py\nx = 1\n```"]


@pytest.mark.parametrize(
    ("status", "again"), [(403, True), (200, True), (404, False), (501, False)]
)
async def test_a_page_of_somebody_between_ends_streams_for_a_while(
    slack: SlackServer, session: aiohttp.ClientSession, root: str, status: int, again: bool
) -> None:
    clock = [1_000.0]
    api = Api(slack.app.bot_token, slack.api_url, session, now=lambda: clock[0])
    slack.faults.add(Fault(START, status=status))
    for seconds, there in ((0.0, True), (PAUSE - 1, False), (1.0, again)):
        clock[0] += seconds
        thread = SlackThread(api, Bot(BOT_USER, BOT, TEAM), prompt(slack, root))
        assert (thread.limits.stream is not None) is there
        if not seconds:
            with pytest.raises(DeliveryError):
                await thread.start("one", "1:0")


async def test_what_a_message_says_is_read(slack: SlackServer, thread: SlackThread) -> None:
    """Of a stream nobody has ended, too."""
    texts = ["one", "one two", "one two three"]
    for part in (await thread.start(texts[1], "1:0"), await thread.post(texts[1], "1:1")):
        assert await thread.says(part, texts) == texts[1]
        assert await thread.says(part, texts[2:]) is None
        slack.workspace.delete(split_part_id(part)[1])
        assert await thread.says(part, texts) is None
    slack.faults.add(Fault("conversations.replies", retry_after=3))
    with pytest.raises(RateLimited):
        await thread.says(part, texts)
