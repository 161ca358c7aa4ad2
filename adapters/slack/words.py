"""What a message of Slack's says, wherever in it that stands. Pure; nothing in it is sure.

docs.slack.dev/reference/block-kit/blocks, docs.slack.dev/legacy/legacy-messaging/
legacy-secondary-message-attachments. The results are in Slack's own markup.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

DEEPEST = 5
"""Levels of a block that are read; Slack nests no deeper."""

_ADDED = ("from_url", "original_url", "app_unfurl_url")
_NOTHING = frozenset(
    {
        "[no preview available]",
        "This content can't be displayed.",
        "This message contains interactive elements.",
    }
)
"""What Slack says in the place of a text, where all there is stands in blocks."""
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def own(message: Mapping[str, Any]) -> str:
    """What was written in it; apps may write into its blocks alone."""
    return _text(message, "text") or "\n".join(_lines(_listed(message, "blocks")))


def said(message: Mapping[str, Any]) -> str:
    """The same, what stands beside it, and what was attached: alerts, messages that were forwarded,
    tables. Previews of links are left out: Slack adds them by itself, later.
    """
    attached = (_attached(part) for part in _listed(message, "attachments") if not _preview(part))
    return "\n".join(text for text in (own(message), *_beside(message), *attached) if text)


def _beside(message: Mapping[str, Any]) -> Iterator[str]:
    """What stands beside the text and not in it: a table, or what an alert says more than its text,
    which is for the notification. Slack makes a `rich_text` block of the text itself.
    """
    if text := _text(message, "text"):
        known = _letters(text)
        blocks = _listed(message, "blocks")
        others = [block for block in blocks if block.get("type") != "rich_text"]
        yield from (line for line in _lines(others) if _letters(line) not in known)


def _preview(part: Mapping[str, Any]) -> bool:
    """A message that was forwarded has an address like one, too."""
    return not part.get("is_share") and any(part.get(name) for name in _ADDED)


def _attached(part: Mapping[str, Any]) -> str:
    lines = [_text(part, name) for name in ("pretext", "title", "text")]
    for field in _listed(part, "fields"):
        pair = (_text(field, "title"), _text(field, "value"))
        lines.append(": ".join(text for text in pair if text))
    lines = [line for line in lines if line] or list(_lines(_its_blocks(part)))
    return "\n".join(lines) or _text(part, "fallback")


def _its_blocks(part: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The blocks that are attached, and those of the message that was forwarded."""
    yield from _listed(part, "blocks")
    for wrapped in _listed(part, "message_blocks"):
        forwarded = wrapped.get("message")
        if isinstance(forwarded, Mapping):
            yield from _listed(forwarded, "blocks")


def _lines(blocks: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """What these blocks say."""
    for block in blocks:
        if block.get("type") == "rich_text":
            for element in _listed(block, "elements"):
                if text := _rich(element, DEEPEST).strip():
                    yield text
            continue
        yield from _rows(block)
        own_text = block.get("text")
        if isinstance(own_text, str) and own_text.strip():  # of a `markdown` block, not escaped
            yield own_text.translate(_ESCAPES)
        found = [own_text] if isinstance(own_text, Mapping) else []
        for thing in (*found, *_listed(block, "fields"), *_listed(block, "elements")):
            if line := _text(thing, "text"):
                yield line


def _rows(block: Mapping[str, Any]) -> Iterator[str]:
    """The lines of a table, for who knows Markdown's; the text of a raw cell isn't escaped."""
    if block.get("type") not in ("table", "data_table"):
        return
    rows = block.get("rows")
    for row in rows if isinstance(rows, list) else ():
        cells = row if isinstance(row, list) else []
        texts = (_rich(cell, DEEPEST) if isinstance(cell, Mapping) else "" for cell in cells)
        line = " | ".join(" ".join(text.split()) for text in texts)
        if line.strip(" |"):
            yield f"| {line} |"


def _rich(element: Mapping[str, Any], depth: int) -> str:
    """An element of rich text, whose own text isn't escaped."""
    if not depth:
        return ""
    match element:
        case {"elements": list()}:
            parts = [_rich(inner, depth - 1) for inner in _listed(element, "elements")]
            return ("\n" if element.get("type") == "rich_text_list" else "").join(parts)
        case {"type": "user", "user_id": str(user)}:
            return f"<@{user}>"
        case {"type": "channel", "channel_id": str(channel)}:
            return f"<#{channel}>"
        case {"type": "broadcast", "range": str(whom)}:
            return f"<!{whom}>"
        case {"type": "emoji", "name": str(name)}:
            return f":{name}:"
        case {"type": "link", "url": str(url)}:
            label = _text(element, "text")
            return f"{label} ({url})".translate(_ESCAPES) if label else url.translate(_ESCAPES)
    text = element.get("text")
    return text.translate(_ESCAPES) if isinstance(text, str) else ""


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text))


def _text(thing: Mapping[str, Any], name: str) -> str:
    """A text with something in it, or none."""
    text = thing.get(name)
    return text if isinstance(text, str) and text.strip() not in {"", *_NOTHING} else ""


def _listed(thing: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    listed = thing.get(name)
    found = listed if isinstance(listed, list) else []
    return [item for item in found if isinstance(item, Mapping)]
