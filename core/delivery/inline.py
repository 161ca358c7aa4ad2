"""Emphasis in a growing text: what is open at its end, and what can't be told yet. Pure, linear.

CommonMark's rules of delimiter runs (spec.commonmark.org, "Emphasis and strong emphasis") for `*`
and `_`, and those of GitHub's strikethrough for `~~`. Code and links are left alone as
`core.delivery.sanitise` finds them, and so are web addresses.

A leaf is a stretch of lines in which emphasis can be closed: a paragraph, a heading, an item.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from core.delivery.sanitise import REACH, opaque

DEEPEST = 32
"""Marks open at once; of more, the outermost count as text, so that time stays linear."""
NOISE = 6
"""More open marks than these are no emphasis."""

_RUN = re.compile(
    r"\\[!-/:-@\[-`{-~]"  # an escaped sign
    r"|(?:https?|ftp)://(?>(?:[^\s<>`()*~_]|_++(?=[^\s<>`()*~]))*)"
    r"|(?P<run>\*+|_+|~+)"
)
_SIGNS = "*_~\\"
_CONTAINER = r"[ \t>]*+(?>(?:(?:[-*+]|\d{1,9}[.)])[ \t]++[ \t>]*+)*)"
_BARE = re.compile(rf"{_CONTAINER}(?:[-+*_=#~ \t]*|\d{{1,9}}[.)]?)\Z")
_BEGINS = re.compile(r"[ \t>]*+(?:[-*+][ \t]|\d{1,9}[.)][ \t]|#{1,6}(?:[ \t]|$)|\|)", re.MULTILINE)
_ENDS = re.compile(
    r"[ \t>]*+(?:#{1,6}(?:[ \t]|$)|\|"
    r"|(?:=++|-++|(?:\*[ \t]*+){3,}+|(?:_[ \t]*+){3,}+|(?:-[ \t]*+){3,}+)?[ \t]*+$)"
)
_QUOTED = re.compile(r"[ \t>]*+")


class _Piece(NamedTuple):
    """A run of one sign, and what is shown behind it; without sign: code, a link."""

    begin: int
    end: int
    sign: str = ""
    after: str = ""


@dataclass(slots=True)
class _Opener:
    """A run of `length` signs that may open emphasis; `count` of them are not closed."""

    at: int
    sign: str
    length: int
    count: int
    closes: bool
    within_word: bool

    @property
    def mark(self) -> str:
        """What would close it; empty where it is left alone until that comes.

        An asterisk within a word is more often a product than emphasis.
        """
        if self.length > 3 or (self.within_word and self.sign * self.count == "*"):
            return ""
        return self.sign * self.count


def settled(text: str, end: int) -> int:
    """Up to where prose that ends at `end` can be shown: nothing there may get another meaning.

    A run of signs may get longer, open or close; a backslash may escape what follows; a line of
    nothing but signs or a number may become a heading, a rule or an item.
    """
    line = text.rfind("\n", 0, end) + 1
    if len(text) - line < REACH and bare(text, line, end):
        end = line
    tail = end - 1
    signs = end
    while tail >= 0 and text[tail] in "*_~\\ \t\n":
        if text[tail] in _SIGNS:
            signs = tail
        tail -= 1
    return signs if len(text) - signs < REACH else end


def bare(text: str, line: int, end: int) -> bool:
    """Whether a line's part from `line` to `end` is nothing but signs or a number."""
    return _BARE.match(text, line, end) is not None


def marks(text: str, start: int = 0) -> tuple[str, ...]:
    """The marks to close at the end of the prose from `start` on, the outermost first.

    The closing signs, in reverse order, go to the end of the text without its last whitespace.
    Where CommonMark's rule of three forbids to close them all, the outermost are left out.
    """
    at = leaf(text, start)
    text = text.rstrip()
    if at >= len(text):
        return ()
    found = [opener.mark for opener in _openers(text, start, at) if opener.mark]
    while found and (len(found) > NOISE or not _closes(text, start, at, closing(tuple(found)))):
        if len(found) > NOISE:
            return ()
        del found[0]
    return tuple(found)


def closing(open_marks: tuple[str, ...]) -> str:
    """What closes the marks."""
    return "".join(reversed(open_marks))


def first_open(text: str, start: int = 0) -> int:
    """Where the first mark begins that is open at the end and younger than `REACH`; or the end."""
    for opener in _openers(text, start, leaf(text, start)):
        if opener.mark and len(text) - opener.at < REACH:
            return opener.at
    return len(text)


def spans(text: str, start: int = 0) -> list[tuple[int, int]]:
    """Emphasis, code and links in the last leaf of the prose from `start` on, in order.

    The outermost of each; what is open at the end ends beyond it.
    """
    at = leaf(text, start)
    found: list[tuple[int, int]] = []
    stack: list[_Opener] = []
    since: int | None = None
    for piece in _pieces(text, start, at):
        if not piece.sign:
            if since is None:
                found.append((piece.begin, piece.end))
            continue
        _step(text, at, piece, stack)
        inside = any(opener.mark for opener in stack)
        if inside and since is None:
            since = piece.begin
        elif not inside and since is not None:
            found.append((since, piece.end))
            since = None
    if since is not None:
        found.append((since, len(text) + 1))
    return found


