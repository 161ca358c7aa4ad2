"""Streams whose start got no answer: told from all other messages by the name that they lack."""

from dataclasses import replace
from math import inf

import pytest

from adapters.slack.calls import Api
from adapters.slack.ids import Bot, split_part_id
from adapters.slack.thread import SlackThread
from core.errors import Stopped, Unreachable
from core.types import ThreadKey
from tests.adapters.slack.conftest import Open, edit_met
from tests.adapters.slack.payloads import prompt
from tests.adapters.slack.test_streams import START, post
from tests.emulators.slack import SlackServer
from tests.emulators.slack_faults import Fault
from tests.emulators.slack_workspace import BOT, BOT_USER, TEAM


async def test_a_start_whose_answer_was_lost_is_found(
    slack: SlackServer, opened: Open, thread: SlackThread, root: str
) -> None:
    slack.faults.add(Fault(START, cut="after"))
    with pytest.raises(Unreachable):
        await thread.start("one", "1:0")
    assert await thread.find("1:0") == []
    (found,) = await thread.nameless("1:0", inf, None)
    await edit_met(thread, found, "one and a half")
    assert slack.record.visible("general", root) == ["one and a half"]
    assert await opened().find("1:0") == [found]
    assert await opened().nameless("1:1", inf, None) == []


async def test_whoever_knows_one_stream_tells_the_other_from_it(
    slack: SlackServer, opened: Open, thread: SlackThread
) -> None:
    left_open = await thread.start("one", "1:0")
    slack.faults.add(Fault(START, cut="after"))
    with pytest.raises(Unreachable):
        await thread.start("two", "1:1")
    known, found = await opened().nameless("1:1", inf, None)
    assert known == left_open
    assert await opened().nameless("1:1", inf, left_open) == [found], "parts are posted in order"
    assert post(slack, found).raw == "two"


async def test_answers_of_one_thread_are_not_taken_for_each_other(
    slack: SlackServer, opened: Open, root: str
) -> None:
    """The second question waits while the first one's answer is written, so what belongs to the
    first is younger than the second, too."""
    say = slack.workspace.say
    second = say("bob", "general", f"{slack.mention} and mine?", thread_ts=root)
    first = opened()
    streamed = await first.start("one", "1:0")
    await first.stop(streamed, "one", "one.")
    sealed = await opened().start("two", "1:1")
    await edit_met(opened(), sealed, "two.")  # by another process
    stopped = await first.start("three", "1:2")
    slack.workspace.stop(split_part_id(stopped)[1])
    with pytest.raises(Stopped):
        await first.append(stopped, "three", "three four")
    await first.edit(stopped, "three")
    assert await opened(second).nameless("2:0", inf, None) == []
    slack.faults.add(Fault(START, cut="after"))
    with pytest.raises(Unreachable):
        await opened(second).start("mine", "2:0")
    (found,) = await opened(second).nameless("2:0", inf, None)
    assert post(slack, found).raw == "mine"


async def test_other_messages_are_not_taken_for_a_lost_stream(
    slack: SlackServer, opened: Open, root: str
) -> None:
    """Not what is older, not what others wrote, not what a person writes as the bot's app."""
    say = slack.workspace.say
    before = await opened().start("an answer to the root", "1:0")
    asked = say("bob", "general", f"{slack.mention} and?", thread_ts=root)
    say("alice", "general", "not ours", thread_ts=root)
    other = slack.workspace.add_user("otherbot", is_bot=True)
    slack.workspace.channel("general").members.add(other)
    say(other, "general", "nor this", thread_ts=root)
    assert await opened(asked).nameless("2:0", inf, None) == []
    assert await opened().nameless("1:0", inf, None) == [before]


async def test_a_refusal_beside_the_conversation_takes_no_stream(
    slack: SlackServer, api: Api, opened: Open, root: str
) -> None:
    """Beyond ten waiting questions each is refused at once, while others are answered."""
    asked = slack.workspace.say("bob", "general", f"{slack.mention} me too", thread_ts=root)
    crowded = prompt(slack, asked)
    crowded = replace(crowded, thread=ThreadKey(f"{crowded.thread}#{crowded.identity}"))
    aside = SlackThread(api, Bot(BOT_USER, BOT, TEAM), crowded)
    await opened().start("being written", "1:0")
    assert aside.limits.stream is None
    assert list(await aside.nameless("9:0", inf, None)) == []
    posted = await aside.post("too many", "9:0")
    assert await aside.find("9:0") == [posted]


async def test_the_message_that_the_thread_hangs_on_is_no_stream(
    slack: SlackServer, opened: Open
) -> None:
    """Slack gives the root of a thread whatever is asked for; in the older assistant view it is
    ours, and has no name."""
    root = slack.events.open_assistant("alice")
    direct = slack.workspace.direct("alice")
    asked = slack.workspace.say("alice", direct, "hello", thread_ts=root)
    assert slack.workspace.posts[root].user == BOT_USER
    assert await opened(asked, direct).nameless("2:0", inf, None) == []


async def test_no_stream_is_missed_by_a_reading_from_before_it(
    slack: SlackServer, thread: SlackThread
) -> None:
    """One reading serves both looks, until there is a call behind it that may land."""
    assert await thread.find("1:0") == []
    assert list(await thread.nameless("1:0", inf, None)) == []
    assert len(slack.record.called_with("conversations.replies")) == 1
    assert await thread.find("1:0") == []
    slack.faults.add(Fault(START, cut="after"))
    with pytest.raises(Unreachable):
        await thread.start("one", "1:0")
    (found,) = await thread.nameless("1:0", inf, None)
    assert post(slack, found).raw == "one"
    assert list(await thread.nameless("1:0", inf, None)) == [found], "it is read anew each time"
    assert len(slack.record.called_with("conversations.replies")) == 4
