"""How Slack reads a text: what a person sees, whom it pings, which links unfurl, open fences.

Pure functions on strings in Slack's wire form (`&`, `<`, `>` escaped as entities; `<...>` is a
control sequence). Source of the forms: Slack's "formatting message text" reference.
"""

import re
from typing import Any

_CONTROL = re.compile(r"<([@#!]|[a-z][a-z0-9+.-]*:)([^<>|\n]*)(?:\|([^<>\n]*))?>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt);)")
_PING = re.compile(r"<(?:!(?:channel|here|everyone)|!subteam\^\w+|@[UW]\w+)(?:\|[^<>\n]*)?>")
_PLAIN_PING = re.compile(r"(?<![\w.@<!])@(?:channel|here|everyone)\b", re.IGNORECASE)
_URL = re.compile(r"https?://[^\s<>|)\]]+", re.IGNORECASE)
_CODE = re.compile(r"```.*?(?:```|\Z)|(`+)[^`\n].*?\1", re.DOTALL)
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)
_MASKED = re.compile(
    r"\[[^\]\n]+\]\(\s*<?[a-z][a-z0-9+.-]*:[^)\n]*\)|<[a-z]+:[^<>|\n]*\|[^<>\n]*>", re.I
)


def escape(text: str) -> str:
    """`&`, `<` and `>` as entities: the text can hold no control sequence any more."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def typed(text: str) -> str:
    """The wire form of what a person typed: everything escaped except mentions and links."""
    return _escape_between(text, escape)


def normalise(text: str) -> str:
    """What Slack stores for a text given by an app: stray `&`, `<`, `>` become entities."""
    return _escape_between(
        text, lambda part: _ENTITY.sub("&amp;", part).replace("<", "&lt;").replace(">", "&gt;")
    )


def _escape_between(text: str, escaping: Any) -> str:
    pieces, end = [], 0
    for control in _CONTROL.finditer(text):
        pieces += [escaping(text[end : control.start()]), control.group()]
        end = control.end()
    return "".join([*pieces, escaping(text[end:])])


def unescape(text: str) -> str:
    """The plain text a person reads: control sequences shown, entities decoded once."""
    shown = _CONTROL.sub(_shown, text)
    return shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _shown(control: re.Match[str]) -> str:
    sign, body, label = control.group(1), control.group(2), control.group(3)
    if sign in "@#":
        return sign + (label or body)
    if sign == "!":
        return label or "@" + body.partition("^")[2 if body.startswith("subteam") else 0]
    return label or sign + body


def rich_text(text: str) -> list[dict[str, Any]]:
    """The elements of a rich text section that say the same as a wire text."""
    elements: list[dict[str, Any]] = []
    for piece in re.split(r"(<@[UW]\w+>)", text):
        if piece.startswith("<@"):
            elements.append({"type": "user", "user_id": piece[2:-1]})
        elif piece:
            elements.append({"type": "text", "text": unescape(piece)})
    return elements


def without_code(text: str) -> str:
    """The text with fenced blocks and code spans blanked."""
    return _CODE.sub(" ", text)


def pings(text: str) -> list[str]:
    """Everything in the text that would notify people, as written.

    Control sequences count in code too (Slack resolves them before it formats); a plain
    `@channel`, `@here`, `@everyone` counts outside code, as with `link_names` or `parse=full`.
    """
    return _PING.findall(text) + _PLAIN_PING.findall(without_code(_CONTROL.sub(" ", text)))


def urls(text: str) -> list[str]:
    """Addresses outside code: what Slack would fetch for a preview."""
    return _URL.findall(without_code(text))


def masked_links(text: str) -> list[str]:
    """Links whose label hides the address, outside code."""
    return _MASKED.findall(without_code(text))


def has_open_fence(text: str, markdown: bool) -> bool:
    """Whether a code block is left open at the end.

    markdown: by CommonMark's rule (a line of at least three ` or ~, closed by as many of the
    same without an info string); else mrkdwn's, where each ``` opens or closes.
    """
    if not markdown:
        return text.count("```") % 2 == 1
    fence = ""
    for mark, info in _FENCE.findall(text):
        if not fence:
            fence = "" if mark[0] == "`" and "`" in info else mark
        elif mark[0] == fence[0] and len(mark) >= len(fence) and not info.strip():
            fence = ""
    return bool(fence)


def flatten(markdown: str) -> str:
    """The `text` a message has that was written with `markdown_text`: a lossy fallback.

    What exactly Slack puts there is undocumented; that it isn't the Markdown itself is known, so
    this one loses the signs of headings, bold and links.
    """
    text = re.sub(r"^#{1,6} +", "", markdown, flags=re.MULTILINE)
    text = re.sub(r"\*\*(.+?)\*\*", r"\1", text)
    return normalise(re.sub(r"\[([^\]\n]+)\]\(([^)\n]+)\)", r"\1 (\2)", text))


def text_of_blocks(blocks: list[dict[str, Any]]) -> str:
    """What a person reads in blocks, one block a paragraph."""
    return "\n".join(text for text in map(_text_of, blocks) if text)


def _text_of(node: Any) -> str:
    if isinstance(node, str):
        return node
    if isinstance(node, list):
        return " ".join(text for text in map(_text_of, node) if text)
    if not isinstance(node, dict):
        return ""
    if node.get("type") == "user":
        return f"<@{node.get('user_id')}>"
    if node.get("type") == "broadcast":
        return f"<!{node.get('range')}>"
    if node.get("type") == "link":
        return str(node.get("text") or node.get("url"))
    keys = ("title", "text", "fields", "elements")
    return " ".join(text for text in (_text_of(node.get(key)) for key in keys) if text)
