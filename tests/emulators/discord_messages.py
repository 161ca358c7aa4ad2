"""REST: messages, typing, reactions, with the bot token."""

import time
from typing import Any

from tests.emulators import discord_wire as wire
from tests.emulators import discord_writing as writing
from tests.emulators.discord_routes import Request, Route, find, may, reach, sending, snowflake
from tests.emulators.discord_rules import (
    ADD_REACTIONS,
    ATTACH,
    BOT,
    DM,
    FORUM,
    MANAGE_MESSAGES,
    MANAGE_THREADS,
    PLAIN,
    READ_HISTORY,
    REPLY,
    STARTER,
    Json,
    Refusal,
    invalid,
    not_one_of,
)
from tests.emulators.discord_world import Channel, Message

_HOUR = 3600.0


class Slow(Refusal):
    """A 429 inside a route. wait: seconds."""

    def __init__(self, code: int, wait: float) -> None:
        super().__init__(code)
        self.wait = wait


def show(request: Request, message: Message, *, created: bool = False) -> Json:
    """A message as REST gives it to this app. created: it answers its creation, with the nonce."""
    context = request.context
    nonce = created or context.nonces_readable
    return wire.message(context.world, message, content=context.app.message_content, nonce=nonce)


def open_for_writing(request: Request, channel: Channel) -> None:
    """Refuse to post where nobody can: forums, locked threads, people who take no messages."""
    if channel.type == FORUM:
        raise Refusal(50008)
    if channel.locked and not may(request, channel, MANAGE_THREADS):
        raise Refusal(50083 if channel.archived else 160005)
    if channel.type == DM and any(request.world.users[who].closed for who in channel.members):
        raise Refusal(50007)


def post(request: Request) -> Json:
    """Create a message. With `enforce_nonce`, one of the same nonce is returned instead."""
    channel = reach(request)
    body = request.form()
    writing.check(body)
    if not may(request, channel, sending(channel)):
        raise Refusal(50013)
    if request.files and not may(request, channel, ATTACH):
        raise Refusal(50013)
    open_for_writing(request, channel)
    nonce = body.get("nonce")
    if nonce is not None and body.get("enforce_nonce"):
        when, known = request.context.nonces.get(str(nonce), (0.0, ""))
        fresh = time.monotonic() - when < request.context.nonce_life
        if fresh and known in request.world.messages:
            return show(request, request.world.messages[known], created=True)
    return show(request, new_message(request, channel, body), created=True)


def new_message(request: Request, channel: Channel, body: Json, id_: str = "") -> Message:
    """A new message of the bot, put into the channel. Raises Refusal."""
    nonce = None if body.get("nonce") is None else str(body["nonce"])
    reply = _reference(request, channel, body.get("message_reference"))
    kind = REPLY if reply else PLAIN
    id_ = id_ or request.world.snowflake()
    blank = Message(id_, channel.id, BOT, type=kind, reply_to=reply, nonce=nonce)
    form = {"content": "", **body}
    settable = writing.SETTABLE_ON_CREATE
    message = writing.apply(request, blank, form, everything=True, settable=settable)
    if nonce is not None:
        request.context.nonces[nonce] = (time.monotonic(), message.id)
    return request.world.put(message)


