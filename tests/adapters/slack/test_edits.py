"""What Slack tells of people's edits and deletions, and what the platform makes of it."""

from typing import Any

import pytest

from adapters.slack.app import SlackPlatform
from adapters.slack.events import Deleted, Edited, Ignored, read
from adapters.slack.thread import SlackThread
from core.errors import StoreBusy
from core.types import Prompt
from tests.adapters.slack.conftest import Inbox
from tests.adapters.slack.payloads import BOT, payload
from tests.emulators.slack import SlackServer

ME = "slack:T0ACME:C0GENERAL:1760000000.000100"
OURS = {"user": "U0BOT", "bot_id": "B0BOT", "text": "So.", "ts": "1760000000.000100"}


def message(**changes: Any) -> dict[str, Any]:
    """A message of Alice's, inside an event."""
    said = {"type": "message", "user": "U0ALICE", "ts": "1760000000.000100", "text": "hi"}
    return said | changes


def test_an_edit_is_the_new_text() -> None:
    assert read(payload("message_changed"), BOT) == Edited(ME, "what is a hedge?")


def test_a_deletion_is_the_message_that_was() -> None:
    assert read(payload("message_deleted"), BOT) == Deleted(ME)
    assert read(payload("message_deleted", previous_message=None), BOT) == Deleted(ME)


def test_a_root_with_replies_becomes_a_tombstone() -> None:
    stone = message(user="USLACKBOT", subtype="tombstone", text="This message was deleted.")
    assert read(payload("message_changed", message=stone), BOT) == Deleted(ME)
    assert read(payload("message_changed", message=stone, previous_message=OURS), BOT) == Ignored(
        "bot"
    )


def test_a_preview_is_no_edit() -> None:
    body = payload("message_changed")
    said = body["event"]["previous_message"]
    shown = said | {"attachments": [{"from_url": "https://x.org", "title": "X"}]}
    assert read(payload("message_changed", message=shown), BOT) == Ignored("no new words")


@pytest.mark.parametrize("marks", [{"bot_id": None}, {"user": "U1"}, {}])
def test_our_own_edits_are_dropped_first(marks: dict[str, Any]) -> None:
    said = message(**(OURS | marks))
    assert read(payload("message_changed", message=said), BOT) == Ignored("own message")


def test_our_own_deletions_are_nobodys() -> None:
    assert isinstance(read(payload("message_deleted", previous_message=OURS), BOT), Ignored)


def test_another_bots_edits_are_nobodys() -> None:
    said = message(bot_id="B0CI")
    assert read(payload("message_changed", message=said), BOT) == Ignored("bot")


@pytest.mark.parametrize(
    ("before", "after", "asked"),
    [
        ("what is it?", "<@U0BOT> what is it?", True),
        ("<@U0BOT> what?", "<@U0BOT> what is it?", False),
        ("<@U0BOT> what is it?", "what is it?", False),
        ("what?", "what is it?", False),
    ],
)
def test_naming_us_by_an_edit_is_asking_now(before: str, after: str, asked: bool) -> None:
    was, now = message(text=before), message(text=after)
    outcome = read(payload("message_changed", message=now, previous_message=was), BOT)
    assert isinstance(outcome, Edited)
    assert (outcome.identity, outcome.text) == (ME, "what is it?")
    same = read(payload("message_mention", text=after, ts=now["ts"]), BOT)
    assert outcome.asked == (same if asked else None)
    assert isinstance(same, Prompt) or not asked


@pytest.mark.parametrize("text", [{"text": ""}, {}], ids=["no text", "without one"])
def test_what_is_written_in_blocks_is_edited_and_asked_like_any_text(text: dict[str, Any]) -> None:
    def said(words: str) -> dict[str, Any]:
        """A message of Alice's that was written into its blocks alone."""
        block = {"type": "section", "text": {"type": "mrkdwn", "text": words}}
        empty = {name: value for name, value in message().items() if name != "text"}
        return empty | text | {"blocks": [block]}

    was, now = said("what is it?"), said("<@U0BOT> what is it?")
    outcome = read(payload("message_changed", message=now, previous_message=was), BOT)
    assert isinstance(outcome, Edited)
    assert (outcome.identity, outcome.text) == (ME, "what is it?")
    assert outcome.asked is not None
    assert outcome.asked.text == "what is it?"
    again = read(payload("message_changed", message=now, previous_message=now), BOT)
    assert again == Ignored("no new words")


