"""The commands as Discord is told of them, and what their use means. Pure.

docs.discord.com/developers/interactions/application-commands and .../receiving-and-responding.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from adapters.discord.events import Ignored, thread_name, words
from adapters.discord.ids import (
    PLATFORM,
    Address,
    Bot,
    identity,
    is_snowflake,
    parent_of,
    personal_key,
    sequence,
    thread_key,
    time_of,
)
from core.types import Prompt, ThreadKey

ASK, NEW, HELP, ABOUT = "ask", "new", "help", "Ask about this message"

_EVERYWHERE = {
    "integration_types": [0, 1],  # installed in a server, installed by a user
    "contexts": [0, 1, 2],  # servers, direct messages with the bot, other private places
}
COMMANDS: Sequence[Mapping[str, Any]] = (
    {
        "type": 1,
        "name": ASK,
        "description": "Ask DeepSeek; in a thread it remembers what was said",
        "options": [
            {
                "type": 3,
                "name": "prompt",
                "description": "Your question",
                "required": True,
                "max_length": 6000,
            }
        ],
        **_EVERYWHERE,
    },
    {
        "type": 1,
        "name": NEW,
        "description": "Start afresh: forget what was said in this conversation",
        **_EVERYWHERE,
    },
    {"type": 1, "name": HELP, "description": "What I can do, and how", **_EVERYWHERE},
    {"type": 3, "name": ABOUT, **_EVERYWHERE},
)
"""What is registered for the application, for all servers at once."""

_QUESTION, _QUOTE = "question", "message"
_FORM = "about:"
_ABOUT = "\n\nThe message in question:\n"
_QUOTED = 4000  # characters a text input takes
_COMMAND, _SUBMITTED = 2, 5
_PRIVATE = 2  # the context of places where only people are
_THREADS = (10, 11, 12)
_COMPARED = ("type", "name", "description", "integration_types", "contexts")
_OPTION = ("type", "name", "description", "required", "max_length")


@dataclass(frozen=True, slots=True)
class Used:
    """A command that was used. token: lets us answer for 15 minutes. member, parent: as in
    `Address`.
    """

    id: str
    token: str
    guild: str
    channel: str
    user: str
    author: str
    thread: bool
    member: bool
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """A question. about: id of the message in question, when its text is not known yet."""

    used: Used
    text: str
    about: str = ""

    @property
    def opens(self) -> bool:
        """Whether the answer gets a thread of its own."""
        return bool(self.used.guild) and not self.used.thread and self.used.member

    def _name(self) -> str:
        """Of the answer's thread: after the question, without the message that it is about."""
        return thread_name(self.text.partition(_ABOUT)[0], self.used.author)

    def prompt(self, answer: str) -> Prompt:
        """The prompt. answer: id of the message that will hold the answer, empty if unknown."""
        used = self.used
        return Prompt(
            platform=PLATFORM,
            thread=_thread_of(used, (answer or used.id) if self.opens else used.channel),
            identity=identity(used.id),
            sequence=sequence(used.id),
            author=used.author if used.guild or not used.member else "",
            text=self.text,
            asked_at=time_of(used.id),
            address=Address(
                channel=used.channel,
                before=used.id,
                opens=self._name() if self.opens and answer else "",
                answer=answer,
                token=used.token,
                member=used.member,
                thread=bool(used.guild) and used.thread and used.member,
                parent=used.parent,
            ).encode(),
        )


@dataclass(frozen=True, slots=True)
class New:
    """Start afresh. thread: the conversation; None where every question starts one anyway."""

    used: Used
    thread: ThreadKey | None


@dataclass(frozen=True, slots=True)
class Help:
    """Explain."""

    used: Used


@dataclass(frozen=True, slots=True)
class Form:
    """Show the form for a question about a message. modal: the callback's data."""

    used: Used
    modal: Mapping[str, Any]


Command = Ask | New | Help | Form


def same(known: object) -> bool:
    """Whether Discord's list of our commands says what `COMMANDS` says."""
    listed = known if isinstance(known, list) else []
    return sorted(map(_facts, listed)) == sorted(map(_facts, COMMANDS))


def read(interaction: Mapping[str, Any], bot: Bot) -> Command | Ignored:
    """What an interaction means to us."""
    used = _used(interaction)
    data = interaction.get("data")
    if used is None or not isinstance(data, Mapping):
        return Ignored("no id, token or channel")
    if interaction.get("type") == _SUBMITTED:
        return _submitted(used, data)
    if interaction.get("type") != _COMMAND:
        return Ignored("other interaction")
    match data.get("name"):
        case "ask":
            return Ask(used, _option(data, "prompt").strip())
        case "new":
            alone = used.guild and not used.thread and used.member
            return New(used, None if alone else _thread_of(used, used.channel))
        case "help":
            return Help(used)
        case "Ask about this message":
            return _form(used, data, bot)
    return Ignored("unknown command")


