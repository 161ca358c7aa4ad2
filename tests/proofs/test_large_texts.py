"""A hundred kilobytes, in one line or in many: the time grows with the text, not with its square.

Seconds are the process's own, so other work on the machine doesn't count.
"""

import time

import pytest

from core.delivery.markup import Splitter
from core.delivery.sanitise import sanitise, undecided
from tests.core.delivery.markdown import split


def seconds_to_split(text: str) -> float:
    began = time.process_time()
    parts = split(text, 11_500)
    assert "".join(part.source for part in parts) == text
    return time.process_time() - began


@pytest.mark.parametrize(
    "text",
    [
        "x" * 100_000,
        "```py\n" + "value = 1\n" * 10_000 + "```\n",
        "| a | b |\n|---|---|\n" + "| some | words |\n" * 6_000,
    ],
    ids=["line", "code", "table"],
)
def test_a_hundred_kilobytes_are_split_at_once(text: str) -> None:
    assert seconds_to_split(text) < 2.0


@pytest.mark.parametrize("unit", ["```\n", "[a](https://b.example) ", "\n", "`", "> ```\n", "<"])
def test_odd_texts_take_linear_time(unit: str) -> None:
    assert seconds_to_split(unit * (25_000 // len(unit))) < 1.5


@pytest.mark.parametrize("unit", ["x", "**bold** and ", "*a ", "a_ _b", "`a b` ", "*a _b ~~c "])
def test_one_line_of_a_hundred_kilobytes_takes_linear_time(unit: str) -> None:
    quarter, whole = (
        min(seconds_to_split(unit * (size // len(unit))) for _ in range(2))
        for size in (25_000, 100_000)
    )
    assert whole < 8 * quarter, "four times the text, in about four times the time"


@pytest.mark.parametrize("sign", ["\U0001f1e9", "\u0301", "\u094d"])
def test_a_row_without_an_end_costs_no_more_than_another(sign: str) -> None:
    began = time.process_time()
    splitter = Splitter(11_500, len)
    splitter.feed(sign * 100_000)
    splitter.finish()
    assert sum(len(part.source) for part in splitter.sealed) == 100_000
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize(
    "unit",
    ["[", "[a](", "`", "``a`", "<", "<https:", "!", "](", "\\[", "- ", "> ```\n", "@", "a\n", " "],
)  # fmt: skip
def test_disarming_a_hundred_kilobytes_takes_linear_time(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    began = time.process_time()
    sent = sanitise(text)
    undecided(text)
    assert sent
    assert time.process_time() - began < 1.0
