"""What the API complains of, without what people said to it. Pure.

Gateways like to repeat a request in their complaints, and no message text may reach a log.
"""

import re
from collections.abc import Iterable

LEFT_OUT = "…"
_SHORT = 3
"""Characters below which a word tells nothing about who used it."""

# Escapes of JSON hide the words behind them, and what they stand for; then words, then the rest.
_ESCAPE = re.compile(r"\\+u[0-9a-fA-F]{4}")
_LINE = re.compile(r"\\+[nrt]")
_WORD = re.compile(r"\w+")
_PIECE = re.compile(r"[A-Za-z0-9_]+|[^\x00-\x7f]")
_TOGETHER = re.compile(rf"{LEFT_OUT}(?:[^\w{LEFT_OUT}]*{LEFT_OUT})+")


def unsaid(complaint: str, said: Iterable[str]) -> str:
    """The complaint; each word of it that occurs in what was said is left out.

    A script without spaces goes by its characters. The API's own words go too where people
    happened to use the same.
    """
    texts = "\n".join(said).casefold()

    def kept(found: re.Match[str]) -> str:
        word = found[0]
        if word.isascii() and len(word) < _SHORT:
            return word
        if word.casefold() in texts:
            return LEFT_OUT
        return word if word.isascii() or len(word) == 1 else _PIECE.sub(kept, word)

    plain = _LINE.sub(" ", _ESCAPE.sub(LEFT_OUT, complaint))
    return _TOGETHER.sub(LEFT_OUT, _WORD.sub(kept, plain))
