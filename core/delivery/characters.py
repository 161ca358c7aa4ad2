"""Characters of texts: where a cut tears none of them, how many two texts begin with. Pure."""

import re
import unicodedata

_ZWJ = "\u200d"
_ATTACHED = re.compile("[\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")


def tears(text: str, place: int) -> bool:
    """Whether a cut at `place` would tear what people see as one character."""
    if place >= len(text):
        return False
    sign = text[place]
    joined = text[place - 1] == _ZWJ or _ATTACHED.match(sign) or unicodedata.combining(sign)
    return bool(joined)


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
