"""What every Web API method of the stand-in shares: arguments, refusals, the checks, the wire form.

Error codes and their meaning: Slack's method reference (docs.slack.dev/reference/methods).
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.emulators.slack_app import App
from tests.emulators.slack_record import Record
from tests.emulators.slack_workspace import APP, BOT, BOT_USER, TEAM, Channel, Post, Workspace

Json = dict[str, Any]


class Refusal(Exception):
    """An `ok: false` answer. more: further fields of it."""

    def __init__(self, error: str, **more: Any) -> None:
        super().__init__(error)
        self.error, self.more = error, more


@dataclass(frozen=True)
class World:
    """What a method works on. new_socket: the address for one Socket Mode connection.

    stream_life: seconds after which Slack seals a stream by itself.
    """

    app: App
    workspace: Workspace
    record: Record
    new_socket: Callable[[], str]
    address: str
    stream_life: float


class Args:
    """The arguments of a call, from query, form or JSON: form values are always text."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)

    def text(self, name: str) -> str:
        """An optional text, "" when it is missing. Raises Refusal for something else."""
        value = self.values.get(name)
        if value is None:
            return ""
        if not isinstance(value, str | int | float):
            raise invalid(f"[ERROR] must be a string [json-pointer:/{name}]")
        return str(value)

    def need(self, name: str) -> str:
        """A required text. Raises Refusal."""
        if not (text := self.text(name)):
            raise invalid(f"[ERROR] missing required field: {name}")
        return text

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean: JSON's, or "1", "true" and the like."""
        value = self.values.get(name)
        return default if value is None else str(value).lower() in ("1", "true", "t")

    def number(self, name: str, default: int, most: int) -> int:
        """A whole number from 1 to `most`. Raises Refusal."""
        value = self.text(name) or str(default)
        if not value.isdigit() or not 1 <= int(value) <= most:
            raise Refusal("invalid_limit" if name == "limit" else "invalid_arguments")
        return int(value)

    def data(self, name: str, error: str) -> Any:
        """A JSON value, given as such or encoded in a text; None when missing. Raises Refusal."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise Refusal(error) from None


@dataclass(frozen=True)
class Method:
    """A Web API method. scopes: any one of them is enough, none needed when empty.

    json: it accepts a JSON body; Slack's reading methods take query or form only.
    """

    run: Callable[[World, Args], Json]
    scopes: tuple[str, ...] = ()
    token: Literal["bot", "app"] = "bot"
    json: bool = True


def invalid(*messages: str) -> Refusal:
    """`invalid_arguments` with Slack's explanation."""
    return Refusal("invalid_arguments", response_metadata={"messages": list(messages)})


def find_channel(world: World, args: Args, name: str = "channel") -> Channel:
    """The conversation of a call. Raises Refusal: unknown, or private and the bot isn't in it.

    A user's id stands for the direct conversation with them.
    """
    given = args.need(name)
    workspace = world.workspace
    if given in workspace.users and not workspace.users[given].is_bot:
        return workspace.channels[workspace.direct(given)]
    channel = workspace.channels.get(given)
    if channel is None or (channel.kind != "channel" and BOT_USER not in channel.members):
        raise Refusal("channel_not_found")
    return channel


def must_be_member(channel: Channel) -> None:
    """Raises Refusal when the bot isn't in the conversation."""
    if BOT_USER not in channel.members:
        raise Refusal("not_in_channel")


def must_have(world: World, *scopes: str) -> None:
    """Raises Refusal unless one of the scopes is granted."""
    if scopes and not world.app.scopes.intersection(scopes):
        provided = ",".join(sorted(world.app.scopes))
        raise Refusal("missing_scope", needed=",".join(scopes), provided=provided)


def find_post(world: World, channel: Channel, ts: str) -> Post:
    """A message that exists. Raises Refusal."""
    post = world.workspace.posts.get(ts)
    if post is None or post.channel != channel.id or post.subtype == "tombstone":
        raise Refusal("message_not_found")
    return post


def wire(workspace: Workspace, post: Post, metadata: bool = False) -> Json:
    """A message as the API and the events give it, without its channel."""
    message: Json = {"type": "message", "user": post.user, "text": post.text, "ts": post.ts}
    message["team"] = TEAM
    author = workspace.users.get(post.user)
    if post.user == BOT_USER:
        message |= {"bot_id": BOT, "app_id": APP, "bot_profile": _BOT_PROFILE}
    elif author and author.is_bot:
        message["bot_id"] = "B" + author.id[1:]
    optional = {
        "subtype": post.subtype,
        "client_msg_id": post.client_msg_id,
        "blocks": [dict(block) for block in post.blocks],
        "files": list(post.files),
        "metadata": post.metadata if metadata else None,
        "edited": {"user": post.user, "ts": post.ts} if post.edited else None,
    }
    message |= {name: value for name, value in optional.items() if value}
    replies = workspace.thread(post.channel, post.ts)[1:] if post.root == post.ts else []
    if post.thread_ts:
        message["thread_ts"] = post.thread_ts
        root = workspace.posts.get(post.thread_ts)
        message |= {"parent_user_id": root.user} if root else {}
    elif replies:
        message |= {"thread_ts": post.ts, "reply_count": len(replies), "is_locked": False}
        message["reply_users"] = sorted({reply.user for reply in replies})
        message |= {"latest_reply": replies[-1].ts, "subscribed": False}
    return message


_BOT_PROFILE: Json = {
    "id": BOT,
    "app_id": APP,
    "name": "Threadseek",
    "deleted": False,
    "team_id": TEAM,
}
