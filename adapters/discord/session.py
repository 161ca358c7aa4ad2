"""Who we are, and what the gateway told us of a running session: where we are, what is a thread."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import discord

from adapters.discord.gateway import Closed, Gateway
from adapters.discord.ids import Bot, guild_of, is_snowflake
from adapters.discord.missed import Place, places_of
from core.errors import Unreachable
from core.proxies import DIRECT, Proxies
from core.seats import Seat
from core.types import ThreadKey


@dataclass(slots=True)
class Account:
    """One bot, on all its shards. content: the message content intent is asked for.

    known: who we are, and our own roles in the servers that were named to this process. refused:
    why Discord won't have us back.
    """

    token: str = field(repr=False)
    gateway_url: str
    content: bool = True
    known: Bot | None = None
    refused: Closed | None = None
    proxies: Proxies = DIRECT

    @property
    def bot(self) -> Bot:
        """Who we are. Raises: Unreachable before that is known."""
        if self.known is None:
            raise Unreachable("not connected to Discord yet")
        return self.known


class Session:
    """The session of one shard.

    places: by server, what was said where when we came. complete: all servers have been named.
    client: keeps discord.py's cache of channels.
    """

    def __init__(self, account: Account, seat: Seat) -> None:
        self.client: Gateway | None = None
        self.complete = asyncio.Event()
        self.places: dict[str, list[Place]] = {}
        self._learnt: dict[str, tuple[bool, str]] = {}  # of places that may be in no cache
        self._account = account
        self._seat = seat
        self._missing: set[str] = set()
        self._silent: set[str] = set()  # those that are down, or have not come yet

    @property
    def bot(self) -> Bot:
        """Who we are."""
        return self._account.bot

    def concerns(self, thread: ThreadKey) -> bool:
        """Whether Discord tells this shard of a conversation
        (docs.discord.com/developers/events/gateway#sharding-sharding-formula).
        """
        guild = guild_of(thread)
        number = (int(guild) >> 22) % self._seat.size if is_snowflake(guild) else 0
        return number == self._seat.number

    def begin(self, ready: Mapping[str, Any]) -> None:
        """A new session (READY): nothing that happened before it will be told."""
        user, bot = ready["user"], self.bot
        name = str(user.get("username", ""))
        self._account.known = Bot(bot.user, bot.application, name, bot.roles)
        self.places.clear()
        self._learnt.clear()
        self._missing = {str(guild["id"]) for guild in ready.get("guilds") or ()}
        self._silent = set(self._missing)
        self.complete.clear()
        if not self._missing:
            self.complete.set()

    def named(self, guild: Mapping[str, Any]) -> bool:
        """A server and all that is in it (GUILD_CREATE); whether we were in it already and heard
        nothing of it, so that something may have been missed there.
        """
        bot, id_ = self.bot, str(guild["id"])
        ours = frozenset(
            str(role["id"])
            for role in guild.get("roles") or ()
            if str((role.get("tags") or {}).get("bot_id")) == bot.user
        )
        self._account.known = Bot(bot.user, bot.application, bot.name, bot.roles | ours)
        joined = guild.get("joined_at")
        since = discord.utils.parse_time(joined).timestamp() if joined else 0.0
        self.places[id_] = list(places_of(guild, since))
        expected = id_ in self._silent
        self._silent.discard(id_)
        self._heard_of(id_)
        return expected

    def left(self, guild: str, *, down: bool) -> bool:
        """A server that is down or that we are no longer in (GUILD_DELETE); whether it went down,
        having been heard of in this session.
        """
        known = self.places.pop(guild, None) is not None
        if down:
            self._silent.add(guild)
        else:
            self._silent.discard(guild)
        self._heard_of(guild)
        return down and known

    def enough(self) -> int:
        """Wait for no more servers; how many are down."""
        self.complete.set()
        return len(self._silent)

    def thread(self, channel: str) -> tuple[bool | None, str]:
        """Whether a channel is a thread, and the channel it is in; None when it isn't known."""
        known = self.client.get_channel(int(channel)) if self.client else None
        if isinstance(known, discord.Thread):
            return True, str(known.parent_id)
        return self._learnt.get(channel, (None, "")) if known is None else (False, "")

    def learn(self, place: Place) -> None:
        """Keep what Discord told of a place."""
        if place.listed:
            self._learnt[place.channel] = place.thread, place.parent

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
