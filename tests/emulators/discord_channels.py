"""REST: channels, threads, members, guilds, the bot itself."""

from tests.emulators import discord_wire as wire
from tests.emulators import discord_writing as writing
from tests.emulators.discord_messages import new_message, show
from tests.emulators.discord_routes import Request, Route, find, may, reach, sending, snowflake
from tests.emulators.discord_rules import (
    ANNOUNCEMENT,
    ARCHIVE_MINUTES,
    BOT,
    CREATE_PRIVATE,
    CREATE_THREADS,
    DM,
    FORUM,
    MANAGE_THREADS,
    MENU,
    NAME_LIMIT,
    PLAIN,
    PRIVATE_THREAD,
    PUBLIC_THREAD,
    REPLY,
    SEND,
    SLASH,
    TEXT,
    THREADS,
    Json,
    Refusal,
    bad_length,
    not_one_of,
    required,
)
from tests.emulators.discord_world import Channel, Guild

_HELD_BY_OWNER = {"archived", "locked", "auto_archive_duration", "name", "rate_limit_per_user"}


def _thread_form(body: Json) -> tuple[str, int]:
    name = str(body.get("name") or "").strip()
    if "name" not in body:
        raise required("name")
    if not 1 <= len(name) <= NAME_LIMIT:
        raise bad_length("name", 1, NAME_LIMIT)
    minutes = body.get("auto_archive_duration") or 1440
    if minutes not in ARCHIVE_MINUTES:
        raise not_one_of("auto_archive_duration", ARCHIVE_MINUTES)
    return name, minutes


def thread_on_message(request: Request) -> Json:
    """Open a thread on a message: it gets the message's id. One a message."""
    channel = reach(request)
    if channel.type not in (TEXT, ANNOUNCEMENT):
        raise Refusal(50024)
    message = find(request, channel)
    name, minutes = _thread_form(request.form())
    if not may(request, channel, CREATE_THREADS):
        raise Refusal(50013)
    if message.type not in (PLAIN, REPLY, SLASH, MENU):
        raise Refusal(50021)
    if message.id in request.world.channels or message.id in request.world.gone_channels:
        raise Refusal(160004)
    thread = request.world.start_thread(channel, BOT, name, message=message, minutes=minutes)
    return wire.channel(request.world, thread)


def new_thread(request: Request) -> Json:
    """Open a thread without a message, or a forum post with its first message."""
    channel = reach(request)
    body = request.form()
    name, minutes = _thread_form(body)
    if channel.type == FORUM:
        return _forum_post(request, channel, name, minutes, body)
    if channel.type not in (TEXT, ANNOUNCEMENT):
        raise Refusal(50024)
    type_ = body.get("type", PRIVATE_THREAD)
    if type_ not in THREADS:
        raise not_one_of("type", THREADS)
    if not may(request, channel, CREATE_THREADS if type_ == PUBLIC_THREAD else CREATE_PRIVATE):
        raise Refusal(50013)
    thread = request.world.start_thread(channel, BOT, name, type_=type_, minutes=minutes)
    return wire.channel(request.world, thread)


def _forum_post(request: Request, forum: Channel, name: str, minutes: int, body: Json) -> Json:
    if not isinstance(body.get("message"), dict):
        raise required("message")
    writing.check(body["message"], "message.")
    if not (body["message"].get("content") or request.files or body["message"].get("embeds")):
        raise Refusal(50006)
    if not may(request, forum, SEND):
        raise Refusal(50013)
    thread = request.world.start_thread(forum, BOT, name, minutes=minutes)
    message = new_message(request, thread, body["message"], thread.id)
    return wire.channel(request.world, thread) | {"message": show(request, message)}


def get_channel(request: Request) -> Json:
    """A channel, thread or direct message."""
    return wire.channel(request.world, reach(request))


def change_channel(request: Request) -> Json:
    """Change a thread: archive, open, lock, rename. An archived one must be opened first."""
    channel = reach(request)
    body = request.form()
    if not channel.is_thread:
        raise Refusal(50003 if channel.type == DM else 50013)
    moderator = may(request, channel, MANAGE_THREADS)
    if channel.archived and body.get("archived") is not False:
        raise Refusal(50083)
    if channel.locked and not moderator:
        raise Refusal(160005)
    opening = set(body) == {"archived"} and body["archived"] is False
    allowed = channel.owner == BOT and set(body) <= _HELD_BY_OWNER
    if opening and not may(request, channel, sending(channel)):
        raise Refusal(50013)
    if not (moderator or opening or allowed):
        raise Refusal(50013)
    if "name" in body or "auto_archive_duration" in body:
        form = {"name": channel.name, "auto_archive_duration": channel.minutes} | body
        channel.name, channel.minutes = _thread_form(form)
    request.world.change_thread(channel, body.get("archived"), body.get("locked"))
    return wire.channel(request.world, channel)


