"""A Slack workspace's state: people, channels, messages with threads, and what people do in it.

Every change of a message is told to `listeners` (the record, the events). Nothing here knows of
HTTP, tokens or the app's scopes.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tests.emulators import slack_markup as markup

Kind = Literal["channel", "group", "im", "mpim"]
TEAM, APP, BOT_USER, BOT = "T0SEEK0001", "A0SEEK0001", "U0SEEKBOT1", "B0SEEKBOT1"
TOMBSTONE = "This message was deleted."


@dataclass
class User:
    """A person or the bot."""

    id: str
    name: str
    real_name: str
    is_bot: bool = False


@dataclass
class Channel:
    """A conversation. kind: public, private, direct or group direct. locked: thread roots."""

    id: str
    name: str
    kind: Kind
    members: set[str] = field(default_factory=set)
    archived: bool = False
    locked: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Post:
    """A message. text: wire form. markdown: what was sent as `markdown_text`.

    thread_ts: the root's ts in a reply, None otherwise. streaming: `chat.startStream` wrote it and
    nobody has stopped it.
    """

    ts: str
    channel: str
    user: str
    text: str
    thread_ts: str | None = None
    markdown: str | None = None
    blocks: tuple[dict[str, Any], ...] = ()
    subtype: str | None = None
    files: tuple[dict[str, Any], ...] = ()
    metadata: dict[str, Any] | None = None
    client_msg_id: str | None = None
    edited: bool = False
    streaming: bool = False

    @property
    def root(self) -> str:
        """ts of the thread this message belongs to, its own when it isn't a reply."""
        return self.thread_ts or self.ts

    @property
    def raw(self) -> str:
        """What is on the screen, in wire form."""
        if self.markdown is None and (not self.blocks or self.user != BOT_USER):
            return self.text
        beneath = markup.text_of_blocks(list(self.blocks))
        return "\n".join(part for part in (self.markdown, beneath) if part)

    @property
    def seen(self) -> str:
        """What is on the screen, as a person reads it (Markdown signs are kept)."""
        return markup.unescape(self.raw)


@dataclass(frozen=True)
class Change:
    """One change of a message: before is None for a new one, after for a deleted one."""

    before: Post | None
    after: Post | None

    @property
    def post(self) -> Post:
        """The message, as new as there is."""
        post = self.after or self.before
        assert post is not None
        return post


