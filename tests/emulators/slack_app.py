"""The app as it is installed in the stand-in: its tokens, scopes and event subscriptions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.emulators.slack_workspace import Kind

SCOPES = (
    "app_mentions:read",
    "assistant:write",
    "channels:history",
    "chat:write",
    "groups:history",
    "im:history",
    "mpim:history",
    "users:read",
)
EVENTS = (
    "app_home_opened",
    "app_mention",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
)
MESSAGE_EVENT: dict[Kind, str] = {
    "channel": "message.channels",
    "group": "message.groups",
    "im": "message.im",
    "mpim": "message.mpim",
}
HISTORY_SCOPE: dict[Kind, str] = {
    "channel": "channels:history",
    "group": "groups:history",
    "im": "im:history",
    "mpim": "mpim:history",
}
READ_SCOPE: dict[Kind, str] = {
    "channel": "channels:read",
    "group": "groups:read",
    "im": "im:read",
    "mpim": "mpim:read",
}
EVENT_SCOPE = {
    "app_mention": "app_mentions:read",
    "assistant_thread_started": "assistant:write",
    "assistant_thread_context_changed": "assistant:write",
    "member_joined_channel": "channels:read",
    **{event: HISTORY_SCOPE[kind] for kind, event in MESSAGE_EVENT.items()},
}


@dataclass
class App:
    """An installed app.

    agent_view: today's agent messages tab; False is the legacy assistant view. messages_tab: people
    may write to it directly. token_error: what every call with the bot token gets, such as
    "token_revoked" or "account_inactive"; "" while it is good. distributed: a commercially
    distributed app outside the Marketplace, whose history methods give 1 call a minute and 15
    objects. client_msg_ids: `chat.postMessage` honours a repeated `client_msg_id` (undocumented).
    no_streams: what the stream methods get, such as "unknown_method" or "feature_not_enabled"; ""
    where there are streams. streams_in: kinds of conversations that take them.
    """

    bot_token: str = "xoxb-1-stand-in"
    app_token: str = "xapp-1-stand-in"
    signing_secret: str = "stand-in-signing-secret"
    scopes: frozenset[str] = frozenset(SCOPES)
    events: frozenset[str] = frozenset(EVENTS)
    agent_view: bool = True
    messages_tab: bool = True
    token_error: str = ""
    distributed: bool = False
    client_msg_ids: bool = True
    no_streams: str = ""
    streams_in: frozenset[Kind] = frozenset(MESSAGE_EVENT)

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any], **changes: Any) -> "App":
        """The app that this manifest (already decoded) would install."""
        features, settings = manifest.get("features", {}), manifest.get("settings", {})
        scopes: Iterable[str] = manifest.get("oauth_config", {}).get("scopes", {}).get("bot", ())
        events: Iterable[str] = settings.get("event_subscriptions", {}).get("bot_events", ())
        return cls(
            scopes=frozenset(scopes),
            events=frozenset(events),
            agent_view="agent_view" in features,
            messages_tab=bool(features.get("app_home", {}).get("messages_tab_enabled", False)),
            **changes,
        )

    def receives(self, event: str) -> bool:
        """Whether Slack sends this event: subscribed to, the scope granted, the token good."""
        scope = EVENT_SCOPE.get(event)
        granted = scope is None or scope in self.scopes
        return event in self.events and granted and not self.token_error
