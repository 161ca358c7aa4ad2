"""What a message says without a text of its own: by forwards, embeds, polls and stickers."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.discord.answering import Interactions
from adapters.discord.calls import Api
from adapters.discord.commands import ABOUT, Ask, Form
from adapters.discord.commands import read as read_command
from adapters.discord.events import Edited, Ignored, edited, read, remembered
from adapters.discord.ids import Address
from core.types import Prompt, Remembered, Role
from tests.adapters.discord.conftest import US, Inbox, registered
from tests.adapters.discord.payloads import (
    ASKED,
    BOB,
    BOT,
    DIRECT,
    THREAD,
    garbage,
    interaction,
    message,
)
from tests.emulators.discord import DiscordServer

SNAPSHOTS = [
    {"message": {"content": "one <@101>", "mentions": [BOB]}},
    {"message": {"content": "", "embeds": [{"title": "two"}]}},
    {"message": None},
    7,
]
FORWARD: dict[str, Any] = {
    "content": "",
    "mentions": [],
    "message_reference": {"type": 1, "message_id": "5", "channel_id": "6"},
    "message_snapshots": SNAPSHOTS,
}
POLL: dict[str, Any] = {
    "question": {"text": "Which one?"},
    "answers": [
        {"answer_id": 1, "poll_media": {"text": "tea"}},
        {"answer_id": 2, "poll_media": {"emoji": {"name": "x"}}},
        {"answer_id": 3, "poll_media": {"text": "coffee", "emoji": None}},
        {"answer_id": 4},
        None,
    ],
    "allow_multiselect": False,
}
SHOWN = ("poll", "sticker_items", "embeds", "components", "message_snapshots", "attachments")
STICKERS = [{"id": "8", "name": "Wave", "format_type": 1}, {"id": "9", "name": 7}, 5]
EMBEDS = [{"title": "Build 7", "description": "failed"}, {"title": 5}, None]
FIELDS = [{"title": "Alert", "fields": [{"name": "Host", "value": "db1"}, {"name": 5}, None]}]
DISPLAYED: list[Any] = [
    {"type": 10, "content": "# Release 2"},
    {"type": 17, "components": [
        {"type": 9, "components": [{"type": 10, "content": "Faster."}], "accessory": {"type": 11}},
        {"type": 1, "components": [{"type": 2, "label": "Read", "content": "no text display"}]},
        {"type": 10, "content": 5},
        None,
    ]},
]  # fmt: skip
SPOKEN: tuple[tuple[dict[str, Any], str], ...] = (
    (FORWARD, "one @bob\ntwo"),
    ({"content": "", "mentions": [], "embeds": EMBEDS}, "Build 7\nfailed"),
    ({"content": "", "mentions": [], "embeds": FIELDS}, "Alert\nHost\ndb1"),
    ({"content": "", "mentions": [], "components": DISPLAYED}, "# Release 2\nFaster."),
    (FORWARD | {"message_snapshots": [{"message": {"components": DISPLAYED[:1]}}]}, "# Release 2"),
    ({"content": "", "mentions": [], "poll": POLL}, "Which one?\n- tea\n- coffee"),
    ({"content": "", "mentions": [], "sticker_items": STICKERS}, ":Wave:"),
    (FORWARD | {"message_snapshots": [{"message": {"sticker_items": STICKERS}}]}, ":Wave:"),
    ({"content": "own", "mentions": [], "sticker_items": STICKERS}, "own"),
    (FORWARD | {"content": "own", "embeds": EMBEDS}, "own"),
)


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    """A server whose app has our commands."""
    async with registered() as server:
        yield server


@pytest.mark.parametrize(("changes", "words"), SPOKEN)
def test_it_is_remembered(changes: dict[str, Any], words: str) -> None:
    said = Remembered(Role.USER, words, author="alice", identity=f"discord:{ASKED}")
    assert remembered(message(**changes), BOT) == said


@pytest.mark.parametrize(("changes", "words"), SPOKEN)
@pytest.mark.parametrize("place", [DIRECT, THREAD])
def test_it_is_asked_in_a_direct_message_and_in_a_thread(
    changes: dict[str, Any], words: str, place: str
) -> None:
    where: dict[str, Any] = {"channel_id": place, "guild_id": None if place == DIRECT else "10"}
    whole = message(**where, **changes)
    asked = read(whole, BOT, thread=True)
    assert isinstance(asked, Prompt)
    assert asked.text == words
    assert asked.follow_up == (place == THREAD)
    stamp = {"edited_timestamp": "2025-10-12T15:09:59+00:00"}
    changed = edited(whole | stamp, BOT, thread=True, now=0.0)
    assert changed == Edited(asked.identity, words)


def test_what_is_forwarded_has_files_too() -> None:
    inner = {"content": "", "attachments": [{"filename": "plan.pdf"}, None]}
    forward = FORWARD | {"message_snapshots": [{"message": inner}, {"message": None}, 7]}
    asked = read(message(channel_id=DIRECT, guild_id=None, **forward), BOT, thread=False)
    assert isinstance(asked, Prompt)
    assert (asked.text, asked.files) == ("", ("plan.pdf",))


def test_what_is_forwarded_elsewhere_is_not_for_us() -> None:
    assert read(message(**FORWARD), BOT, thread=False) == Ignored("not addressed")


@pytest.mark.parametrize(("changes", "words"), SPOKEN)
def test_the_form_shows_it(changes: dict[str, Any], words: str) -> None:
    data = {"name": ABOUT, "type": 3, "target_id": "55"}
    data["resolved"] = {"messages": {"55": message(id="55", **changes)}}
    form = read_command(interaction(data=data), BOT)
    assert isinstance(form, Form)
    (shown,) = form.modal["components"][1]["components"]
    assert shown["value"] == words


async def test_it_is_quoted_where_it_has_to_be_fetched(
    discord: DiscordServer, api: Api, inbox: Inbox
) -> None:
    target = discord.world.say("bob", "general", "")
    discord.world.unfurl(target)
    used = discord.interactions.message_command("alice", target, ABOUT)
    await Interactions(api, US, inbox).take(used.body)
    sent = discord.interactions.submit("alice", used, {"question": "why?"})
    sent.body["data"]["components"] = sent.body["data"]["components"][:1]
    await Interactions(api, US, inbox).take(sent.body)
    assert inbox.texts == ["why?\n\nThe message in question:\n> A page"]


@given(st.fixed_dictionaries({}, optional={name: garbage(*POLL, "text") for name in SHOWN}))
def test_what_shows_words_may_be_anything(changes: dict[str, Any]) -> None:
    whole = message(channel_id=THREAD, content="", mentions=[]) | changes
    assert isinstance(read(whole, BOT, thread=True), Prompt | Ignored)


def test_a_thread_about_a_message_is_named_after_the_question_alone() -> None:
    fields = [{"custom_id": "question", "value": "why?"}, {"custom_id": "message", "value": "Full"}]
    data = {"custom_id": "about:55", "components": [{"type": 1, "components": fields}]}
    asked = read_command(interaction(type=5, data=data), BOT)
    assert isinstance(asked, Ask)
    assert asked.text == "why?\n\nThe message in question:\n> Full"
    assert Address.decode(asked.prompt("77").address).opens == "why?"
