"""Discord's messages -> prompts. Pure: payloads come in, core types go out.

The same reader serves the gateway's MESSAGE_CREATE and messages read back over REST; both are the
message object of docs.discord.com/developers/resources/message.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adapters.discord.ids import (
    PLATFORM,
    QUESTION,
    Address,
    Bot,
    identity,
    is_snowflake,
    keys_in,
    naming,
    sequence,
    thread_key,
    time_of,
)
from core.types import Prompt, Remembered, Role, ThreadKey

PLAIN, REPLY, COMMAND, STARTER, MENU = 0, 19, 20, 21, 23
"""Types of messages: what a person wrote, replied, was answered by a command; a thread's root."""

LOADING = 1 << 7
"""Flag of a command's answer that still waits ("thinking…")."""
_TEXT = 10
"""Type of a component that shows a text."""
ASKED_IN = frozenset({PLAIN, REPLY})
NAME = 90
"""Characters of a thread's name at most; Discord takes 100."""

FRESH = 300.0
"""Seconds after which an edit is old news that came with some other change."""

TITLED = "[The title of this thread: {}]"
"""How the title of a thread is remembered: a post in a forum often asks in it alone."""

_TOKEN = re.compile(r"<(?:@[!&]?(?P<who>\d+)|a?:(?P<emoji>\w+):\d+|/(?P<command>[^:<>]+):\d+)>")


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing is to be done; `why` is for the log."""

    why: str


@dataclass(frozen=True, slots=True)
class Edited:
    """A person rewrote a message. asked: the prompt that it is if it was none before."""

    identity: str
    text: str
    asked: Prompt | None = None


Message = Mapping[str, Any]


def read(
    message: Message, bot: Bot, *, thread: bool, parent: str = "", late: bool = False
) -> Prompt | Ignored:
    """What one message means to us.

    thread: whether its channel is known to be a thread. parent: see `Address`. late: see
    `Prompt.late`.
    """
    if why := speaks(message, bot):
        return Ignored(why)
    channel, id_ = str(message["channel_id"]), str(message["id"])
    guild = message.get("guild_id") or ""
    direct = not guild
    addressed = direct or addresses(message, bot)
    if not addressed and not thread:
        return Ignored("not addressed")
    text = words(message, bot)
    files = _files(message)
    if not addressed and not (text or files):
        return Ignored("no words")  # what Discord shows us without the message content intent
    opens = guild and not thread
    return Prompt(
        platform=PLATFORM,
        thread=thread_key(guild, id_ if opens else channel),
        identity=identity(id_),
        sequence=sequence(id_),
        author="" if direct else _name(message.get("author")),
        text=text,
        asked_at=time_of(id_),
        address=Address(
            channel=channel,
            before=id_,
            message=id_,
            opens=QUESTION if opens else "",
            replied=replied(message) if opens else "",
            thread=bool(guild) and thread,
            parent=parent,
        ).encode(),
        files=files,
        follow_up=not addressed,
        late=late,
    )


def left_waiting(message: Message, bot: Bot, *, thread: bool) -> Prompt | None:
    """A command that was acknowledged and never stored, as its message says that still waits.

    Its question is not told again. None for every other message.
    """
    asked = message.get("interaction_metadata")
    author, flags = message.get("author"), message.get("flags")
    ours = isinstance(author, Mapping) and author.get("id") == bot.user
    if not ours or not isinstance(flags, int) or not flags & LOADING:
        return None
    if not isinstance(asked, Mapping) or not is_snowflake(asked.get("id")):
        return None
    guild, channel = str(message.get("guild_id") or ""), str(message["channel_id"])
    alone = guild and not thread
    return Prompt(
        platform=PLATFORM,
        thread=thread_key(guild, str(message["id"]) if alone else channel),
        identity=identity(asked["id"]),
        sequence=sequence(asked["id"]),
        author=_name(asked.get("user")) if guild else "",
        text="",
        asked_at=time_of(asked["id"]),
        address=Address(channel=channel, before=asked["id"], answer=str(message["id"])).encode(),
        late=True,
    )


def edited(
    message: Message, bot: Bot, *, thread: bool, parent: str = "", now: float
) -> Edited | Ignored:
    """What a MESSAGE_UPDATE means; it comes for previews, pins and opened threads, too.

    Discord doesn't say what the message was before: who edits it to name us asks now if the edit is
    FRESH and the message no prompt yet. now: epoch seconds. Without the message content intent an
    empty text says nothing.
    """
    if why := speaks(message, bot):
        return Ignored(why)
    at = _moment(message.get("edited_timestamp"))
    if at is None:
        return Ignored("not edited")
    read_now = read(message, bot, thread=thread, parent=parent)
    text = words(message, bot)
    addressed = isinstance(read_now, Prompt) and not read_now.follow_up
    if not text and not addressed:
        return Ignored("no words")
    new = addressed and message.get("guild_id") and now - at < FRESH
    asked = read_now if new and isinstance(read_now, Prompt) else None
    return Edited(identity(message["id"]), text, asked)


def deleted(event: Message) -> list[str]:
    """The identities of a MESSAGE_DELETE or MESSAGE_DELETE_BULK: whose they were isn't told."""
    listed = event.get("ids")
    ids = [event.get("id"), *(listed if isinstance(listed, list) else [])]
    return [identity(id_) for id_ in ids if is_snowflake(id_)]


