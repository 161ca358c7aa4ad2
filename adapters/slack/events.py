"""What Slack tells us -> what the rest of the program understands. Pure.

Payloads are what the Events API wraps around an event (docs.slack.dev/apis/events-api): the same
over HTTP and Socket Mode. Whatever is missing or odd in one makes it `Ignored`, never an error.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.slack.ids import (
    PLATFORM,
    Address,
    Bot,
    is_ts,
    message_identity,
    sequence,
    thread_key,
)
from adapters.slack.words import own, said
from core.turns.window import with_files
from core.types import Prompt, Remembered, Role

ASKED_IN = (None, "file_share", "thread_broadcast")
"""Subtypes of a message in which a person says something new. All others are edits, deletions,
joins, topics, bots and the like (docs.slack.dev/reference/events/message)."""

_TOKEN = re.compile(r"<[^<>]*>|&(?:amp|lt|gt);")
_ESCAPES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}


@dataclass(frozen=True, slots=True)
class Opened:
    """A person opened the conversation with the app.

    thread_ts: set by the older assistant view only; with the agent view Slack silently drops
    suggested prompts that name a thread (docs.slack.dev/ai/migrating-to-agent-messaging).
    """

    channel: str
    thread_ts: str | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """Nothing to do. why: one or two words for the log."""

    why: str


@dataclass(frozen=True, slots=True)
class Edited:
    """A person rewrote a message. asked: the prompt that it is if it was none before, because only
    the edit names us.
    """

    identity: str
    text: str
    asked: Prompt | None = None


@dataclass(frozen=True, slots=True)
class Deleted:
    """A person's message was deleted."""

    identity: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """Slack keeps events of a whole minute from us, as there were too many
    (docs.slack.dev/apis/events-api). since: when the minute began, seconds since the epoch.
    """

    since: float


Outcome = Prompt | Opened | Edited | Deleted | Dropped | Ignored
Event = Mapping[str, Any]


def read(payload: object, bot: Bot) -> Outcome:
    """What one delivered payload means to us. bot: who we are."""
    if not isinstance(payload, Mapping):
        return Ignored("no event")
    if payload.get("type") == "app_rate_limited":
        minute = payload.get("minute_rate_limited")
        return Dropped(float(minute)) if isinstance(minute, int) else Ignored("no minute")
    if not isinstance(payload.get("event"), Mapping):
        return Ignored("no event")
    event: Event = payload["event"]
    kind = event.get("type")
    reader = EVENTS.get(kind) if isinstance(kind, str) else None
    return reader(payload, event, bot) if reader else Ignored("other event")


def for_another(payload: Event, bot: Bot) -> str:
    """The bot of another app or workspace that this event was brought for; "" when it is ours, or
    when nobody can tell. In a channel shared with others it may be named for their installation.
    """
    grant = _grant(payload)
    whose = grant.get("user_id")
    shared = payload.get("is_ext_shared_channel")
    if shared or grant.get("is_bot") is not True or not isinstance(whose, str):
        return ""
    return "" if whose == bot.user else whose


def plain(text: str, bot_user: str = "") -> str:
    """Slack's own markup of a message as plain text; mentions of `bot_user` are left out.

    Linear in the length. Escaping: docs.slack.dev/messaging/formatting-message-text.
    """
    if bot_user:
        text = re.sub(rf"<@{re.escape(bot_user)}(?:\|[^<>]*)?>[ \t]*", "", text)
    return _TOKEN.sub(_decoded, text).strip()


def mentions(text: str, user: str) -> bool:
    """Whether the message names this user."""
    return f"<@{user}>" in text or f"<@{user}|" in text


def speaks(event: Event, bot: Bot, app: object = None) -> str:
    """Why this message is not a person's words; empty when it is.

    app: the id of our own app; a user's token can make an app's message look like a user's.
    """
    subtype = event.get("subtype")
    if subtype is not None and subtype not in ASKED_IN:
        return "subtype"
    if event.get("bot_id") or (app and event.get("app_id") == app):
        return "bot"
    user = event.get("user")
    if not isinstance(user, str) or not user or user == "USLACKBOT":
        return "no person"
    return "own message" if user == bot.user else ""