def _reference(request: Request, channel: Channel, reference: Any) -> tuple[str, str] | None:
    if not reference:
        return None
    if not may(request, channel, READ_HISTORY):
        raise Refusal(160002)
    id_ = snowflake(reference.get("message_id"), "message_reference.message_id")
    if reference.get("type"):
        raise not_one_of("message_reference.type", (0,))
    if str(reference.get("channel_id") or channel.id) != channel.id:
        text = "Cannot reply to a message in a different channel"
        raise invalid("message_reference", "REPLIES_CANNOT_REFERENCE_OTHER_CHANNEL", text)
    target = request.world.messages.get(id_)
    if target is not None and target.channel == channel.id and not target.asker:
        if target.system:
            text = "Cannot reply to a system message"
            raise invalid("message_reference", "REPLIES_CANNOT_REPLY_TO_SYSTEM_MESSAGE", text)
        return (channel.id, id_)
    if reference.get("fail_if_not_exists", True):
        raise invalid("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
    return None


def edit(request: Request) -> Json:
    """Rewrite one of the bot's own messages."""
    channel = reach(request)
    message = find(request, channel)
    body = request.form()
    if message.author != BOT:
        raise Refusal(50005)
    if message.system or message.loading:
        raise Refusal(50021)
    if channel.archived:
        raise Refusal(50083)
    writing.check(body)
    limits = request.context.limits
    old = limits is not None and time.time() - message.created > _HOUR
    if limits is not None and old and (wait := limits.old_edit(channel.id)):
        raise Slow(30046, wait)
    settable = writing.SETTABLE_ON_EDIT
    everything = message.meta is None
    changed = writing.apply(request, message, body, everything=everything, settable=settable)
    changed = writing.rewritten(message, changed)
    return show(request, request.world.put(changed))


def delete(request: Request) -> None:
    """Delete a message: somebody else's takes MANAGE_MESSAGES."""
    channel = reach(request)
    message = find(request, channel)
    if message.type == STARTER:
        raise Refusal(50021)
    if message.author != BOT:
        if channel.type == DM:
            raise Refusal(50003)
        if not may(request, channel, MANAGE_MESSAGES):
            raise Refusal(50013)
    request.world.remove(message.id)


def get(request: Request) -> Json:
    """One message."""
    channel = reach(request, READ_HISTORY)
    return show(request, find(request, channel))


def read(request: Request) -> list[Json]:
    """Messages, newest first: 50, or `limit` of 1 to 100, before, after or around an id.

    Empty without the permission to read the history.
    """
    channel = reach(request)
    limit = _number(request, "limit", 50)
    if not 1 <= limit <= 100:
        text = "int value should be between 1 and 100."
        raise invalid("limit", "NUMBER_TYPE_MAX", text)
    if not may(request, channel, READ_HISTORY):
        return []
    found = request.world.history(channel.id)
    if before := _number(request, "before"):
        found = [m for m in found if int(m.id) < before]
    elif after := _number(request, "after"):
        found = [m for m in found if int(m.id) > after][:limit]
    elif around := _number(request, "around"):
        first = sum(int(m.id) < around for m in found) - limit // 2
        found = found[max(0, first) :][:limit]
    return [show(request, message) for message in reversed(found[-limit:])]


def _number(request: Request, name: str, default: int = 0) -> int:
    return int(snowflake(request.query.get(name, default), name))


def typing(request: Request) -> None:
    """The bot is typing, for 10 seconds."""
    channel = reach(request)
    if not may(request, channel, sending(channel)):
        raise Refusal(50013)
    request.context.record.typed(channel.id)


def react(request: Request) -> None:
    """Put an emoji on a message."""
    channel = reach(request, ADD_REACTIONS, READ_HISTORY)
    find(request, channel)
    if channel.archived:
        raise Refusal(50083)


def unreact(request: Request) -> None:
    """Take the bot's own emoji off a message; one that is not there is taken off as well."""
    find(request, reach(request, READ_HISTORY))


_MESSAGES = "/channels/{channel}/messages"
_EMOJI = f"{_MESSAGES}/{{message}}/reactions/{{emoji}}/@me"
ROUTES: dict[str, Route] = {
    f"POST {_MESSAGES}": Route(post),
    f"GET {_MESSAGES}": Route(read),
    f"GET {_MESSAGES}/{{message}}": Route(get),
    f"PATCH {_MESSAGES}/{{message}}": Route(edit),
    f"DELETE {_MESSAGES}/{{message}}": Route(delete),
    f"PUT {_EMOJI}": Route(react),
    f"DELETE {_EMOJI}": Route(unreact),
    "POST /channels/{channel}/typing": Route(typing),
}