class Workspace:
    """The state. Ids may be given as names too: "alice", "general".

    authors: user id by ts of every message there ever was. arrivals: told of each join.
    stopped: ts of the streams that a person ended.
    """

    def __init__(self) -> None:
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.posts: dict[str, Post] = {}
        self.authors: dict[str, str] = {}
        self.stopped: set[str] = set()
        self.listeners: list[Callable[[Change], None]] = []
        self.arrivals: list[Callable[[str, Channel], None]] = []
        self._last = 0
        self.users[BOT_USER] = User(BOT_USER, "threadseek", "Threadseek", is_bot=True)
        for name in ("alice", "bob"):
            self.add_user(name)
        self.add_channel("general", members=("alice", "bob"))

    def add_user(self, name: str, is_bot: bool = False) -> str:
        """A new person, or somebody else's bot; returns the id."""
        user = User(f"U0{name.upper():0<8}", name, name.title(), is_bot)
        self.users[user.id] = user
        return user.id

    def add_channel(
        self, name: str, kind: Kind = "channel", members: Iterable[str] = (), bot: bool = True
    ) -> str:
        """A new conversation of these members, and the bot; returns the id."""
        letter = {"channel": "C", "group": "C", "im": "D", "mpim": "G"}[kind]
        channel = Channel(f"{letter}0{name.upper().replace('-', ''):0<8}", name, kind)
        channel.members = {self.user(member).id for member in members} | (
            {BOT_USER} if bot else set()
        )
        self.channels[channel.id] = channel
        return channel.id

    def direct(self, user: str) -> str:
        """Id of the direct conversation of the bot and a person, made when there is none."""
        name = self.user(user).name
        known = [c.id for c in self.channels.values() if c.kind == "im" and c.name == name]
        return known[0] if known else self.add_channel(name, "im", (user,))

    def user(self, who: str) -> User:
        """By id or name. Raises KeyError."""
        return self.users[next((u.id for u in self.users.values() if u.name == who), who)]

    def channel(self, where: str) -> Channel:
        """By id or name. Raises KeyError."""
        named = (c.id for c in self.channels.values() if c.name == where and c.kind != "im")
        return self.channels[next(named, where)]

    def now(self) -> str:
        """A fresh ts: the time, unique and growing."""
        self._last = max(self._last + 1, time.time_ns() // 1000)
        return f"{self._last // 10**6}.{self._last % 10**6:06d}"

    def thread(self, channel: str, root: str) -> list[Post]:
        """The root and its replies, oldest first; empty when the root is unknown."""
        here = [p for p in self.posts.values() if p.channel == channel and p.root == root]
        return sorted(here, key=lambda post: float(post.ts)) if root in self.posts else []

    def roots(self, channel: str) -> list[Post]:
        """The messages of a channel that aren't replies, newest first."""
        here = [p for p in self.posts.values() if p.channel == channel and p.root == p.ts]
        return sorted(here, key=lambda post: float(post.ts), reverse=True)

    # What happens to messages, by whomever.

    def put(self, post: Post) -> Post:
        """Add or replace a message and tell everybody."""
        before = self.posts.get(post.ts)
        self.posts[post.ts] = post
        self.authors.setdefault(post.ts, post.user)
        self._tell(Change(before, post))
        return post

    def remove(self, ts: str) -> None:
        """Delete a message; a root with replies stays as a tombstone, as in Slack."""
        post = self.posts[ts]
        if len(self.thread(post.channel, ts)) > 1:
            stone = Post(ts, post.channel, "USLACKBOT", TOMBSTONE, subtype="tombstone")
            self.posts[ts] = stone
            self._tell(Change(post, stone))
            return
        del self.posts[ts]
        self._tell(Change(post, None))

    def _tell(self, change: Change) -> None:
        for listener in self.listeners:
            listener(change)

    # What people do.

    def say(
        self,
        user: str,
        channel: str,
        text: str,
        thread_ts: str | None = None,
        files: Sequence[str] = (),
        subtype: str | None = None,
    ) -> str:
        """A person writes; `<@U...>`, `<#C...>` and links stay, all else is escaped. Returns ts.

        files: names of attachments. Raises ValueError when the person isn't in the channel or the
        thread doesn't exist.
        """
        where, who = self.channel(channel), self.user(user)
        if who.id not in where.members:
            raise ValueError(f"{who.name} is not in {where.name}; add them to its members first")
        if thread_ts is not None and thread_ts not in self.posts:
            raise ValueError(f"there is no message {thread_ts} to reply to in {where.name}")
        wire = markup.typed(text)
        section = {"type": "rich_text_section", "elements": markup.rich_text(wire)}
        block = {"type": "rich_text", "block_id": "typed", "elements": [section]}
        attached = tuple(self._file(who.id, name) for name in files)
        post = Post(
            self.now(),
            where.id,
            who.id,
            wire,
            thread_ts=thread_ts,
            blocks=(block,) if wire else (),
            files=attached,
            subtype=subtype or ("file_share" if files else None),
            client_msg_id=str(uuid.uuid4()),
        )
        return self.put(post).ts

    def _file(self, user: str, name: str) -> dict[str, Any]:
        id_ = f"F{uuid.uuid4().hex[:10].upper()}"
        return {"id": id_, "name": name, "title": name, "user": user, "mode": "hosted", "size": 3}

    def edit(self, ts: str, text: str) -> None:
        """A person rewrites their message."""
        self.put(replace(self.posts[ts], text=markup.typed(text), blocks=(), edited=True))

    def unfurl(self, ts: str) -> None:
        """Slack adds a preview to a message: apps hear of a change though no text changed."""
        self.put(self.posts[ts])

    def stop(self, ts: str) -> None:
        """A person ends the stream of this message by Slack's own button."""
        self.stopped.add(ts)
        self.put(replace(self.posts[ts], streaming=False))

    def delete(self, ts: str) -> None:
        """A person deletes a message, their own or (an admin) the bot's."""
        self.remove(ts)

    def join(self, user: str, channel: str) -> None:
        """A person joins a channel: a join message appears."""
        where, who = self.channel(channel), self.user(user)
        where.members.add(who.id)
        self.say(user, channel, f"<@{who.id}> has joined the channel", subtype="channel_join")
        for listener in self.arrivals:
            listener(who.id, where)

    def expel(self, channel: str, user: str = BOT_USER) -> None:
        """Somebody (the bot by default) is removed from a channel."""
        self.channel(channel).members.discard(self.user(user).id)
