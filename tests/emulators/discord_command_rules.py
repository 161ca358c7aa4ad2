"""What Discord accepts as an application command, and the form in which it keeps it. Pure.

https://docs.discord.com/developers/interactions/application-commands
"""

import re
from typing import Any

from tests.emulators.discord_rules import (
    Json,
    Refusal,
    bad_length,
    invalid,
    not_one_of,
    required,
    too_long,
)

CHAT, USER, MESSAGE = 1, 2, 3
KINDS = (CHAT, USER, MESSAGE)
IN_GUILD, IN_BOT_DM, IN_PRIVATE = 0, 1, 2
LIMITS = {CHAT: 100, USER: 15, MESSAGE: 15}
CREATES_A_DAY = 200
SUBCOMMAND, SUBCOMMAND_GROUP, STRING, INTEGER, BOOLEAN, PERSON = 1, 2, 3, 4, 5, 6
NUMBER = 10
_OPTION_KINDS = range(1, 12)
_WITH_CHOICES = (STRING, INTEGER, NUMBER)
_NAME = re.compile(r"[-_'\w]{1,32}")
_OPTIONS = _CHOICES = 25
_LOCALIZED = ("name_localizations", "description_localizations")


def check(body: Any, at: str = "", *, guild: bool) -> None:
    """Refuse a command that Discord refuses (50035). at: where it stands, such as "0.".

    guild: it is of one guild, where contexts and kinds of installation have no place.
    """
    if not isinstance(body, dict):
        raise invalid(f"{at}name" if at else "name", "DICT_TYPE_CONVERT", "Only dictionaries.")
    kind = body.get("type", CHAT)
    if kind not in KINDS:
        raise not_one_of(at + "type", KINDS)
    if kind == CHAT:
        _named(body, at)
        _options(body.get("options"), at)
    else:
        _menu(body, at)
    _subset(body, "contexts", (IN_GUILD, IN_BOT_DM, IN_PRIVATE), at, guild)
    _subset(body, "integration_types", (0, 1), at, guild)
    permissions = body.get("default_member_permissions")
    if permissions is not None and not re.fullmatch(r"\d+", str(permissions)):
        raise invalid(at + "default_member_permissions", "NUMBER_TYPE_COERCE", "Not a number.")


def normalised(body: Json, known: Json) -> Json:
    """The command as Discord keeps it. known: its id, application and guild."""
    kind = body.get("type", CHAT)
    permissions = body.get("default_member_permissions")
    kept: Json = known | {
        "default_member_permissions": None if permissions is None else str(permissions),
        "type": kind,
        "name": body["name"],
        "name_localizations": body.get("name_localizations") or None,
        "description": body.get("description") or "",
        "description_localizations": body.get("description_localizations") or None,
        "nsfw": bool(body.get("nsfw", False)),
    }
    if "guild_id" not in known:
        contexts = body.get("contexts")
        kept["contexts"] = None if contexts is None else sorted(contexts)
        kept["integration_types"] = sorted(body.get("integration_types") or [0, 1])
        kept["dm_permission"] = contexts is None or IN_BOT_DM in contexts
    if body.get("options"):
        kept["options"] = [_option(option) for option in body["options"]]
    return kept


def shown(command: Json, *, localizations: bool = True) -> Json:
    """A command as an answer has it; lists leave the localizations out unless asked."""
    hidden = () if localizations else _LOCALIZED
    body = {key: value for key, value in command.items() if key not in hidden}
    if "options" in body:
        body["options"] = [shown(each, localizations=localizations) for each in body["options"]]
    return body


def _option(option: Json) -> Json:
    kept = {key: value for key, value in option.items() if value not in (None, False, [])}
    kept |= {name: option.get(name) or None for name in _LOCALIZED}
    if option.get("options"):
        kept["options"] = [_option(each) for each in option["options"]]
    return kept


