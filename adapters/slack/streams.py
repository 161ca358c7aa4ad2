"""What is to be known of Slack's native streams (docs.slack.dev/reference/methods/chat.startStream,
chat.appendStream, chat.stopStream): what they are sent of a text. Pure.

While a stream grows, a code block may be open at its end, for what closes it ends it: CommonMark
lets a block without a closing line end with the text (fenced code blocks in
spec.commonmark.org/0.31.2), and `markdown_text` is Markdown. Whoever ends a stream closes it.

Slack ends a stream after about 300 seconds, active or not; `chat.update` repairs its message then
(slackapi/python-slack-sdk issue 1859).
"""

from adapters.slack.markup import growing, links
from core.delivery.lines import last_block
from core.delivery.markup import completed
from core.errors import StreamOver


def beginning(text: str) -> str:
    """What a stream of this text begins with. Raises: StreamOver.

    A text with an address is left to `chat.postMessage`, which can forbid previews: the stream's
    methods have no argument for that.
    """
    sent = growing(text)
    if not sent or links(text):
        raise StreamOver("the text is not for a stream")
    return sent


def ending(shown: str) -> dict[str, str]:
    """Arguments that end a stream as it stands, but for the code block that is open in it.

    shown: what was sent, or what Slack says of it; should it have closed the block itself there,
    nothing is added.
    """
    if last_block(shown).closed:
        return {}
    return {"markdown_text": completed(shown)[len(shown) :]}


def addition(shown: str, text: str, whole: str) -> dict[str, str]:
    """Arguments that make a stream of the text `shown` say `whole`, which is of `text`.

    Empty when there is nothing to see in what is new. Raises: StreamOver, also for an address.
    """
    before = growing(shown)
    if not whole.startswith(before) or links(text):
        raise StreamOver("the text as it is sent doesn't continue what was sent")
    new = whole[len(before) :]
    return {"markdown_text": new} if new.strip() else {}
