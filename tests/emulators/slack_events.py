"""What Slack's Events API says about each change, filtered by what the app may receive.

Shapes: Slack's event reference and the event fixtures of the SDKs. A mention in a channel gives two
events, `app_mention` and `message`, with ids of their own and in no fixed order.
"""

import random
import time
from collections.abc import Callable
from typing import Any, Literal

from tests.emulators.slack_app import MESSAGE_EVENT, App
from tests.emulators.slack_methods import wire
from tests.emulators.slack_workspace import (
    APP,
    BOT_USER,
    TEAM,
    Change,
    Channel,
    Post,
    Workspace,
)

Json = dict[str, Any]
Order = Literal["random", "mention first", "message first"]


class Events:
    """Turns changes into event payloads and hands them to `send`. order: of a mention's two."""

    def __init__(
        self, workspace: Workspace, app: App, send: Callable[[Json], None], seed: int
    ) -> None:
        self.order: Order = "random"
        self._workspace, self._app, self._send = workspace, app, send
        self._random = random.Random(seed)
        self._count = 0
        workspace.listeners.append(self._changed)
        workspace.arrivals.append(self._joined)

    def payload(self, event: Json) -> Json:
        """The whole payload around one event, with a new event_id."""
        self._count += 1
        authorization: Json = {"enterprise_id": None, "team_id": TEAM, "user_id": BOT_USER}
        authorization |= {"is_bot": True, "is_enterprise_install": False}
        return {
            "token": "verification-token-of-old",
            "team_id": TEAM,
            "context_team_id": TEAM,
            "context_enterprise_id": None,
            "api_app_id": APP,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev0{self._count:08d}",
            "event_time": int(time.time()),
            "authorizations": [authorization],
            "is_ext_shared_channel": False,
            "event_context": f"4-stand-in-{self._count}",
        }

    def _emit(self, name: str, event: Json) -> None:
        if self._app.receives(name):
            self._send(self.payload(event))

    def _changed(self, change: Change) -> None:
        channel = self._workspace.channels[change.post.channel]
        if BOT_USER not in channel.members:
            return
        if change.before is None:
            self._posted(change.post, channel)
            return
        if change.after is None:
            event: Json = {"subtype": "message_deleted", "deleted_ts": change.before.ts}
        else:
            event = {"subtype": "message_changed", "message": self._wire(change.after)}
        event["previous_message"] = self._wire(change.before)
        now = self._workspace.now()
        event |= {"type": "message", "hidden": True, "ts": now, "event_ts": now}
        event |= {"channel": channel.id, "channel_type": channel.kind}
        self._emit(MESSAGE_EVENT[channel.kind], event)

    def _wire(self, post: Post) -> Json:
        return wire(self._workspace, post)

    def _posted(self, post: Post, channel: Channel) -> None:
        event = self._wire(post) | {"channel": channel.id, "event_ts": post.ts}
        message = (MESSAGE_EVENT[channel.kind], event | {"channel_type": channel.kind})
        shown = [message]
        mentioned = f"<@{BOT_USER}" in post.text and post.user != BOT_USER
        if mentioned and channel.kind != "im" and post.subtype in (None, "file_share"):
            without = {name: value for name, value in event.items() if name != "subtype"}
            shown.append(("app_mention", without | {"type": "app_mention"}))
            if self.order == "mention first" or (
                self.order == "random" and self._random.random() < 0.5
            ):
                shown.reverse()
        for name, body in shown:
            self._emit(name, body)

    def _joined(self, user: str, channel: Channel) -> None:
        event = {"type": "member_joined_channel", "user": user, "channel": channel.id}
        event |= {
            "channel_type": "C" if channel.kind == "channel" else "G",
            "team": TEAM,
            "event_ts": self._workspace.now(),
        }
        self._emit("member_joined_channel", event)

    # What people do besides writing.

    def open_messages(self, user: str) -> str:
        """A person opens the app's messages tab; returns the direct conversation's id."""
        who, channel = self._workspace.user(user).id, self._workspace.direct(user)
        event = {"type": "app_home_opened", "user": who, "channel": channel, "tab": "messages"}
        self._emit("app_home_opened", event | {"event_ts": self._workspace.now()})
        return channel

    def open_home(self, user: str) -> None:
        """A person opens the app's home tab."""
        who, channel = self._workspace.user(user).id, self._workspace.direct(user)
        event = {"type": "app_home_opened", "user": who, "channel": channel, "tab": "home"}
        self._emit("app_home_opened", event | {"event_ts": self._workspace.now()})

    def open_assistant(self, user: str) -> str:
        """Legacy assistant view: a person opens a new thread; returns its ts."""
        who, channel = self._workspace.user(user).id, self._workspace.direct(user)
        root = self._workspace.put(
            Post(self._workspace.now(), channel, BOT_USER, "New Assistant Thread")
        )
        context = {"channel_id": None, "team_id": TEAM, "enterprise_id": None}
        thread = {"user_id": who, "context": context, "channel_id": channel, "thread_ts": root.ts}
        event = {"type": "assistant_thread_started", "assistant_thread": thread}
        self._emit("assistant_thread_started", event | {"event_ts": self._workspace.now()})
        return root.ts
