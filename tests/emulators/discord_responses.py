"""REST: how the app answers an interaction: the callback, then webhook calls with its token.

https://docs.discord.com/developers/interactions/receiving-and-responding. Neither needs the bot
token nor counts towards the global limit.
"""

from dataclasses import replace
from typing import Any

from tests.emulators import discord_forms as forms
from tests.emulators import discord_wire as wire
from tests.emulators import discord_writing as writing
from tests.emulators.discord_interaction import (
    ANSWER,
    COMMAND,
    COMPONENT,
    DEFER,
    DEFER_UPDATE,
    FOLLOWUPS_OUTSIDE,
    MODAL,
    SUBMIT,
    UPDATE,
    Interaction,
)
from tests.emulators.discord_limits import WEBHOOK
from tests.emulators.discord_model import Message
from tests.emulators.discord_routes import Request, Route
from tests.emulators.discord_rules import (
    BOT,
    EPHEMERAL,
    LOADING,
    MENU,
    REPLY,
    SLASH,
    Json,
    Refusal,
    not_one_of,
    required,
)

_ALLOWED = {
    COMMAND: (ANSWER, DEFER, MODAL),
    COMPONENT: (ANSWER, DEFER, DEFER_UPDATE, UPDATE, MODAL),
    SUBMIT: (ANSWER, DEFER),
}


def callback(request: Request) -> Json | None:
    """The first response. None (204) unless `with_response` is asked for."""
    interaction = _unanswered(request)
    body = request.form()
    kind = body.get("type")
    if kind is None:
        raise required("type")
    allowed = _ALLOWED[interaction.type]
    if interaction.type == SUBMIT and interaction.source:
        allowed = (*allowed, DEFER_UPDATE, UPDATE)
    if kind not in allowed:
        raise not_one_of("type", allowed)
    data = body.get("data")
    if data is not None and not isinstance(data, dict):
        raise required("data")
    message = _respond(request, interaction, kind, data or {})
    interaction.acked_after, interaction.response = interaction.age, kind
    if message is not None:
        interaction.message_id = message.id
        interaction.messages.append(message.id)
    request.context.record.ring()
    wanted = request.query.get("with_response", "").lower() in ("true", "1")
    if not (wanted and request.context.tells_answers):
        return None
    return _resource(request, interaction, message)


def _unanswered(request: Request) -> Interaction:
    interaction: Interaction | None = request.context.interactions.get(request.names["token"])
    if interaction is None or interaction.id != request.names["interaction"]:
        raise Refusal(10062)
    if interaction.acked_after is not None:
        interaction.refused_again += 1
        raise Refusal(40060)
    if interaction.age > request.context.ack_timeout:
        raise Refusal(10062)
    return interaction


def _respond(request: Request, interaction: Interaction, kind: int, data: Json) -> Message | None:
    """Do what the response says; the message it is about, None for a form."""
    if kind == MODAL:
        forms.check(data)
        interaction.modal = data
        return None
    if kind == DEFER:
        flags = LOADING | int(data.get("flags") or 0) & EPHEMERAL
        return _shown(request, interaction, _blank(request, interaction, flags))
    if kind == DEFER_UPDATE:
        return _source(request, interaction)
    writing.check(data, "data.")
    if kind == UPDATE:
        return _rewrite(request, interaction, _source(request, interaction), data)
    return _new(request, interaction, _blank(request, interaction, data.get("flags") or 0), data)


def _source(request: Request, interaction: Interaction) -> Message:
    message = request.world.messages.get(interaction.source)
    if message is None:
        raise Refusal(10008)
    return message


def _blank(request: Request, interaction: Interaction, flags: int) -> Message:
    """An answer without a text. Ephemeral ones are the asker's alone."""
    opener = interaction.opener or interaction
    type_ = {"slash": SLASH, "menu": MENU}.get(opener.kind, REPLY)
    return Message(
        request.world.snowflake(),
        interaction.channel,
        BOT,
        type=type_,
        flags=flags & (LOADING | EPHEMERAL),
        reply_to=(interaction.channel, interaction.source) if type_ == REPLY else None,
        meta=interaction.meta(),
        asker=interaction.asker if flags & EPHEMERAL else "",
    )


def _new(request: Request, interaction: Interaction, blank: Message, data: Json) -> Message:
    if interaction.channel not in request.world.channels:
        raise Refusal(10003)
    form = {"content": "", **data}
    settable = writing.SETTABLE_ON_RESPONSE
    message = writing.apply(request, blank, form, everything=False, settable=settable)
    return _shown(request, interaction, message)