def kept(carry: str, text: str) -> str:
    """Of the marks in `carry`, put before the leaf `text`, those that it closes."""
    whole = carry + text
    result = carry
    for opener in _openers(whole, 0, 0):
        if opener.at < len(carry):
            result = result.replace(opener.sign, "", opener.count)
    return result


def leaf(text: str, start: int = 0) -> int:
    """Where the last leaf of the prose from `start` on begins."""
    line = max(start, text.rfind("\n", start) + 1)
    while line > start:
        above = max(start, text.rfind("\n", start, line - 1) + 1)
        if _divided(text, above, line):
            return line
        line = above
    return start


def leaf_end(text: str) -> int:
    """Where the first leaf of the prose ends; len(text) when it may go on.

    0: the text begins with what no paragraph can go on with.
    """
    if _BEGINS.match(text) or text.startswith(">"):
        return 0
    above = 0
    while line := text.find("\n", above) + 1:
        if _divided(text, above, line):
            return line - 1
        above = line
    return len(text)


def _divided(text: str, above: int, line: int) -> bool:
    """Whether a leaf begins with the line at `line`; the one before begins at `above`."""
    return bool(
        _ENDS.match(text, above, line - 1)
        or _BEGINS.match(text, line)
        or _depth(text, line) > _depth(text, above)
    )


def _depth(text: str, line: int) -> int:
    """How often a line is quoted."""
    signs = _QUOTED.match(text, line)
    return signs[0].count(">") if signs else 0


def _pieces(text: str, start: int, at: int) -> Iterator[_Piece]:
    """Runs of signs, code and links from `at` on, in order."""
    done = at
    for begin, end in [*opaque(text, start), (len(text), len(text))]:
        if end < at:
            continue
        for found in _RUN.finditer(text, done, max(done, begin)):
            if found["run"]:
                after = text[found.end() : found.end() + 1] or "\n"
                if found.end() == begin and after in "[!<":
                    after = "a"  # of a link the label is shown first
                yield _Piece(found.start(), found.end(), found[0][0], after)
        if begin < end:
            yield _Piece(begin, end)
        done = end


def _openers(text: str, start: int, at: int) -> list[_Opener]:
    """The runs that are open at the end of the leaf that begins at `at`."""
    stack: list[_Opener] = []
    for piece in _pieces(text, start, at):
        if piece.sign:
            _step(text, at, piece, stack)
    return stack


def _closes(text: str, start: int, at: int, signs: str) -> bool:
    """Whether all of the signs close something at the end of the leaf that begins at `at`."""
    whole = text + signs
    seen = 0
    stack: list[_Opener] = []
    for piece in _pieces(whole, start, at):
        if piece.sign:
            left = _step(whole, at, piece, stack)
            if piece.end > len(text):
                seen += piece.end - piece.begin
                if left or piece.begin < len(text):
                    return False
    return seen == len(signs)


def _step(text: str, at: int, run: _Piece, stack: list[_Opener]) -> int:
    """Let a run close what it can, and put it on the stack if it may open; what it didn't close."""
    begin, end, sign, after = run
    length = end - begin
    if sign == "~" and length != 2:
        return length
    before = text[begin - 1] if begin > at else "\n"
    left = not _space(after) and (not _punctuation(after) or not _word(before))
    right = not _space(before) and (not _punctuation(before) or not _word(after))
    opens, closes = left, right
    if sign == "_":
        opens = left and (not right or _punctuation(before))
        closes = right and (not left or _punctuation(after))
    count = _close(stack, sign, length, opens) if closes else length
    if opens and count:
        within_word = before.isalnum() and after.isalnum()
        stack.append(_Opener(begin, sign, length, count, closes, within_word))
        if len(stack) > DEEPEST:
            del stack[0]
    return count


def _close(stack: list[_Opener], sign: str, length: int, opens: bool) -> int:
    """Close openers with a run of `length` signs, which may itself open; how many are left."""
    count = length
    while count:
        for index in range(len(stack) - 1, -1, -1):
            opener = stack[index]
            odd = (opener.length + length) % 3 == 0 and length % 3 != 0
            if opener.sign == sign and not (sign != "~" and odd and (opens or opener.closes)):
                break
        else:
            return count
        used = min(2, count, opener.count)
        count -= used
        opener.count -= used
        del stack[index + 1 :]
        if not opener.count:
            del stack[index]
    return 0


def _space(sign: str) -> bool:
    """Whitespace as CommonMark defines it."""
    return sign in "\n\t" or unicodedata.category(sign) == "Zs"


def _punctuation(sign: str) -> bool:
    """Punctuation as CommonMark defines it: symbols too."""
    return unicodedata.category(sign)[0] in "PS"


def _word(sign: str) -> bool:
    """Neither whitespace nor punctuation."""
    return not _space(sign) and not _punctuation(sign)


class Spans:
    """Stretches of a text, in order, none within another."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self._spans = list(spans)
        self._begins = [begin for begin, _ in self._spans]

    def around(self, place: int) -> int | None:
        """Where the stretch begins that `place` would cut in two."""
        before = bisect_left(self._begins, place)
        if before and place < self._spans[before - 1][1]:
            return self._begins[before - 1]
        return None