def delete_channel(request: Request) -> Json:
    """Delete a thread: takes MANAGE_THREADS."""
    channel = reach(request)
    body = wire.channel(request.world, channel)
    if channel.type != DM:
        if not (channel.is_thread and may(request, channel, MANAGE_THREADS)):
            raise Refusal(50013)
        request.world.delete_channel(channel.id)
    return body


def join(request: Request) -> None:
    """The bot becomes a member of a thread."""
    thread = _thread(request)
    if thread.archived:
        raise Refusal(50083)
    if BOT not in thread.members:
        request.world.join_thread(thread, BOT)


def leave(request: Request) -> None:
    """The bot leaves a thread."""
    _thread(request).members.discard(BOT)


def members(request: Request) -> list[Json]:
    """Who is in a thread."""
    thread = _thread(request)
    return [wire.thread_member(thread, who) for who in sorted(thread.members)]


def _thread(request: Request) -> Channel:
    channel = reach(request)
    if not channel.is_thread:
        raise Refusal(50024)
    return channel


def open_direct(request: Request) -> Json:
    """The direct message channel with a person."""
    who = snowflake(request.form().get("recipient_id"), "recipient_id")
    if who not in request.world.users or who == BOT:
        raise Refusal(10013)
    return wire.channel(request.world, request.world.channels[request.world.direct(who)])


def me(request: Request) -> Json:
    """The bot's own user."""
    return wire.user(request.world.users[BOT]) | {"verified": True, "mfa_enabled": True}


def application(request: Request) -> Json:
    """The application."""
    return request.context.app.body()


def person(request: Request) -> Json:
    """Any user."""
    who = request.world.users.get(request.names["user"])
    if who is None:
        raise Refusal(10013)
    return wire.user(who)


def my_guilds(request: Request) -> list[Json]:
    """The guilds the bot is in."""
    mine = (one for one in request.world.guilds.values() if BOT in one.members)
    rest: Json = {"icon": None, "owner": False, "features": []}
    return [{"id": guild.id, "name": guild.name} | rest for guild in mine]


def _guild(request: Request) -> Guild:
    guild = request.world.guilds.get(request.names["guild"])
    if guild is None:
        raise Refusal(10004)
    if BOT not in guild.members:
        raise Refusal(50001)
    return guild


def get_guild(request: Request) -> Json:
    """A guild."""
    body = wire.guild(request.world, _guild(request))
    for name in ("channels", "threads", "members", "voice_states", "presences"):
        body.pop(name)
    return body


def guild_channels(request: Request) -> list[Json]:
    """A guild's channels, without threads."""
    channels: list[Json] = wire.guild(request.world, _guild(request))["channels"]
    return channels


def guild_member(request: Request) -> Json:
    """A member of a guild."""
    guild = _guild(request)
    if request.names["user"] not in guild.members:
        raise Refusal(10007)
    return wire.member(request.world, guild.id, request.names["user"])


def active_threads(request: Request) -> Json:
    """A guild's threads that aren't archived and that the bot may see."""
    guild = _guild(request)
    return _threads(request, request.world.threads(guild.id))


def archived_threads(request: Request) -> Json:
    """A channel's archived public threads."""
    parent = reach(request)
    here = [c for c in request.world.channels.values() if c.parent == parent.id and c.archived]
    return _threads(request, here)


def _threads(request: Request, threads: list[Channel]) -> Json:
    seen = [thread for thread in threads if request.world.permissions(BOT, thread)]
    mine = [wire.thread_member(thread, BOT) for thread in seen if BOT in thread.members]
    bodies = [wire.channel(request.world, thread) for thread in seen]
    return {"threads": bodies, "members": mine, "has_more": False}


_CHANNEL = "/channels/{channel}"
ROUTES: dict[str, Route] = {
    "GET /users/@me": Route(me),
    "GET /users/{user}": Route(person),
    "GET /users/@me/guilds": Route(my_guilds),
    "POST /users/@me/channels": Route(open_direct),
    "GET /oauth2/applications/@me": Route(application),
    "GET /applications/@me": Route(application),
    f"GET {_CHANNEL}": Route(get_channel),
    f"PATCH {_CHANNEL}": Route(change_channel),
    f"DELETE {_CHANNEL}": Route(delete_channel),
    f"POST {_CHANNEL}/threads": Route(new_thread, status=201),
    f"POST {_CHANNEL}/messages/{{message}}/threads": Route(thread_on_message, status=201),
    f"PUT {_CHANNEL}/thread-members/@me": Route(join),
    f"DELETE {_CHANNEL}/thread-members/@me": Route(leave),
    f"GET {_CHANNEL}/thread-members": Route(members),
    f"GET {_CHANNEL}/threads/archived/public": Route(archived_threads),
    "GET /guilds/{guild}": Route(get_guild),
    "GET /guilds/{guild}/channels": Route(guild_channels),
    "GET /guilds/{guild}/members/{user}": Route(guild_member),
    "GET /guilds/{guild}/threads/active": Route(active_threads),
}
