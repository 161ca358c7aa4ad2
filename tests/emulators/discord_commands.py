"""REST: the app's commands, global and of one guild."""

import time
from typing import Any

from tests.emulators import discord_command_rules as rules
from tests.emulators.discord_routes import Request, Route
from tests.emulators.discord_rules import BOT, Json, Refusal, invalid

_DAY = 86_400.0


def _scope(request: Request) -> str:
    """The guild whose commands are meant, "" for the global ones. Raises Refusal."""
    if request.names["app"] != request.context.app.id:
        text = "You are not authorized to perform this action on this application"
        raise Refusal(20012, status=403, message=text)
    id_ = request.names.get("guild", "")
    guild = request.world.guilds.get(id_)
    if id_ and (guild is None or BOT not in guild.members):
        raise Refusal(50001)
    return id_


def _mine(request: Request, guild: str) -> list[Json]:
    commands = request.context.app.commands.values()
    return [command for command in commands if command.get("guild_id", "") == guild]


def _same(command: Json, body: Json) -> bool:
    kind = body.get("type", rules.CHAT)
    return bool(command["name"] == body["name"] and command["type"] == kind)


def _kept(request: Request, guild: str, body: Json, old: Json | None) -> Json:
    """The command that this body makes: the old one's id, and its version when nothing changed."""
    id_ = old["id"] if old else request.world.snowflake()
    known: Json = {"id": id_, "application_id": request.context.app.id}
    known |= {"guild_id": guild} if guild else {}
    new = rules.normalised(body, known)
    same = old is not None and {key: old[key] for key in old if key != "version"} == new
    return new | {"version": old["version"] if same and old else request.world.snowflake()}


def _count_creates(request: Request, guild: str, number: int) -> None:
    """Refuse what is over 200 new commands a day in one scope."""
    app, now = request.context.app, time.monotonic()
    recent = [when for when in app.creates.get(guild, []) if now - when < _DAY]
    if len(recent) + number > rules.CREATES_A_DAY:
        text = "Max number of daily application command creates has been reached (200)."
        raise Refusal(30034, status=400, message=text)
    app.creates[guild] = recent + [now] * number


def read(request: Request) -> list[Json]:
    """All of them. Localizations only with `with_localizations=true`."""
    wanted = request.query.get("with_localizations", "").lower() in ("true", "1")
    found = _mine(request, _scope(request))
    return [rules.shown(command, localizations=wanted) for command in found]


def create(request: Request) -> Json:
    """A new command; one of the same kind and name is replaced."""
    guild, body = _scope(request), request.form()
    rules.check(body, guild=bool(guild))
    mine = _mine(request, guild)
    old = next((command for command in mine if _same(command, body)), None)
    new = _kept(request, guild, body, old)
    rules.within_limits([*(command for command in mine if command is not old), new])
    if old is None:
        _count_creates(request, guild, 1)
    return _write(request, new)


def overwrite(request: Request) -> list[Json]:
    """All commands of the scope at once; those of a kept name keep their ids."""
    guild, body = _scope(request), request.body
    if not isinstance(body, list):
        raise invalid("_", "LIST_TYPE_CONVERT", "Only iterables may be used.")
    for number, each in enumerate(body):
        rules.check(each, f"{number}.", guild=bool(guild))
        if any(_name(each) == _name(other) for other in body[:number]):
            text = "Application command names must be unique"
            raise invalid(str(number), "APPLICATION_COMMANDS_DUPLICATE_NAME", text)
    mine = _mine(request, guild)
    pairs = [(each, next((old for old in mine if _same(old, each)), None)) for each in body]
    new = [_kept(request, guild, each, old) for each, old in pairs]
    rules.within_limits(new)
    _count_creates(request, guild, sum(old is None for _, old in pairs))
    app = request.context.app
    for command in mine:
        del app.commands[command["id"]]
    app.commands |= {command["id"]: command for command in new}
    app.command_writes += 1
    return [rules.shown(command) for command in new]


def _name(body: Json) -> tuple[Any, Any]:
    return body.get("type", rules.CHAT), body["name"]


def _write(request: Request, command: Json) -> Json:
    app = request.context.app
    app.commands[command["id"]] = command
    app.command_writes += 1
    return rules.shown(command)


def _find(request: Request) -> tuple[str, Json]:
    guild = _scope(request)
    for command in _mine(request, guild):
        if command["id"] == request.names["command"]:
            return guild, command
    raise Refusal(10063)


def get(request: Request) -> Json:
    """One command."""
    return rules.shown(_find(request)[1])


def change(request: Request) -> Json:
    """Change some fields of a command; its kind stays."""
    guild, old = _find(request)
    own = {key: value for key, value in old.items() if key not in ("id", "version", "guild_id")}
    body = own | request.form() | {"type": old["type"]}
    rules.check(body, guild=bool(guild))
    if any(_same(each, body) and each is not old for each in _mine(request, guild)):
        text = "Application command names must be unique"
        raise invalid("name", "APPLICATION_COMMANDS_DUPLICATE_NAME", text)
    return _write(request, _kept(request, guild, body, old))


def delete(request: Request) -> None:
    """Delete a command."""
    _, command = _find(request)
    del request.context.app.commands[command["id"]]
    request.context.app.command_writes += 1


def _routes(at: str) -> dict[str, Route]:
    return {
        f"GET {at}": Route(read),
        f"POST {at}": Route(create),
        f"PUT {at}": Route(overwrite),
        f"GET {at}/{{command}}": Route(get),
        f"PATCH {at}/{{command}}": Route(change),
        f"DELETE {at}/{{command}}": Route(delete),
    }


_APP = "/applications/{app}"
ROUTES: dict[str, Route] = _routes(f"{_APP}/commands") | _routes(
    f"{_APP}/guilds/{{guild}}/commands"
)
