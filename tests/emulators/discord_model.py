"""What the stand-in's Discord consists of, and who may do what in it. No events, no acting."""

import time
from dataclasses import dataclass, field

from tests.emulators.discord_rules import (
    ADMINISTRATOR,
    ALL,
    BOT,
    EPOCH_MS,
    IN_DIRECT,
    LOADING,
    MANAGE_THREADS,
    PLAIN,
    PRIVATE_THREAD,
    SYSTEM,
    THREADS,
    VIEW,
    Json,
)


@dataclass
class User:
    """A person or a bot. closed: takes no direct messages."""

    id: str
    name: str
    bot: bool = False
    closed: bool = False


@dataclass
class Role:
    """A role. bot: the id of the bot that it belongs to, "" for a common one."""

    id: str
    name: str
    permissions: int
    position: int = 0
    bot: str = ""


@dataclass
class Guild:
    """A server. members: role ids by user id; the role of everybody has the guild's id.

    joined: when the bot came, in ISO 8601.
    """

    id: str
    name: str
    owner: str
    roles: dict[str, Role] = field(default_factory=dict)
    members: dict[str, list[str]] = field(default_factory=dict)
    joined: str = "2026-01-01T00:00:00+00:00"


@dataclass
class Channel:
    """A channel, a thread or a direct conversation (guild "").

    members: of a thread or a direct conversation. overwrites: (allow, deny) by role or user id.
    parent: of a thread. minutes: without messages until the thread archives itself.
    """

    id: str
    type: int
    name: str = ""
    guild: str = ""
    parent: str = ""
    owner: str = ""
    minutes: int = 1440
    archived: bool = False
    locked: bool = False
    archived_at: float = field(default_factory=time.time)
    members: set[str] = field(default_factory=set)
    overwrites: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def is_thread(self) -> bool:
        """Whether it is a thread of any kind."""
        return self.type in THREADS


@dataclass(frozen=True)
class Message:
    """A message. created, edited: seconds since the epoch.

    reply_to: (channel, message) ids that it refers to; the message is "" when only a channel is
    meant. meta: its interaction metadata. asker: who alone sees it (an ephemeral one), else "".
    """

    id: str
    channel: str
    author: str
    content: str = ""
    type: int = PLAIN
    flags: int = 0
    reply_to: tuple[str, str] | None = None
    nonce: str | None = None
    mentions: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    everyone: bool = False
    embeds: tuple[Json, ...] = ()
    attachments: tuple[Json, ...] = ()
    components: tuple[Json, ...] = ()
    edited: float | None = None
    meta: Json | None = None
    asker: str = ""
    created: float = field(default_factory=time.time)

    @property
    def loading(self) -> bool:
        """Whether it shows "thinking..." only."""
        return bool(self.flags & LOADING)

    @property
    def system(self) -> bool:
        """Whether Discord wrote it in its author's name (about threads)."""
        return self.type in SYSTEM


@dataclass(frozen=True)
class Happened:
    """One event. name: the gateway's. guild: "" in direct conversations.

    message: as it is now, or was when it went. body: the payload, content included.
    """

    name: str
    guild: str
    channel: str
    message: Message | None
    body: Json


class State:
    """All there is, by id. gone_channels: ids of deleted channels and threads."""

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.guilds: dict[str, Guild] = {}
        self.channels: dict[str, Channel] = {}
        self.messages: dict[str, Message] = {}
        self.gone_channels: set[str] = set()
        self._last = 0

    def snowflake(self) -> str:
        """A fresh id: it holds the time, is unique and grows."""
        self._last = max(self._last + 1, (time.time_ns() // 10**6 - EPOCH_MS) << 22)
        return str(self._last)

    def old_snowflake(self, ago: float) -> str:
        """A free id as it was given out so many seconds ago."""
        id_ = (time.time_ns() // 10**6 - EPOCH_MS - round(ago * 1000)) << 22
        while str(id_) in self.messages:
            id_ += 1
        return str(id_)

    def user(self, who: str) -> User:
        """By id or name. Raises KeyError."""
        return self.users[next((u.id for u in self.users.values() if u.name == who), who)]

    def channel(self, where: str) -> Channel:
        """By id or name; the oldest of a name. Raises KeyError."""
        named = (c.id for c in self.channels.values() if c.name == where)
        return self.channels[next(named, where)]

    def history(self, channel: str) -> list[Message]:
        """A channel's messages, oldest first, without ephemeral ones."""
        here = [m for m in self.messages.values() if m.channel == channel and not m.asker]
        return sorted(here, key=lambda message: int(message.id))

    def threads(self, guild: str) -> list[Channel]:
        """A guild's threads that aren't archived."""
        mine = (c for c in self.channels.values() if c.guild == guild and c.is_thread)
        return [thread for thread in mine if not thread.archived]

    def permissions(self, who: str, channel: Channel) -> int:
        """What a user may do in a channel; 0 when they can't see it.

        The order is Discord's: roles, then the channel's overwrites of everybody, of the roles, of
        the member. A thread has its parent's; a private one is seen by its members only.
        """
        if not channel.guild:
            return IN_DIRECT if who in channel.members else 0
        guild = self.guilds[channel.guild]
        if who not in guild.members:
            return 0
        mine = [guild.id, *guild.members[who]]
        may = 0
        for role in mine:
            may |= guild.roles[role].permissions
        if who == guild.owner or may & ADMINISTRATOR:
            return ALL
        may = _overwritten(may, self.channels.get(channel.parent, channel), mine, who)
        if channel.type == PRIVATE_THREAD and who not in channel.members | {channel.owner}:
            may = may if may & MANAGE_THREADS else 0
        return may if may & VIEW else 0

    def bot_sees(self, channel: Channel) -> bool:
        """Whether the bot can see a channel."""
        return bool(self.permissions(BOT, channel) & VIEW)


def _overwritten(may: int, channel: Channel, roles: list[str], who: str) -> int:
    for group in (roles[:1], roles[1:], [who]):
        pairs = [channel.overwrites.get(id_, (0, 0)) for id_ in group]
        for _, deny in pairs:
            may &= ~deny
        for allow, _ in pairs:
            may |= allow
    return may