def remembered(message: object, bot: Bot, team: str, channel: str) -> Remembered | None:
    """A message of a thread's history as one entry; None for joins, deletions and the empty.

    What another app said is part of the conversation (an alert that somebody asks about).
    """
    if not isinstance(message, Mapping) or not is_ts(message.get("ts")):
        return None
    if message.get("subtype") not in (*ASKED_IN, "bot_message"):
        return None
    ours = message.get("user") == bot.user or message.get("bot_id") == bot.bot
    text = plain(own(message) if ours else said(message), bot.user)
    content = with_files(text, _files(message.get("files"))).strip()
    if not content:
        return None
    author = message.get("user") or message.get("username") or message.get("bot_id") or ""
    return Remembered(
        Role.ASSISTANT if ours else Role.USER,
        content,
        author="" if ours or channel.startswith("D") else str(author),
        identity=message_identity(team, channel, message["ts"]),
    )


def _message(payload: Event, event: Event, bot: Bot) -> Outcome:
    """A message or an app_mention. Both copies of one message get the same identity."""
    subtype = event.get("subtype")
    if subtype == "message_changed":
        return _changed(payload, event, bot)
    if subtype == "message_deleted":
        return _deleted(payload, event, event.get("deleted_ts"), bot)
    if why := speaks(event, bot, payload.get("api_app_id")):
        return Ignored(why)
    channel, ts, root = event.get("channel"), event.get("ts"), event.get("thread_ts")
    if not isinstance(channel, str) or not channel or not is_ts(ts):
        return Ignored("no channel or ts")
    thread_ts = root if is_ts(root) else ts
    direct = event.get("channel_type") == "im" or channel.startswith("D")
    addressed = direct or event["type"] == "app_mention" or mentions(own(event), bot.user)
    if not addressed and thread_ts == ts:
        return Ignored("not addressed")
    text, files = plain(said(event), bot.user), _files(event.get("files"))
    if not addressed and not (text or files):
        return Ignored("no words")  # a picture out of Slack's own collection, say
    team = _team(payload, event, bot)
    return Prompt(
        platform=PLATFORM,
        thread=thread_key(team, channel, thread_ts),
        identity=message_identity(team, channel, ts),
        sequence=sequence(ts),
        author="" if direct else event["user"],
        text=text,
        asked_at=float(ts),
        address=Address(
            team, channel, thread_ts, ts, event["user"], _elsewhere(event, team)
        ).encode(),
        files=files,
        follow_up=not addressed,
    )


def _changed(payload: Event, event: Event, bot: Bot) -> Outcome:
    """A message was edited, or got a preview; every edit of ours comes back like that, too.

    The root of a thread isn't deleted while it has replies: it becomes a tombstone.
    """
    after, before = event.get("message"), event.get("previous_message")
    if not isinstance(after, Mapping):
        return Ignored("no message")
    if after.get("user") == bot.user or after.get("bot_id") == bot.bot:
        return Ignored("own message")
    if after.get("subtype") == "tombstone":
        return _deleted(payload, event, after.get("ts"), bot)
    places = {name: event.get(name) for name in ("channel", "channel_type")}
    now = _message(payload, {**after, **places, "type": "message"}, bot)
    if isinstance(now, Ignored) and now.why not in ("not addressed", "no words"):
        return now
    channel, ts = event.get("channel"), after.get("ts")
    if not isinstance(channel, str) or not is_ts(ts) or not _has_words(after):
        return Ignored("no channel or ts")
    was = before if isinstance(before, Mapping) and _has_words(before) else None
    named = was is not None and mentions(own(after), bot.user) and not mentions(own(was), bot.user)
    if was is not None and said(was) == said(after):
        return Ignored("no new words")
    return Edited(
        message_identity(_team(payload, event, bot), channel, ts),
        plain(said(after), bot.user),
        asked=now if isinstance(now, Prompt) and named and not channel.startswith("D") else None,
    )


