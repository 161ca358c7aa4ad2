"""Characters of texts: which are seen, where a cut tears none, how many two begin with. Pure."""

import re
import unicodedata

_ZWJ = "\u200d"
_VIRAMA = 9
"""The combining class of the signs that join the letters of Indic scripts."""
# What belongs to the sign before it, beside the marks: joiners, vowels of Thai and Lao, the letters
# of a Hangul syllable behind its first, colours of skin, tags
# (unicode.org/reports/tr29/#Grapheme_Cluster_Boundary_Rules).
_ATTACHED = re.compile(
    "[\u200c\u200d\u0e33\u0eb3\u1160-\u11ff\ud7b0-\ud7fb\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]"
)
_FLAG = "".join(map(chr, range(0x1F1E6, 0x1F200)))
"""The letters of flags: each is a pair of them."""

_INK = re.compile(
    r"[^\s\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Any character but white space, controls, the empty Braille pattern, and what fonts are to draw
nothing for (Default_Ignorable_Code_Point of the Unicode Character Database)."""


def visible(text: str) -> bool:
    """Whether a person sees anything in it."""
    return _INK.search(text) is not None


def tears(text: str, place: int) -> bool:
    """Whether a cut at `place` would tear what people see as one character."""
    if not 0 < place < len(text):
        return False
    before, sign = text[place - 1], text[place]
    if sign.isascii():
        return before == _ZWJ
    if sign in _FLAG and before in _FLAG:
        row = place - len(text[:place].rstrip(_FLAG))
        return row % 2 == 1
    joined = before == _ZWJ or (unicodedata.combining(before) == _VIRAMA and sign.isalpha())
    return joined or bool(_ATTACHED.match(sign)) or unicodedata.category(sign).startswith("M")


def between(text: str, cut: int) -> int:
    """The last place up to `cut` that doesn't tear what people see as one character."""
    for place in range(cut, max(cut - 32, 0), -1):
        if not tears(text, place):
            return place
    return cut


def common(one: str, other: str) -> int:
    """How many characters both texts begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
