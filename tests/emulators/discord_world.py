"""A Discord that lives: what happens to messages and threads, and what people do.

Every change is told to `listeners` (the record, the gateway). Nothing here knows of HTTP, tokens
or intents. Channels and people may be given by name: "general", "alice".
"""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from tests.emulators import discord_wire as wire
from tests.emulators.discord_model import (
    Channel,
    Guild,
    Happened,
    Message,
    Role,
    State,
    User,
)
from tests.emulators.discord_rules import (
    ANNOUNCEMENT,
    ANNOUNCEMENT_THREAD,
    BOT,
    DM,
    FORUM,
    GUILD,
    HAS_THREAD,
    MANAGED_ROLE,
    OWNER,
    PLAIN,
    PRIVATE_THREAD,
    PUBLIC_THREAD,
    REPLY,
    STARTER,
    TEXT,
    THREAD_CREATED,
    USUAL,
    VOICE,
    Json,
)

__all__ = ["Channel", "Guild", "Happened", "Message", "Role", "State", "User", "World"]

_USER, _ROLE = re.compile(r"<@!?(\d+)>"), re.compile(r"<@&(\d+)>")


class World(State):
    """The state and its changes.

    One guild of alice, bob, its owner and the bot, with the channels "general", "random" (text),
    "news" (announcements), "help" (a forum) and "voice" (a voice channel with its chat).
    """

    def __init__(self) -> None:
        super().__init__()
        self.listeners: list[Callable[[Happened], None]] = []
        self.users[BOT] = User(BOT, "threadseek", bot=True)
        self.users[OWNER] = User(OWNER, "owner")
        guild = self.guilds[GUILD] = Guild(GUILD, "Reading room", OWNER)
        guild.roles[GUILD] = Role(GUILD, "@everyone", USUAL)
        guild.roles[MANAGED_ROLE] = Role(MANAGED_ROLE, "Threadseek", USUAL, 1, bot=BOT)
        guild.members = {OWNER: [], BOT: [MANAGED_ROLE]}
        for name in ("alice", "bob"):
            self.add_user(name)
        kinds = {"general": TEXT, "random": TEXT, "news": ANNOUNCEMENT, "help": FORUM}
        for name, type_ in (kinds | {"voice": VOICE}).items():
            self.add_channel(name, type_)

    def add_user(self, name: str, *, bot: bool = False, member: bool = True) -> str:
        """A new person, or somebody else's bot; returns the id."""
        who = User(self.snowflake(), name, bot)
        self.users[who.id] = who
        if member:
            self.guilds[GUILD].members[who.id] = []
        return who.id

    def add_guild(self, name: str, id_: str) -> str:
        """One more guild, with everybody who is in the first and a channel of its name.

        id_: says on which shard it is. Returns the channel's id.
        """
        first = self.guilds[GUILD]
        guild = self.guilds[id_] = Guild(id_, name, OWNER)
        role = str(int(id_) + 1)
        guild.roles[id_] = Role(id_, "@everyone", USUAL)
        guild.roles[role] = Role(role, "Threadseek", USUAL, 1, bot=BOT)
        guild.members = {who: [role] if who == BOT else [] for who in first.members}
        self.tell(Happened("GUILD_CREATE", id_, "", None, wire.guild(self, guild)))
        return self.add_channel(name, guild=id_)

    def add_channel(self, name: str, type_: int = TEXT, guild: str = GUILD) -> str:
        """A new channel of a guild; returns the id."""
        channel = Channel(self.snowflake(), type_, name, guild)
        self.channels[channel.id] = channel
        self._channel_happened("CHANNEL_CREATE", channel)
        return channel.id

    def add_role(self, name: str, *who: str) -> str:
        """A new role of these members; returns the id."""
        role = Role(self.snowflake(), name, 0)
        guild = self.guilds[GUILD]
        guild.roles[role.id] = role
        for each in who:
            guild.members[self.user(each).id].append(role.id)
        body = {"guild_id": GUILD, "role": wire.role(role)}
        self.tell(Happened("GUILD_ROLE_CREATE", GUILD, "", None, body))
        return role.id

    def direct(self, who: str) -> str:
        """Id of the direct conversation of the bot and a person, made when there is none."""
        pair = {BOT, self.user(who).id}
        for channel in self.channels.values():
            if channel.type == DM and channel.members == pair:
                return channel.id
        channel = Channel(self.snowflake(), DM, members=pair)
        self.channels[channel.id] = channel
        return channel.id

    def tell(self, happened: Happened) -> None:
        """Tell every listener."""
        for listener in list(self.listeners):
            listener(happened)

    # What happens, by whomever.

    def put(self, message: Message) -> Message:
        """Add or replace a message and tell everybody.

        A new one in a thread opens it when archived, and its author and those it mentions join.
        """
        new = message.id not in self.messages
        channel = self.channels[message.channel]
        if new and channel.is_thread and channel.archived:
            self.change_thread(channel, archived=False)
        if new and channel.is_thread and not message.system:
            for who in (message.author, *message.mentions):
                self.join_thread(channel, who)
        self.messages[message.id] = message
        body = wire.message_event(self, message, nonce=True)
        name = "MESSAGE_CREATE" if new else "MESSAGE_UPDATE"
        self.tell(Happened(name, channel.guild, channel.id, message, body))
        return message

    def remove(self, id_: str) -> None:
        """Delete a message. Its thread, if it has one, stays."""
        message = self.messages.pop(id_)
        channel = self.channels[message.channel]
        body: Json = {"id": id_, "channel_id": channel.id}
        body |= {"guild_id": channel.guild} if channel.guild else {}
        self.tell(Happened("MESSAGE_DELETE", channel.guild, channel.id, message, body))

    def purge(self, where: str) -> None:
        """A moderator's bot deletes all messages of a channel in one call."""
        channel = self.channel(where)
        ids = [message.id for message in self.messages.values() if message.channel == channel.id]
        for id_ in ids:
            del self.messages[id_]
        body: Json = {"ids": ids, "channel_id": channel.id, "guild_id": channel.guild}
        self.tell(Happened("MESSAGE_DELETE_BULK", channel.guild, channel.id, None, body))

    def start_thread(
        self,
        parent: Channel,
        owner: str,
        name: str,
        *,
        message: Message | None = None,
        type_: int = 0,
        minutes: int = 1440,
    ) -> Channel:
        """A new thread: on a message (it gets its id, and a starter), without one, or a post.

        A post's first message is put by the caller, with the thread's id.
        """
        usual = ANNOUNCEMENT_THREAD if parent.type == ANNOUNCEMENT else PUBLIC_THREAD
        id_ = message.id if message else self.snowflake()
        thread = Channel(id_, type_ or usual, name, parent.guild, parent.id, owner, minutes)
        thread.members.add(owner)
        self.channels[id_] = thread
        self._channel_happened("THREAD_CREATE", thread, {"newly_created": True})
        if message is not None:
            starter = Message(self.snowflake(), id_, owner, type=STARTER)
            self.put(replace(starter, reply_to=(message.channel, message.id)))
            self.put(replace(message, flags=message.flags | HAS_THREAD))
        elif parent.type != FORUM and thread.type == PUBLIC_THREAD:
            note = Message(self.snowflake(), parent.id, owner, name, type=THREAD_CREATED)
            self.put(replace(note, reply_to=(id_, "")))
        return thread

    def change_thread(
        self, thread: Channel, archived: bool | None = None, locked: bool | None = None
    ) -> None:
        """Archive, open, lock or unlock a thread; None leaves it."""
        if archived is not None and archived != thread.archived:
            thread.archived, thread.archived_at = archived, time.time()
        if locked is not None:
            thread.locked = locked
        self._channel_happened("THREAD_UPDATE", thread)

    def join_thread(self, thread: Channel, who: str) -> None:
        """Somebody becomes a member of a thread, if they aren't."""
        if who in thread.members:
            return
        thread.members.add(who)
        if who == BOT and thread.type == PRIVATE_THREAD:
            self._channel_happened("THREAD_CREATE", thread)
        added = wire.thread_member(thread, who) | {"presence": None}
        added["member"] = wire.member(self, thread.guild, who)
        body: Json = {"id": thread.id, "guild_id": thread.guild, "added_members": [added]}
        body |= {"member_count": len(thread.members), "removed_member_ids": []}
        self.tell(Happened("THREAD_MEMBERS_UPDATE", thread.guild, thread.id, None, body))

    def delete_channel(self, where: str) -> None:
        """Delete a channel or thread with its messages and, of a channel, its threads: of these
        Discord tells nothing (discordjs/discord.js pull request 10883)."""
        channel = self.channel(where)
        for thread in [c for c in self.channels.values() if c.parent == channel.id]:
            self._remove(thread)
        body = wire.channel(self, channel)
        name = "CHANNEL_DELETE"
        if channel.is_thread:
            name = "THREAD_DELETE"
            body = {key: body[key] for key in ("id", "guild_id", "parent_id", "type")}
        self._remove(channel)
        self.tell(Happened(name, channel.guild, channel.id, None, body))

    def _remove(self, channel: Channel) -> None:
        for message in [m for m in self.messages.values() if m.channel == channel.id]:
            del self.messages[message.id]
        self.gone_channels.add(channel.id)
        del self.channels[channel.id]

    def _channel_happened(self, name: str, channel: Channel, more: Json | None = None) -> None:
        body = wire.channel(self, channel) | (more or {})
        self.tell(Happened(name, channel.guild, channel.id, None, body))

    # What people do.

    def say(
        self,
        who: str,
        channel: str,
        text: str,
        *,
        reply_to: str = "",
        ping: bool = True,
        files: Sequence[str] = (),
        ago: float = 0.0,
    ) -> str:
        """Somebody writes; `<@id>` and `<@&id>` mention. Returns the message's id.

        ping: a reply mentions the author it answers. files: names of attachments. ago: seconds
        since it was written. Raises ValueError where this person can't write.
        """
        where, author = self.channel(channel), self.user(who).id
        if not self.permissions(author, where) or where.type == FORUM or where.locked:
            raise ValueError(f"{who} can't write in {where.name or where.id}")
        id_ = self.old_snowflake(ago) if ago else self.snowflake()
        message = Message(id_, where.id, author, text, created=time.time() - ago)
        message = self._mentioning(message)
        if reply_to:
            target = self.messages[reply_to]
            message = replace(message, type=REPLY, reply_to=(target.channel, target.id))
            if ping and target.author not in (author, *message.mentions):
                message = replace(message, mentions=(*message.mentions, target.author))
        attached = tuple(self._attachment(name) for name in files)
        return self.put(replace(message, attachments=attached)).id

    def _mentioning(self, message: Message) -> Message:
        users = [id_ for id_ in _USER.findall(message.content) if id_ in self.users]
        place = self.channels[message.channel].guild
        known = self.guilds[place].roles if place else {}
        roles = [id_ for id_ in _ROLE.findall(message.content) if id_ in known]
        return replace(
            message, mentions=tuple(dict.fromkeys(users)), roles=tuple(dict.fromkeys(roles))
        )

    def _attachment(self, name: str) -> Json:
        url = f"https://cdn.invalid/{name}"
        return {"id": self.snowflake(), "filename": name, "size": 3, "url": url, "proxy_url": url}

    def edit(self, id_: str, text: str) -> None:
        """Somebody rewrites their message; mentions are worked out anew."""
        message = self._mentioning(replace(self.messages[id_], content=text))
        self.put(replace(message, edited=time.time()))

    def unfurl(self, id_: str) -> None:
        """Discord adds a preview to a message: apps hear of an update, though no text changed."""
        preview = {"type": "link", "url": "https://example.invalid/", "title": "A page"}
        self.put(replace(self.messages[id_], embeds=(preview,)))

    def age(self, id_: str, seconds: float) -> None:
        """Make a message older than it is, without a word to anybody."""
        message = self.messages[id_]
        self.messages[id_] = replace(message, created=message.created - seconds)

    def delete(self, id_: str) -> None:
        """Somebody deletes a message, their own or (a moderator) the bot's."""
        self.remove(id_)

    def open_thread(self, who: str, on: str, name: str, type_: int = 0) -> str:
        """Somebody opens a thread on a message (its id) or in a channel; returns the id."""
        owner = self.user(who).id
        message = self.messages.get(on)
        parent = self.channels[message.channel] if message else self.channel(on)
        return self.start_thread(parent, owner, name, message=message, type_=type_).id

    def forum_post(self, who: str, forum: str, title: str, text: str) -> str:
        """Somebody opens a forum post; the id of the thread and of its first message."""
        author = self.user(who).id
        thread = self.start_thread(self.channel(forum), author, title)
        self.put(self._mentioning(Message(thread.id, thread.id, author, text, type=PLAIN)))
        return thread.id

    def archive(self, thread: str, *, lock: bool = False) -> None:
        """A moderator archives a thread, or closes it for good."""
        self.change_thread(self.channel(thread), archived=True, locked=lock or None)

    def lock(self, thread: str) -> None:
        """A moderator locks an open thread."""
        self.change_thread(self.channel(thread), locked=True)

    def type(self, who: str, channel: str) -> None:
        """Somebody is typing."""
        where, author = self.channel(channel), self.user(who).id
        body: Json = {"channel_id": where.id, "user_id": author, "timestamp": int(time.time())}
        if where.guild:
            body |= {"guild_id": where.guild, "member": wire.member(self, where.guild, author)}
        self.tell(Happened("TYPING_START", where.guild, where.id, None, body))

    def deny(self, channel: str, bits: int, who: str = BOT) -> None:
        """Take permissions from the bot (or somebody) in a channel and its threads."""
        self._overwrite(channel, who, 0, bits)

    def allow(self, channel: str, bits: int, who: str = BOT) -> None:
        """Give permissions to the bot (or somebody) in a channel and its threads."""
        self._overwrite(channel, who, bits, 0)

    def _overwrite(self, channel: str, who: str, more: int, less: int) -> None:
        where, id_ = self.channel(channel), self.user(who).id
        allow, deny = where.overwrites.get(id_, (0, 0))
        where.overwrites[id_] = (allow & ~less | more, deny & ~more | less)
        self._channel_happened("CHANNEL_UPDATE", where)

    def invite_bot(self) -> None:
        """The bot is added to the guild, now."""
        guild = self.guilds[GUILD]
        guild.members[BOT] = [MANAGED_ROLE]
        guild.joined = datetime.now(UTC).isoformat(timespec="milliseconds")
        self.tell(Happened("GUILD_CREATE", GUILD, "", None, wire.guild(self, guild)))

    def kick_bot(self) -> None:
        """The bot is removed from the guild."""
        self.guilds[GUILD].members.pop(BOT, None)
        self.tell(Happened("GUILD_DELETE", GUILD, "", None, {"id": GUILD}))
