"""Markdown while it grows: parts of bounded size, and intermediate states without a broken fence.

A part ends where the text reads best (paragraph, line, sentence, space, in this order) within the
last sixth of the room it has. An open code fence is closed at its end and opened again, with its
language, in the next part; a table repeats its header there. Pure, linear time.

Where the parts end depends on the text alone, never on how it arrived: sizes are taken at marks
that follow from the text, and nothing behind the last mark that fits has a say. While the last
sixth fills, only what will stay in the part is shown: nothing shown moves to the next message.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.delivery.sanitise import REACH, Fence, blocks, undecided

_SENTENCE = re.compile(r"[.!?…][\"')\]]*+\s++|[。！？]")
_SPACE = re.compile(r"\s++")
_SEPARATOR = re.compile(r"[ \t]*+\|?(?:[ \t]*+:?-++:?[ \t]*+(?:\||$))++[ \t]*+$")
_PARAGRAPH = 3  # the best place for a part to end (see _Line)
_ZWJ = "\u200d"
_ATTACHED = re.compile("[\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]")


@dataclass(frozen=True, slots=True)
class Part:
    """One sealed part of a text.

    text: what is shown; empty when there is nothing to see in it. source: the slice of the text
    it stands for. carry: what was put before it, a reopened fence or a table's header.
    """

    text: str
    source: str
    carry: str


@dataclass(frozen=True, slots=True)
class _Line:
    """A complete line up to `end`, and what is still open behind it: a fence or a table's header.

    rank: how well a part ends behind it (3 paragraph, 2 line, 1 inside code or table, 0 never).
    """

    end: int
    rank: int
    fence: Fence | None = None
    header: str = ""


def decided(text: str) -> int:
    """Up to where a growing text can be shown: `undecided`, and no incomplete table row.

    A table's header waits for its separator. Nothing is held back for more than `REACH` characters.
    """
    return min(undecided(text), _row_begun(text))


def with_fence_closed(text: str) -> str:
    """The text, with a closing line when it ends inside a code fence."""
    fence = _open_fence(text)
    if fence is None:
        return text
    return f"{text}{fence.closing}" if text.endswith("\n") else f"{text}\n{fence.closing}"


def closed(text: str) -> str:
    """The longest beginning of a growing text that can be shown, an open code fence closed."""
    return with_fence_closed(text[: decided(text)])


class Splitter:
    """A growing text as parts of at most `size` units.

    measure: units of a part's text as it will be sent; where a character counts for more than
    six units, parts come out smaller than they could. carry: what the first part begins with
    (see `Part.carry`).
    """

    def __init__(self, size: int, measure: Callable[[str], int], carry: str = "") -> None:
        self.sealed: list[Part] = []
        self._size = size
        self._measure = measure
        self._fresh: list[str] = []
        self._open = ""
        self._begin(carry)

    def feed(self, text: str) -> None:
        """More of the text; costs nothing until the parts are asked for."""
        self._fresh.append(text)

    def interim(self) -> str:
        """What can be shown of the part that is still open; empty when there is nothing to see."""
        return with_fence_closed(self.growing())

    def growing(self) -> str:
        """The same without closing an open code fence, for a message that is only appended to."""
        self._advance(final=False)
        body = self._body(self._visible())
        shown = body[: decided(body)]
        return shown if shown[len(self._carry) :].strip() else ""

    def finish(self) -> None:
        """The text is complete: seal what is left of it."""
        self._advance(final=True)
        if self._open:
            self._seal(len(self._open))

    @property
    def rest(self) -> tuple[str, str]:
        """The slice that is not sealed, and its carry."""
        self._take()
        return self._open, self._given

    def _begin(self, carry: str) -> None:
        """Start a part at the beginning of what is open."""
        if carry and self._measure(with_fence_closed(carry)) > self._size // 2:
            carry = ""
        self._carry = self._given = carry
        self._skip = 0
        self._headed = not carry
        self._mark = 0  # the part fits up to here
        self._measured = 0  # and has this size then
        self._room: int | None = None  # the first mark in the last sixth
        self._seen = 0  # shown already, before the last sixth began

    def _take(self) -> None:
        """Append what was fed. A fence that closes at once is not reopened for it."""
        if self._fresh:
            self._open += "".join(self._fresh)
            self._fresh.clear()

    def _head(self, final: bool) -> None:
        """Settle what the part begins with: a fence that its first line ends isn't reopened."""
        line = self._open[: self._open.find("\n") + 1] or self._open
        if self._headed or not line.strip():
            return
        first = next(blocks(self._carry + line))
        if first.closed and first.fence is not None and first.end == len(self._carry):
            self._headed, self._carry = True, ""  # the line stands outside the quoted block
        elif final or line.endswith("\n"):
            self._headed = True
            if first.closed and first.fence is not None:
                self._skip, self._carry = len(line), ""

    def _body(self, end: int) -> str:
        """The part's text if it ended at `end`, an open fence still open."""
        return self._carry + self._open[self._skip : end]

    def _size_at(self, end: int) -> int:
        """The size of the part if it ended at `end`."""
        return self._measure(with_fence_closed(self._body(end)))

    def _advance(self, final: bool) -> None:
        """Go from mark to mark, and seal a part wherever one doesn't fit any more."""
        self._take()
        while True:
            self._head(final)
            if self._room is None:
                step = max(self._size // 40, (self._size - self._measured) // 6)
            else:
                step = self._size // 160
            mark = self._mark + max(1, step)
            if mark > len(self._open):
                if not final or self._size_at(len(self._open)) <= self._size:
                    return
                self._seal(self._cut())
                continue
            measured = self._size_at(mark)
            if measured > self._size or mark > 2 * self._size:
                self._seal(self._cut())
                continue
            self._mark, self._measured = mark, measured
            if self._room is None and measured >= self._size - self._size // 6:
                self._room = mark
            if self._room is not None and (end := self._paragraph(self._room)):
                self._seal(end)

    def _visible(self) -> int:
        """How much of what is open surely stays in this part."""
        if self._room is not None:
            # The character behind the mark may still join the one before it.
            whole = _between_characters(self._open, self._mark - 1)
            return self._best(self._room) or max(whole, self._seen)
        end = len(self._open)
        if self._size_at(end) <= self._size - self._size // 6:
            self._seen = end
        return max(self._seen, self._mark)

    def _cut(self) -> int:
        """Where to end a part that doesn't fit beyond the last mark. At least one character."""
        room = max(0, self._mark - self._size // 6) if self._room is None else self._room
        mark = self._mark or min(len(self._open), max(1, self._size // 6))
        cut = self._best(room) or _between_characters(self._open, mark)
        cut = max(cut, self._skip + 1, 1)
        while cut > self._skip + 1 and self._size_at(cut) > self._size:
            cut = max(self._skip + 1, _between_characters(self._open, cut * 3 // 4))
        return cut

    def _best(self, room: int) -> int:
        """The best place behind `room` and up to the last mark to end the part; 0 without one.

        It only moves forward when the last mark does.
        """
        offset = len(self._carry) - self._skip
        best = rank = 0
        for line in _lines(self._body(self._mark)):
            if line.end > room + offset and line.rank and line.rank >= rank:
                best, rank = line.end - offset, line.rank
        if best:
            return best
        for pattern in (_SENTENCE, _SPACE):
            for place in pattern.finditer(self._open, room, self._mark):
                best = place.end()
            if best:
                return best
        return 0

    def _paragraph(self, room: int) -> int:
        """The first end of a paragraph behind `room`, up to the last mark; 0 without one. The part
        ends there at once: what comes after it is shown without delay."""
        offset = len(self._carry) - self._skip
        for line in _lines(self._body(self._mark)):
            if line.rank == _PARAGRAPH and line.end > room + offset:
                return line.end - offset
        return 0

    def _seal(self, end: int) -> None:
        """End the part at `end` and begin the next one."""
        body = self._body(end)
        seen = self._open[self._skip : end].strip()
        text = with_fence_closed(body) if seen else ""
        self.sealed.append(Part(text, self._open[:end], self._given))
        self._open = self._open[end:]
        self._begin(_carry(body))


def _open_fence(text: str) -> Fence | None:
    """The code fence that is open at the end of the text."""
    last = None
    for block in blocks(text):
        last = block
    return None if last is None or last.closed else last.fence


def _carry(body: str) -> str:
    """What the part after `body` has to begin with."""
    if not body.endswith("\n"):
        fence = _open_fence(body)
        return fence.opening if fence and "\n" in body[-REACH:] + "\n" else ""
    last = None
    for line in _lines(body):
        last = line
    if last is None:
        return ""
    return last.fence.opening if last.fence else last.header


def _lines(text: str) -> Iterator[_Line]:
    """The complete lines of a text."""
    for block in blocks(text):
        if block.fence is None:
            yield from _prose_lines(text, block.start, block.end)
            continue
        at = block.start
        while end := text.find("\n", at, block.end) + 1:
            if block.closed and end == block.end:
                yield _Line(end, 3)
            else:
                yield _Line(end, int(at > block.start), block.fence)
            at = end


def _prose_lines(text: str, at: int, stop: int) -> Iterator[_Line]:
    """The complete lines of prose from `at` to `stop`; no part ends behind a heading."""
    above = header = ""
    heading = False
    while end := text.find("\n", at, stop) + 1:
        line = text[at : end - 1]
        rank = 2
        if header and "|" in line:
            rank = 1
        elif "|" in above and "|" in line and _SEPARATOR.match(line):
            header, rank = f"{above}\n{line}\n", 0
        else:
            header = ""
            if line.strip():
                heading = line.startswith("#")
                rank = 0 if heading or line.startswith("|") else 2
            else:
                rank = 0 if heading else 3
        yield _Line(end, rank, None, header)
        above, at = line, end


def _row_begun(text: str) -> int:
    """Where an incomplete table begins at the end of the text, else len(text).

    Rows are lines that begin with a pipe: a header without a complete line beneath it, or a row.
    """
    line = text.rfind("\n") + 1
    rows = [line] if text.startswith("|", line) else []
    if line < len(text) and not rows:
        return len(text)
    complete = 0
    above = line
    while above and complete < 2:
        above = text.rfind("\n", 0, above - 1) + 1
        if not text.startswith("|", above):
            break
        complete += 1
        rows.append(above)
    for row in [line] if complete == 2 else reversed(rows):
        if len(text) - row < REACH:
            return row
    return len(text)


def _between_characters(text: str, cut: int) -> int:
    """The last place up to `cut` that doesn't tear what people see as one character."""
    for place in range(cut, max(cut - 32, 0), -1):
        if place >= len(text):
            return place
        sign = text[place]
        if text[place - 1] == _ZWJ or _ATTACHED.match(sign) or unicodedata.combining(sign):
            continue
        return place
    return cut
