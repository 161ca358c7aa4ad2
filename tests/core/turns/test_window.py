"""What is sent of a conversation: byte-stable, append-only, trimmed in big steps."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.turns.window import (
    Room,
    build,
    clean,
    corrected,
    entry_of,
    flattened,
    labelled,
    merged,
)
from core.types import Conversation, Memory, Message, Prompt, Remembered, Role, ThreadKey

SYSTEM = "You are a helpful assistant."
KEY = ThreadKey("test:1")


def user(text: str, author: str = "") -> Remembered:
    return Remembered(Role.USER, text, author=author)


def bot(text: str) -> Remembered:
    return Remembered(Role.ASSISTANT, text)


def exchange(count: int, size: int = 40) -> tuple[Remembered, ...]:
    pairs = [
        (user(f"question {i} " + "x" * size), bot(f"answer {i} " + "y" * size))
        for i in range(count)
    ]
    return tuple(message for pair in pairs for message in pair)


NOTHING = Memory()


def conversation(*messages: Remembered, memory: Memory = NOTHING) -> Conversation:
    return Conversation(KEY, messages, memory, fresh=False)


def test_system_history_and_prompt_in_order() -> None:
    window = build(SYSTEM, conversation(user("a"), bot("b")), user("c"), Room(64_000, 8_000))
    assert window.messages == (
        Message(Role.SYSTEM, SYSTEM),
        Message(Role.USER, "a"),
        Message(Role.ASSISTANT, "b"),
        Message(Role.USER, "c"),
    )
    assert window.fits
    assert not window.trimmed


def test_without_a_system_prompt_none_is_sent() -> None:
    window = build("  ", conversation(), user("c"), Room(64_000, 8_000))
    assert window.messages == (Message(Role.USER, "c"),)


def test_each_request_begins_with_the_one_before_until_it_is_trimmed() -> None:
    history: tuple[Remembered, ...] = ()
    memory = Memory()
    before: tuple[Message, ...] = ()
    trims = 0
    for number in range(300):
        asked = user(f"question {number} " + "x" * 200)
        window = build(SYSTEM, conversation(*history, memory=memory), asked, Room(4_000, 1_000))
        assert window.messages[0].content == SYSTEM
        if window.trimmed:
            trims += 1
            history = history[window.memory.start - memory.start :]
        else:
            assert window.messages[: len(before)] == before
        memory = window.memory
        history = (*history, asked, bot("y" * 200))
        before = (*window.messages, Message(Role.ASSISTANT, "y" * 200))
        assert window.estimate <= 3_000
    assert 5 <= trims <= 60, "the beginning goes in big steps, not a turn a turn"


@pytest.mark.parametrize("context", range(1_000, 3_000, 97))
def test_a_trimmed_window_never_begins_with_an_answer(context: int) -> None:
    window = build(SYSTEM, conversation(*exchange(100)), user("now"), Room(context, 500))
    assert window.trimmed
    assert window.messages[1].role is Role.USER
    assert window.memory.start % 2 == 0


def test_a_prompt_that_does_not_fit_by_itself_is_not_sent() -> None:
    window = build(SYSTEM, conversation(), user("z" * 100_000), Room(8_000, 2_000))
    assert not window.fits


def test_the_api_said_too_long_so_something_goes_whatever_we_count() -> None:
    talk = conversation(*exchange(20))
    window = build(SYSTEM, talk, user("now"), Room(64_000, 8_000), full=True)
    assert window.fits
    assert 0 < len(window.messages) <= 25
    assert not build(SYSTEM, conversation(), user("now"), Room(64_000, 8_000), full=True).fits


def test_a_ratio_above_one_trims_earlier() -> None:
    talk = conversation(*exchange(20, size=400))
    room = Room(8_000, 2_000)
    assert not build(SYSTEM, talk, user("now"), room).trimmed
    heavy = replace(talk, memory=Memory(ratio=2.0))
    assert build(SYSTEM, heavy, user("now"), room).trimmed


@pytest.mark.parametrize(
    ("estimated", "counted", "ratio"),
    [(1_000, 1_500, 1.25), (1_000, 0, 1.0), (100, 900, 1.0), (1_000, 90_000, 3.0), (9_000, 1, 0.5)],
)
def test_the_estimate_follows_the_api(estimated: int, counted: int, ratio: float) -> None:
    assert corrected(Memory(), estimated, counted).ratio == pytest.approx(ratio, abs=0.01)


def test_one_speaker_has_no_label_and_a_second_one_changes_nothing_before() -> None:
    first, memory = labelled([user("hi", "U1"), user("again", "U1")], Memory())
    second, memory = labelled([user("me too", "U2"), bot("fine"), user("so", "U1")], memory)
    assert [entry.content for entry in first] == ["hi", "again"]
    assert [entry.content for entry in second] == ["U2: me too", "fine", "U1: so"]
    assert memory.several


def test_direct_messages_have_no_labels() -> None:
    entries, memory = labelled([user("hi"), user("you")], Memory())
    assert [entry.content for entry in entries] == ["hi", "you"]
    assert not memory.several


def test_neighbours_of_one_role_are_merged_and_blanks_go() -> None:
    entries = [
        user("a"),
        user("b"),
        bot("  "),
        user("\u200b"),
        bot("\x00"),
        user("c"),
        bot("d"),
        bot("e"),
        user("f"),
    ]
    assert [message.content for message in merged("", entries)] == ["a\n\nb\n\nc", "d\n\ne", "f"]


def test_what_we_said_first_is_quoted_in_the_first_question() -> None:
    talk = conversation(bot("One.\nTwo."), bot("Three."), user("more", "U2"))
    window = build(SYSTEM, talk, user("please"), Room(64_000, 8_000))
    assert window.messages == (
        Message(Role.SYSTEM, SYSTEM),
        Message(
            Role.USER,
            "You said before:\n> One.\n> Two.\n\nYou said before:\n> Three.\n\nmore\n\nplease",
        ),
    )
    again = conversation(*talk.messages, user("please"), bot("Four."))
    after = build(SYSTEM, again, user("thanks"), Room(64_000, 8_000))
    assert after.messages[:2] == window.messages
    assert [message.content for message in after.messages[2:]] == ["Four.", "thanks"]


@given(st.lists(st.tuples(st.sampled_from(list(Role)[1:]), st.text(max_size=5)), max_size=12))
def test_roles_always_alternate(entries: list[tuple[Role, str]]) -> None:
    messages = merged("s", [Remembered(role, text) for role, text in entries])
    roles = [message.role for message in messages]
    assert all(a is not b for a, b in pairwise(roles))
    assert roles[1:2] != [Role.ASSISTANT]
    assert all(message.content.strip() for message in messages)


@given(st.text(st.sampled_from("aé漢😀\ud800\udfff")))
def test_what_is_sent_is_valid_unicode(text: str) -> None:
    (entry,), _ = labelled([user(text)], Memory())
    entry.content.encode("utf-8")
    assert len(clean(text)) == len(text)


def test_attachments_are_named() -> None:
    prompt = Prompt(
        platform="t", thread=KEY, identity="i", sequence="1", author="U1", text="look",
        asked_at=0, address="", files=("plan.pdf", "b.png"),
    )  # fmt: skip
    entry = entry_of(prompt)
    assert entry.content.startswith("look\n\n")
    assert "plan.pdf, b.png" in entry.content


def test_the_plainest_shape_holds_everything_in_one_user_message() -> None:
    window = build(SYSTEM, conversation(*exchange(2)), user("now"), Room(64_000, 8_000))
    system, only = flattened(window.messages)
    assert system == window.messages[0]
    assert only.role is Role.USER
    for message in window.messages[1:]:
        assert message.content in only.content
    alone = build(SYSTEM, conversation(), user("now"), Room(64_000, 8_000)).messages
    assert flattened(alone) == alone
