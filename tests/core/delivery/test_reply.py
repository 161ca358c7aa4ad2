"""The reply says what to post or edit next, in order, exactly, and nothing twice."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.delivery.deliveries import Delivery
from core.delivery.parts import SMALLEST
from core.delivery.reply import Reply
from core.delivery.sanitise import clean
from core.delivery.waiting import QUIET
from core.ports import Posted
from core.types import Kind, PartId
from tests.core.delivery.markdown import documents
from tests.fakes.thread import limits


def show(reply: Reply, now: float) -> Delivery:
    """Deliver what is due at once."""
    delivery = reply.due(now)
    assert delivery is not None
    reply.delivered(delivery, delivery.part or PartId(f"m{delivery.index}"), now)
    return delivery


def show_all(reply: Reply, now: float) -> list[Delivery]:
    shown = []
    while not reply.done:
        shown.append(show(reply, now))
    return shown


def begun(text: str, size: int = 1000) -> Reply:
    """A reply that shows this since 1.0."""
    reply = Reply(limits(size=size))
    reply.add(text)
    reply.heard(0.0)
    assert show(reply, 1.0).text == text
    return reply


def test_nothing_is_posted_before_words() -> None:
    reply = Reply(limits())
    reply.add(" \n\n")
    assert reply.due(0.0) is None
    assert reply.due(9.0) is None
    assert reply.wait(9.0) is None
    reply.add("Hi")
    assert reply.due(9.0) is None
    assert reply.wait(9.0) == pytest.approx(QUIET)
    assert show(reply, 9.0 + QUIET) == Delivery(0, None, " \n\nHi", Kind.FIRST)


def test_the_first_words_wait_for_silence_but_not_long() -> None:
    reply = Reply(limits())
    for step in range(5):
        reply.add("word ")
        assert reply.due(step * 0.03) is None
    reply.add("word ")
    assert reply.due(0.15) is not None


def test_one_call_at_a_time_and_the_newest_text() -> None:
    reply = Reply(limits())
    reply.add("one")
    reply.heard(0.0)
    first = reply.due(1.0)
    assert first is not None
    reply.add(" two")
    assert reply.due(1.5) is None
    assert reply.wait(1.5) is None
    reply.delivered(first, PartId("a"), 1.6)
    assert reply.due(1.6) is None
    assert reply.wait(1.6) == pytest.approx(0.4)
    reply.add(" three")
    assert show(reply, 2.5) == Delivery(0, PartId("a"), "one two three", Kind.INTERIM)


def test_unchanged_text_is_not_sent() -> None:
    reply = begun("same")
    reply.add(" \n")
    assert reply.due(5.0) is None
    assert reply.due(9.0) is None
    assert reply.wait(9.0) is None
    reply.finish()
    assert show(reply, 9.0).text == "same \n"
    assert reply.done
    assert reply.due(10.0) is None


def test_final_text_does_not_wait() -> None:
    reply = Reply(limits())
    reply.add("one")
    reply.heard(0.0)
    show(reply, 1.0)
    reply.add(" two")
    reply.finish()
    assert show(reply, 1.0) == Delivery(0, PartId("m0"), "one two", Kind.FINAL)


def test_an_identical_final_text_needs_no_call() -> None:
    reply = Reply(limits())
    reply.add("one")
    reply.heard(0.0)
    show(reply, 1.0)
    reply.finish()
    assert reply.done


def test_a_part_is_final_before_the_next_is_posted() -> None:
    reply = Reply(limits(size=300))
    now, shown = 0.0, list[Delivery]()
    for number in range(150):
        reply.add(f"Sentence {number}. ")
        now += 0.5
        while delivery := reply.due(now):
            shown.append(delivery)
            reply.delivered(delivery, PartId(f"m{delivery.index}"), now)
    reply.finish()
    shown += show_all(reply, now)
    assert [delivery.index for delivery in shown] == sorted(delivery.index for delivery in shown)
    for before, after in pairwise(shown):
        assert after.index == before.index or before.text == reply.texts[before.index]
    visible = {delivery.index: delivery.text for delivery in shown}
    assert "".join(visible.values()) == "".join(f"Sentence {number}. " for number in range(150))
    assert tuple(visible.values()) == reply.texts
    assert len(visible) > 5


@pytest.mark.parametrize(
    ("text", "notice", "shown"),
    [
        ("Words.", "Cut off.", ["Words.\n\nCut off."]),
        ("Words.\n", "Cut off.", ["Words.\n\nCut off."]),
        ("", "Sorry.", ["Sorry."]),
        (" \n", "Sorry.", ["Sorry."]),
        ("```py\nx = 1", "Cut off.", ["```py\nx = 1\n```\n\nCut off."]),
        ("x" * 298, "Cut off.", ["x" * 298, "Cut off."]),
        ("Words.", "", ["Words."]),
        ("", "", []),
    ],
)
def test_the_notice_stands_beneath_the_text(text: str, notice: str, shown: list[str]) -> None:
    reply = Reply(limits(size=300))
    reply.add(text)
    reply.finish(notice)
    assert [delivery.text for delivery in show_all(reply, 0.0)] == shown == list(reply.texts)


def test_a_notice_comes_after_a_part_that_was_settled() -> None:
    reply = Reply(limits(size=300))
    reply.add("x" * 310)
    reply.heard(0.0)
    show(reply, 1.0)
    reply.finish("Cut off.")
    assert show_all(reply, 1.0)[-1].text.endswith("x\n\nCut off.")


def test_a_failed_attempt_can_be_dropped_while_nothing_was_shown() -> None:
    reply = Reply(limits())
    reply.add("wrong")
    reply.heard(0.0)
    reply.restart()
    assert reply.due(5.0) is None
    reply.add("right")
    reply.heard(5.0)
    assert show(reply, 6.0).text == "right"
    with pytest.raises(RuntimeError):
        reply.restart()


def test_finishing_twice_is_finishing_once() -> None:
    reply = Reply(limits())
    reply.add("text")
    reply.finish("_note_")
    shown = show_all(reply, 0.0)
    reply.finish("_note_")
    assert reply.done
    assert [delivery.text for delivery in shown] == ["text\n\n_note_"]


def test_a_former_process_s_messages_are_edited() -> None:
    old = [Posted(index, PartId(f"old{index}")) for index in range(3)]
    reply = Reply(limits(size=300), old)
    reply.add("One part and a bit. " * 16)
    reply.finish()
    assert [(d.index, d.part, d.kind) for d in show_all(reply, 0.0)] == [
        (0, PartId("old0"), Kind.FINAL),
        (1, PartId("old1"), Kind.FINAL),
    ]
    assert reply.leftover == (PartId("old2"),)


def test_an_announced_part_without_id_is_uncertain() -> None:
    reply = Reply(limits(), [Posted(0, None)])
    assert reply.uncertain == {0}
    reply.add("text")
    reply.finish()
    reply.found(0, PartId("old"))
    assert not reply.uncertain
    assert show(reply, 0.0) == Delivery(0, PartId("old"), "text", Kind.FINAL)


def test_a_failed_edit_is_sent_again() -> None:
    reply = Reply(limits())
    reply.add("one")
    reply.heard(0.0)
    show(reply, 1.0)
    reply.add(" two")
    reply.heard(1.0)
    edit = reply.due(3.0)
    assert edit is not None
    reply.failed(edit)
    assert reply.due(3.5) is None
    assert show(reply, 4.0).text == "one two"


NO_SIGNS = str.maketrans("", "", "\n*_0123456789")  # an item goes on with the number that is next


@given(documents, st.integers(0, 3))
@example("*one line\nA sentence. ", 1)
@settings(max_examples=60, deadline=None)
def test_shrinking_keeps_every_character(text: str, settled: int) -> None:
    text = "Words in the beginning. " * 60 + text
    reply = Reply(limits(size=600))
    reply.add(text)
    reply.finish("Notice.")
    whole = "".join(reply.texts)
    settled = min(settled, len(reply.texts) - 1)
    for _ in range(settled):
        show(reply, 0.0)
    kept = reply.texts[:settled]
    assert reply.shrink()
    assert reply.texts[:settled] == kept
    assert all(len(part) <= 450 for part in reply.texts[settled:])
    if "`" not in text and "~" not in text and "|" not in text:
        joined = "".join(reply.texts)
        assert joined.translate(NO_SIGNS) == whole.translate(NO_SIGNS)
        for sign in "*_":  # where the text is split, more may be added, which close and open it
            assert joined.count(sign) >= clean(text).count(sign)
    show_all(reply, 0.0)
    assert reply.texts[-1].endswith("Notice.")


def test_shrinking_reopens_what_was_open() -> None:
    reply = Reply(limits(size=400))
    reply.add("```py\n" + "value = 1\n" * 100 + "```\n")
    reply.finish()
    show(reply, 0.0)
    reply.shrink()
    assert all(text.startswith("```py\n") for text in reply.texts)
    assert "".join(reply.texts).count("value = 1\n") == 100


def test_what_was_shown_once_is_never_lost_to_a_smaller_size() -> None:
    reply = Reply(limits(size=400))
    reply.add("word " * 180)
    reply.finish()
    show(reply, 0.0)
    assert reply.shrink()
    show_all(reply, 0.0)
    texts = reply.texts
    reply.recheck()
    assert not reply.shrink()
    assert reply.texts == texts
    assert not reply.leftover


def test_control_characters_never_leave() -> None:
    reply = Reply(limits())
    reply.add("a\x00b\ud800")
    reply.finish("c\x07")
    assert reply.texts == ("ab\ufffd\n\nc",)


def test_shrinking_ends() -> None:
    reply = Reply(limits(size=400))
    assert reply.shrink()
    assert reply.shrink()
    assert reply.shrink()
    assert not reply.shrink()
    reply.add("x" * SMALLEST * 2)
    reply.finish()
    assert max(map(len, reply.texts)) <= SMALLEST


@given(st.lists(documents, max_size=12), st.lists(st.floats(0, 1), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_the_final_state_does_not_depend_on_the_way(pieces: list[str], pauses: list[float]) -> None:
    reply, now, visible = Reply(limits(size=250)), 0.0, dict[int, str]()
    for number, piece in enumerate(pieces):
        reply.add(piece)
        reply.heard(now)
        now += pauses[number % len(pauses)]
        if delivery := reply.due(now):
            visible[delivery.index] = delivery.text
            reply.delivered(delivery, PartId(f"m{delivery.index}"), now)
    reply.finish()
    visible |= {delivery.index: delivery.text for delivery in show_all(reply, now)}
    at_once = Reply(limits(size=250))
    at_once.add("".join(pieces))
    at_once.finish()
    assert tuple(visible[index] for index in sorted(visible)) == reply.texts == at_once.texts


def test_a_finished_reply_goes_on_behind_a_message_that_is_left() -> None:
    reply = begun("The first words of it", size=30)
    reply.add(" and many more words that need a place")
    reply.finish("_Stopped._")
    assert not reply.leave(100)
    assert reply.leave(10)
    assert reply.texts[0] == "The first words of it"
    rest = show_all(reply, 2.0)
    assert [delivery.index for delivery in rest] == [1, 2]
    assert all(delivery.part is None and delivery.kind is Kind.FINAL for delivery in rest)
    assert "".join(reply.texts).endswith("that need a place\n\n_Stopped._")
    reply.recheck()
    again = show_all(reply, 9.0)
    assert [delivery.text for delivery in again] == list(reply.texts)


def test_what_is_left_is_not_left_twice_nor_while_a_call_is_under_way() -> None:
    reply = Reply(limits())
    assert not reply.leave(1)
    reply.add("some words")
    reply.heard(0.0)
    first = reply.due(1.0)
    assert first is not None and not reply.leave(1)
    reply.delivered(first, PartId("m0"), 1.1)
    assert not reply.leave(1), "nothing is missing"
    reply.add(" and more")
    assert reply.leave(1)
    assert not reply.leave(1)
    reply.finish()
    assert [delivery.text for delivery in show_all(reply, 2.0)] == ["and more"]


def test_an_edit_that_came_too_early_leaves_what_is_shown() -> None:
    reply = begun("some words")
    reply.add(" and more")
    reply.finish()
    refused = reply.due(3.0)
    assert refused is not None
    reply.refused()
    assert reply.leave(1)
    assert [delivery.text for delivery in show_all(reply, 3.1)] == ["and more"]