def _named(body: Json, at: str) -> None:
    """A name as chat input takes it, and a description."""
    name = body.get("name")
    if name is None:
        raise required(at + "name")
    if not isinstance(name, str) or not 1 <= len(name) <= 32:
        raise bad_length(at + "name", 1, 32)
    if not _NAME.fullmatch(name) or name != name.lower():
        text = f"Command name is invalid: {name}"
        raise invalid(at + "name", "APPLICATION_COMMAND_INVALID_NAME", text)
    _described(body, at)


def _described(body: Json, at: str) -> None:
    if body.get("description") is None:
        raise required(at + "description")
    if not isinstance(body["description"], str) or not 1 <= len(body["description"]) <= 100:
        raise bad_length(at + "description", 1, 100)


def _menu(body: Json, at: str) -> None:
    name = body.get("name")
    if name is None:
        raise required(at + "name")
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= 32 or len(name) > 32:
        raise bad_length(at + "name", 1, 32)
    for field in ("description", "options"):
        if body.get(field):
            code = f"APPLICATION_COMMAND_CONTEXT_MENU_{field.upper()}_NOT_EMPTY"
            raise invalid(at + field, code, f"Context menu commands cannot have {field}")


def _options(options: Any, at: str) -> None:
    options = options or []
    if not isinstance(options, list):
        raise invalid(at + "options", "LIST_TYPE_CONVERT", "Only iterables may be used.")
    if len(options) > _OPTIONS:
        raise too_long(at + "options", _OPTIONS)
    names: set[str] = set()
    optional = False
    for number, option in enumerate(options):
        here = f"{at}options.{number}."
        kind = option.get("type")
        if kind not in _OPTION_KINDS:
            raise required(here + "type") if kind is None else not_one_of(here, _OPTION_KINDS)
        _named(option, here)
        if option["name"] in names:
            code = "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS"
            raise invalid(here + "name", code, "Option name already exists")
        names.add(option["name"])
        if kind in (SUBCOMMAND, SUBCOMMAND_GROUP):
            _options(option.get("options"), here)
            continue
        if option.get("required") and optional:
            text = "Required options must be placed before non-required options"
            raise invalid(here[:-1], "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", text)
        optional = not option.get("required")
        _bounds(option, here)


def _bounds(option: Json, at: str) -> None:
    for name, low in (("min_length", 0), ("max_length", 1)):
        value = option.get(name)
        if value is not None and (option["type"] != STRING or not low <= value <= 6000):
            raise invalid(at + name, "NUMBER_TYPE_RANGE", f"Must be {low} to 6000, of a string.")
    choices = option.get("choices") or []
    if len(choices) > _CHOICES:
        raise too_long(at + "choices", _CHOICES)
    if choices and (option["type"] not in _WITH_CHOICES or option.get("autocomplete")):
        code = "APPLICATION_COMMAND_OPTIONS_TYPE_CANNOT_HAVE_CHOICES"
        raise invalid(at + "choices", code, "This option cannot have choices")
    for number, choice in enumerate(choices):
        if not 1 <= len(str(choice.get("name") or "")) <= 100:
            raise bad_length(f"{at}choices.{number}.name", 1, 100)


def _subset(body: Json, name: str, allowed: tuple[int, ...], at: str, guild: bool) -> None:
    value = body.get(name)
    if value is None:
        return
    if guild:
        text = f"{name} can only be set on global commands"
        raise invalid(at + name, "APPLICATION_COMMAND_INVALID_FIELD", text)
    if not isinstance(value, list) or not value or len(set(value)) < len(value):
        raise invalid(at + name, "LIST_TYPE_CONVERT", "A list of different values.")
    if not set(value) <= set(allowed):
        raise not_one_of(at + name, allowed)


def within_limits(commands: list[Json]) -> None:
    """Refuse (30032) when one scope holds too many commands of a kind."""
    for kind, limit in LIMITS.items():
        if sum(command["type"] == kind for command in commands) > limit:
            text = f"Maximum number of application commands reached ({limit})."
            raise Refusal(30032, status=400, message=text)
