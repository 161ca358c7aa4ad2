"""What the gateway told us of the running session: who we are, where we are, what is a thread."""

import asyncio
from collections.abc import Mapping
from typing import Any

import discord

from adapters.discord.gateway import Gateway
from adapters.discord.ids import Bot
from adapters.discord.missed import Place, places_of
from core.errors import Unreachable


class Session:
    """bot: who we are; its use raises Unreachable before the first session.

    places: by server, what was said where when we came. complete: all servers have been named.
    client: keeps discord.py's cache of channels.
    """

    def __init__(self) -> None:
        self.client: Gateway | None = None
        self.complete = asyncio.Event()
        self.places: dict[str, list[Place]] = {}
        self._bot: Bot | None = None
        self._missing: set[str] = set()

    @property
    def bot(self) -> Bot:
        """Who we are. Raises: Unreachable."""
        if self._bot is None:
            raise Unreachable("not connected to Discord yet")
        return self._bot

    def begin(self, ready: Mapping[str, Any]) -> None:
        """A new session (READY): nothing that happened before it will be told."""
        user = ready["user"]
        application = str((ready.get("application") or {}).get("id") or user["id"])
        self._bot = Bot(str(user["id"]), application, str(user.get("username", "")))
        self.places.clear()
        self._missing = {str(guild["id"]) for guild in ready.get("guilds") or ()}
        self.complete.clear()
        if not self._missing:
            self.complete.set()

    def named(self, guild: Mapping[str, Any]) -> None:
        """A server and all that is in it (GUILD_CREATE)."""
        bot, id_ = self.bot, str(guild["id"])
        ours = frozenset(
            str(role["id"])
            for role in guild.get("roles") or ()
            if str((role.get("tags") or {}).get("bot_id")) == bot.user
        )
        self._bot = Bot(bot.user, bot.application, bot.name, bot.roles | ours)
        joined = guild.get("joined_at")
        since = discord.utils.parse_time(joined).timestamp() if joined else 0.0
        self.places[id_] = list(places_of(guild, since))
        self._heard_of(id_)

    def left(self, guild: str) -> None:
        """A server that is down or that we are no longer in (GUILD_DELETE)."""
        self.places.pop(guild, None)
        self._heard_of(guild)

    def is_thread(self, channel: str) -> bool | None:
        """Whether a channel is a thread; None when it isn't known."""
        known = self.client.get_channel(int(channel)) if self.client else None
        return None if known is None else isinstance(known, discord.Thread)

    def readable(self, place: Place) -> bool:
        """Whether we may read there, as far as discord.py's cache knows."""
        if not place.guild or self.client is None:
            return True
        if place.guild not in self.places:
            return False  # we were removed from there
        channel = self.client.get_channel(int(place.channel))
        if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
            return True
        try:
            may = channel.permissions_for(channel.guild.me)
        except (discord.DiscordException, AttributeError):  # the thread's channel isn't known
            return True
        return may.view_channel and may.read_message_history

    def _heard_of(self, guild: str) -> None:
        self._missing.discard(guild)
        if not self._missing:
            self.complete.set()
