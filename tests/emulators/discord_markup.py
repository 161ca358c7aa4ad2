"""How Discord reads a text: whom it pings, which links preview, whether a code block is open.

Pure functions. Rules of pings: resources/message, "Allowed Mentions Object".
"""

import re
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.discord_model import Message
from tests.emulators.discord_rules import Json, invalid, not_one_of, too_long

_USER, _ROLE = re.compile(r"<@!?(\d{1,20})>"), re.compile(r"<@&(\d{1,20})>")
_EVERYONE = re.compile(r"@(?:everyone|here)\b")
_URL = re.compile(r"(?<!<)https?://[^\s<>)\]]+", re.IGNORECASE)
_CODE = re.compile(
    r"(?P<escape>\\[^\w\s])|(?P<closed>```.+?```)|(?P<open>```)|(?P<ticks>`+).*?[^`](?P=ticks)(?!`)",
    re.DOTALL,
)
_KINDS = ("users", "roles", "everyone")


@dataclass(frozen=True)
class Pings:
    """Whom a text notifies. replied: the author of the message that it answers."""

    users: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    everyone: bool = False
    replied: bool = False

    def listed(self) -> list[str]:
        """Each as one would write it, "reply" for the pinged author."""
        found = [f"<@{id_}>" for id_ in self.users] + [f"<@&{id_}>" for id_ in self.roles]
        return found + ["@everyone"] * self.everyone + ["reply"] * self.replied


@dataclass(frozen=True)
class Allowed:
    """A checked `allowed_mentions`: kinds that are parsed freely, single ids, the reply's ping."""

    parse: frozenset[str] = frozenset()
    ids: dict[str, frozenset[str]] = field(default_factory=dict)
    replied: bool = False

    def lets(self, kind: str, id_: str = "") -> bool:
        """Whether this user, role or everyone may be pinged."""
        return kind in self.parse or id_ in self.ids.get(kind, ())


def allowed(value: Any, path: str = "allowed_mentions", *, everything: bool = True) -> Allowed:
    """Check an `allowed_mentions`. Raises Refusal.

    Without one, messages of a bot ping all they name and (everything False) those of webhooks and
    interactions the users only.
    """
    if value is None:
        return Allowed(frozenset(_KINDS if everything else _KINDS[:1]), replied=True)
    if not isinstance(value, dict):
        raise invalid(path, "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
    parse = value.get("parse") or []
    for kind in parse:
        if kind not in _KINDS:
            raise not_one_of(f"{path}.parse", _KINDS)
    ids = {kind: frozenset(map(str, value.get(kind) or ())) for kind in _KINDS[:2]}
    for kind, listed in ids.items():
        if listed and kind in parse:
            text = f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.'
            raise invalid(path, "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", text)
        if len(listed) > 100:
            raise too_long(f"{path}.{kind}", 100)
    return Allowed(frozenset(parse), ids, bool(value.get("replied_user")))


def pings(
    text: str,
    given: Any,
    *,
    everything: bool,
    reply: bool,
    may_everyone: bool,
    users: Container[str],
    roles: Container[str],
) -> Pings:
    """What a text of the bot pings. given: its `allowed_mentions`. users, roles: known ids.

    may_everyone: the bot may mention everyone, which roles take too.
    """
    may = allowed(given, everything=everything)
    who = dict.fromkeys(i for i in _USER.findall(text) if i in users and may.lets("users", i))
    which = dict.fromkeys(i for i in _ROLE.findall(text) if i in roles and may.lets("roles", i))
    return Pings(
        tuple(who),
        tuple(which) if may_everyone else (),
        bool(_EVERYONE.search(text)) and may_everyone and may.lets("everyone"),
        reply and may.replied,
    )


def has_open_fence(text: str) -> bool:
    """Whether a code block is left open: Discord then shows the marks instead of a block."""
    return any(found["open"] for found in _CODE.finditer(text))


def urls(text: str) -> list[str]:
    """Addresses that Discord would preview: outside code and not in `<...>`."""
    shown = _CODE.sub(lambda found: found["escape"] or " ", text)
    return _URL.findall(shown)


def seen(message: Message) -> str:
    """What a person reads in a message, Markdown signs kept: content, embeds, text components."""
    parts = [message.content]
    for embed in message.embeds:
        parts += [str(embed.get("title") or ""), str(embed.get("description") or "")]
    for component in message.components:
        parts += _texts(component)
    return "\n".join(part for part in parts if part)


def _texts(component: Json) -> list[str]:
    inner = [text for child in component.get("components") or () for text in _texts(child)]
    return [str(component.get("content") or ""), *inner]
