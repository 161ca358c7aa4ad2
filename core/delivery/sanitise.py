"""The one sanitiser that every adapter's rendering goes through. Pure, linear time, idempotent.

What the model writes must not ping a crowd and must not hide where a link leads:

- `[text](url)` and `![alt](url)` become `text (url)`, whatever the scheme; a label that only
  repeats the address becomes the address. What is too long, nested or spread over lines for that
  is disarmed: `](` becomes `] (`, which no Markdown takes for a link.
- reference definitions (`[ref]: url`) become `[ref] : url`; `<https://...>` becomes the address.
- `@everyone`, `@here`, `@channel` get a zero-width space after the @, in code too: how platforms
  treat code there is unverified.
- control characters except newline and tab go, and what has letters run backwards (U+202D, U+202E):
  an address could be read as another one. Lone surrogates become U+FFFD.

Code is left alone where every Markdown dialect agrees that it is code. After a stray backtick
dialects disagree about what is code, so until the next blank line nothing counts as inline code.

Every decision is made from left to right within `REACH` characters, so a growing text can be shown
up to `undecided(text)` and nothing that was shown changes its look later.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from itertools import chain

REACH = 500
"""Characters within which an inline construct must end to be recognised."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202d\u202e]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")

_LEAD = r"(?P<lead>[ \t>]*+(?>(?:(?:[-*+]|\d{1,9}[.)])[ \t][ \t>]*+)*))"
_OPENING = re.compile(
    rf"^{_LEAD}(?:(?P<ticks>`{{3,64}}+)(?P<tick_info>[^`\n]*)|(?P<tildes>~{{3,64}}+)(?!~)(?P<info>[^\n]*))$",
    re.MULTILINE,
)
_CLOSING = re.compile(r"^(?P<lead>[ \t>]*+)(?P<run>`{3,}+|~{3,}+)[ \t]*$", re.MULTILINE)
_CLOSING_QUOTED = re.compile(rf"(?P<outside>^(?![ \t]*+>))|{_CLOSING.pattern}", re.MULTILINE)
_CLOSING_BEGUN = re.compile(r"[ \t>]*+(?P<run>`+|~+)[ \t]*\Z")
_FENCE_BEGUN = re.compile(rf"{_LEAD}(?P<run>~{{1,2}}|`{{1,2}})\Z")

_SPECIAL = re.compile(r"`++|\[|\\[\[\]\\`]|!(?=\[|\Z)|<++|\n(?>(?:[ \t>]*+\n)+)")
_TICKS_OR_END = re.compile(r"`+|\n")
_LABEL = r"(?>(?:[^\[\]`~\n\\]|\\[^\n`]|~(?!~~)|(?<!`)`[^`\n\[\]]++`(?!`))*)"
_DESTINATION = r"(?:<[^<>\s()`]++>|(?>(?:[^\s()<>`]++|\([^\s()<>`]*+\))+))"
_TITLE = r"(?>(?:[ \t]++(?:\"[^\"()`\n]*+\"|'[^'()`\n]*+'))?)"
_LINK = re.compile(
    rf"(?<![<`@])!?\[(?!~)(?P<label>{_LABEL})\]"
    rf"\([ \t]*+(?P<destination>{_DESTINATION}){_TITLE}[ \t]*+\)"
)
_LINK_BEGUN = re.compile(
    r"!?(?:\[[^\[\]\n\\]*+(?>(?:\\(?:[^\n][^\[\]\n\\]*+|\Z))*)"
    r"(?:\](?:\((?>(?:[^\n()]++|\([^\n()]*+(?:\)|\Z))*))?)?)?\Z"
)
_ADDRESS = re.compile(r"[:/.#@?]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://)?")
_AUTOLINK = re.compile(r"(?<!<)<++((?:https?|ftp|mailto):[^\s<>`]*+)>++", re.IGNORECASE)
_AUTOLINK_BEGUN = re.compile(r"(?<!<)<++(?=(?:https?|ftp|mailto):)", re.IGNORECASE)
_TOKEN_BEGUN = re.compile(r"<++(?:[A-Za-z]{0,6}|[!@#][^\s<>]*+)\Z")
_DEFINITION = re.compile(
    r"^(?:[ \t>*+\-\d.)]*+\[[^\n]*|[^\[\n]*?)\]:[^\n]*$",
    re.MULTILINE,
)
_MASS = ("everyone", "here", "channel")
_MENTION = re.compile(rf"@(?={'|'.join(_MASS)})", re.IGNORECASE)
_MENTION_BEGUN = re.compile(r"@([A-Za-z]{0,7})\Z")


