"""What people see as one character stays in one part, in every script."""

import pytest

from core.delivery.characters import between, tears
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
