"""What of the world's happenings the app hears, and how much of it: intents and permissions.

https://docs.discord.com/developers/events/gateway#list-of-intents. A bot gets every channel of its
guilds, but threads, messages and typing only where it may look.
"""

from tests.emulators import discord_wire as wire
from tests.emulators.discord_app import (
    DIRECT_MESSAGES,
    DIRECT_REACTIONS,
    DIRECT_TYPING,
    GUILD_MEMBERS,
    GUILD_MESSAGES,
    GUILD_REACTIONS,
    GUILD_TYPING,
    GUILDS,
    MESSAGE_CONTENT,
    App,
)
from tests.emulators.discord_gateway import Gateway
from tests.emulators.discord_rules import BOT, Json
from tests.emulators.discord_world import Happened, World

# The intents that bring an event, by how its name begins: in guilds, in direct conversations.
_INTENTS = {
    "MESSAGE_REACTION": (GUILD_REACTIONS, DIRECT_REACTIONS),
    "MESSAGE": (GUILD_MESSAGES, DIRECT_MESSAGES),
    "TYPING": (GUILD_TYPING, DIRECT_TYPING),
    "GUILD_MEMBER": (GUILD_MEMBERS, 0),
    "GUILD": (GUILDS, 0),
    "CHANNEL": (GUILDS, DIRECT_MESSAGES),
    "THREAD": (GUILDS, 0),
}
_LOOKING = ("MESSAGE", "TYPING", "THREAD")


class Events:
    """Brings what happens to the gateway. It is the gateway's scene, too."""

    def __init__(self, world: World, app: App) -> None:
        self._world, self._app = world, app

    def me(self) -> Json:
        """The bot's user."""
        return wire.user(self._world.users[BOT])

    def guilds(self) -> list[Json]:
        """GUILD_CREATE of every guild that the bot is in."""
        mine = (guild for guild in self._world.guilds.values() if BOT in guild.members)
        return [wire.guild(self._world, guild) for guild in mine]

    def connect(self, gateway: Gateway) -> None:
        """From now on, what happens is dispatched by this gateway."""
        self._world.listeners.append(lambda happened: self._dispatch(gateway, happened))

    def _dispatch(self, gateway: Gateway, happened: Happened) -> None:
        if self._audible(happened):
            guild = happened.guild
            gateway.publish(happened.name, guild, lambda intents: self._heard(happened, intents))

    def _audible(self, happened: Happened) -> bool:
        """Whether the bot is where it happens. Ephemeral messages are nobody's business."""
        if happened.message is not None and happened.message.asker:
            return False
        world = self._world
        if happened.name == "GUILD_DELETE":
            return True
        if happened.guild and BOT not in world.guilds[happened.guild].members:
            return False
        channel = world.channels.get(happened.channel)
        if channel is None or (happened.guild and not happened.name.startswith(_LOOKING)):
            return True
        return world.bot_sees(channel)

    def _heard(self, happened: Happened, intents: int) -> Json | None:
        """The payload for a session with these intents, None when it hears nothing."""
        name = next((name for name in _INTENTS if happened.name.startswith(name)), "")
        needed = _INTENTS[name][0 if happened.guild else 1] if name else 0
        if needed and not intents & needed:
            return None
        message = happened.message
        if message is None or happened.name == "MESSAGE_DELETE":
            return self._members(happened, intents)
        if intents & self._app.intents & MESSAGE_CONTENT:
            return happened.body
        # The nonce is told, as Discord does, when the message is made.
        return wire.message_event(self._world, message, content=False, nonce=True)

    def _members(self, happened: Happened, intents: int) -> Json | None:
        """Without the members intent, of a thread's members only the bot's own coming is told."""
        added = happened.body.get("added_members")
        if added is None or intents & GUILD_MEMBERS:
            return happened.body
        mine = [member for member in added if member["user_id"] == BOT]
        return happened.body | {"added_members": mine} if mine else None
