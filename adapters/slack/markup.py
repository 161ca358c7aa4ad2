"""The model's Markdown -> the `markdown_text` that Slack gets. Pure, linear.

Slack reads `markdown_text` as standard Markdown (docs.slack.dev/reference/methods/chat.update).
Whether it also understands the tokens of its own mrkdwn in there is not documented, so both
readings must be harmless: `&lt;` is a less-than sign in both; inside code a Markdown reader would
show the entity, so a zero-width space breaks the token there. Nothing else is touched.
"""

import re
from collections.abc import Sequence
from html import unescape

from core.delivery.characters import visible
from core.delivery.sanitise import sanitise, segments

NOTHING = "…"
"""What stands for a blank text: Slack refuses one (`no_text`)."""

_TOKEN = re.compile(
    r"<(?=!(?:channel|here|everyone|group|subteam|date)"  # groups of people, dates
    r"|[@#][A-Z0-9]"  # a user, a channel
    r"|(?:[^\W\d_][\w+.-]{0,30}://|mailto:|tel:))",  # a link, maybe with another label
    re.IGNORECASE,
)
_TOKEN_BEGUN = re.compile(
    r"<(?:!(?:[a-z]{0,9})|[@#]|[^\W\d_][\w+.-]{0,30}(?::/?)?)?\Z",
    re.IGNORECASE,
)
_LONGEST_BEGUN = 40
_ADDRESS = re.compile(r"https?://|\bwww\.", re.IGNORECASE)
_NAMES = re.compile(r":[\w+-]+:|```[\w+#-]*(?=\n)")
_IN_TEXT = "&lt;"
_IN_CODE = "<\u200b"


def render(markdown: str) -> str:
    """The text to send, never blank: no mention, group or masked link in either reading."""
    text = _rendered(markdown)
    return text if visible(text) else NOTHING


def growing(markdown: str) -> str:
    """The beginning of the rendered text that stays as it is, whatever comes next; may be empty.

    The text must end where it is decided (core.delivery.markup). Blanks at the end wait for what
    follows them, so that no piece of a stream is blank.
    """
    text = _rendered(markdown)
    begun = _TOKEN_BEGUN.search(text, max(0, len(text) - _LONGEST_BEGUN))
    text = text[: begun.start() if begun else None].rstrip()
    return text if visible(text) else ""


def links(markdown: str) -> bool:
    """Whether there is an address outside code, of which Slack might fetch a preview."""
    return any(
        not is_code and _ADDRESS.search(piece) for is_code, piece in segments(sanitise(markdown))
    )


def _rendered(markdown: str) -> str:
    """The text to send, maybe blank."""
    return "".join(
        _TOKEN.sub(_IN_CODE if is_code else _IN_TEXT, piece)
        for is_code, piece in segments(sanitise(markdown))
    )


def measure(markdown: str) -> int:
    """UTF-8 bytes of the rendered text."""
    return len(render(markdown).encode())


def which(said: str, texts: Sequence[str]) -> str | None:
    """Which of these texts a message says, by what Slack tells of it; None: none of them.

    How Slack tells what came as Markdown is not documented, so letters and digits are compared.
    """
    letters = _letters(said)
    alike = [
        text
        for text in texts
        for sent in (render(text), growing(text))
        if sent.split() == said.split() or (letters and _letters(sent) == letters)
    ]
    return min(alike, key=lambda text: abs(len(text) - len(said)), default=None)


def _letters(text: str) -> str:
    """The letters and digits of a text, but for those in names of emoji, characters, languages."""
    return "".join(filter(str.isalnum, _NAMES.sub("", unescape(unescape(text)))))
