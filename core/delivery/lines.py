"""The lines of a text: how well a part ends behind each, what is open there. Pure, linear time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from core.delivery.sanitise import REACH, Block, Fence, blocks

_SEPARATOR = re.compile(r"[ \t]*+\|?(?>(?:[ \t]*+:?-++:?[ \t]*+(?:\||$))+)[ \t]*+$")

_ITEM = re.compile(r"(?P<number>\d{1,9})(?P<sign>[.)])(?:[ \t]|$)", re.MULTILINE)
_LAZY = re.compile(r"(?![ \t>]|[-*+#|][ \t]|#{2,6}[ \t]|`{3}|~{3})")


@dataclass(frozen=True, slots=True)
class Line:
    """A complete line up to `end`, and what is still open behind it: a fence or a table's header.

    rank: how well a part ends behind it (3 paragraph, 2 line, 1 inside code or table, 0 never).
    """

    end: int
    rank: int
    fence: Fence | None = None
    header: str = ""


def last_block(text: str) -> Block:
    """The last block of the text."""
    found = Block(0, 0)
    for block in blocks(text):
        found = block
    return found


def lines(text: str) -> Iterator[Line]:
    """The complete lines of a text."""
    for block in blocks(text):
        if block.fence is None:
            yield from prose_lines(text, block.start, block.end)
            continue
        at = block.start
        while end := text.find("\n", at, block.end) + 1:
            if block.closed and end == block.end:
                yield Line(end, 3)
            else:
                yield Line(end, int(at > block.start), block.fence)
            at = end


def prose_lines(text: str, at: int, stop: int) -> Iterator[Line]:
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
        if rank > 1 and text[end : end + 1] in ("", " ", "\t"):
            rank = 1  # what is indented belongs to an item; what isn't there yet may be
        yield Line(end, rank, None, header)
        above, at = line, end


def next_number(text: str) -> int | None:
    """What a reader expects in front of the next item of the ordered list that the text ends in.

    Only the first number of a list counts, as in CommonMark: models write `1.` in front of each.
    """
    number: int | None = None
    sign = ""
    blank = False
    at = 0
    while end := text.find("\n", at) + 1:
        if item := _ITEM.match(text, at, end):
            goes_on = number is not None and item["sign"] == sign
            number = number + 1 if goes_on and number is not None else int(item["number"])
            sign = item["sign"]
        elif text[at] not in " \t\n" and (blank or not _LAZY.match(text, at)):
            number = None
        blank = not text[at:end].strip()
        at = end
    return None if number is None else number + 1


def row_begun(text: str) -> int:
    """Where an incomplete table begins at the end of the text, else len(text).

    Rows are lines that begin with a pipe: a header without two complete lines beneath it, its
    separator and a row, or a row.
    """
    line = text.rfind("\n") + 1
    rows = [line] if text.startswith("|", line) else []
    if line < len(text) and not rows:
        return len(text)
    complete = 0
    above = line
    while above and complete < 3:
        above = text.rfind("\n", 0, above - 1) + 1
        if not text.startswith("|", above):
            break
        complete += 1
        rows.append(above)
    for row in [line] if complete == 3 else reversed(rows):
        if len(text) - row < REACH:
            return row
    return len(text)
