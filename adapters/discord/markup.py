"""The model's Markdown -> the content of one Discord message. Pure, linear.

Discord reads a dialect of its own (support.discord.com, "Markdown Text 101"): code blocks of three
backticks anywhere in a line, inline code across lines, one level of quotation, headings up to
`###`, spoilers, small print, `<...>` tokens; no tables, rules, images or `~~~`. What is code for
`core.delivery.sanitise` is made code for Discord too, and nothing else is: otherwise a stray
backtick would turn text into code and code, with its links, into text.

Stable while a text grows up to `core.delivery.markup.decided`: what was shown stays, word for
word and in order. So nothing here looks ahead: how a table is drawn follows from its header and
first row alone, and a last line that holds nothing but signs of markup waits for its text.
"""

import re
import unicodedata
from itertools import zip_longest

from core.delivery.characters import visible
from core.delivery.sanitise import REACH, Fence, blocks, sanitise, segments

LINE = 80
"""Columns: a wider table wraps in Discord's window and is drawn as a list instead."""
COLUMN = 40
"""Columns: no cell is padded beyond; a wider one shifts the rest of its row."""
NOTHING = "…"
"""What stands for a text with nothing to see: Discord refuses an empty message (error 50006)."""

_BREAK = "\u200b"
_RULE = "─"

# In code too, where it costs nothing: such tokens are rare there.
_TOKEN = re.compile(
    r"<(?=[@#][!&]?\d"  # a user, a role, a channel
    r"|/[^<>\n]{1,120}:\d"  # a command
    r"|a?:\w{1,64}:\d"  # an emoji
    r"|t:-?\d"  # a point in time
    r"|id:\w)"  # a page of the server
)
_MASS = re.compile(r"@(?=everyone|here)", re.IGNORECASE)

_ESCAPED_OR_SIGN = re.compile(r"(\\[^0-9A-Za-z\s])|`|<(?=[^\s:>]{1,99}:/)")
_LONG_RUN = re.compile(r"``(?=`)")

_MARKER = r"(?:[-*+]|\d{1,9}[.)])[ \t]++"
_QUOTE_SIGNS = r">(?>(?:[ \t]*+>)*)[ \t]?"
_QUOTE = re.compile(rf"^([ \t]*+(?>(?:{_MARKER})*)){_QUOTE_SIGNS}", re.MULTILINE)
_HEADING = re.compile(r"^([ \t>]*+)#{4,6}[ \t]++(\S[^\n]*)$", re.MULTILINE)
_DIVIDER = re.compile(r"^([ \t>]*+)([-*_])(?:[ \t]*+\2){2,}+[ \t]*+$", re.MULTILINE)
_SMALL = re.compile(rf"^([ \t>]*+(?>(?:{_MARKER})*))-#(?=[ \t])", re.MULTILINE)
_BARE = " \t>#*_~=+-"

_CLOSING = re.compile(r"(?P<lead>[ \t>]*+)(?P<run>`{3,}+|~{3,}+)[ \t]*+")
_LANGUAGE = re.compile(r"[A-Za-z0-9_+\-.#]+")

_SEPARATOR = re.compile(r"\|(?>(?:[ \t]*+:?-++:?[ \t]*+(?:\||$))+)[ \t]*+$")
_PIPE = re.compile(r"(?<!\\)\|")
_NEW_LINE = re.compile(r" ?<br ?/?> ?", re.IGNORECASE)
_EMPHASIS = re.compile(
    r"(?<![A-Za-z0-9\\])(\*{1,3}|_{1,3}|~~)(?=[^\s*_~])(.{1,200}?)(?<=[^\s\\])\1(?![A-Za-z0-9])"
)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_SKIN = re.compile("[\U0001f3fb-\U0001f3ff]")


def render(markdown: str) -> str:
    """The content to send for one part, its fences balanced; it can always be sent.

    Whitespace at both ends is gone, as Discord strips it. Nothing to see: `NOTHING`.
    """
    text = _without_bare_end(sanitise(markdown))
    pieces = [
        _prose(text[block.start : block.end])
        if block.fence is None
        else _fenced(text[block.start : block.end], block.fence)
        for block in blocks(text)
    ]
    content = _MASS.sub(f"@{_BREAK}", _TOKEN.sub(f"<{_BREAK}", "".join(pieces))).strip()
    return content if visible(content) else NOTHING


def measure(markdown: str) -> int:
    """UTF-16 code units of the rendered text.

    Discord's limit of 2,000 counts code points on its servers and UTF-16 units in its clients;
    the latter are never fewer.
    """
    return len(render(markdown).encode("utf-16-le")) // 2


