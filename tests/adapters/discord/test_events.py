"""What Discord's messages mean to us: who speaks, to whom, where, and in which words."""

from typing import Any

import pytest
from hypothesis import given

from adapters.discord import events
from adapters.discord.events import NAME, Ignored, read, remembered, thread_name, words
from adapters.discord.ids import QUESTION, Address, time_of
from core.types import Prompt, Remembered, Role
from tests.adapters.discord.payloads import (
    ALICE,
    ASKED,
    BOB,
    BOT,
    CHANNEL,
    DIRECT,
    GUILD,
    THREAD,
    US,
    message,
    odd,
    read_back,
)

REPLY = {
    "type": 19,
    "message_reference": {"type": 0, "message_id": "55", "channel_id": CHANNEL, "guild_id": GUILD},
}
OURS = {"id": "55", "type": 0, "channel_id": CHANNEL, "author": US, "content": "A fence is …"}
THEIRS = OURS | {"author": BOB}


def prompt(thread: bool = False, **changes: Any) -> Prompt:
    outcome = read(message(**changes), BOT, thread=thread)
    assert isinstance(outcome, Prompt), outcome
    return outcome


def unaddressed(**changes: Any) -> dict[str, Any]:
    return message(**({"content": "and in Go?", "mentions": []} | changes))


def test_a_mention_in_a_channel_is_a_whole_prompt() -> None:
    """Its conversation is the thread that will be opened on it, which will have its id."""
    assert prompt() == Prompt(
        platform="discord",
        thread=prompt().thread,
        identity=f"discord:{ASKED}",
        sequence=f"0{ASKED}",
        author="alice",
        text="what is a fence?",
        asked_at=time_of(ASKED),
        address=Address(channel=CHANNEL, before=ASKED, message=ASKED, opens="?").encode(),
    )
    assert prompt().thread == f"discord:{GUILD}:{ASKED}"


def test_what_follows_in_the_thread_is_the_same_conversation() -> None:
    later = str(int(ASKED) + 1)
    asked = prompt(thread=True, id=later, channel_id=ASKED, content="and in Go?", mentions=[])
    assert asked.thread == prompt().thread
    assert asked.follow_up
    assert asked.sequence > prompt().sequence
    address = Address.decode(asked.address)
    assert address == Address(channel=ASKED, before=later, message=later, thread=True)


def test_a_mention_in_a_thread_opens_none() -> None:
    asked = prompt(thread=True, channel_id=THREAD)
    assert asked.thread == f"discord:{GUILD}:{THREAD}"
    address = Address.decode(asked.address)
    assert address.opens == ""
    assert address.thread
    assert not asked.follow_up


@pytest.mark.parametrize("thread", [True, False])
def test_a_direct_message_needs_no_mention_and_no_thread(thread: bool) -> None:
    whole = unaddressed(guild_id=None, member=None, channel_id=DIRECT)
    asked = read(whole, BOT, thread=thread)
    assert isinstance(asked, Prompt)
    assert (asked.thread, asked.author, asked.follow_up) == (f"discord:@me:{DIRECT}", "", False)
    assert Address.decode(asked.address) == Address(channel=DIRECT, before=ASKED, message=ASKED)


@pytest.mark.parametrize(
    "changes",
    [
        {"content": "<@700> hi", "mentions": [US]},
        {"content": "<@!700> hi", "mentions": [US]},  # the form with a nickname
        {"content": "<@&790> hi", "mentions": [], "mention_roles": ["790"]},
        {"content": "<@&790> hi", "mentions": [], "mention_roles": [790]},
        REPLY | {"content": "hi", "mentions": [US], "referenced_message": OURS},
        REPLY | {"content": "hi", "mentions": [], "referenced_message": OURS},  # without a ping
        {"content": "hi", "mentions": [BOB, US]},  # shown by the content intent's exception
    ],
)
def test_it_is_addressed(changes: dict[str, Any]) -> None:
    asked = prompt(**changes)
    assert (asked.text, asked.follow_up) == ("hi", False)