def _rewrite(request: Request, interaction: Interaction, message: Message, data: Json) -> Message:
    """Change an answer; the first text of a deferred one doesn't count as an edit."""
    if request.world.channels[message.channel].archived:
        raise Refusal(50083)
    settable = writing.SETTABLE_ON_EDIT
    changed = writing.apply(request, message, data, everything=False, settable=settable)
    return _shown(request, interaction, writing.rewritten(message, changed))


def _shown(request: Request, interaction: Interaction, message: Message) -> Message:
    if message.asker:
        interaction.ephemeral.append(message.content)
    return request.world.put(message)


def _resource(request: Request, interaction: Interaction, message: Message | None) -> Json:
    about: Json = {"id": interaction.id, "type": interaction.type}
    resource: Json = {"type": interaction.response}
    if message is not None:
        about["response_message_id"] = message.id
        about["response_message_loading"] = message.loading
        about["response_message_ephemeral"] = bool(message.asker)
        if interaction.response in (ANSWER, UPDATE):
            resource["message"] = wire.message(request.world, message)
    return {"interaction": about, "resource": resource}


# With the token, after the first response.


def _alive(request: Request) -> Interaction:
    """The interaction of a token that was used and is not over. Raises Refusal."""
    context = request.context
    interaction: Interaction | None = context.interactions.get(request.names["token"])
    if interaction is None or request.names["app"] != context.app.id:
        raise Refusal(10015)
    if interaction.age > context.token_life:
        raise Refusal(50027)
    if interaction.acked_after is None:
        raise Refusal(10015)
    return interaction


def _find(request: Request, interaction: Interaction) -> Message:
    id_ = request.names.get("message", interaction.message_id)
    message = request.world.messages.get(id_)
    if message is None or id_ not in interaction.messages:
        raise Refusal(10008)
    return message


def get(request: Request) -> Json:
    """One of the answers."""
    return wire.message(request.world, _find(request, _alive(request)))


def edit(request: Request) -> Json:
    """Rewrite one of the answers."""
    interaction = _alive(request)
    message, body = _find(request, interaction), request.form()
    writing.check(body)
    return wire.message(request.world, _rewrite(request, interaction, message, body))


def delete(request: Request) -> None:
    """Delete one of the answers."""
    request.world.remove(_find(request, _alive(request)).id)


def follow_up(request: Request) -> Json:
    """A further answer, or the first one while the original only shows "thinking"."""
    interaction, body = _alive(request), request.form()
    writing.check(body)
    if interaction.outside and interaction.followups >= FOLLOWUPS_OUTSIDE:
        text = "This interaction has reached the maximum number of follow-up messages"
        raise Refusal(40094, message=text)
    original = request.world.messages.get(interaction.message_id)
    if original is not None and original.loading:
        message = _rewrite(request, interaction, original, {"content": "", **body})
    else:
        blank = _blank(request, interaction, int(body.get("flags") or 0))
        meta = interaction.meta() | {"original_response_message_id": interaction.message_id}
        reply = (interaction.channel, interaction.message_id) if interaction.message_id else None
        blank = replace(blank, type=REPLY if reply else blank.type, reply_to=reply, meta=meta)
        message = _new(request, interaction, blank, body)
        interaction.messages.append(message.id)
    interaction.followups += 1
    return wire.message(request.world, message)


def gateway_bot(request: Request) -> Json:
    """Where to connect and how many identifies are left today."""
    gateway = request.context.gateway
    start: Json = {"total": gateway.identify_limit, "remaining": gateway.starts_left}
    start |= {"reset_after": gateway.resets_in, "max_concurrency": gateway.buckets}
    return gateway_address(request) | {"shards": gateway.shards, "session_start_limit": start}


def gateway_address(request: Request) -> Json:
    """Where to connect."""
    return {"url": f"{request.context.gateway.address}/gateway/"}


def _webhook(run: Any) -> Route:
    return Route(run, auth=False, counted=False, bucket=WEBHOOK)


_HOOK = "/webhooks/{app}/{token}"
_AT = ("@original", "{message}")
ROUTES: dict[str, Route] = {
    "POST /interactions/{interaction}/{token}/callback": Route(callback, auth=False, counted=False),
    f"POST {_HOOK}": _webhook(follow_up),
    **{f"GET {_HOOK}/messages/{at}": _webhook(get) for at in _AT},
    **{f"PATCH {_HOOK}/messages/{at}": _webhook(edit) for at in _AT},
    **{f"DELETE {_HOOK}/messages/{at}": _webhook(delete) for at in _AT},
    "GET /gateway/bot": Route(gateway_bot),
    "GET /gateway": Route(gateway_address, auth=False),
}
