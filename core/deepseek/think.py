"""The `<think>...</think>` some hosts leave in an answer's text, taken out as it streams. Pure.

Reasoning counts only at the very start of an answer, after white space: a tag further on is text
(an answer may well be about the tag). Chat templates of some hosts open the tag themselves, so a
closing tag may come alone: at the start, or on a line of its own within the first characters. What
stood before it there was shown already and can't be taken back; only the tag goes.
"""

import re
from enum import Enum, auto

OPEN = "<think>"
CLOSE = "</think>"

NEAR = 4096
"""Characters of an answer in which a closing tag alone on its line is taken for the template's."""

_STRAY = "\n" + CLOSE
_TEXT = re.compile(f"`|{OPEN}")  # behind either, a closing tag belongs to the answer


class _At(Enum):
    START = auto()  # only white space, or a piece of a tag, so far
    THINKING = auto()
    GAP = auto()  # behind the closing tag: white space is dropped
    NEAR = auto()  # text, still near the front, no tag seen
    TEXT = auto()


class ThinkFilter:
    """The text of one choice in, (text, reasoning) out; where it was cut makes no difference."""

    def __init__(self) -> None:
        self._at = _At.START
        self._held = ""
        self._seen = 0

    def feed(self, text: str) -> tuple[str, str]:
        """Visible text and reasoning that can be told apart by now."""
        if self._at is _At.TEXT:
            return text, ""
        self._held += text
        reasoning = ""
        if self._at is _At.START:
            self._start()
        if self._at is _At.THINKING:
            reasoning = self._think()
        if self._at is _At.GAP:
            self._held = self._held.lstrip()
            if self._held:
                self._at = _At.TEXT
        if self._at is _At.NEAR:
            return self._near(), reasoning
        return (self._take(len(self._held)) if self._at is _At.TEXT else ""), reasoning

    def finish(self) -> tuple[str, str]:
        """What was held back, now that the answer is over."""
        held = self._take(len(self._held))
        return ("", held) if self._at is _At.THINKING else (held, "")

    def _take(self, size: int) -> str:
        taken, self._held = self._held[:size], self._held[size:]
        return taken

    def _start(self) -> None:
        front = self._held.lstrip()
        if front.startswith(OPEN):
            self._held, self._at = front.removeprefix(OPEN), _At.THINKING
        elif front.startswith(CLOSE):
            self._held, self._at = front.removeprefix(CLOSE), _At.GAP
        elif not OPEN.startswith(front) and not CLOSE.startswith(front):
            self._at = _At.NEAR

    def _think(self) -> str:
        before, tag, after = self._held.partition(CLOSE)
        if tag:
            self._held, self._at = after, _At.GAP
            return before
        return self._take(len(self._held) - _overlap(self._held, CLOSE))

    def _near(self) -> str:
        """Text up to what decides: a stray tag, code, an opening tag, or enough of it."""
        window = self._held[: NEAR - self._seen]
        other = _TEXT.search(window)
        end = window.find(_STRAY, 0, other.start() if other else len(window))
        if end >= 0:
            text = self._held[:end] + self._held[end + len(_STRAY) :]
        elif other or self._seen + len(self._held) >= NEAR:
            text = self._held
        else:
            held = max(_overlap(self._held, _STRAY), _overlap(self._held, OPEN))
            text = self._take(len(self._held) - held)
            self._seen += len(text)
            return text
        self._held, self._at = "", _At.TEXT
        return text


def _overlap(text: str, tag: str) -> int:
    """Length of the longest end of `text` that begins `tag`."""
    return next((n for n in range(len(tag) - 1, 0, -1) if text.endswith(tag[:n])), 0)