def _has_words(message: Event) -> bool:
    """Whether it tells what was written in it, be it nothing."""
    return isinstance(message.get("text"), str) or bool(own(message))


def _deleted(payload: Event, event: Event, ts: object, bot: Bot) -> Outcome:
    """A message was deleted; those of apps are nobody's prompt."""
    channel, before = event.get("channel"), event.get("previous_message")
    if not isinstance(channel, str) or not channel or not is_ts(ts):
        return Ignored("no channel or ts")
    if isinstance(before, Mapping) and (why := speaks(before, bot, payload.get("api_app_id"))):
        return Ignored(why)
    return Deleted(message_identity(_team(payload, event, bot), channel, ts))


def _home(_payload: Event, event: Event, _bot: Bot) -> Outcome:
    """The app was opened; only its Messages tab is a conversation."""
    channel = event.get("channel")
    if event.get("tab") != "messages" or not isinstance(channel, str) or not channel:
        return Ignored("other tab")
    return Opened(channel)


def _assistant(_payload: Event, event: Event, _bot: Bot) -> Outcome:
    """The older assistant view was opened: Slack made a thread for it."""
    thread = event.get("assistant_thread")
    thread = thread if isinstance(thread, Mapping) else {}
    channel, thread_ts = thread.get("channel_id"), thread.get("thread_ts")
    if not isinstance(channel, str) or not is_ts(thread_ts):
        return Ignored("no channel or ts")
    return Opened(channel, thread_ts)


EVENTS: dict[str, Callable[[Event, Event, Bot], Outcome]] = {
    "app_mention": _message,
    "message": _message,
    "app_home_opened": _home,
    "assistant_thread_started": _assistant,
}
"""The event types that are handled, and by what."""


def _team(payload: Event, event: Event, bot: Bot) -> str:
    """The workspace of the installation.

    In a channel shared with another company `team_id` and `event.team` may be the speaker's; the
    authorization is always ours (docs.slack.dev/apis/slack-connect).
    """
    places = (
        _grant(payload).get("team_id"),
        payload.get("context_team_id"),
        payload.get("team_id"),
        event.get("team"),
    )
    return next((team for team in places if isinstance(team, str) and team), bot.team)


def _grant(payload: Event) -> Event:
    """The installation that an event is brought for, as far as it is told."""
    grants = payload.get("authorizations")
    first = grants[0] if isinstance(grants, list) and grants else None
    return first if isinstance(first, Mapping) else {}


def _elsewhere(event: Event, ours: str) -> str:
    """The speaker's workspace, empty where it is ours or nobody says."""
    said = (event.get("user_team"), event.get("team"))  # an E... is an organisation
    teams = (team for team in said if isinstance(team, str) and team.startswith("T"))
    theirs = next(teams, ours)
    return "" if theirs == ours else theirs


def _files(files: object) -> tuple[str, ...]:
    """Names of the attachments; a deleted one has no name left."""
    listed = files if isinstance(files, list) else []
    names = (
        file.get("name") or file.get("title") or file.get("id")
        for file in listed
        if isinstance(file, Mapping)
    )
    return tuple(str(name) for name in names if name)


def _decoded(match: re.Match[str]) -> str:
    """One token of Slack's markup as a person reads it."""
    token = match[0]
    if token in _ESCAPES:
        return _ESCAPES[token]
    target, _, label = _TOKEN.sub(_decoded, token[1:-1]).partition("|")
    if target[:1] in ("@", "#"):
        return target[0] + (label or target[1:]).removeprefix(target[0])
    if target[:1] == "!":
        return label or "@" + target[1:].partition("^")[0]
    if not label or label in target:
        return target if not target.startswith(("mailto:", "tel:")) else label or target
    return f"{label} ({target})"