def test_an_edit_in_a_direct_message_asks_nothing_new() -> None:
    was, now = message(text="a"), message(text="<@U0BOT> b")
    changes = {"channel": "D0ALICE", "channel_type": "im"}
    outcome = read(payload("message_changed", message=now, previous_message=was, **changes), BOT)
    assert outcome == Edited("slack:T0ACME:D0ALICE:1760000000.000100", "b")


@pytest.mark.parametrize(
    "changes",
    [
        {"message": None},
        {"message": 7},
        {"message": {}},
        {"channel": None},
        {"channel": ""},
        {"message": message(ts="soon")},
        {"message": message(text=None)},
        {"message": message(text=7)},
    ],
)
def test_an_odd_edit_is_nothing(changes: dict[str, Any]) -> None:
    assert isinstance(read(payload("message_changed", **changes), BOT), Ignored)


@pytest.mark.parametrize("changes", [{"deleted_ts": None}, {"deleted_ts": 7}, {"channel": None}])
def test_an_odd_deletion_is_nothing(changes: dict[str, Any]) -> None:
    assert isinstance(read(payload("message_deleted", **changes), BOT), Ignored)


async def test_people_edit_and_delete(
    slack: SlackServer, either: SlackPlatform, inbox: Inbox
) -> None:
    ts = slack.workspace.say("alice", "general", f"{slack.mention} one")
    await slack.wait_for(lambda: inbox.taken)
    thread = either.open(inbox.taken[0])
    assert isinstance(thread, SlackThread)
    part = await thread.post("first", "1:0")
    await thread.edit(part, "second")
    streamed = await thread.start("third", "1:1")
    await thread.append(streamed, "third", "third and")
    await thread.stop(streamed, "third and", "third and fourth")
    slack.workspace.unfurl(ts)
    slack.workspace.edit(ts, f"{slack.mention} two")
    await slack.wait_for(lambda: inbox.changes)
    slack.workspace.delete(ts)
    await slack.wait_for(lambda: len(inbox.changes) == 2)
    await thread.remove(part)
    await slack.wait_for(lambda: not slack.deliverer.unacked())
    me = inbox.taken[0].identity
    assert inbox.changes == [(me, "two"), (me, None)]
    assert len(inbox.offered) == 2, "both copies of the mention, and nothing else"


async def test_an_edit_that_names_us_is_accepted_once(
    slack: SlackServer, either: SlackPlatform, inbox: Inbox
) -> None:
    ts = slack.workspace.say("alice", "general", "what is a fence?")
    slack.workspace.edit(ts, f"{slack.mention} what is a fence?")
    await slack.wait_for(lambda: inbox.taken)
    slack.workspace.edit(ts, f"{slack.mention} what is a hedge?")
    await slack.wait_for(lambda: len(inbox.changes) == 2)
    assert [prompt.text for prompt in inbox.taken] == ["what is a fence?"]
    assert inbox.changes[1] == (inbox.taken[0].identity, "what is a hedge?")


@pytest.mark.parametrize("change", ["edit", "delete"])
async def test_what_was_not_stored_is_not_acknowledged(
    slack: SlackServer, either: SlackPlatform, inbox: Inbox, change: str
) -> None:
    ts = slack.workspace.say("alice", "general", f"{slack.mention} one")
    await slack.wait_for(lambda: inbox.taken)
    await slack.wait_for(lambda: not slack.deliverer.unacked())
    inbox.fail.append(StoreBusy("locked"))
    if change == "edit":
        slack.workspace.edit(ts, f"{slack.mention} two")
    else:
        slack.workspace.delete(ts)
    await slack.wait_for(lambda: inbox.changes)
    assert inbox.changes == [(inbox.taken[0].identity, "two" if change == "edit" else None)]
