"""Slack's answers that mean no -> core errors, each saying what to do.

Error names: the "Errors" tables of docs.slack.dev/reference/methods (chat.postMessage,
chat.update, chat.delete, chat.*Stream, conversations.replies, assistant.threads.setStatus,
auth.test).
"""

from collections.abc import Mapping

from core.errors import (
    DeliveryError,
    LockedOut,
    PartGone,
    RateLimited,
    Stopped,
    TooLarge,
    Undeliverable,
    Unreachable,
    Untouchable,
)

DEFAULT_WAIT = 5.0
"""Seconds to wait after a 429 that doesn't say how long."""

TOKEN_CODES = frozenset(
    {
        "invalid_auth",
        "not_authed",
        "account_inactive",
        "token_revoked",
        "token_expired",
        "not_allowed_token_type",
        "team_access_not_granted",
        "two_factor_setup_required",
    }
)
"""The token is wrong: no call with it will ever work."""

NEVER = frozenset(
    {
        "unknown_method",
        "method_deprecated",
        "method_not_supported_for_channel_type",
        "feature_not_enabled",
        "missing_scope",
        "no_permission",
        "not_allowed",
        "not_allowed_token_type",
    }
)
"""Refusals that no later call of the same method would escape."""

SPARE = frozenset(
    {
        "assistant.threads.setStatus",
        "chat.appendStream",
        "chat.postEphemeral",
        "chat.startStream",
        "chat.stopStream",
    }
)
"""Methods that answers do without: what Slack refuses them says nothing of the others."""

ENDED = frozenset(
    {
        "not_in_channel",
        "channel_not_found",
        "is_archived",
        "is_inactive",
        "thread_not_found",
        "invalid_thread_ts",
        "cannot_reply_to_message",
        "ekm_access_denied",
    }
)
"""Refusals that every method would give that writes into the same thread."""

OVER = "message_not_in_streaming_state"
"""What a stream's calls say of one that has ended."""

ITS_STREAM = frozenset({OVER, "message_not_owned_by_app", "invalid_chunks"})
"""Refusals by which a stream's calls say something of this one stream alone."""

CONFLICT = "streaming_state_conflict"
"""Slack's answer to `chat.update` of a message whose native stream is open."""

_AGAIN = frozenset(
    {
        "internal_error",
        "fatal_error",
        "service_unavailable",
        "request_timeout",
        "team_added_to_org",
        "org_login_required",
        "external_channel_migrating",
        "update_failed",
        "duplicate_message_not_found",
        "duplicate_channel_not_found",
    }
)
"""The call may have landed, or will when a workspace or channel has moved; the last two: a post
with this `client_msg_id` did, but Slack doesn't find it now."""
_GONE = frozenset({"message_not_found"})
_UNTOUCHABLE = frozenset({"edit_window_closed", "cant_update_message", "block_mismatch"})
"""What `chat.update` says of one message; others can be posted, and streamed."""
_GARBLED = frozenset({*range(200, 429), *range(430, 500), 501})
_NOT_SERVED = frozenset({404, 405, 410, 501})
_TOO_LARGE = frozenset({"msg_too_long", "msg_blocks_too_long", "markdown_text_too_long"})
_WHAT_TO_DO = {
    "not_in_channel": "invite the bot to the channel (/invite)",
    "channel_not_found": "invite the bot to the channel (/invite), unless it was deleted",
    "is_archived": "unarchive the channel to go on",
    "thread_not_found": "the thread's first message was deleted; ask in a new thread",
    "invalid_thread_ts": "the thread's first message was deleted; ask in a new thread",
    "cannot_reply_to_message": "the thread's first message can't be replied to; ask in a new one",
    "missing_scope": "compare the app's scopes with adapters/slack/manifest.json and reinstall it",
    "no_permission": "compare the app's scopes with adapters/slack/manifest.json and reinstall it",
    "ekm_access_denied": "the workspace's administrators suspended access to its messages",
    "team_access_not_granted": "the app isn't approved for this workspace; ask an administrator",
    "edit_window_closed": "the workspace forbids edits after a time; an administrator can allow it",
    "cant_update_message": "the message belongs to somebody else; was the token replaced?",
    "no_text": "this Slack doesn't take Markdown messages (markdown_text)",
}
_WRONG_TOKEN = "put a fresh bot token (xoxb-...) into SLACK_BOT_TOKEN and restart"  # noqa: S105
_RESTRICTED = "a workspace setting forbids the bot to post here; ask an administrator"
_UNKNOWN = "see the method's page on docs.slack.dev"


class Garbled(Unreachable):
    """An answer that Slack doesn't give: somebody between gave it, so the method isn't served."""


class NotServed(Garbled):
    """One that says so by its status: nothing was done."""


class TokenRefused(LockedOut):
    """Slack takes the token no more. code: Slack's own name for the reason."""

    def __init__(self, method: str, code: str) -> None:
        super().__init__(f"Slack refused {method} ({code}): {_WRONG_TOKEN}")
        self.code = code


class Refused(Undeliverable):
    """Slack said a definite no. code: Slack's own name for the reason, method: what was asked."""

    def __init__(self, method: str, code: str) -> None:
        if code.startswith("restricted_action"):
            advice = _RESTRICTED
        else:
            advice = _WHAT_TO_DO.get(code, _UNKNOWN)
        super().__init__(f"Slack refused {method} ({code}): {advice}")
        self.method = method
        self.code = code


def refusal(method: str, status: int, headers: Mapping[str, str], body: object) -> DeliveryError:
    """The core error for an answer that is no success. Never contains a token or a text.

    body: its JSON, None for anything else. A refusal by name is definite. Everything else may or
    may not have landed.
    """
    code = str(body.get("error", "")) if isinstance(body, Mapping) else ""
    if status == 429 or code in ("ratelimited", "rate_limited"):
        return RateLimited(_wait(headers))
    if not code or status >= 500 or code in _AGAIN:
        kind = Unreachable
        if not code and status in _GARBLED:
            kind = NotServed if status in _NOT_SERVED else Garbled
        return kind(f"Slack failed at {method} (HTTP {status} {code})".replace(" )", ")"))
    if code == "stopped_by_user":
        return Stopped(f"the stream was stopped ({code})")
    if code in _GONE:
        return PartGone(f"the message is gone ({code})")
    if code in _UNTOUCHABLE:
        return Untouchable(f"Slack refused {method} ({code}): {_WHAT_TO_DO.get(code, _UNKNOWN)}")
    if code in _TOO_LARGE:
        return TooLarge(f"Slack refused the size ({code})")
    if code in NEVER and method in SPARE:  # not_allowed_token_type: for this method only
        return Refused(method, code)
    return TokenRefused(method, code) if code in TOKEN_CODES else Refused(method, code)


def _wait(headers: Mapping[str, str]) -> float:
    """Seconds in Retry-After."""
    try:
        return max(0.0, float(headers.get("Retry-After", DEFAULT_WAIT)))
    except ValueError:
        return DEFAULT_WAIT