def _without_bare_end(text: str) -> str:
    """The text without a last line of nothing but signs, unless there is nothing else.

    While a text grows `--` may become a rule, `###` a smaller heading; complete, it divides or
    begins nothing.
    """
    last = None
    for block in blocks(text):
        last = block
    if last is None or last.fence is not None:
        return text
    line = max(text.rfind("\n") + 1, last.start)
    return text if text[line:].strip(_BARE) or not text[:line].strip() else text[:line]


def _fenced(text: str, fence: Fence) -> str:
    """A code block as Discord reads one: three backticks, none of them inside.

    Indentation by a list is removed from the code. Discord takes a block without content for
    text, and its backticks for the beginning of the next block.
    """
    end = "\n" if text.endswith("\n") else ""
    first, *lines = text.removesuffix("\n").split("\n")
    closing = _CLOSING.fullmatch(lines[-1]) if lines else None
    if closing and fence.closed_by(closing["lead"], closing["run"]):
        lines.pop()
    lead = first[: len(fence.lead)]
    if fence.quoted:
        prefix = "> "
        outer = re.compile(rf"[ \t]*+(?:>[ \t]?){{0,{fence.lead.count('>')}}}")
        lead = _QUOTE.sub(r"\1> ", lead)
        lines = [outer.sub("", line, count=1) for line in lines]
    else:
        prefix = ""
        lead = lead if lead.strip() else ""
        lines = [_outdented(line, len(fence.lead)) for line in lines]
    language = _LANGUAGE.fullmatch((fence.info.split() or [""])[0])
    return _code_block(lines, f"{lead}```{language[0] if language else ''}", prefix) + end


def _outdented(line: str, width: int) -> str:
    """The line without at most `width` leading spaces."""
    return line[min(width, len(line) - len(line.lstrip(" "))) :]


def _code_block(lines: list[str], opening: str = "```", prefix: str = "") -> str:
    """Lines as a code block, each behind `prefix`."""
    if not any(map(str.strip, lines)):
        lines = [_BREAK]
    code = "\n".join(prefix + line for line in lines)
    return f"{opening}\n{_LONG_RUN.sub(f'``{_BREAK}', code)}\n{prefix}```"


def _prose(text: str) -> str:
    """Whole lines without a code fence.

    A table begins with the first of several lines that begin with a pipe, as `decided` holds
    back no other; for the same reason its header is shorter than `REACH`.
    """
    lines = text.split("\n")
    shown: list[str] = []
    plain: list[str] = []
    at = 0
    while at < len(lines):
        stop = at
        while stop < len(lines) and lines[stop].startswith("|"):
            stop += 1
        rows = lines[at:stop]
        if not _is_table(rows):
            stop = max(stop, at + 1)
            plain += lines[at:stop]
        elif (drawn := _drawn(rows)) is None:
            plain += _listed(rows)
        else:
            if plain:
                shown.append(_marked("\n".join(plain)))
                plain = []
            shown.append(drawn)
        at = stop
    if plain:
        shown.append(_marked("\n".join(plain)))
    return "\n".join(shown)


def _marked(text: str) -> str:
    """Lines of prose, no table among them."""
    text = _QUOTE.sub(r"\1> ", text)  # `>>> ` would quote the rest of the message
    text = _DIVIDER.sub(rf"\1{_RULE * 12}", text)
    text = _HEADING.sub(_bold_line, text)
    text = _SMALL.sub(r"\1\\-#", text)  # no Markdown means small print by it
    pieces: list[str] = []
    for is_code, piece in segments(text):
        if is_code and "://" in "".join(pieces[-1:]).rpartition(" ")[2]:
            pieces.append(" ")  # else the address would take the backtick with it
        pieces.append(_inline_code(piece) if is_code else _text(piece))
    return "".join(pieces)


def _bold_line(heading: re.Match[str]) -> str:
    """A heading that Discord has no size for."""
    title = heading[2].rstrip()
    bare = title.rstrip("#")
    if bare.endswith((" ", "\t")):
        title = bare.rstrip()
    title = title.replace("**", "").strip()
    return f"{heading[1]}**{title}**" if title else heading[0]


def _inline_code(text: str) -> str:
    """A code span that ends for Discord where it ends for Markdown: no three backticks."""
    ticks = len(text) - len(text.lstrip("`"))
    if ticks < 3:
        return text
    code = text[ticks:-ticks]
    return f"`` {code.replace('`', f'`{_BREAK}').strip(' ')} ``" if "`" in code else f"`{code}`"


