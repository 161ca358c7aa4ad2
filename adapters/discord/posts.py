"""What Discord told us of our own posts: which message came of which nonce.

A nonce is told when its message is made, over the gateway (docs.discord.com/developers/events/
gateway-events#message-create); reading a message later doesn't promise it. Pure.
"""

from collections.abc import Mapping
from typing import Any

from adapters.discord.ids import is_snowflake, part_id
from core.types import PartId

KEPT = 5_000
"""Posts that are remembered, the newest ones: a busy hour's."""


class Posts:
    """Messages of ours by nonce."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[PartId, ...]] = {}

    def heard(self, message: Mapping[str, Any]) -> None:
        """A message of ours was made or changed."""
        nonce, channel, id_ = message.get("nonce"), message.get("channel_id"), message.get("id")
        if not isinstance(nonce, str) or not is_snowflake(channel) or not is_snowflake(id_):
            return
        part = part_id(channel, id_)
        known = self._parts.pop(nonce, ())
        self._parts[nonce] = known if part in known else (*known, part)
        if len(self._parts) > KEPT:
            del self._parts[next(iter(self._parts))]

    def of(self, nonce: str) -> tuple[PartId, ...]:
        """The messages made with this nonce, oldest first."""
        return self._parts.get(nonce, ())
