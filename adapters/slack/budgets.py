"""Slack's rate limits, as data. Pure.

Documented: limits are per method, workspace and app; Tier 2 20 calls a minute, Tier 3 50, Tier 4
100; posts one a second and channel with short bursts, and several hundred a minute in a workspace
(docs.slack.dev/apis/web-api/rate-limits). How large a burst may be, and whether a minute slides, is
not said: of each, burst and a minute's calls together stay within the documented minute.
"""

from adapters.slack import calls
from core.types import Allowance, StreamLimits

GAP = 0.5
"""Seconds between two edits of one message."""
STREAM_GAP = 0.25
"""Seconds between two calls on one stream."""
HELD_UP = 0.25
"""Seconds for which a call may be held up on the way: those after it arrive so much closer to it
than they were made, which each burst has to leave room for."""
STREAM_LIFE = 270.0
"""Seconds after which a stream is stopped. Slack ends it after about five minutes, active or not,
which its documentation doesn't say (github.com/slackapi/python-slack-sdk/issues/1859)."""


def posts(team: str, channel: str) -> Allowance:
    """chat.postMessage in one channel. The minute of the workspace is a guess: 300."""
    everywhere = Allowance(
        f"slack:{team}:{calls.POST.name}", 30 - HELD_UP * 4.5, 4.5, shared=True, guessed=True
    )
    name = f"slack:{team}:{channel}:{calls.POST.name}"
    return Allowance(name, 3 - HELD_UP, 1.0, shared=True, within=everywhere)


def edits(team: str) -> Allowance:
    """chat.update, Tier 3."""
    return _tier(f"slack:{team}:{calls.UPDATE.name}", 50, burst=10, more=6)


def streams(team: str) -> StreamLimits:
    """chat.startStream and chat.stopStream, Tier 2; chat.appendStream, Tier 4."""
    return StreamLimits(
        start=_tier(f"slack:{team}:chat.startStream", 20, burst=5, more=3),
        append=_tier(f"slack:{team}:chat.appendStream", 100, burst=20, more=10),
        stop=_tier(f"slack:{team}:chat.stopStream", 20, burst=5, more=3),
        gap=STREAM_GAP,
        life=STREAM_LIFE,
    )


def _tier(name: str, minute: int, *, burst: int, more: int) -> Allowance:
    """So many calls a minute: at that rate while the minute lasts, and never more in one.

    more: how many calls beyond the burst may come at that rate before the minute's own is kept.
    """
    rate, whole = minute / 60, burst + more
    slower = (minute - whole) / 60
    kept = Allowance(f"{name}:minute", whole - HELD_UP * slower, slower, shared=True)
    return Allowance(name, burst - HELD_UP * rate, rate, shared=True, within=kept)
