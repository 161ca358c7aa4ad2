"""The identities of Discord things as the rest of the program stores them. Pure.

Every format here is written to the database: changing one is a migration.

Discord numbers everything with snowflakes: 64 bits as decimal text, unique for ever, the upper 42
of them milliseconds since 2015 (docs.discord.com/developers/reference#snowflakes).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, TypeGuard

from core.types import PartId, ThreadKey

PLATFORM = "discord"
"""The name of this platform in `Prompt.platform`."""

EPOCH = 1_420_070_400.0
"""Seconds since the Unix epoch at which snowflakes begin."""

TOKEN_LIFE = 15 * 60.0
"""Seconds for which an interaction's token works, counted from the interaction."""

QUESTION = "?"
"""An `Address.opens` that means: named after the prompt."""

_NONCE = 25  # characters; Discord takes no more


@dataclass(frozen=True, slots=True)
class Bot:
    """Who we are. user, application: ids, usually the same number. roles: our own managed ones."""

    user: str
    application: str
    name: str = ""
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a prompt is answered.

    channel: where it was asked: a channel, a thread or a direct message. before: id of the prompt
    itself, a message or an interaction. message: the same, when it is a message to reply to.
    opens: name of the thread to open on the message (or on `answer`); empty where none is wanted,
    `QUESTION` for the question's own words, which are not stored twice (they may have to go).
    replied: id of the message that the prompt replies to. answer: the message that an interaction
    answers with. token: the interaction's. member: the bot itself can see the channel.
    thread: what was said there before is the conversation's past. parent: of a thread, the channel
    that it is in, if that is known.
    """

    channel: str
    before: str
    message: str = ""
    opens: str = ""
    replied: str = ""
    answer: str = ""
    token: str = ""
    member: bool = True
    thread: bool = False
    parent: str = ""

    def encode(self) -> str:
        """The text stored in `Prompt.address`."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> "Address":
        """The address that was encoded, as far as this version knows it: one that is newer may
        have more to say. Raises: ValueError, TypeError for any other text.
        """
        told = json.loads(text)
        return cls(**{name: told[name] for name in cls.__slots__ if name in told})


def parent_of(thread: Mapping[str, Any]) -> str:
    """The channel that a thread is in; empty when that isn't told."""
    told = thread.get("parent_id")
    return told if is_snowflake(told) else ""


def naming(channel: str) -> tuple[str, ...]:
    """Of these, the encoded address of every prompt in a channel or in one of its threads contains
    one. No other does: a quotation mark in words of people is escaped.
    """
    return tuple(f'"{name}":"{channel}"' for name in ("channel", "parent"))


def thread_key(guild: str, channel: str) -> ThreadKey:
    """The conversation in one thread or direct message. guild: empty in direct messages.

    A thread opened on a message has that message's id, so its key is known before it exists.
    """
    return ThreadKey(f"{PLATFORM}:{guild or '@me'}:{channel}")


def keys_in(guild: str) -> str:
    """How the keys of all conversations in a server begin."""
    return thread_key(guild, "")


def keys_near(thread: ThreadKey) -> str:
    """How the keys of all conversations in its server begin. Outside of servers: of those of one
    direct message, which is one, or of one person.
    """
    platform, guild, channel = thread.split(":")[:3]
    return f"{platform}:{guild}:" + (channel.partition("#")[0] if guild == "@me" else "")


def personal_key(user: str, channel: str) -> ThreadKey:
    """The conversation of one person in a place where the bot itself is not."""
    return ThreadKey(f"{PLATFORM}:@{user}:{channel}")


def channel_of(thread: ThreadKey) -> str:
    """The thread or channel of a conversation."""
    return thread.rpartition(":")[2]


def guild_of(thread: ThreadKey) -> str:
    """The server of a conversation; something with an @ where there is none."""
    return thread.split(":")[1]


def identity(snowflake: str) -> str:
    """One message or interaction for ever: the deduplication key."""
    return f"{PLATFORM}:{snowflake}"


def part_id(channel: str, message: str) -> PartId:
    """The id of a message of ours. channel: empty when only the interaction can reach it."""
    return PartId(f"{channel}:{message}")


def split_part_id(part: PartId) -> tuple[str, str]:
    """Channel and message of a message of ours."""
    channel, _, message = part.partition(":")
    return channel, message


def is_snowflake(value: object) -> TypeGuard[str]:
    """Whether it is an id of Discord's."""
    return isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= 20


def sequence(snowflake: str) -> str:
    """The id padded so that the order of the text is the order of time."""
    return snowflake.rjust(20, "0")


def time_of(snowflake: str) -> float:
    """When it was made, in seconds since the Unix epoch."""
    return (int(snowflake) >> 22) / 1000 + EPOCH


def first_after(seconds: float) -> str:
    """The smallest id that anything made after this moment can have."""
    return str(max(0, int((seconds - EPOCH) * 1000)) << 22)


def nonce(identity_: str, key: str) -> str:
    """A name for one post: the same for a repeated attempt, different for every other post.

    identity_: of the prompt that is answered. key: the engine's name for the post.
    """
    return sha256(f"{identity_}\n{key}".encode()).hexdigest()[:_NONCE]