@dataclass(frozen=True, slots=True)
class Fence:
    """An opened code fence. lead: what stands before the run, list markers as spaces."""

    lead: str
    run: str
    info: str

    @property
    def opening(self) -> str:
        """The line that opens the same block again: its language, without further options."""
        language = self.info.split()[0][:32] if self.info.strip() else ""
        return f"{self.lead}{self.run}{language}\n"

    @property
    def closing(self) -> str:
        """The line that closes the block, without a newline."""
        return f"{self.lead}{self.run}"

    @property
    def quoted(self) -> bool:
        """The block stands inside a quotation and ends with it."""
        return ">" in self.lead

    @property
    def certain(self) -> bool:
        """Every dialect agrees that this is a fence: no container, at most three spaces."""
        return len(self.lead) <= 3 and not self.lead.strip(" ")

    def closed_by(self, lead: str, run: str) -> bool:
        """Whether a line of `lead` and `run` and nothing else closes this block."""
        return (
            run[0] == self.run[0]
            and len(run) >= len(self.run)
            and (">" in lead) == self.quoted
            and len(lead) <= len(self.lead) + 3
        )


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of whole lines. fence: its code fence, None for prose. closed: the fence ended."""

    start: int
    end: int
    fence: Fence | None = None
    closed: bool = True


class _Kind(Enum):
    TEXT = auto()
    CODE = auto()
    LINK = auto()
    UNDECIDED = auto()


_Token = tuple[_Kind, int, int]


def clean(text: str) -> str:
    """Without control characters but newline and tab, and without overrides of the direction in
    which letters run; lone surrogates are U+FFFD.
    """
    return _SURROGATE.sub("\ufffd", _CONTROL.sub("", text))


def sanitise(text: str) -> str:
    """The text that may leave for a platform; applying it twice changes nothing more."""
    text = clean(text)
    pieces: list[str] = []
    for block in blocks(text):
        piece = text[block.start : block.end]
        if block.fence is None:
            pieces.append(_prose(piece))
        else:
            pieces.append(piece if block.fence.certain else piece.replace("](", "] ("))
    return _MENTION.sub("@\u200b", "".join(pieces))


def segments(text: str) -> list[tuple[bool, str]]:
    """The text as (is_code, piece), in order; the pieces joined are the text.

    Fence lines count as code. For an adapter's own token rules: run them on what is not code.
    """
    found: list[tuple[bool, str]] = []
    for block in blocks(text):
        if block.fence is not None:
            found.append((True, text[block.start : block.end]))
            continue
        for code, start, end in _merged(_tokens(text, block.start, block.end, growing=False)):
            found.append((code, text[start:end]))
    return found


def opaque(text: str, start: int) -> Iterator[tuple[int, int]]:
    """Inline code and links in the growing prose from `start` on, in order.

    What isn't decided is one that ends beyond the text.
    """
    for kind, begin, end in _tokens(text, start, len(text), growing=True):
        if kind is not _Kind.TEXT:
            yield begin, end + (kind is _Kind.UNDECIDED)


def undecided(text: str) -> int:
    """The position up to which a growing text looks the same, whatever comes next.

    What begins there is a fence line, an inline code span, a link, a `<...` token or a mention
    that isn't complete. len(text) when everything is decided. It never moves back as text grows.
    """
    last = Block(0, 0)
    for block in blocks(text):
        last = block
    line = max(text.rfind("\n", last.start) + 1, last.start)
    if last.fence is not None:
        found = _undecided_in_code(text, last.start, last.fence, line)
    else:
        found = _undecided_in_prose(text, last, line)
    if mention := _MENTION_BEGUN.search(text, max(0, len(text) - 8)):
        word = mention[1].lower()
        if any(mass.startswith(word) for mass in _MASS):
            found = min(found, mention.start())
    return found


def blocks(text: str) -> Iterator[Block]:
    """Prose and fenced code in turns, covering the text. A fence never closed lasts to the end."""
    at = 0
    while at < len(text):
        opening = _OPENING.search(text, at)
        if opening is None:
            yield Block(at, len(text))
            return
        if opening.start() > at:
            yield Block(at, opening.start())
        lead = re.sub(r"[^ \t>]", " ", opening["lead"])
        run = opening["ticks"] or opening["tildes"]
        fence = Fence(lead, run, (opening["tick_info"] or opening["info"] or "").strip())
        at, closed = _end_of_code(text, fence, min(opening.end() + 1, len(text)))
        yield Block(opening.start(), at, fence, closed)


def _end_of_code(text: str, fence: Fence, start: int) -> tuple[int, bool]:
    """Where the block opened by `fence` ends, its content beginning at `start`; and if it ends."""
    for line in (_CLOSING_QUOTED if fence.quoted else _CLOSING).finditer(text, start):
        if line["run"] is None:
            return line.start(), line.start() < len(text)
        if fence.closed_by(line["lead"], line["run"]):
            return min(line.end() + 1, len(text)), True
    return len(text), False


def _undecided_in_code(text: str, start: int, fence: Fence, line: int) -> int:
    """`undecided` for a text that ends in code from `start` on; `line` is its last line's start."""
    if line == start:  # the opening line itself: the language may still grow
        return start + len(fence.lead)
    begun = _CLOSING_BEGUN.match(text, line)
    if begun and begun["run"][0] == fence.run[0]:
        return begun.start("run")
    return len(text)


