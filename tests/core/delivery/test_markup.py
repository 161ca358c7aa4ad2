"""Parts are bounded, keep their fences, give back the text and don't depend on its arrival."""

import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.delivery.markup import Part, Splitter, closed, completed
from core.delivery.sanitise import blocks, sanitise
from tests.core.delivery.markdown import documents, measure, split


def fence_is_open(text: str) -> bool:
    last = list(blocks(text))[-1:]
    return bool(last) and not last[0].closed


def long(documents_: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(documents_, max_size=6).map("".join)


@given(long(documents), st.sampled_from([60, 97, 200]))
@settings(max_examples=80, deadline=None)
def test_parts_are_bounded_closed_and_complete(text: str, size: int) -> None:
    parts = split(text, size)
    assert "".join(part.source for part in parts) == text
    for part in parts:
        assert measure(part.text) <= size
        assert not fence_is_open(part.text)
        assert part.text or not part.source.strip() or set(part.source.strip()) <= {*"`~> "}


@given(long(documents), st.lists(st.integers(1, 40), min_size=1), st.sampled_from([60, 97, 200]))
@settings(max_examples=60, deadline=None)
def test_parts_do_not_depend_on_the_arrival(text: str, steps: list[int], size: int) -> None:
    splitter = Splitter(size, measure)
    at = 0
    before: list[Part] = []
    for step in steps * (len(text) // sum(steps) + 1):
        splitter.feed(text[at : at + step])
        at += step
        splitter.interim()
        assert splitter.sealed[: len(before)] == before
        before = list(splitter.sealed)
    splitter.finish()
    assert splitter.sealed == split(text, size)


def without_closing(text: str) -> str:
    """Without what may go again: the line that closes a fence, the marks around emphasis."""
    if re.search(r"\n[ >]*(`{3,}|~{3,})$", text):
        return text[: text.rfind("\n") + 1]
    return re.sub(r"[*_~\s]+\Z", "", text)


@given(documents, st.sampled_from([97, 400]))
@example("Some words here.\n\n" * 12, 97)
@example("Some words. Here.\n" * 12, 97)
@example("word " * 50, 97)
@example("x" * 250, 97)
@example("a\n\n```py\nx = 1\n```\nb", 97)
@example("| a | b |\n|---|---|\n| 1 | 2 |\nend", 97)
@settings(max_examples=10, deadline=None)
def test_nothing_shown_ever_changes_or_moves(text: str, size: int) -> None:
    splitter = Splitter(size, measure)
    shown: dict[int, list[str]] = {}
    for sign in text:
        splitter.feed(sign)
        interim = splitter.interim()
        assert measure(interim) <= size
        assert not fence_is_open(interim)
        shown.setdefault(len(splitter.sealed), []).append(interim)
    splitter.finish()
    for index, states in shown.items():
        final = splitter.sealed[index].text if index < len(splitter.sealed) else ""
        for earlier, later in pairwise([*states, final]):
            kept = sanitise(without_closing(earlier)).rstrip("\n")
            assert sanitise(later).lstrip("*_~").startswith(kept.lstrip("*_~"))


@pytest.mark.parametrize(
    ("growing", "shown"),
    [
        ("text ``", "text "),
        ("text\n```py", "text\n"),
        ("text\n```py\nx = 1", "text\n```py\nx = 1\n```"),
        ("text\n```py\nx = 1\n``", "text\n```py\nx = 1\n```"),
        ("- a\n  ~~~~\n  x\n", "- a\n  ~~~~\n  x\n  ~~~~"),
        ("> ```\n> x", "> ```\n> x\n> ```"),
        ("see [the docs](https://a", "see "),
        ("see [1] and more", "see [1] and more"),
        ("hello @chan", "hello "),
        ("hello <!chan", "hello "),
        ("a\n| h | i |\n|---|", "a\n"),
        ("some **bold te", "some **bold te**"),
        ("some **bold ", "some **bold**"),
        ("some **bold*", "some **bold**"),
        ("some **bold **", "some **bold**"),
        ("**a *b _c", "**a *b _c_***"),
        ("***a* b", "***a* b**"),
        ("~~a", "~~a~~"),
        ("2 * 3 is", "2 * 3 is"),
        ("2*3 is", "2*3 is"),
        ("a_b is", "a_b is"),
        ("not *closed\n\nnext", "not *closed\n\nnext"),
        ("- not *closed\n- next", "- not *closed\n- next"),
        ("# not *closed\nnext", "# not *closed\nnext"),
        ("```\n**a", "```\n**a\n```"),
        ("`**a` b", "`**a` b"),
        ("**see [the docs](https", "**see**"),
        ("text\n-", "text\n"),
        ("text\n12.", "text\n"),
        ("a \\", "a "),
        ("a \\*b", "a \\*b"),
        ("a\n| h | i |\n|---|---|\n| 1 ", "a\n"),
        ("a\n| h |\n|---|\n| 1 |\n| 2", "a\n| h |\n|---|\n| 1 |\n"),
    ],
)
def test_intermediate_states(growing: str, shown: str) -> None:
    assert closed(growing) == shown


def test_a_part_ends_where_it_reads_best() -> None:
    words = "word " * 17
    assert split(f"{words}one.\n\ntwo\nthree four five six seven", 100)[0].source == (
        f"{words}one.\n\n"
    )
    assert split(f"{words}one.\ntwo. three four five six seven", 100)[0].source == f"{words}one.\n"
    assert split(f"{words}one. two three four five six seven", 100)[0].source == f"{words}one. "
    assert 95 <= len(split("x" * 250, 100)[0].source) <= 100


def test_a_part_ends_at_the_first_paragraph_near_its_end_and_the_next_is_shown_at_once() -> None:
    splitter = Splitter(600, len)
    splitter.feed("word " * 110 + "\n\nNext paragraph." + " More of it." * 2)
    assert splitter.interim() == "Next paragraph. More of it. More of it."
    assert [part.source for part in splitter.sealed] == ["word " * 110 + "\n\n"]


def test_a_paragraph_is_a_better_end_than_a_row() -> None:
    text = "word " * 104 + "\n\n| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 20
    assert split(text, 600)[0].source == "word " * 104 + "\n\n"


def test_a_part_that_turns_out_too_large_is_cut_further() -> None:
    def odd(text: str) -> int:
        return 1000 if text.endswith(". ") else len(text)

    splitter = Splitter(100, odd)
    splitter.feed("A sentence. " * 40)
    splitter.finish()
    assert all(odd(part.text) <= 100 for part in splitter.sealed[:-1])
    assert len(splitter.sealed) < 40


@pytest.mark.parametrize("units", [2, 5, 12])
def test_characters_may_count_for_several_units(units: int) -> None:
    splitter = Splitter(100, lambda text: len(text) * units)
    for _ in range(600):
        splitter.feed("&")
        assert len(splitter.interim()) * units <= 100
    splitter.finish()
    assert all(len(part.text) * units <= 100 for part in splitter.sealed)
    assert len(splitter.sealed) <= 600 * units / 100 * 1.6


def test_what_fits_is_one_part() -> None:
    text = "First.\n\n" + "x" * 92
    assert [part.text for part in split(text, 100)] == [text]
    assert len(split(text + "x", 100)) == 2


def test_a_fence_is_reopened_with_its_language() -> None:
    code = "".join(f"line {number}\n" for number in range(40))
    parts = split(f"Look:\n````python title=x\n{code}````\nDone.", 100)
    assert all(part.text.startswith("````python\n") for part in parts[1:-1])
    inside = [re.sub(r"````.*\n?|Look:\n|Done\.", "", part.text) for part in parts]
    assert "".join(inside) == code
    assert parts[-1].text.endswith("Done.")


def test_a_fence_that_closes_at_once_is_not_reopened() -> None:
    splitter = Splitter(100, measure, carry="```py\n")
    splitter.feed("```\nafter")
    assert splitter.interim() == "after"
    splitter.finish()
    assert [part.text for part in splitter.sealed] == ["after"]


def test_a_quoted_fence_ends_with_its_quotation() -> None:
    splitter = Splitter(100, measure, carry="> ```\n")
    splitter.feed("after\nthis")
    assert splitter.interim() == "after\nthis"


def test_a_table_repeats_its_header() -> None:
    head = "| n | square |\n|---|---|\n"
    rows = "".join(f"| {n} | {n * n} |\n" for n in range(60))
    parts = split(f"{head}{rows}\nDone.", 150)
    assert len(parts) > 5
    assert all(part.text.startswith(head) for part in parts[:-1])
    assert "".join(part.text.removeprefix(head) for part in parts) == f"{rows}\nDone."


@pytest.mark.parametrize("before", ["", "See:\n\n"])
def test_a_header_waits_for_its_first_row(before: str) -> None:
    """Alone it says nothing, and its message may never be touched again."""
    splitter, splitting = Splitter(400, measure), Splitter(400, measure)
    table = "| n | square |\n|---|---|\n| 1 | 1 |\n"
    for end in range(len(table)):
        text = before + table[:end]
        shown = (splitter.interim().rstrip(), splitting.growing())
        assert shown == (before.rstrip(), before.rstrip()) or end == 0, text
        for one in (splitter, splitting):
            one.feed((before if end == 0 else "") + table[end])
    assert splitter.interim().rstrip() == splitting.growing() == (before + table).rstrip()


def test_characters_stay_whole() -> None:
    astronaut = "🧑‍🚀"
    for offset in range(5):
        parts = split("x" * offset + astronaut * 80, 60)
        assert all(part.text.replace(astronaut, "").strip("x") == "" for part in parts)
    accents = split("e\u0301" * 200, 97)
    assert all(part.text.startswith("e") for part in accents)


def test_closing_keeps_what_is_closed() -> None:
    assert completed("```\nx\n```") == "```\nx\n```"
    assert completed("plain") == "plain"


def test_a_list_does_not_begin_again_in_the_next_part() -> None:
    items = "".join(f"1. item {n}\n" for n in range(1, 31))
    parts = split(f"Steps:\n\n{items}\nDone.", 100)
    shown = "".join(part.text for part in parts)
    assert "".join(part.source for part in parts) == f"Steps:\n\n{items}\nDone."
    for part in parts[1:]:
        number, expected = re.match(r"(\d+)\. item (\d+)", part.text).groups()  # type: ignore[union-attr]
        assert number == expected
    assert shown.endswith("Done.")


def test_a_list_keeps_the_numbers_it_has() -> None:
    text = "".join(f"{n}. item {n}\n" for n in range(7, 40))
    assert "".join(part.text for part in split(text, 100)) == text
    rest = "1. a\n" * 19 + "\nAnother list:\n\n1. b\n2. c\n3. d\n"
    assert split(rest, 100)[-1].text == "Another list:\n\n1. b\n2. c\n3. d\n"


def test_the_items_of_an_item_stay_with_it() -> None:
    text = (
        "- word word word word\n" * 3 + "- one two three\n  - four five six\n  - seven eight\n" * 9
    )
    for part in split(text, 360):
        assert not part.text.startswith(" ")


def test_emphasis_is_closed_and_opened_again() -> None:
    bold = "word " * 50 + "word"
    first, second = split("word " * 96 + f"**{bold}** end.", 600)
    assert (first.text[-6:], second.text[:6]) == ("word**", "**word")
    assert second.carry == "**"
    assert first.text.count("word") + second.text.count("word") == 96 + 51
    assert second.text.endswith("word** end.")


def test_marks_that_are_text_are_not_opened_again() -> None:
    parts = split("Note *this: " + "word " * 20 + "\n\n" + "word " * 30, 100)
    assert "".join(part.text for part in parts[1:]).count("*") == 0
    assert split("Note *this: " + "word " * 16 + "\n\n" + "word " * 30, 100)[0].text.count("*") == 1


def test_a_part_rather_ends_outside_of_emphasis_code_and_links() -> None:
    for inside in ("**one two. three**", "`one two. three`", "[one two. three](https://a.example)"):
        text = "word " * 18 + inside + " and the rest of it, which is long enough"
        assert split(text, 100)[0].source == "word " * 18


def test_what_a_stream_shows_waits_for_the_marks_before_it() -> None:
    splitter = Splitter(100, measure, carry="**")
    splitter.feed("bold te")
    assert (splitter.growing(), splitter.interim()) == ("", "**bold te**")
    splitter.feed("xt** and *mo")
    assert splitter.growing() == "**bold text** and"
    splitter.feed("re* x")
    assert splitter.growing() == "**bold text** and *more* x"


def test_a_link_without_a_space_before_it_is_not_torn() -> None:
    assert split("x" * 88 + "[docs](https://a.example/b) end", 100)[0].source == "x" * 88


def test_a_row_is_not_torn() -> None:
    text = "word " * 13 + "\n\n| a | b |\n|---|---|\n| some words | more words |\n"
    for part in split(text, 100):
        assert not part.text.rstrip("\n").endswith(("some", "words", "more"))


def test_what_a_paragraph_left_open_is_text_behind_it() -> None:
    assert closed("not *closed\n\nnext `") == "not *closed\n\nnext "
    assert completed("not *closed\n\n") == "not *closed\n\n"


def shown_early(text: str, size: int, *, grows: bool) -> str:
    """What a message says when so much of the text is there; a stream was stopped then."""
    splitter = Splitter(size, measure)
    splitter.feed(text)
    if splitter.sealed:
        return ""
    return completed(splitter.growing()) if grows else splitter.interim()


def left(text: str, shown: str, least: int = 1) -> list[Part]:
    """The parts of the text when the first one ends with what was shown; none if it can't."""
    splitter = Splitter(1000, measure)
    splitter.feed(text)
    ended = splitter.leave(shown, least)
    splitter.finish()
    return splitter.sealed if ended else []


@given(documents, st.integers(1, 300), st.booleans())
@example("some **bold text** here", 11, False)
@example("- a\n  ```py\n  x = 1\n  y = 2\n  ```\nend", 20, True)
@example("| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\nend", 30, False)
@settings(max_examples=200, deadline=None)
def test_a_part_may_end_with_what_was_shown_of_it(text: str, at: int, grows: bool) -> None:
    shown = shown_early(text[:at], 1000, grows=grows)
    parts = left(text, shown) if shown.strip() else []
    if not parts:
        return
    assert "".join(part.source for part in parts) == text
    assert parts[0].text == shown
    assert completed(parts[0].source).rstrip() == shown.rstrip()
    assert not any(fence_is_open(part.text) for part in parts)


@pytest.mark.parametrize(
    ("text", "shown", "follows"),
    [
        ("one two three", "one tw", "o three"),
        ("one two three", "one two", "three"),
        ("- a\n  - b", "- a", "  - b"),
        ("one\n\ntwo", "one", "two"),
        ("a\n```py\nx = 1\n    y = 2\n```", "a\n```py\nx = 1\n```", "```py\n    y = 2\n```"),
        ("a\n```py\nx = 1\n```", "a\n```py\nx =\n```", "```py\n 1\n```"),
        ("a\n```py\nx = 1\n  y = 2\n```", "a\n```py\nx = 1", "```py\n  y = 2\n```"),
        ("some **bold text** here", "some **bold**", "**text** here"),
        ("|a|\n|-|\n|1|\n|2|\nend", "|a|\n|-|\n|1|", "|a|\n|-|\n|2|\nend"),
        ("x" * 900 + " " + "y" * 900, "x" * 900, "y" * 900),
    ],
)
def test_what_follows_a_part_that_was_left(text: str, shown: str, follows: str) -> None:
    parts = left(text, shown)
    assert [part.text for part in parts] == [shown, follows]


@pytest.mark.parametrize(
    ("text", "shown", "least"),
    [("one two", "one four", 1), ("one", "one", 1), ("one  \n", "one", 1), ("one two", "one", 4)],
)
def test_a_part_is_not_left(text: str, shown: str, least: int) -> None:
    assert left(text, shown, least) == []
