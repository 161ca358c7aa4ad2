"""Our messages behind a question: which of them a post may be whose id was lost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.discord import calls
from adapters.discord.calls import Api
from adapters.discord.ids import is_snowflake, part_id, time_of
from adapters.discord.reading import patiently
from core.types import PartId

KNOWN_FOR = 60.0
"""Seconds for which Discord surely knows a nonce again: "the past few minutes"
(docs.discord.com/developers/resources/message#create-message). Also longer than an id that we got
stays unrecorded (core.turns.journal.AGAIN)."""

SLACK = 5.0
"""Seconds by which Discord's times and ours may differ."""

_PAGE, _PAGES = 100, 5
_PLAIN, _REPLY = 0, 19  # docs.discord.com/developers/resources/message#message-object-message-types


@dataclass(frozen=True, slots=True)
class Behind:
    """What was said in a channel after a question, oldest first. time: Discord's, then."""

    channel: str
    messages: tuple[Mapping[str, Any], ...]
    time: float

    def named(self, nonce: str) -> tuple[PartId, ...]:
        """The messages that still tell this nonce."""
        return self._parts(one for one in self.messages if one.get("nonce") == nonce)

    def hides_nonces(self, bot: str) -> bool:
        """Whether posts of ours, which all have a nonce, are here and none tells it."""
        ours = [one for one in self.messages if _is_post(one, bot)]
        return bool(ours) and not any(one.get("nonce") for one in ours)

    def nameless(self, bot: str, question: str, within: float) -> tuple[PartId, ...]:
        """Our posts whose nonce may be known no more. bot: our user. question: the message that
        they reply to; empty where they reply to none. within: seconds; older ones are others'.
        """
        return self._parts(
            one
            for one in self.messages
            if _is_post(one, bot)
            and _replies_to(one) == question
            and KNOWN_FOR <= self.time - time_of(one["id"]) <= within + SLACK
        )

    def _parts(self, messages: Any) -> tuple[PartId, ...]:
        return tuple(part_id(self.channel, one["id"]) for one in messages)


async def behind(api: Api, channel: str, question: str) -> Behind:
    """What was said since; of more than 500 messages the first. Raises: DeliveryError."""
    messages: list[Mapping[str, Any]] = []
    after = question
    for _ in range(_PAGES):
        query = {"after": after, "limit": str(_PAGE)}
        answer = await patiently(api, calls.READ, {"channel": channel}, query)
        listed = answer.body if isinstance(answer.body, list) else []
        page = [m for m in listed if isinstance(m, Mapping) and is_snowflake(m.get("id"))]
        messages += sorted(page, key=lambda message: int(message["id"]))
        if len(page) < _PAGE:
            break
        after = str(messages[-1]["id"])
    return Behind(channel, tuple(messages), answer.time)


def _is_post(message: Mapping[str, Any], bot: str) -> bool:
    """Whether this user wrote it with its own token, and not an interaction's."""
    plain = message.get("type") in (_PLAIN, _REPLY)
    return plain and _author(message) == bot and not message.get("webhook_id")


def _author(message: Mapping[str, Any]) -> str:
    author = message.get("author")
    return str(author.get("id")) if isinstance(author, Mapping) else ""


def _replies_to(message: Mapping[str, Any]) -> str:
    reference = message.get("message_reference")
    return str(reference.get("message_id")) if isinstance(reference, Mapping) else ""
