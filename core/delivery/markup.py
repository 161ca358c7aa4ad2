"""Markdown while it grows: parts of bounded size, and intermediate states that are valid.

A part ends where the text reads best (paragraph, line, sentence, space, in this order; not within
emphasis, inline code or a link if it can be helped) in the last sixth of the room it has. An open
code fence is closed at its end and opened again, with its language, in the next part; so is
emphasis; a table repeats its header there. Pure, linear time.

Where the parts end depends on the text alone, never on how it arrived: sizes are taken at marks
that follow from the text, and nothing behind the last mark that fits has a say. While the last
sixth fills, only what will stay in the part is shown: nothing shown moves to the next message.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.delivery import inline
from core.delivery.characters import between, common, tears, visible
from core.delivery.lines import last_block, lines, next_number, prose_lines, row_begun
from core.delivery.sanitise import REACH, Fence, blocks, opaque, undecided

_SENTENCE = re.compile(r"[.!?…][\"')\]]*+\s++|[。！？]")
_SPACE = re.compile(r"\s++")
_PARAGRAPH = 3  # the best place for a part to end (see core.delivery.lines.Line)
_NUMBER = re.compile(r"\d{1,9}(?=[.)][ \t])")
_DIGITS = re.compile(r"\d{0,9}[.)]?")
_SIGNS = frozenset("*_~\\")


@dataclass(frozen=True, slots=True)
class Part:
    """One sealed part of a text.

    text: what is shown; empty when there is nothing to see in it. source: the slice of the text
    it stands for. carry: what was put before it where it belongs there: a reopened fence, a table's
    header, marks of emphasis, or the number of an item in the place of its own.
    """

    text: str
    source: str
    carry: str


def decided(text: str) -> int:
    """Up to where a growing text can be shown: `undecided`, and no incomplete table row.

    A table's header waits for its first row, signs of emphasis for what follows them (see
    `inline.settled`). Nothing is held back for more than `REACH` characters.
    """
    end = min(undecided(text), row_begun(text))
    return inline.settled(text, end) if last_block(text[:end]).fence is None else end


def completed(text: str) -> str:
    """The text, with a closing line when it ends inside a code fence; open emphasis closed."""
    last = last_block(text)
    if last.closed:
        open_marks = inline.marks(text, last.start) if last.fence is None else ()
        return text.rstrip() + inline.closing(open_marks) if open_marks else text
    return _with_fence_closed(text, last.fence)


def closed(text: str) -> str:
    """The longest beginning of a growing text that can be shown, what is open in it closed."""
    return completed(text[: decided(text)])


def _with_fence_closed(text: str, fence: Fence | None) -> str:
    """The text and the line that closes the fence."""
    if fence is None:
        return text
    return f"{text}{fence.closing}" if text.endswith("\n") else f"{text}\n{fence.closing}"


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
        self._advance(final=False)
        body = self._body(self._visible())
        shown = body[: decided(body)]
        return completed(shown) if visible(shown[len(self._carry) :]) else ""

    def growing(self) -> str:
        """What can be shown of the open part where only new text can be added to what is shown.

        Each result begins with the one before; so does the part's final text. No emphasis, inline
        code or link is open at its end, unless for `REACH` characters; a code fence may be.
        """
        self._advance(final=False)
        if not self._headed:
            return ""
        body = self._body(self._visible())
        shown = body[: decided(body)]
        last = last_block(shown)
        if last.fence is None:
            end = inline.first_open(shown, last.start)
            line = shown.rfind("\n", 0, end) + 1
            shown = shown[: line if inline.bare(shown, line, end) else end]
        return shown.rstrip() if visible(shown[len(self._carry) :]) else ""

    def finish(self) -> None:
        """The text is complete: seal what is left of it."""
        self._advance(final=True)
        if self._open:
            self._seal(len(self._open), final=True)

    def leave(self, shown: str, least: int) -> bool:
        """End the open part with what `interim` or `growing` said some time ago, or with that
        completed. False: that isn't its beginning any more, or less than `least` letters and
        digits come after it.
        """
        self._take()
        self._head(final=False)
        body = self._body(len(self._open))
        visible = shown.rstrip()

        def says(at: int) -> bool:
            return visible in (body[:at].rstrip(), completed(body[:at]).rstrip())

        first = common(body, visible)
        ends = range(first, max(first - REACH, len(self._carry)), -1)
        end = next((at for at in ends if says(at)), 0)
        rest = body[end:]
        if not end or sum(map(str.isalnum, rest)) < least:
            return False
        # The line's end stays behind, the next line's indentation doesn't.
        blank = rest[: len(rest) - len(rest.lstrip())]
        further = end + (blank.rfind("\n") + 1 or len(blank))
        if says(further):
            end = further
        self._seal(end - len(self._carry) + self._skip)
        self.sealed[-1] = replace(self.sealed[-1], text=shown)
        return True

    @property
    def filling(self) -> bool:
        """The last sixth of the open part fills: what can be shown of it stays for a while."""
        return self._room is not None

    @property
    def near_full(self) -> bool:
        """It fills, or seems to with what came since the last look."""
        more = len(self._open) - self._mark + sum(map(len, self._fresh))
        return self.filling or self._measured + more >= self._size - self._size // 6

    @property
    def rest(self) -> tuple[str, str]:
        """The slice that is not sealed, and its carry."""
        self._take()
        return self._open, self._given

    def _begin(self, carry: str) -> None:
        """Start a part at the beginning of what is open."""
        if carry and self._measure(completed(carry)) > self._size // 2:
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
        """Settle what the part begins with: a fence that its first line ends isn't reopened.

        Neither is emphasis that isn't closed soon: its marks were text.
        """
        if self._carry.isdigit():
            self._head_number(final)
            return
        if self._carry and not self._carry.endswith("\n"):
            self._head_marks(final)
            return
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

    def _head_number(self, final: bool) -> None:
        """Settle whether the part begins with an item whose number is too small."""
        written = _NUMBER.match(self._open)
        if self._headed or (written is None and not final and _DIGITS.fullmatch(self._open)):
            return
        self._headed = True
        if written is not None and int(written[0]) < int(self._carry):
            self._skip = written.end()
        else:
            self._carry = ""

    def _head_marks(self, final: bool) -> None:
        """Settle which marks of emphasis the part begins with, before anything is measured."""
        if self._headed:
            return
        window = min(REACH, self._size // 2)
        begun = self._open[:window]
        text = begun.lstrip()
        blank = len(begun) - len(text)
        end = 0 if begun.count("\n", 0, blank) > 1 else inline.leaf_end(text)
        carry = inline.kept(self._carry, text[:end])
        self._skip = blank if end else 0
        over = final or end < len(text) or len(begun) == window
        if over or (carry == self._carry and text and text[-1] not in "*_~"):
            self._headed, self._carry = True, carry

    def _body(self, end: int) -> str:
        """The part's text if it ended at `end`, an open fence still open."""
        return self._carry + self._open[self._skip : end]

    def _size_at(self, end: int) -> int:
        """The size of the part if it ended at `end`."""
        return self._measure(completed(self._body(end)))

    def _advance(self, final: bool) -> None:
        """Go from mark to mark, and seal a part wherever one doesn't fit any more."""
        self._take()
        while True:
            self._head(final)
            if not self._headed and not self._carry.endswith("\n"):
                return
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
            whole = self._whole(self._mark - 1)
            return self._best(self._room) or max(whole, self._seen)
        end = len(self._open)
        if self._size_at(end) <= self._size - self._size // 6:
            self._seen = end
        return max(self._seen, self._mark)

    def _cut(self) -> int:
        """Where to end a part that doesn't fit beyond the last mark. At least one character."""
        room = max(0, self._mark - self._size // 6) if self._room is None else self._room
        mark = self._mark or min(len(self._open), max(1, self._size // 6))
        cut = self._best(room) or self._whole(mark)
        cut = max(cut, self._skip + 1, 1)
        while cut > self._skip + 1 and self._size_at(cut) > self._size:
            cut = max(self._skip + 1, between(self._open, cut * 3 // 4))
        return cut

    def _best(self, room: int) -> int:
        """The best place behind `room` and up to the last mark to end the part; 0 without one.

        It only moves forward when the last mark does.
        """
        offset = len(self._carry) - self._skip
        best = rank = 0
        for line in lines(self._body(self._mark)):
            if line.end > room + offset and line.rank and line.rank >= rank:
                best, rank = line.end - offset, line.rank
        return best or self._within_line(room, offset)

    def _within_line(self, room: int, offset: int) -> int:
        """`_best` where no line ends: behind a sentence or a space, outside of emphasis and code.

        Whether a place is outside follows from what stands before it.
        """
        found: dict[tuple[bool, re.Pattern[str]], int] = {}
        body = self._body(self._mark)
        last = last_block(body)
        emphasis = inline.Spans([] if last.fence else inline.spans(body, last.start))
        torn = inline.Spans([] if last.fence else opaque(body, last.start))
        for pattern in (_SENTENCE, _SPACE):
            for place in pattern.finditer(self._open, room, self._mark):
                if place.end() == self._mark:
                    continue  # what stands behind it has a say, and isn't known to stay
                at = place.end() + offset
                inside = emphasis.around(at) is not None
                line = self._open.rfind("\n", 0, place.end() - 1) + 1
                row = line > self._size // 2 and self._open.startswith("|", line)
                beside = body[at : at + 1] + body[max(0, at - 32) : at].rstrip()[-1:]
                if row or torn.around(at) is not None or (inside and _SIGNS.intersection(beside)):
                    continue
                found[inside, pattern] = place.end()
        for inside in (False, True):
            for pattern in (_SENTENCE, _SPACE):
                if best := found.get((inside, pattern)):
                    return best
        return 0

    def _paragraph(self, room: int) -> int:
        """The first end of a paragraph behind `room`, up to the last mark; 0 without one. The part
        ends there at once: what comes after it is shown without delay."""
        offset = len(self._carry) - self._skip
        for line in lines(self._body(self._mark)):
            if line.rank == _PARAGRAPH and line.end > room + offset:
                return line.end - offset
        return 0

    def _whole(self, place: int) -> int:
        """The last place up to `place` that tears no character, mark, code or link in two."""
        offset = len(self._carry) - self._skip
        body = self._body(max(place, self._mark))
        last = last_block(body)
        torn = inline.Spans([] if last.fence else opaque(body, last.start))
        emphasis = inline.Spans([] if last.fence else inline.spans(body, last.start))
        begin = torn.around(place + offset)
        if begin is not None and begin - offset > self._size // 2:
            place = begin - offset
        for at in range(place, max(place - 32, 0), -1):
            around = body[at + offset - 1 : at + offset + 1]
            if torn.around(at + offset) is not None or tears(self._open, at):
                continue
            if around[0] in _SIGNS and (around[0] == "\\" or around[1:] in (around[0], "")):
                continue
            if emphasis.around(at + offset) is None or not _SIGNS.intersection(around):
                return self._sensible(at)
        return self._sensible(between(self._open, place))

    def _sensible(self, place: int) -> int:
        """`place`, or before it where a table row or a line begins that would show only signs."""
        offset = len(self._carry) - self._skip
        row = row_begun(self._body(place)) - offset
        if self._size // 2 < row < place:
            place = row
        line = self._open.rfind("\n", 0, place) + 1
        bare = line > self._size // 2 and inline.bare(self._open, line, place)
        return line if bare else place

    def _seal(self, end: int, final: bool = False) -> None:
        """End the part at `end` and begin the next one. final: there is none, the text is over."""
        body = self._body(end)
        text = ""
        if visible(self._open[self._skip : end]):
            last = last_block(body)
            fence = None if last.closed else last.fence
            text = _with_fence_closed(body, fence) if final else completed(body)
        self.sealed.append(Part(text, self._open[:end], self._given))
        self._open = self._open[end:]
        self._begin("" if final else _carry(body))


def _carry(body: str) -> str:
    """What the part after `body` has to begin with."""
    last = last_block(body)
    if last.fence is not None:
        return "" if last.closed else last.fence.opening
    open_marks = "".join(inline.marks(body, last.start))
    if open_marks or not body.endswith("\n"):
        return open_marks
    header = ""
    for line in prose_lines(body, last.start, last.end):
        header = line.header
    return header or str(next_number(body) or "")
