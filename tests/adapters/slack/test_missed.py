"""What is read back from Slack, and as what."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.slack.events import read
from adapters.slack.ids import sequence, thread_key
from adapters.slack.missed import (
    CHANNELS,
    KNOWN,
    LATE,
    MARGIN,
    MESSAGES,
    REACH,
    THREADS,
    Found,
    Place,
    as_told,
    channels_of,
    threads_of,
)
from core.ports import Recent
from tests.adapters.slack.conftest import Inbox
from tests.adapters.slack.past import Past, reading, reading_ends, until
from tests.adapters.slack.payloads import BOT, FOLDER, payload
from tests.emulators.slack import SlackServer
from tests.emulators.slack_workspace import BOT_USER, TEAM

# What is asked, and what becomes of it.


@pytest.fixture
def past(slack: SlackServer) -> Past:
    return Past(slack)


NEVER = float("inf")


async def test_known_threads_channels_and_direct_messages(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    direct = slack.workspace.direct("bob")
    root = past.ask(3600, "one")
    hello = past.say(3500, "hello", direct)
    inbox.taken.append(past.prompt(root))
    inbox.taken.append(past.prompt(hello))
    past.say(300, "and two?", root=root)
    past.ask(200, "three")
    past.say(150, "chatter")
    past.say(100, "four", direct)
    past.say(90, "five", direct, hello)
    async with reading(slack, inbox):
        await until(lambda: len(inbox.taken) == 6)
    assert inbox.texts()[:2] == ["one", "hello"]
    assert set(inbox.texts()) == {"one", "hello", "and two?", "three", "four", "five"}
    assert not any(prompt.late for prompt in inbox.taken)


async def test_a_missed_mention_brings_its_follow_ups(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    inbox.taken.append(past.prompt(past.ask(3600, "one")))
    root = past.say(400, "who knows this?")
    past.say(390, "not me", root=root)
    past.ask(380, "you?", root=root)
    past.say(370, "and why?", root=root)
    other = past.say(360, "lunch?")
    past.say(350, "yes", root=other)
    async with reading(slack, inbox):
        await until(lambda: len(inbox.taken) == 3)
        await reading_ends(slack, 4)
    assert inbox.texts() == ["one", "you?", "and why?"]
    assert "yes" not in {prompt.text for prompt in inbox.offered}


async def test_what_was_said_before_we_were_called_is_not_for_us(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    root = past.say(800, "hi all")
    past.say(700, "who can help?", root=root)
    inbox.taken.append(past.prompt(past.ask(600, "you", root=root)))
    past.say(500, "thanks", root=root)
    async with reading(slack, inbox):
        await until(lambda: len(inbox.taken) == 2)
        await reading_ends(slack, 2)
    assert inbox.texts() == ["you", "thanks"]


async def test_missed_between_two_that_were_heard(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    """Events come in no order: the newest known question doesn't say that all before it came."""
    root = past.ask(700, "one")
    inbox.taken.append(past.prompt(root))
    past.say(690, "two", root=root)
    inbox.taken.append(past.prompt(past.say(600, "three", root=root)))
    async with reading(slack, inbox):
        await until(lambda: len(inbox.taken) == 3)
    assert inbox.texts() == ["one", "three", "two"]


