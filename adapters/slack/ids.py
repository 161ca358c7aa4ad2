"""The identities of Slack things as the rest of the program stores them. Pure.

Every format here is written to the database: changing one is a migration.

A Slack message is identified by its conversation and its `ts`, "seconds.microseconds" as text,
unique within the conversation (docs.slack.dev/messaging/retrieving-messages).
"""

import json
from dataclasses import asdict, dataclass
from typing import TypeGuard
from uuid import UUID, uuid5

from core.types import PartId, Prompt, ThreadKey

PLATFORM = "slack"
"""The name of this platform in `Prompt.platform`."""

_POSTS = UUID("0d5c9a52-6f0e-4b3e-9c53-8f7f5f0f4a11")


@dataclass(frozen=True, slots=True)
class Bot:
    """Who we are in the workspace, as auth.test says. name: without the @."""

    user: str
    bot: str
    team: str
    name: str = ""
    workspace: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a prompt is answered. user: who asked. ts: the prompt's own; thread_ts: the root's.

    home: the workspace of who asked, where it isn't ours (docs.slack.dev/apis/slack-connect).
    """

    team: str
    channel: str
    thread_ts: str
    ts: str
    user: str
    home: str = ""

    def encode(self) -> str:
        """The text stored in `Prompt.address`."""
        known = {name: value for name, value in asdict(self).items() if value or name != "home"}
        return json.dumps(known, separators=(",", ":"))

    @classmethod
    def decode(cls, text: str) -> "Address":
        """The address that was encoded, as far as this version knows it: one that is newer may
        have more to say. Raises: ValueError, TypeError for any other text.
        """
        told = json.loads(text)
        return cls(**{name: told[name] for name in cls.__slots__ if name in told})


def thread_key(team: str, channel: str, thread_ts: str) -> ThreadKey:
    """The conversation under one root message."""
    return ThreadKey(f"{PLATFORM}:{team}:{channel}:{thread_ts}")


def place_of(thread: ThreadKey) -> tuple[str, str, str]:
    """The workspace, the channel and the root message of a conversation."""
    team, channel, thread_ts = thread.split(":")[1:]
    return team, channel, thread_ts


def keys_near(thread: ThreadKey) -> str:
    """How the keys of all conversations in its channel begin; also of one that has more behind."""
    return ":".join([*thread.split(":")[:3], ""])


def message_identity(team: str, channel: str, ts: str) -> str:
    """One message for ever, whichever event brought it: the deduplication key."""
    return f"{PLATFORM}:{team}:{channel}:{ts}"


def part_id(channel: str, ts: str) -> PartId:
    """The id of a message that we posted."""
    return PartId(f"{channel}:{ts}")


def split_part_id(part: PartId) -> tuple[str, str]:
    """Channel and ts of a message that we posted."""
    channel, _, ts = part.partition(":")
    return channel, ts


def is_ts(value: object) -> TypeGuard[str]:
    """Whether it is a Slack timestamp: digits, a dot, digits."""
    if not isinstance(value, str):
        return False
    seconds, dot, micros = value.partition(".")
    return bool(dot) and all(part.isascii() and part.isdecimal() for part in (seconds, micros))


def sequence(ts: str) -> str:
    """The ts padded so that the order of the text is the order of time."""
    seconds, _, micros = ts.partition(".")
    return f"{seconds:0>12}.{micros:0<6}"


def is_aside(prompt: Prompt) -> bool:
    """Whether the prompt has a conversation of its own, beside the one of its thread: it came when
    too many waited there (`core.store.inbox`)."""
    return prompt.thread.endswith(f"#{prompt.identity}")


def post_id(identity: str, key: str) -> str:
    """A UUID for one post: the same for a repeated attempt, different for every other post.

    identity: of the prompt that is answered. key: the engine's name for the post.
    """
    return str(uuid5(_POSTS, f"{identity}\n{key}"))