def _undecided_in_prose(text: str, block: Block, line: int) -> int:
    """`undecided` for a text that ends in prose, `line` being its last line's start."""
    if begun := _FENCE_BEGUN.match(text, line):
        return begun.start("run")
    for kind, start, _ in _tokens(text, block.start, block.end, growing=True):
        if kind is _Kind.UNDECIDED:
            # Without the undecided end (a backtick, say) the line may look like a fence.
            fence = _OPENING.match(text, line, start) if start > line else None
            return fence.end("lead") if fence else start
    return len(text)


def _prose(text: str) -> str:
    """Prose without masked links."""
    pieces: list[str] = []
    plain: list[str] = []
    for kind, start, end in chain(
        _tokens(text, 0, len(text), growing=False), [(_Kind.CODE, len(text), len(text))]
    ):
        if kind is _Kind.CODE:
            pieces += [_disarmed("".join(plain)), text[start:end]]
            plain.clear()
        else:
            plain.append(
                _LINK.sub(_unmasked, text[start:end]) if kind is _Kind.LINK else text[start:end]
            )
    return _DEFINITION.sub(lambda line: line[0].replace("]:", "] :"), "".join(pieces))


def _disarmed(text: str) -> str:
    """No autolink and nothing that a parser could take for an inline link."""
    text = _AUTOLINK_BEGUN.sub("", _AUTOLINK.sub(r"\1", text))
    return text.replace("](", "] (")


def _unmasked(link: re.Match[str]) -> str:
    """A link as plain text that shows where it leads."""
    label = _AUTOLINK.sub(r"\1", link["label"]).strip()
    destination = link["destination"].strip("<>")
    scheme = _SCHEME.match(destination)
    if scheme and label.rstrip("/") in {
        "",
        destination.rstrip("/"),
        destination[scheme.end() :].rstrip("/"),
    }:
        return destination
    return f"{label} ({destination})" if label else f"({destination})"


def _merged(tokens: Iterator[_Token]) -> Iterator[tuple[bool, int, int]]:
    """Neighbouring tokens that aren't code as one."""
    open_at: tuple[int, int] | None = None
    for kind, start, end in tokens:
        if kind is not _Kind.CODE:
            open_at = (open_at[0] if open_at else start, end)
            continue
        if open_at:
            yield (False, *open_at)
            open_at = None
        yield True, start, end
    if open_at:
        yield (False, *open_at)


def _tokens(text: str, start: int, end: int, *, growing: bool) -> Iterator[_Token]:
    """Prose from `start` to `end` as text, inline code and links, in order and without gaps.

    growing: more text may follow; the last token is then UNDECIDED where it matters.
    """
    done = at = start
    trusted = True
    while special := _SPECIAL.search(text, at, end):
        at, stop = special.span()
        if text[at] == "`" and not trusted:
            kind = _Kind.TEXT
        else:
            kind, stop = _kind_of(text, at, stop, end, growing)
        if kind is not _Kind.TEXT:
            if done < at:
                yield _Kind.TEXT, done, at
            yield kind, at, stop
            done = stop
        elif text[at] == "\n":
            trusted = True
        elif text[stop - 1] == "`":  # stray or escaped
            trusted = False
        at = stop
    if done < end:
        yield _Kind.TEXT, done, end


def _kind_of(text: str, at: int, stop: int, end: int, growing: bool) -> tuple[_Kind, int]:
    """What the special characters from `at` to `stop` begin, and where that ends."""
    match text[at]:
        case "`":
            return _code_span(text, at, stop, end, growing)
        case "<":
            begun = growing and end - at < REACH and _TOKEN_BEGUN.match(text, at, end)
            return (_Kind.UNDECIDED, end) if begun else (_Kind.TEXT, stop)
        case "[" | "!":
            return _link(text, at, end, growing)
    return _Kind.TEXT, stop


def _code_span(text: str, at: int, content: int, end: int, growing: bool) -> tuple[_Kind, int]:
    """What the backticks from `at` to `content` begin: a span within the line, or nothing."""
    reach = min(at + REACH, end)
    for mark in _TICKS_OR_END.finditer(text, content, min(reach + 1, end)):
        if mark[0] == "\n":
            return _Kind.TEXT, content
        if mark.end() - mark.start() == content - at and mark.end() <= reach:
            if growing and mark.end() == end:
                return _Kind.UNDECIDED, end
            return _Kind.CODE, mark.end()
    if growing and end - at <= REACH:
        return _Kind.UNDECIDED, end
    return _Kind.TEXT, content


def _link(text: str, at: int, end: int, growing: bool) -> tuple[_Kind, int]:
    """What the bracket (or exclamation mark) at `at` begins, and where that ends."""
    link = _LINK.match(text, at, min(at + REACH, end))
    if link and _ADDRESS.search(link["destination"]):
        return _Kind.LINK, link.end()
    if growing and end - at < REACH and _LINK_BEGUN.match(text, at, end):
        return _Kind.UNDECIDED, end
    return _Kind.TEXT, at + 1
