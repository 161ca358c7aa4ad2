"""What the bot needs in a server, and the link with which it is invited. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlencode

PERMISSIONS: Mapping[str, int] = MappingProxyType(
    {
        "Add Reactions": 1 << 6,
        "View Channels": 1 << 10,
        "Send Messages": 1 << 11,
        "Read Message History": 1 << 16,
        "Create Public Threads": 1 << 35,
        "Send Messages in Threads": 1 << 38,
    }
)
"""Bits: docs.discord.com/developers/topics/permissions."""


def invitation(application: str) -> str:
    """The link that lets an administrator add the bot, with its commands and permissions."""
    query = {
        "client_id": application,
        "scope": "bot applications.commands",
        "permissions": str(sum(PERMISSIONS.values())),
    }
    return f"https://discord.com/oauth2/authorize?{urlencode(query)}"