def thread_deleted(event: Message) -> ThreadKey | None:
    """The conversation of a THREAD_DELETE, should there be one."""
    guild, thread = event.get("guild_id"), event.get("id")
    return thread_key(guild, thread) if is_snowflake(guild) and is_snowflake(thread) else None


def channel_deleted(event: Message) -> tuple[str, Sequence[str]] | None:
    """What the conversations of a CHANNEL_DELETE are told by, those in its threads included, of
    which Discord says nothing: how their keys begin, and what an address in them contains.
    """
    guild, channel = event.get("guild_id"), event.get("id")
    if not is_snowflake(guild) or not is_snowflake(channel):
        return None
    return keys_in(guild), naming(channel)


def speaks(message: Message, bot: Bot) -> str:
    """Why this message is not a person's words; empty when it is."""
    author = message.get("author")
    if not is_snowflake(message.get("id")) or not is_snowflake(message.get("channel_id")):
        return "no id"
    if not isinstance(author, Mapping) or not is_snowflake(author.get("id")):
        return "no author"
    if author["id"] == bot.user:
        return "own message"
    if author.get("bot") or author.get("system") or message.get("webhook_id"):
        return "bot"
    return "" if _type(message) in ASKED_IN else "other type"


def addresses(message: Message, bot: Bot) -> bool:
    """Whether the message is meant for the bot: it names it, its role, or replies to it."""
    if any(who.get("id") == bot.user for who in _people(message)):
        return True
    roles = message.get("mention_roles")
    if isinstance(roles, list) and bot.roles.intersection(map(str, roles)):
        return True
    to = message.get("referenced_message")
    author = to.get("author") if isinstance(to, Mapping) else None
    return isinstance(author, Mapping) and author.get("id") == bot.user


def words(message: Message, bot: Bot) -> str:
    """What a message says: its own text; without one what it forwards, or shows in other ways."""
    return _own(message, bot) or _forwarded(message, bot) or _shown(message)


def _own(message: Message, bot: Bot) -> str:
    """The text with Discord's own tokens as a person reads them; naming the bot is left out."""
    names = {str(who.get("id")): _name(who) for who in _people(message)}
    ours = {bot.user, *bot.roles}

    def decoded(match: re.Match[str]) -> str:
        if who := match["who"]:
            return "" if who in ours else f"@{names.get(who, who)}"
        return f":{match['emoji']}:" if match["emoji"] else f"/{match['command']}"

    content = message.get("content")
    return _TOKEN.sub(decoded, content).strip() if isinstance(content, str) else ""


def thread_name(text: str, author: str) -> str:
    """What a thread is called: the beginning of the question, cut at a word."""
    words = " ".join(text.split())
    if not words:
        return f"{author or 'A'}'s question" if author else "A question"
    if len(words) <= NAME:
        return words
    head = words[:NAME]
    return (head.rpartition(" ")[0] or head).rstrip(" ,.;:") + "…"


def titled(thread: object, bot: Bot) -> Remembered | None:
    """The title of a thread that isn't ours as one entry: ours are named after their questions."""
    facts = thread if isinstance(thread, Mapping) else {}
    id_, name = facts.get("id"), facts.get("name")
    if not is_snowflake(id_) or not isinstance(name, str) or facts.get("owner_id") == bot.user:
        return None
    return Remembered(Role.USER, TITLED.format(name.strip()), identity=f"{identity(id_)}:title")