@pytest.mark.parametrize(
    "changes",
    [
        {"content": "@everyone hi", "mention_everyone": True},
        {"content": "@here hi", "mention_everyone": True},
        {"content": "<@101> hi", "mentions": [BOB]},
        {"content": "<@&791> hi", "mention_roles": ["791"]},
        {"content": "<@700> hi"},  # written so, but Discord says that nobody is mentioned
        {"content": "threadseek, hi"},
        REPLY | {"referenced_message": THEIRS},
        REPLY | {"referenced_message": None},  # deleted
        {"mentions": None},
    ],
)
def test_it_is_not_addressed(changes: dict[str, Any]) -> None:
    whole = unaddressed(**changes)
    assert read(whole, BOT, thread=False) == Ignored("not addressed")
    asked = read(whole, BOT, thread=True)  # the store knows whether it is a conversation of ours
    assert isinstance(asked, Prompt)
    assert asked.follow_up


def test_without_the_content_intent_nothing_is_seen() -> None:
    assert read(unaddressed(content=""), BOT, thread=True) == Ignored("no words")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"author": US}, "own message"),
        ({"author": US | {"bot": None}}, "own message"),
        ({"author": BOB | {"bot": True}}, "bot"),
        ({"author": BOB | {"system": True}}, "bot"),
        ({"webhook_id": "600"}, "bot"),
        ({"id": None}, "no id"),
        ({"id": 5}, "no id"),
        ({"channel_id": None}, "no id"),
        ({"author": None}, "no author"),
        ({"author": {"username": "alice"}}, "no author"),
        ({"type": None, "author": US}, "own message"),
        ({"type": "0"}, "other type"),
        ({"type": [0]}, "other type"),
    ],
)
@pytest.mark.parametrize("direct", [False, True])
def test_what_no_person_said(changes: dict[str, Any], why: str, direct: bool) -> None:
    where = {"guild_id": None} if direct else {}
    for thread in (True, False):
        assert read(message(**where, **changes), BOT, thread=thread) == Ignored(why)


@pytest.mark.parametrize("type_", [t for t in range(-1, 70) if t not in (0, 19)])
def test_other_types_are_not_prompts(type_: int) -> None:
    """Joins, pins, boosts, new threads, polls' results, and what is yet to come."""
    assert read(message(type=type_), BOT, thread=False) == Ignored("other type")


@pytest.mark.parametrize("where", [{}, {"channel_id": THREAD}, {"guild_id": None}])
@pytest.mark.parametrize("changes", [{}, REPLY | {"referenced_message": OURS}])
def test_read_back_it_is_the_same_prompt(where: dict[str, Any], changes: dict[str, Any]) -> None:
    whole = message(**(where | changes))
    again = read_back(whole) | {"guild_id": whole.get("guild_id", "")}
    thread = "channel_id" in where
    assert read(again, BOT, thread=thread) == read(whole, BOT, thread=thread)
    late = read(again, BOT, thread=thread, late=True)
    assert isinstance(late, Prompt)
    assert late.late


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<@700> what is <@101> doing?", "what is @bob doing?"),
        ("<@!101>: hi <@999>", "@bob: hi @999"),
        ("<@&790> hi <@&791>", "hi @791"),
        ("<:blob:123> <a:wave:456>", ":blob: :wave:"),
        ("try </ask:500> or </tag add:501>", "try /ask or /tag add"),
        ("<#20> at <t:1760000000:R>", "<#20> at <t:1760000000:R>"),
        ("if a <@b> and <@ 1> or <:x>", "if a <@b> and <@ 1> or <:x>"),
        ("  @everyone look\n", "@everyone look"),
        ("<@700>", ""),
        ("a < b && c > d `<div>`", "a < b && c > d `<div>`"),
    ],
)
def test_the_text_as_a_person_reads_it(content: str, text: str) -> None:
    assert words(message(content=content, mentions=[US, BOB]), BOT) == text


@pytest.mark.parametrize("content", [None, 5, ["hi"]])
def test_a_content_that_is_no_text(content: object) -> None:
    assert words(message(content=content), BOT) == ""


def test_files_are_named_as_far_as_they_have_names() -> None:
    files = [{"filename": "a.pdf"}, {"title": "Ä", "filename": "b.pdf"}, {"id": "1"}, None]
    asked = prompt(thread=True, content="", mentions=[], attachments=files)
    assert (asked.text, asked.files, asked.follow_up) == ("", ("a.pdf", "Ä"), True)


def test_a_bare_mention_opens_a_thread_in_the_askers_name() -> None:
    asked = prompt(content="<@700>")
    assert Address.decode(asked.address).opens == QUESTION
    assert thread_name(asked.text, asked.author) == "alice's question"


