"""What is to be known of Slack's native streams (docs.slack.dev/reference/methods/chat.startStream,
chat.appendStream, chat.stopStream): their rates, and what of a text they are sent.

Slack ends a stream after about 300 seconds, active or not; `chat.update` repairs its message then
(slackapi/python-slack-sdk issue 1859).
"""

from adapters.slack import calls
from adapters.slack.calls import Method
from adapters.slack.markup import growing, links
from core.errors import StreamOver
from core.types import Allowance, StreamLimits

GAP, LIFE = 0.25, 270.0
"""Seconds between two calls on one stream, and after its start until it has to be stopped."""


def limits(team: str) -> StreamLimits:
    """Tier 2 (20 a minute) for start and stop, Tier 4 (100) for append, for the whole workspace.

    No minute gets more than 95 % of that, bursts included: how Slack counts is not documented.
    """

    def allowance(method: Method, burst: int, per_minute: int) -> Allowance:
        key = f"slack:{team}:{method.name}"
        return Allowance(key, burst, (per_minute - burst) / 60, shared=True)

    return StreamLimits(
        start=allowance(calls.START, 4, 19),
        append=allowance(calls.APPEND, 10, 95),
        stop=allowance(calls.STOP, 4, 19),
        gap=GAP,
        life=LIFE,
    )


def beginning(text: str) -> str:
    """What a stream of this text begins with. Raises: StreamOver.

    A text with an address is left to `chat.postMessage`, which can forbid previews: the stream's
    methods have no argument for that.
    """
    sent = growing(text)
    if not sent or links(text):
        raise StreamOver("the text is not for a stream")
    return sent


def addition(shown: str, text: str, whole: str) -> dict[str, str]:
    """Arguments that make a stream of the text `shown` say `whole`, which is of `text`.

    Empty when there is nothing to see in what is new. Raises: StreamOver, also for an address.
    """
    before = growing(shown)
    if not whole.startswith(before) or links(text):
        raise StreamOver("the text as it is sent doesn't continue what was sent")
    new = whole[len(before) :]
    return {"markdown_text": new} if new.strip() else {}
