"""What a message of ours is sent with, and what of a returned one counts. Pure."""

from collections.abc import Mapping
from typing import Any

from adapters.discord.ids import part_id
from adapters.discord.markup import render
from core.errors import Unreachable
from core.types import PartId

SUPPRESS_EMBEDS = 1 << 2
NO_PINGS: Mapping[str, Any] = {"parse": [], "replied_user": False}
"""Sent with every text, edits included: an edit rebuilds who is mentioned
(docs.discord.com/developers/resources/message#edit-message)."""


def form(text: str) -> dict[str, Any]:
    """What every text is sent with: no pings, no embeds."""
    return {"content": render(text), "flags": SUPPRESS_EMBEDS, "allowed_mentions": dict(NO_PINGS)}


def shows(message: object, form: Mapping[str, Any]) -> bool:
    """Whether a returned message has the text that was sent; Discord trims it."""
    shown = message.get("content") if isinstance(message, Mapping) else None
    return not isinstance(shown, str) or shown.strip() == str(form["content"]).strip()


def part(message: object, channel: str = "") -> PartId:
    """The id of a message that Discord returned. channel: where it was sent, though its nonce may
    have given one elsewhere; empty when only the token reaches it."""
    if not isinstance(message, Mapping) or "id" not in message:
        raise Unreachable("Discord's answer names no message")
    return part_id(channel and str(message.get("channel_id", channel)), str(message["id"]))