def _text(text: str) -> str:
    """Text between code spans.

    `||` doesn't hide: the model means an operator or an empty cell, and two of them in a message
    would black out all that stands between.
    """
    text = _ESCAPED_OR_SIGN.sub(lambda sign: sign[1] or f"\\{sign[0]}", text)
    text = text.replace("](", "] (")
    return text.replace("||", f"|{_BREAK}|").replace("||", f"|{_BREAK}|")


def _is_table(rows: list[str]) -> bool:
    """Whether lines that begin with a pipe are a table with a header."""
    return (
        len(rows) > 1
        and len(rows[0]) + len(rows[1]) + 1 < REACH
        and _SEPARATOR.fullmatch(rows[1]) is not None
    )


def _drawn(rows: list[str]) -> str | None:
    """A table in aligned columns; None where it reads better as a list.

    That is when header and first row need more than `LINE` columns or the first row holds a web
    address, which can't be followed in a code block. A header alone is a list too, the shortest:
    what is shown while a row is held back must not be larger than what was measured with it.
    """
    marks = _cells(rows[1])
    header, *body = ([_plain(cell) for cell in _cells(row)] for row in (rows[0], *rows[2:]))
    widths = [_width(cell) for cell in header]
    wide = zip_longest(widths, map(_width, body[0] if body else ()), fillvalue=0)
    if not body or "://" in rows[2] or sum(max(pair) + 3 for pair in wide) > LINE:
        return None
    for row in body:
        for column, cell in enumerate(row[: len(widths)]):
            widths[column] = max(widths[column], min(_width(cell), COLUMN))
    lines = [
        " │ ".join(
            _padded(cell, width or 0, mark or "")
            for cell, width, mark in zip_longest(row, widths[: len(row)], marks[: len(row)])
        ).rstrip()
        for row in (header, *body)
    ]
    return _code_block([lines[0], "─┼─".join(_RULE * width for width in widths), *lines[1:]])


def _listed(rows: list[str]) -> list[str]:
    """A wide table as Markdown lines: the header, then each row as an item with named cells."""
    names = [_unbold(cell) for cell in _cells(rows[0])]
    lines = [f"**{' · '.join(filter(None, names))}**" if any(names) else ""]
    for row in rows[2:]:
        first, *others = _cells(row)
        lines.append(f"- **{_unbold(first)}**" if _unbold(first) else "-")
        for name, cell in zip_longest(names[1:], others, fillvalue=""):
            if cell:
                lines.append(f"  - {name}: {cell}" if name else f"  - {cell}")
    return lines


def _unbold(cell: str) -> str:
    """A cell that can be put between two pairs of asterisks."""
    return cell.replace("**", "").strip("* ")


def _cells(row: str) -> list[str]:
    """The cells of a row that begins with a pipe, at least one; `\\|` is a pipe in its cell."""
    row = row.rstrip()[1:]
    if row.endswith("|") and not row.endswith("\\|"):
        row = row[:-1]
    cells = (cell.replace("\\|", "|").replace("\t", " ") for cell in _PIPE.split(row))
    return [_NEW_LINE.sub(" / ", cell).strip() for cell in cells]


def _plain(cell: str) -> str:
    """What a reader would see of a cell, without markup."""
    if "`" not in cell:
        return _unmarked(cell)
    return "".join(
        piece.strip("`") if is_code else _unmarked(piece) for is_code, piece in segments(cell)
    ).strip()


def _unmarked(text: str) -> str:
    """Text without emphasis, also within emphasis, and without escapes."""
    for _ in range(2):
        text = _EMPHASIS.sub(r"\2", text)
    return _ESCAPED.sub(r"\1", text)


def _width(text: str) -> int:
    """Columns that a text takes in a fixed-width font. An emoji of several characters takes two."""
    if text.isascii():
        return len(text)
    width = last = 0
    joined = False
    for sign in text:
        if sign == "\ufe0f" and last == 1:
            last = 2
            width += 1  # the character before is drawn as an emoji
        elif unicodedata.category(sign) in ("Mn", "Me", "Cf") or joined or _SKIN.match(sign):
            last = 0
        else:
            last = 2 if unicodedata.east_asian_width(sign) in "WF" else 1
            width += last
        joined = sign == "\u200d"
    return width


def _padded(cell: str, width: int, mark: str) -> str:
    """A cell filled up to `width` columns, as its separator's colons say."""
    room = max(0, width - _width(cell))
    if not mark.endswith(":"):
        return cell + " " * room
    left = room // 2 if mark.startswith(":") else room
    return " " * left + cell + " " * (room - left)