def about(question: str, quoted: str) -> str:
    """The text of a question about a message."""
    quote = "\n".join(f"> {line}" for line in quoted.strip().splitlines())
    return f"{question}{_ABOUT}{quote}" if quote else question


def _thread_of(used: Used, channel: str) -> ThreadKey:
    """The conversation that a command belongs to."""
    return thread_key(used.guild, channel) if used.member else personal_key(used.user, channel)


def _used(interaction: Mapping[str, Any]) -> Used | None:
    id_, token, channel = (interaction.get(name) for name in ("id", "token", "channel_id"))
    where = interaction.get("channel")
    where = where if isinstance(where, Mapping) else {}
    channel = channel or where.get("id")
    if not is_snowflake(id_) or not is_snowflake(channel) or not isinstance(token, str):
        return None
    member = interaction.get("member")
    user = member.get("user") if isinstance(member, Mapping) else interaction.get("user")
    user = user if isinstance(user, Mapping) else {}
    thread = where.get("type") in _THREADS
    return Used(
        id=id_,
        token=token,
        guild=str(interaction.get("guild_id") or ""),
        channel=channel,
        user=str(user.get("id") or ""),
        author=str(user.get("username") or ""),
        thread=thread,
        member=_member(interaction),
        parent=parent_of(where) if thread else "",
    )


def _member(interaction: Mapping[str, Any]) -> bool:
    """Whether the bot itself is where the command was used, not only its user's installation.

    Key 0 of `authorizing_integration_owners` stands for the installation in a server.
    """
    owners = interaction.get("authorizing_integration_owners")
    if interaction.get("context") == _PRIVATE:
        return False
    if not interaction.get("guild_id"):  # a direct message with the bot
        return True
    return not isinstance(owners, Mapping) or "0" in owners or not owners


def _form(used: Used, data: Mapping[str, Any], bot: Bot) -> Form | Ignored:
    """The form for a question about a message: the message is in it, to be seen and cut."""
    target, resolved = data.get("target_id"), data.get("resolved")
    messages = resolved.get("messages") if isinstance(resolved, Mapping) else None
    if not is_snowflake(target):
        return Ignored("no message")
    message = messages.get(target) if isinstance(messages, Mapping) else None
    text = words(message, bot)[:_QUOTED] if isinstance(message, Mapping) else ""
    quote = {"value": text} if text else {}
    question = {"placeholder": "What do you want to know about it?", "max_length": 2000}
    inputs = (
        _input(_QUESTION, "Your question", required=True, **question),
        _input(_QUOTE, "The message", required=False, max_length=_QUOTED, **quote),
    )
    modal = {"custom_id": f"{_FORM}{target}", "title": ABOUT, "components": list(inputs)}
    return Form(used, modal)


def _input(name: str, label: str, *, required: bool, **more: Any) -> Mapping[str, Any]:
    """A row with one text input of several lines."""
    field = {"type": 4, "style": 2, "custom_id": name, "label": label, "required": required}
    return {"type": 1, "components": [field | more]}


def _submitted(used: Used, data: Mapping[str, Any]) -> Ask | Ignored:
    form = data.get("custom_id")
    if not isinstance(form, str) or not form.startswith(_FORM):
        return Ignored("unknown form")
    message = form.removeprefix(_FORM)
    if not is_snowflake(message):  # it becomes part of an address
        return Ignored("unknown form")
    values = {str(field.get("custom_id")): field.get("value") for field in _fields(data)}
    question = str(values.get(_QUESTION) or "").strip()
    quoted = values.get(_QUOTE)
    if isinstance(quoted, str):
        return Ask(used, about(question, quoted))
    return Ask(used, question, about=message)


def _fields(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The inputs of a form, in rows or in labels."""
    for row in _objects(data.get("components")):
        yield from _objects(row.get("components") or [row.get("component")])


def _objects(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list; none in anything else."""
    return [o for o in value if isinstance(o, Mapping)] if isinstance(value, list) else []


def _option(data: Mapping[str, Any], name: str) -> str:
    found = (o.get("value") for o in _objects(data.get("options")) if o.get("name") == name)
    return str(next(found, "") or "")


def _facts(command: object) -> str:
    """What matters of a command, in a form that can be compared: Discord adds fields of its own
    and leaves out what has its default value."""
    facts = command if isinstance(command, Mapping) else {}
    plain_ = {name: facts.get(name) or ("" if name == "description" else []) for name in _COMPARED}
    plain_["type"] = facts.get("type", 1)
    for name in ("integration_types", "contexts"):
        plain_[name] = sorted(map(str, plain_[name])) if isinstance(plain_[name], list) else []
    plain_["options"] = [{n: o.get(n) for n in _OPTION} for o in _objects(facts.get("options"))]
    return repr(plain_)
