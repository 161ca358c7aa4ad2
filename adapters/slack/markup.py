"""The model's Markdown -> the `markdown_text` that Slack gets. Pure, linear.

Slack reads `markdown_text` as standard Markdown (docs.slack.dev/reference/methods/chat.update).
Whether it also understands the tokens of its own mrkdwn in there is not documented, so both
readings must be harmless: `&lt;` is a less-than sign in both; inside code a Markdown reader would
show the entity, so a zero-width space breaks the token there. Nothing else is touched.
"""

import re

from core.delivery.sanitise import sanitise, segments

NOTHING = "…"
"""What stands for a blank text: Slack refuses one (`no_text`)."""

_TOKEN = re.compile(
    r"<(?=!(?:channel|here|everyone|group|subteam|date)"  # groups of people, dates
    r"|[@#][A-Z0-9]"  # a user, a channel
    r"|(?:[a-z][a-z0-9+.-]{0,30}://|mailto:|tel:))",  # a link, maybe with another label
    re.IGNORECASE,
)
_IN_TEXT = "&lt;"
_IN_CODE = "<\u200b"


def render(markdown: str) -> str:
    """The text to send, never blank: no mention, group or masked link in either reading."""
    text = "".join(
        _TOKEN.sub(_IN_CODE if is_code else _IN_TEXT, piece)
        for is_code, piece in segments(sanitise(markdown))
    )
    return text if text.strip() else NOTHING


def measure(markdown: str) -> int:
    """UTF-8 bytes of the rendered text."""
    return len(render(markdown).encode())