@pytest.mark.parametrize(
    ("reference", "replied"),
    [
        ({"message_id": "55", "channel_id": CHANNEL}, "55"),
        ({"message_id": "55"}, "55"),
        ({"message_id": "55", "channel_id": "99"}, ""),
        ({"message_id": "../55", "channel_id": CHANNEL}, ""),
        ({"channel_id": CHANNEL}, ""),
        (None, ""),
    ],
)
def test_what_a_prompt_replies_to(reference: object, replied: str) -> None:
    asked = prompt(type=19, message_reference=reference)
    assert Address.decode(asked.address).replied == replied


def test_in_a_thread_the_reply_is_part_of_what_was_said() -> None:
    asked = prompt(thread=True, **REPLY, referenced_message=OURS)
    assert Address.decode(asked.address).replied == ""


def test_a_forward_replies_to_nothing() -> None:
    assert events.replied(message(message_reference={"type": 1, "message_id": "55"})) == ""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("what is a fence?", "what is a fence?"),
        ("  two\n\nlines  ", "two lines"),
        ("x" * NAME, "x" * NAME),
        ("x" * (NAME + 1), "x" * NAME + "…"),
        ("word " * 40, "word " * 17 + "word…"),
        ("x" * 80 + ", and then more words", "x" * 80 + ", and…"),
        ("x" * 86 + ", more words", "x" * 86 + "…"),
        ("", "alice's question"),
        (" \n", "alice's question"),
    ],
)
def test_the_name_of_a_thread(text: str, name: str) -> None:
    assert thread_name(text, "alice") == name
    assert 1 <= len(name) <= 100


def test_the_name_of_a_thread_of_nobody() -> None:
    assert thread_name("", "") == "A question"
    assert len(thread_name("", "x" * 32)) <= 100


def said(role: Role, content: str, author: str = "") -> Remembered:
    return Remembered(role, content, author=author, identity=f"discord:{ASKED}")


def test_history() -> None:
    assert remembered(message(), BOT) == said(Role.USER, "what is a fence?", "alice")
    assert remembered(message(author=US, content="Wood."), BOT) == said(Role.ASSISTANT, "Wood.")


def test_other_bots_are_part_of_what_was_said() -> None:
    whole = message(author=BOB | {"bot": True}, webhook_id="600", content="build failed")
    assert remembered(whole, BOT) == said(Role.USER, "build failed", "bob")


@pytest.mark.parametrize("type_", [0, 19, 20, 23])
def test_what_a_command_answered_is_remembered(type_: int) -> None:
    assert remembered(message(type=type_, author=US), BOT) is not None


@pytest.mark.parametrize("type_", [1, 3, 6, 7, 8, 18, 24, 46])
def test_what_nobody_said_is_not(type_: int) -> None:
    assert remembered(message(type=type_), BOT) is None


def test_the_first_message_of_a_thread_is_the_one_it_was_opened_on() -> None:
    starter = {"id": "77", "type": 21, "author": BOB, "content": ""}
    assert remembered(starter | {"referenced_message": message()}, BOT) == said(
        Role.USER, "what is a fence?", "alice"
    )
    for gone in ({}, {"referenced_message": None}):
        assert remembered(starter | gone, BOT) is None


@pytest.mark.parametrize("changes", [{"content": ""}, {"author": None}, {"id": None}, {"id": 7}])
def test_what_cannot_be_remembered(changes: dict[str, Any]) -> None:
    assert remembered(message(**changes), BOT) is None


WHOLE = message(
    **REPLY,
    referenced_message=OURS,
    attachments=[{"filename": "a.pdf"}],
    message_snapshots=[{"message": {"content": "hi"}}],
    embeds=[{"title": "hi"}],
    webhook_id=None,
)


@given(odd(WHOLE))
def test_odd_messages_are_survived(whole: dict[str, Any]) -> None:
    for thread in (True, False):
        outcome = read(whole, BOT, thread=thread)
        assert isinstance(outcome, Prompt | Ignored)
        if isinstance(outcome, Prompt):
            assert whole["author"]["id"] != BOT.user
            assert Address.decode(outcome.address).before == whole["id"]
    for type_ in (whole.get("type"), 0, 21):
        assert isinstance(remembered(whole | {"type": type_}, BOT), Remembered | None)


def test_somebody_with_the_same_name_is_not_us() -> None:
    asked = prompt(author=ALICE | {"username": BOT.name})
    assert asked.author == BOT.name
    assert read(unaddressed(mentions=[BOB | {"username": BOT.name}]), BOT, thread=False) == Ignored(
        "not addressed"
    )
