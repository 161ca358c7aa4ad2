"""What Discord tells of people's edits and deletions."""

from typing import Any

import pytest
from hypothesis import given

from adapters.discord.events import (
    FRESH,
    Edited,
    Ignored,
    channel_deleted,
    deleted,
    edited,
    read,
    thread_deleted,
)
from adapters.discord.ids import Address
from core.types import Prompt
from tests.adapters.discord.payloads import (
    ASKED,
    BOT,
    DIRECT,
    GUILD,
    THREAD,
    US,
    garbage,
    message,
    odd,
)

NOW = 1760281800.0
STAMP = "2025-10-12T15:09:59.000000+00:00"  # a second before NOW
ME = f"discord:{ASKED}"


def change(*, thread: bool = False, now: float = NOW, **changes: Any) -> Edited | Ignored:
    changes.setdefault("edited_timestamp", STAMP)
    return edited(message(**changes), BOT, thread=thread, now=now)


def test_an_edit_is_the_new_text_and_may_be_a_new_prompt() -> None:
    asked = read(message(), BOT, thread=False)
    assert isinstance(asked, Prompt)
    assert change() == Edited(ME, "what is a fence?", asked)


def test_what_was_not_edited_is_no_edit() -> None:
    """Opening a thread on a message, a preview and a pin all come as an update."""
    assert change(edited_timestamp=None, flags=1 << 5) == Ignored("not edited")
    assert change(edited_timestamp="yesterday") == Ignored("not edited")


@pytest.mark.parametrize(
    "changes",
    [
        {"now": NOW + FRESH},  # edited long ago, and pinned now
        {"guild_id": None, "channel_id": DIRECT},
        {"content": "what is a fence?", "mentions": []},
        {"content": "and now?", "mentions": [], "channel_id": THREAD, "thread": True},
    ],
)
def test_an_edit_that_asks_nothing_new(changes: dict[str, Any]) -> None:
    outcome = change(**changes)
    assert isinstance(outcome, Edited)
    assert outcome.identity == ME
    assert outcome.text
    assert outcome.asked is None


def test_an_empty_text_says_nothing_without_the_intent() -> None:
    assert change(content="", mentions=[], thread=True) == Ignored("no words")
    assert isinstance(change(content="<@700>"), Edited)


@pytest.mark.parametrize("author", [US, {"id": "9", "bot": True}, None])
def test_machines_edits_are_nobodys(author: object) -> None:
    assert isinstance(change(author=author), Ignored)


def test_deletions_one_by_one_and_in_bulk() -> None:
    assert deleted({"id": "5", "channel_id": "20"}) == ["discord:5"]
    assert deleted({"ids": ["5", "6"], "channel_id": "20"}) == ["discord:5", "discord:6"]
    assert deleted({}) == deleted({"id": 7, "ids": "56"}) == []


def test_a_thread_is_deleted_with_all_that_is_in_it() -> None:
    gone = {"id": "5", "guild_id": "90", "parent_id": "20", "type": 11}
    assert thread_deleted(gone) == "discord:90:5"
    assert thread_deleted({"id": "5"}) is None
    assert thread_deleted(gone | {"id": 5}) is None


def test_a_channel_is_deleted_with_its_threads() -> None:
    gone = {"id": "20", "guild_id": GUILD, "type": 0}
    within, naming = channel_deleted(gone) or ("", ())
    asked = read(message(), BOT, thread=False)
    inside = read(message(channel_id=THREAD), BOT, thread=True, parent="20")
    elsewhere = read(message(channel_id=THREAD), BOT, thread=True, parent="200")
    for prompt, told in ((asked, True), (inside, True), (elsewhere, False)):
        assert isinstance(prompt, Prompt)
        assert prompt.thread.startswith(within)
        assert any(text in prompt.address for text in naming) is told
    assert channel_deleted({"id": "20"}) is None
    assert channel_deleted(gone | {"id": 20}) is None


@pytest.mark.parametrize("words", ['"channel":"20"', "20", '","parent":"20'])
def test_no_words_of_a_person_name_a_channel(words: str) -> None:
    _, naming = channel_deleted({"id": "20", "guild_id": GUILD}) or ("", ())
    at = Address(channel="5", before="6", opens=words).encode()
    assert not any(text in at for text in naming)


@given(odd(message(edited_timestamp=STAMP)))
def test_any_field_may_be_anything(whole: dict[str, Any]) -> None:
    for thread in (True, False):
        assert isinstance(edited(whole, BOT, thread=thread, now=NOW), Edited | Ignored)


@given(garbage("id", "ids"))
def test_a_deletion_may_be_anything(event: Any) -> None:
    found = deleted(event) if isinstance(event, dict) else []
    assert all(identity.startswith("discord:") for identity in found)
