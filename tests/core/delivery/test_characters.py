"""What people see as one character stays in one part, in every script."""

import pytest

from core.delivery.characters import between, tears, visible
from core.delivery.markup import Splitter

WHOLE = {
    "an accent": "e\u0301",
    "Thai": "\u0e17\u0e35\u0e48",
    "Thai, sara am": "\u0e19\u0e49\u0e33",
    "Hindi": "\u0915\u093e",
    "Hindi, two joined": "\u0915\u094d\u0937\u093f",
    "Tamil": "\u0b95\u0bca",
    "Hangul of single letters": "\u1112\u1161\u11ab",
    "Hangul, a syllable and a letter": "\ud558\u11ab",
    "a keycap": "1\ufe0f\u20e3",
    "a flag": "\U0001f1e9\U0001f1ea",
    "a flag of tags": "\U0001f3f4\U000e0067\U000e0062\U000e007f",
    "skin": "\U0001f44d\U0001f3fd",
    "an astronaut": "\U0001f9d1\u200d\U0001f680",
}
each = pytest.mark.parametrize("sign", WHOLE.values(), ids=WHOLE.keys())


@each
def test_only_at_its_ends_nothing_is_torn(sign: str) -> None:
    row = sign * 3
    ends = [place for place in range(1, len(row)) if not tears(row, place)]
    assert ends == [len(sign), 2 * len(sign)]
    assert [between(row, place) for place in range(len(sign), 2 * len(sign))] == (
        [len(sign)] * len(sign)
    )


@each
def test_parts_begin_and_end_with_whole_ones(sign: str) -> None:
    for offset in range(5):
        splitter = Splitter(60, len)
        for one in "x" * offset + sign * 80:
            splitter.feed(one)
            splitter.interim()
        splitter.finish()
        parts = [part.source.strip("x") for part in splitter.sealed]
        assert len(parts) > 1
        assert all(part == sign * (len(part) // len(sign)) for part in parts)


@pytest.mark.parametrize(
    "sign", [*WHOLE.values(), "a", "0", "-", ".", "\u093f", "\ufffd", "\U0001fae9"]
)
def test_what_has_ink_is_seen_whatever_stands_around_it(sign: str) -> None:
    assert visible(f"\u200b \n{sign}\ufe0f")


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t\u3000\u2028",
        "\x00\x07\x1b\x7f\x9b",
        "\xad",
        "\u200b\u200c\u200d\u200e\u202e\u2060\u2066\ufeff",
        "\ufe0f",
        "\U000e0041\U000e0100",
        "\u034f\u115f\u1160\u180b\u2800\u3164\uffa0",
        " \x00\u200b\n" * 3,
    ],
)
def test_what_has_no_ink_is_not_seen(text: str) -> None:
    assert not visible(text)


@pytest.mark.parametrize("text", ["\u200b", "\xad\ufe0f\n", "\u3164 "])
def test_nothing_is_shown_of_what_nobody_can_see(text: str) -> None:
    splitter = Splitter(60, len)
    splitter.feed(text)
    assert (splitter.interim(), splitter.growing()) == ("", "")
    splitter.finish()
    assert [part.text for part in splitter.sealed] == [""]
