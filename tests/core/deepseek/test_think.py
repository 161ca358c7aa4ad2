"""The filter for `<think>`: only at the start, split anywhere, never in the middle of an answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.deepseek.think import NEAR, ThinkFilter


def run(*pieces: str) -> tuple[str, str]:
    visible = ThinkFilter()
    found = [*map(visible.feed, pieces), visible.finish()]
    return "".join(text for text, _ in found), "".join(reasoning for _, reasoning in found)


CASES = {
    "Hello": ("Hello", ""),
    "<think>hm</think>Hello": ("Hello", "hm"),
    " \n<think>\nhm\n</think>\n\nHello\n": ("Hello\n", "\nhm\n"),
    "<think></think>\n\nHello": ("Hello", ""),
    "<think>a </thin b</think>Hello": ("Hello", "a </thin b"),
    "<think>never closed </thi": ("", "never closed </thi"),
    "<think>a</think>b <think>c</think>": ("b <think>c</think>", "a"),
    "</think>\n\nHello": ("Hello", ""),
    "\n</think>Hello": ("Hello", ""),
    "Okay, a greeting.\n</think>\n\nHello": ("Okay, a greeting.\n\nHello", ""),
    "The tag </think> closes it.": ("The tag </think> closes it.", ""),
    "Write `<think>`:\n</think>\n": ("Write `<think>`:\n</think>\n", ""),
    "```\n<think>\nx\n</think>\n```": ("```\n<think>\nx\n</think>\n```", ""),
    "Use <think>\nx\n</think>": ("Use <think>\nx\n</think>", ""),
    "<thin": ("<thin", ""),
    "  ": ("  ", ""),
    "  Hello": ("  Hello", ""),
    "</thinking>": ("</thinking>", ""),
    "x" * NEAR + "\n</think>": ("x" * NEAR + "\n</think>", ""),
    "x" * (NEAR - 4) + "\n</think>": ("x" * (NEAR - 4) + "\n</think>", ""),
}


@pytest.mark.parametrize("text", CASES)
def test_reasoning_and_answer_are_told_apart(text: str) -> None:
    assert run(text) == CASES[text]
    assert run(*text) == CASES[text]


@given(
    parts=st.lists(
        st.sampled_from(["<think>", "</think>", "\n", " ", "`", "<", "/", "think>", "a", "</thi"]),
        max_size=10,
    ),
    data=st.data(),
)
def test_where_the_text_is_cut_makes_no_difference(parts: list[str], data: st.DataObject) -> None:
    text = "".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert run(*pieces) == run(text)


def test_an_ordinary_answer_is_not_held_back() -> None:
    assert ThinkFilter().feed("Hello") == ("Hello", "")


def test_reasoning_comes_out_while_it_streams() -> None:
    visible = ThinkFilter()
    assert [visible.feed(piece) for piece in ("<thi", "nk>one", " two</th")] == [
        ("", ""),
        ("", "one"),
        ("", " two"),
    ]