async def test_own_words_joins_bots_and_deleted_ones_are_no_prompts(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    direct = slack.workspace.direct("alice")
    root = past.say(3000, "one", direct)
    inbox.taken.append(past.prompt(root))
    robot = slack.workspace.add_user("robot", is_bot=True)
    past.say(300, "an answer", direct, root, user=BOT_USER)
    past.say(290, "beep", direct, root, user=robot)
    past.say(280, "topic", direct, subtype="channel_topic")
    past.say(270, "joined", direct, subtype="channel_join")
    past.say(260, "This message was deleted.", direct, user="USLACKBOT", subtype="tombstone")
    past.say(250, "with a file", direct, subtype="file_share")
    async with reading(slack, inbox):
        await until(lambda: len(inbox.taken) == 2)
        await reading_ends(slack, 2)
    assert {prompt.text for prompt in inbox.offered} == {"one", "with a file"}


async def test_late_too_late_and_before_our_time(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    root = past.ask(REACH + 7200, "first of all")
    inbox.taken.append(past.prompt(root))
    for name, ago in (("gone", REACH + 60), ("old", REACH - 60), ("hour", 3600), ("now", 60)):
        past.say(ago, name, root=root)
        past.ask(ago, f"asked {name}")
    async with reading(slack, inbox):
        await until(lambda: len(inbox.taken) == 7)
        await reading_ends(slack, 2)
    assert {prompt.text: prompt.late for prompt in inbox.taken[1:]} == {
        "old": True,
        "asked old": True,
        "hour": True,
        "asked hour": True,
        "now": False,
        "asked now": False,
    }


async def test_a_channel_is_not_read_from_before_our_first_question_there(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    past.ask(MARGIN + 700, "before")
    inbox.taken.append(past.prompt(past.ask(600, "one")))
    past.ask(MARGIN + 500, "within the margin")
    async with reading(slack, inbox):
        await until(lambda: len(inbox.taken) == 2)
        await reading_ends(slack, 2)
    assert inbox.texts() == ["one", "within the margin"]


async def test_never_on_the_very_first_start(slack: SlackServer, past: Past, inbox: Inbox) -> None:
    past.ask(60, "one")
    async with reading(slack, inbox) as backlog:
        backlog.linked(False)
        backlog.linked(True)
        await until(lambda: len(inbox.asked) == 2)
        await reading_ends(slack, 0)
    assert not inbox.offered


async def test_in_order_over_many_pages(slack: SlackServer, past: Past, inbox: Inbox) -> None:
    root = past.ask(3600, "one")
    inbox.taken.append(past.prompt(root))
    for number in range(450):
        past.say(800 - number, str(number), root=root)
        past.say(800 - number, "chatter")
    for number in range(3):
        past.ask(790 - 200 * number, f"mention {number}")
    async with reading(slack, inbox):
        await until(lambda: len(inbox.taken) == 454, within=10)
        await reading_ends(slack, 6)
    assert inbox.texts()[1:4] == ["mention 2", "mention 1", "mention 0"], "newest page first"
    assert inbox.texts()[4:] == [str(number) for number in range(450)]


async def test_mentions_of_one_page_are_taken_in_their_order(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    inbox.taken.append(past.prompt(past.ask(3600, "one")))
    past.ask(60, "two")
    past.ask(50, "three")
    async with reading(slack, inbox):
        await until(lambda: len(inbox.taken) == 3)
    assert inbox.texts() == ["one", "two", "three"]


async def test_one_busy_place_does_not_take_for_ever(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    inbox.taken.append(past.prompt(past.ask(3600, "one")))
    for number in range(MESSAGES + 400):
        past.say(3000 - number, "chatter")
    async with reading(slack, inbox):
        await reading_ends(slack, MESSAGES // 200 + 1)


# Where it looks.


def lately(channel: str, root: float, newest: float) -> Recent:
    thread_ts, ts = f"{root:.6f}", f"{newest:.6f}"
    return Recent(thread_key(TEAM, channel, thread_ts), sequence(ts), sequence(thread_ts))


NOW = 1_800_000_000.0


def test_a_channel_is_read_since_the_newest_question_in_it() -> None:
    recent = [
        lately("C1", NOW - 9000, NOW - 5000),
        lately("C1", NOW - 9000, NOW - 6000),
        lately("C2", NOW - 9000, NOW - 7000),
        lately("C3", NOW - 9 * REACH, NOW - 8 * REACH),
    ]
    assert channels_of(recent, NEVER, NOW) == [
        Place(TEAM, "C1", NOW - 5000 - MARGIN),
        Place(TEAM, "C2", NOW - 7000 - MARGIN),
        Place(TEAM, "C3", NOW - REACH),
    ]
    began = NOW - 100
    assert {place.after for place in channels_of(recent, began, NOW)} == {began - MARGIN}
    assert {p.after for p in channels_of(recent, NOW - 2 * REACH, NOW)} == {NOW - REACH}


def test_so_many_places_and_no_more_the_newest_first() -> None:
    recent = [lately(f"C{n}", NOW - n, NOW - n) for n in range(500)]
    assert [place.channel for place in channels_of(recent, NEVER, NOW)] == [
        f"C{n}" for n in range(CHANNELS)
    ]
    ours = [Place(TEAM, "C900", NOW, "5.0"), Place(TEAM, "C0", 7.0, recent[0].thread.split(":")[3])]
    others = [Place(TEAM, f"C9{n}", NOW, "6.0") for n in range(200)]
    threads = threads_of(recent, Found(ours, others), NEVER, NOW)
    assert threads[:2] == ours
    assert [place.channel for place in threads[2:]] == [f"C{n}" for n in range(1, THREADS - 1)]
    few = threads_of(recent[:3], Found(ours, others), NEVER, NOW)
    assert [place.channel for place in few[:5]] == ["C900", "C0", "C1", "C2", "C90"]
    assert len(few) == THREADS


# Both roads give the same prompt.

_LIVE_ONLY = ("channel", "channel_type", "event_ts")


def from_history(body: dict[str, Any]) -> dict[str, Any]:
    """The message of a live event as conversations.history or .replies gives it."""
    event = body["event"]
    message = {name: value for name, value in event.items() if name not in _LIVE_ONLY}
    return message | {"type": "message"}


MESSAGES_TOLD = [
    name
    for name in sorted(path.stem for path in FOLDER.glob("*.json"))
    if json.loads((FOLDER / f"{name}.json").read_text()).get("event", {}).get("type")
    in ("message", "app_mention")
    and name not in ("message_changed", "message_deleted")
]


@pytest.mark.parametrize("name", MESSAGES_TOLD)
@given(
    text=st.sampled_from(["", f"<@{BOT.user}> ", f"<@{BOT.user}|seek> "]).flatmap(
        lambda mention: st.text(max_size=20).map(lambda rest: mention + rest)
    ),
    thread=st.none() | st.sampled_from(["1700000000.000100", "1700000001.000200"]),
    ts=st.integers(1, 2**33).map(lambda n: f"{n}.000300"),
)
@example(text="plain", thread=None, ts="1700000000.000100")
def test_the_same_identity_by_both_roads(name: str, text: str, thread: str | None, ts: str) -> None:
    body = payload(name, text=text, thread_ts=thread, ts=ts)
    if body["event"]["type"] == "app_mention" and BOT.user not in text:
        body["event"]["text"] = f"<@{BOT.user}> {text}"
    live = read(body, BOT)
    grants = body.get("authorizations") or [{}]
    team = grants[0].get("team_id") or body.get("context_team_id") or body["team_id"]
    back = read(as_told(from_history(body), team, body["event"]["channel"]), BOT)
    assert back == live


def test_late_is_behind_the_last_delivery_and_within_the_reach() -> None:
    assert 6 * 60 < LATE <= MARGIN < REACH < KNOWN
