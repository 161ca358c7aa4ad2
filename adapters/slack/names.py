"""What our messages are called in their metadata, and which of these names stand in threads. Pure.

Every member can read metadata, so it holds only a UUID.
"""

from collections.abc import Collection, Mapping
from typing import Any

from adapters.slack.ids import Address, sequence

EVENT_TYPE = "threadseek"
"""Name of the metadata on our messages."""

KEPT = 1_800.0
"""Seconds for which it is kept what stands in a thread."""

MOST = 200
"""Threads of which it is kept, the newest ones."""


def metadata(name: str) -> dict[str, Any]:
    """What every message of ours carries. name: a UUID."""
    return {"event_type": EVENT_TYPE, "event_payload": {"id": name}}


def posted_as(message: Mapping[str, Any]) -> str | None:
    """The UUID in the metadata of one of our posts."""
    told = message.get("metadata") or {}
    if told.get("event_type") != EVENT_TYPE:
        return None
    return (told.get("event_payload") or {}).get("id")


class Names:
    """The names of all that we had posted in a thread when it was read. now: seconds, monotonic."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[float, str, Collection[str | None]]] = {}

    def keep(self, at: Address, names: Collection[str | None], now: float) -> None:
        """These stand behind the prompt at this address."""
        where = at.channel, at.thread_ts
        if self.behind(at, now) is None:
            self._kept.pop(where, None)
            self._kept[where] = now, sequence(at.ts), names
        while len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]

    def behind(self, at: Address, now: float) -> Collection[str | None] | None:
        """Those behind this prompt, and perhaps before it; None: nobody has read them lately."""
        read, since, names = self._kept.get((at.channel, at.thread_ts), (-KEPT, "", ()))
        return names if since and since <= sequence(at.ts) and now < read + KEPT else None