def remembered(message: Message, bot: Bot) -> Remembered | None:
    """A message of a thread's history as one entry; None for joins and the wordless.

    A thread's first message stands for the one it was opened on.
    """
    type_ = _type(message)
    if type_ == STARTER:
        root = message.get("referenced_message")
        return remembered(root, bot) if isinstance(root, Mapping) else None
    if type_ not in ASKED_IN | {COMMAND, MENU}:
        return None
    content = words(message, bot)
    author = message.get("author")
    if not content or not isinstance(author, Mapping) or not is_snowflake(message.get("id")):
        return None
    ours = author.get("id") == bot.user
    return Remembered(
        Role.ASSISTANT if ours else Role.USER,
        content,
        author="" if ours else _name(author),
        identity=identity(message["id"]),
    )


def _type(message: Message) -> int:
    """The message's type; -1 for what can't be one."""
    type_ = message.get("type", PLAIN)
    return type_ if isinstance(type_, int) else -1


def _moment(stamp: object) -> float | None:
    """Epoch seconds of an ISO 8601 timestamp."""
    try:
        return datetime.fromisoformat(stamp).timestamp() if isinstance(stamp, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def _people(message: Message) -> Sequence[Mapping[str, Any]]:
    """Who is mentioned."""
    listed = message.get("mentions")
    return [who for who in listed if isinstance(who, Mapping)] if isinstance(listed, list) else []


def _name(author: object) -> str:
    """A person's user name: unique, and nobody can take another's."""
    name = author.get("username") if isinstance(author, Mapping) else None
    return name if isinstance(name, str) else ""


def replied(message: Message) -> str:
    """Id of the message that this one replies to, in the same channel."""
    to = message.get("message_reference")
    if message.get("type") != REPLY or not isinstance(to, Mapping):
        return ""
    here = to.get("channel_id") in (None, message["channel_id"])
    return str(to["message_id"]) if here and is_snowflake(to.get("message_id")) else ""


def _files(message: Message) -> tuple[str, ...]:
    """Names of the attachments, of what is forwarded too."""
    files = [
        file for one in (message, *_snapshots(message)) for file in _objects(one.get("attachments"))
    ]
    names = (file.get("title") or file.get("filename") for file in files)
    return tuple(str(name) for name in names if name)


def _snapshots(message: Message) -> list[Message]:
    """The messages that it forwards."""
    inner = [shot.get("message") for shot in _objects(message.get("message_snapshots"))]
    return [one for one in inner if isinstance(one, Mapping)]


def _forwarded(message: Message, bot: Bot) -> str:
    """The words of forwarded messages."""
    return "\n".join(filter(None, (_own(m, bot) or _shown(m) for m in _snapshots(message))))


def _shown(message: Message) -> str:
    """What a message says only in its embeds or components, as many apps do, in a poll or by its
    stickers, which are named like emoji.
    """
    told = [text for embed in _objects(message.get("embeds")) for text in _embedded(embed)]
    shown = _lines(told) or _lines(_displayed(message.get("components")))
    return shown or _poll(message.get("poll")) or _stickers(message.get("sticker_items"))


def _embedded(embed: Mapping[str, Any]) -> Iterator[object]:
    """The texts of an embed, its fields' too."""
    yield from (embed.get("title"), embed.get("description"))
    for field in _objects(embed.get("fields")):
        yield from (field.get("name"), field.get("value"))


def _displayed(components: object) -> Iterator[object]:
    """The texts among components, and among what these hold
    (docs.discord.com/developers/components/reference#text-display).
    """
    for one in _objects(components):
        if one.get("type") == _TEXT:
            yield one.get("content")
        yield from _displayed(one.get("components"))


def _poll(poll: object) -> str:
    """The question of a poll and what may be chosen
    (docs.discord.com/developers/resources/poll#poll-object).
    """
    if not isinstance(poll, Mapping):
        return ""
    media = [answer.get("poll_media") for answer in _objects(poll.get("answers"))]
    texts = [one.get("text") for one in media if isinstance(one, Mapping)]
    asked = poll.get("question")
    answers = [f"- {text}" for text in texts if isinstance(text, str) and text]
    return _lines([asked.get("text") if isinstance(asked, Mapping) else "", *answers])


def _stickers(stickers: object) -> str:
    names = [sticker.get("name") for sticker in _objects(stickers)]
    return " ".join(f":{name}:" for name in names if isinstance(name, str) and name)


def _objects(listed: object) -> list[Mapping[str, Any]]:
    return [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []


def _lines(texts: Iterable[object]) -> str:
    return "\n".join(text for text in texts if isinstance(text, str) and text)
