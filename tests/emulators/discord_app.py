"""The app as the developer portal of the stand-in knows it: token, granted intents, commands."""

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

# Gateway intents, https://docs.discord.com/developers/events/gateway#gateway-intents
GUILDS, GUILD_MEMBERS, GUILD_PRESENCES = 1 << 0, 1 << 1, 1 << 8
GUILD_MESSAGES, GUILD_REACTIONS, GUILD_TYPING = 1 << 9, 1 << 10, 1 << 11
DIRECT_MESSAGES, DIRECT_REACTIONS, DIRECT_TYPING = 1 << 12, 1 << 13, 1 << 14
MESSAGE_CONTENT = 1 << 15
PRIVILEGED = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT
KNOWN_INTENTS = (1 << 17) - 1 | 1 << 20 | 1 << 21 | 1 << 24 | 1 << 25

# Application flags of an app below the review threshold: the "limited" ones.
_LIMITED = {GUILD_PRESENCES: 1 << 13, GUILD_MEMBERS: 1 << 15, MESSAGE_CONTENT: 1 << 19}


@dataclass
class App:
    """An app with a bot. owner: the user id of who made it.

    intents: the privileged intents switched on in the portal, as bits. commands: by id, global and
    of guilds, in Discord's JSON. command_writes: how often they were written.
    creates: when new ones were made (monotonic seconds), by guild, "" for global ones. users: who
    installed the app for themselves (ids).
    """

    id: str = "1100000000000000002"
    name: str = "Seek"
    owner: str = "1100000000000000001"
    token: str = "stand-in.bot.token"
    intents: int = MESSAGE_CONTENT
    commands: dict[str, Json] = field(default_factory=dict)
    command_writes: int = 0
    creates: dict[str, list[float]] = field(default_factory=dict)
    users: set[str] = field(default_factory=set)

    @property
    def message_content(self) -> bool:
        """Whether the app was granted the content of messages."""
        return bool(self.intents & MESSAGE_CONTENT)

    @property
    def flags(self) -> int:
        """The application flags that tell a client its privileged intents."""
        return sum(flag for intent, flag in _LIMITED.items() if self.intents & intent)

    def body(self) -> Json:
        """The application as GET /applications/@me answers."""
        owner: Json = {"id": self.owner, "username": "owner", "global_name": None}
        owner |= {"discriminator": "0", "avatar": None}
        return {
            "id": self.id,
            "name": self.name,
            "icon": None,
            "description": "",
            "summary": "",
            "type": None,
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": owner,
            "team": None,
            "verify_key": "0" * 64,
            "flags": self.flags,
            "hook": True,
            "interactions_endpoint_url": None,
            "redirect_uris": [],
            "integration_types_config": {"0": {}, "1": {}},
        }
