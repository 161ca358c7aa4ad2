"""The state as JSON, in the shapes that Discord sends (resources/* of its docs, API v10)."""

from datetime import UTC, datetime

from tests.emulators.discord_model import Channel, Guild, Message, Role, State, User
from tests.emulators.discord_rules import (
    BOT,
    DM,
    FORUM,
    PRIVATE_THREAD,
    REPLY,
    STARTER,
    THREAD_CREATED,
    VOICE,
    Json,
)

_JOINED = "2026-01-01T00:00:00+00:00"


def moment(seconds: float) -> str:
    """A time as Discord writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")


def readable(state: State, message: Message) -> bool:
    """Whether the app gets the content without the message content intent.

    Its own messages, direct ones and those that mention it (gateway docs, "exempt" messages).
    """
    if message.author == BOT or BOT in message.mentions:
        return True
    return state.channels[message.channel].type == DM


def user(who: User) -> Json:
    """A user."""
    return {
        "id": who.id,
        "username": who.name,
        "global_name": None if who.bot else who.name.title(),
        "discriminator": "4242" if who.bot else "0",
        "avatar": None,
        "bot": who.bot,
        "system": False,
        "banner": None,
        "accent_color": None,
        "avatar_decoration_data": None,
        "public_flags": 0,
        "flags": 0,
    }


def bare_member(state: State, guild: str, who: str) -> Json:
    """A member without the user, as it stands beside a message."""
    return {
        "roles": list(state.guilds[guild].members.get(who, ())),
        "nick": None,
        "avatar": None,
        "joined_at": _JOINED,
        "premium_since": None,
        "deaf": False,
        "mute": False,
        "pending": False,
        "flags": 0,
        "communication_disabled_until": None,
    }


def member(state: State, guild: str, who: str) -> Json:
    """A member with the user."""
    return bare_member(state, guild, who) | {"user": user(state.users[who])}


def thread_member(thread: Channel, who: str) -> Json:
    """Somebody in a thread."""
    return {"id": thread.id, "user_id": who, "join_timestamp": _JOINED, "flags": 0}


def role(one: Role) -> Json:
    """A role."""
    body: Json = {
        "id": one.id,
        "name": one.name,
        "permissions": str(one.permissions),
        "position": one.position,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "icon": None,
        "unicode_emoji": None,
        "managed": bool(one.bot),
        "mentionable": False,
        "flags": 0,
    }
    return body | ({"tags": {"bot_id": one.bot}} if one.bot else {})


def guild(state: State, one: Guild) -> Json:
    """A guild as GUILD_CREATE brings it: with channels, the visible threads, members."""
    mine = [c for c in state.channels.values() if c.guild == one.id and not c.is_thread]
    threads = [thread for thread in state.threads(one.id) if state.bot_sees(thread)]
    body: Json = dict.fromkeys(
        ("icon", "splash", "discovery_splash", "banner", "description", "vanity_url_code"),
    )
    body |= dict.fromkeys(("afk_channel_id", "system_channel_id", "rules_channel_id"))
    body |= dict.fromkeys(("public_updates_channel_id", "safety_alerts_channel_id"))
    body |= dict.fromkeys(("verification_level", "default_message_notifications"), 0)
    body |= dict.fromkeys(("explicit_content_filter", "mfa_level", "nsfw_level"), 0)
    body |= dict.fromkeys(("premium_tier", "premium_subscription_count"), 0)
    for name in ("emojis", "stickers", "features", "voice_states", "presences"):
        body[name] = []
    for name in ("stage_instances", "guild_scheduled_events", "soundboard_sounds"):
        body[name] = []
    return body | {
        "id": one.id,
        "name": one.name,
        "owner_id": one.owner,
        "application_id": None,
        "afk_timeout": 300,
        "preferred_locale": "en-US",
        "premium_progress_bar_enabled": False,
        "system_channel_flags": 0,
        "joined_at": one.joined,
        "large": False,
        "unavailable": False,
        "member_count": len(one.members),
        "roles": [role(each) for each in one.roles.values()],
        "channels": [channel(state, each) for each in mine],
        "threads": [channel(state, each) for each in threads],
        "members": [member(state, one.id, who) for who in one.members],
    }


def _newest(state: State, one: Channel) -> str | None:
    """Id of a channel's newest message; of a forum's newest post."""
    if one.type == FORUM:
        return max((c.id for c in state.channels.values() if c.parent == one.id), default=None)
    messages = state.history(one.id)
    return messages[-1].id if messages else None


def channel(state: State, one: Channel) -> Json:
    """A channel, thread or direct conversation."""
    body: Json = {"id": one.id, "type": one.type, "flags": 0}
    body["last_message_id"] = _newest(state, one)
    if one.type == DM:
        others = [user(state.users[who]) for who in sorted(one.members) if who != BOT]
        return body | {"recipients": others}
    body |= {"guild_id": one.guild, "name": one.name, "rate_limit_per_user": 0}
    if one.is_thread:
        return body | _thread(one, len(state.history(one.id)))
    body |= {"position": 0, "parent_id": None, "topic": None, "nsfw": False}
    body["permission_overwrites"] = [
        {
            "id": id_,
            "type": 0 if id_ in state.guilds[one.guild].roles else 1,
            "allow": str(allow),
            "deny": str(deny),
        }
        for id_, (allow, deny) in one.overwrites.items()
    ]
    if one.type == VOICE:
        body |= {"bitrate": 64000, "user_limit": 0, "rtc_region": None}
    if one.type == FORUM:
        body |= {"available_tags": [], "default_reaction_emoji": None}
        body |= {"default_sort_order": None, "default_forum_layout": 0}
    return body


def _thread(one: Channel, messages: int) -> Json:
    metadata: Json = {
        "archived": one.archived,
        "auto_archive_duration": one.minutes,
        "archive_timestamp": moment(one.archived_at),
        "locked": one.locked,
        "create_timestamp": _JOINED,
    }
    if one.type == PRIVATE_THREAD:
        metadata["invitable"] = True
    body: Json = {
        "parent_id": one.parent,
        "owner_id": one.owner,
        "message_count": max(0, messages - 1),
        "total_message_sent": max(0, messages - 1),
        "member_count": min(50, len(one.members)),
        "thread_metadata": metadata,
    }
    return body | ({"member": thread_member(one, BOT)} if BOT in one.members else {})


def message(state: State, one: Message, *, content: bool = True, nonce: bool = False) -> Json:
    """A message as REST gives it.

    content: False blanks what the app may not read (see `readable`), in the message it refers to
    too. nonce: whether it is told.
    """
    body = _alone(state, one, content)
    if nonce and one.nonce is not None:
        body["nonce"] = one.nonce
    if one.reply_to is not None:
        body |= _reference(state, one, content)
    thread = state.channels.get(one.id)
    if thread is not None and thread.parent == one.channel:
        body["thread"] = channel(state, thread)
    return body


def _alone(state: State, one: Message, content: bool) -> Json:
    shown = content or readable(state, one)
    body: Json = {
        "id": one.id,
        "channel_id": one.channel,
        "type": one.type,
        "author": user(state.users[one.author]),
        "content": one.content if shown else "",
        "embeds": list(one.embeds) if shown else [],
        "attachments": list(one.attachments) if shown else [],
        "components": list(one.components) if shown else [],
        "mentions": [user(state.users[who]) for who in one.mentions],
        "mention_roles": list(one.roles),
        "mention_everyone": one.everyone,
        "timestamp": moment(one.created),
        "edited_timestamp": None if one.edited is None else moment(one.edited),
        "flags": one.flags,
        "pinned": False,
        "tts": False,
    }
    if one.meta is not None:
        body |= {"interaction_metadata": one.meta, "application_id": BOT, "webhook_id": BOT}
    return body


def _reference(state: State, one: Message, content: bool) -> Json:
    """What it answers. A deleted one is null, and only replies and thread starters show theirs."""
    assert one.reply_to is not None
    where, id_ = one.reply_to
    reference: Json = {"type": 0, "channel_id": where}
    here = state.channels[one.channel]
    if here.guild:
        reference["guild_id"] = here.guild
    if one.type == THREAD_CREATED:
        return {"message_reference": reference}
    reference["message_id"] = id_
    body: Json = {"message_reference": reference}
    if one.type in (REPLY, STARTER):
        target = state.messages.get(id_)
        body["referenced_message"] = None if target is None else _alone(state, target, content)
    return body


def message_event(state: State, one: Message, *, content: bool = True, nonce: bool = False) -> Json:
    """A message as the gateway brings it: in guilds with the guild and the members it names."""
    body = message(state, one, content=content, nonce=nonce)
    place = state.channels[one.channel].guild
    if not place:
        return body | {"channel_type": DM}
    for mention in body["mentions"]:
        mention["member"] = bare_member(state, place, mention["id"])
    return body | {"guild_id": place, "member": bare_member(state, place, one.author)}
