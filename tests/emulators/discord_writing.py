"""What Discord checks and works out when an app writes or rewrites a message, by any route."""

import time
from dataclasses import replace
from typing import Any

from tests.emulators import discord_markup as markup
from tests.emulators.discord_routes import Request
from tests.emulators.discord_rules import (
    BOT,
    COMPONENTS_V2,
    CONTENT_LIMIT,
    EPHEMERAL,
    LOADING,
    MENTION_EVERYONE,
    NONCE_LIMIT,
    REPLY,
    SILENT,
    SUPPRESS_EMBEDS,
    Json,
    Refusal,
    invalid,
    too_long,
)
from tests.emulators.discord_world import Message

SETTABLE_ON_CREATE = SUPPRESS_EMBEDS | SILENT | COMPONENTS_V2
SETTABLE_ON_RESPONSE = SETTABLE_ON_CREATE | EPHEMERAL
SETTABLE_ON_EDIT = SUPPRESS_EMBEDS | COMPONENTS_V2
_EMBED_LIMITS = {"title": 256, "description": 4096}
_EMBEDS_TOTAL = 6000


def check(body: Json, prefix: str = "") -> None:
    """Refuse a form that Discord refuses (50035). prefix: where in the request it is."""
    content = body.get("content")
    if content is not None and not isinstance(content, str):
        raise invalid(prefix + "content", "BASE_TYPE_STRING", "Must be a string.")
    if len(content or "") > CONTENT_LIMIT:
        raise too_long(prefix + "content", CONTENT_LIMIT)
    if len(str(body.get("nonce") or "")) > NONCE_LIMIT:
        raise too_long(prefix + "nonce", NONCE_LIMIT)
    _check_embeds(body.get("embeds") or [], prefix)
    markup.allowed(body.get("allowed_mentions"), prefix + "allowed_mentions")
    flags = body.get("flags") or 0
    if flags & COMPONENTS_V2 and (content or body.get("embeds")):
        text = "The 'content' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
        code = "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2"
        raise invalid(prefix + "content", code, text)


def _check_embeds(embeds: list[Json], prefix: str) -> None:
    if len(embeds) > 10:
        raise too_long(prefix + "embeds", 10)
    total = 0
    for number, embed in enumerate(embeds):
        for name, limit in _EMBED_LIMITS.items():
            length = len(embed.get(name) or "")
            total += length
            if length > limit:
                raise too_long(f"{prefix}embeds.{number}.{name}", limit)
    if total > _EMBEDS_TOTAL:
        raise invalid(prefix + "embeds", "MAX_EMBED_SIZE_EXCEEDED", "Embed size exceeds 6000.")


def apply(
    request: Request, message: Message, body: Json, *, everything: bool, settable: int
) -> Message:
    """The message as this form makes it, mentions worked out; what they ping is recorded.

    everything: the default of allowed_mentions (see `markup.pings`). Raises Refusal 50006 when
    nothing is left to show. The text is trimmed, as Discord does. Fields the form leaves out stay.
    """
    fields: dict[str, Any] = {}
    if "content" in body:
        fields["content"] = (body["content"] or "").strip()
    if "flags" in body:
        fields["flags"] = (message.flags & ~settable) | (int(body["flags"] or 0) & settable)
    for name in ("embeds", "components"):
        if body.get(name) is not None:
            fields[name] = tuple(body[name])
    if request.files or "attachments" in body:
        kept = {str(each.get("id")) for each in body.get("attachments") or ()}
        stay = tuple(each for each in message.attachments if each["id"] in kept)
        fields["attachments"] = stay + _attachments(request)
    changed = replace(message, **fields)
    shown = (changed.content, changed.embeds, changed.attachments, changed.components)
    if not any(shown):
        raise Refusal(50006)
    changed = replace(changed, flags=changed.flags & ~LOADING)
    return _with_mentions(request, message, changed, body, everything)


def _with_mentions(
    request: Request, before: Message, after: Message, body: Json, everything: bool
) -> Message:
    if "content" not in body:
        return after
    world = request.world
    channel = world.channels[after.channel]
    target = world.messages.get(after.reply_to[1]) if after.reply_to else None
    new = before.id not in world.messages
    found = markup.pings(
        after.content,
        body.get("allowed_mentions"),
        everything=everything,
        reply=after.type == REPLY and after.meta is None,
        may_everyone=bool(world.permissions(BOT, channel) & MENTION_EVERYONE),
        users=world.users,
        roles=world.guilds[channel.guild].roles if channel.guild else (),
    )
    users = list(found.users)
    if found.replied and target is not None and target.author not in users:
        users.append(target.author)
    fresh = markup.Pings(
        tuple(user for user in found.users if new or user not in before.mentions),
        tuple(role for role in found.roles if new or role not in before.roles),
        found.everyone and (new or not before.everyone),
        found.replied and new,
    )
    request.context.record.pinged(after, fresh)
    return replace(after, mentions=tuple(users), roles=found.roles, everyone=found.everyone)


def _attachments(request: Request) -> tuple[Json, ...]:
    return tuple(
        {
            "id": request.world.snowflake(),
            "filename": name,
            "size": len(data),
            "url": f"https://cdn.invalid/{name}",
            "proxy_url": f"https://media.invalid/{name}",
        }
        for name, data in request.files
    )


def rewritten(message: Message, changed: Message) -> Message:
    """A changed text shows "(edited)", but the first text of a deferred answer does not."""
    texts = [(each.content, each.embeds, each.components) for each in (message, changed)]
    same = texts[0] == texts[1]
    return changed if same or message.loading else replace(changed, edited=time.time())
