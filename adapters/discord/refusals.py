"""Discord's answers that mean no -> core errors, each saying what to do.

Codes: docs.discord.com/developers/topics/opcodes-and-status-codes#json.
"""

from collections.abc import Mapping

from core.errors import (
    DeliveryError,
    LockedOut,
    PartGone,
    TooLarge,
    Undeliverable,
    Unreachable,
    Unshowable,
    Untouchable,
)

UNKNOWN_CHANNEL = 10003
UNKNOWN_MESSAGE = 10008
UNKNOWN_WEBHOOK = 10015
UNKNOWN_INTERACTION = 10062
ACKNOWLEDGED = 40060
NO_ACCESS = 50001
NO_PERMISSION = 50013
TOKEN_DEAD = 50027
INVALID_FORM = 50035
ARCHIVED = 50083
THREAD_EXISTS = 160004
LOCKED = 160005

_GUARD = 40333
"""What the guard in front of Discord says in JSON; it was seen for hours where nothing was wrong
(germanoeich/nirn-proxy#14)."""

UNAUTHORIZED = 401
"""The HTTP status of a wrong bot token; there is no code of its own for it."""

TOKEN_ADVICE = (
    "copy the token from Bot > Reset Token at discord.com/developers/applications "  # noqa: S105
    "into DISCORD_BOT_TOKEN and restart"
)
_PERMISSIONS = "docs/discord.md lists them all"
_LACKING = {
    "POST /channels/{channel}/messages/{message}/threads": "Create Public Threads",
    "POST /channels/{channel}/messages": "Send Messages (in a thread: Send Messages in Threads)",
    "PATCH /channels/{channel}": "Send Messages in Threads (to a locked thread: Manage Threads)",
}
"""The permissions that these calls take."""
_FILTER = "the answer has {}; see the server's Safety Setup if it should be shown"
_WHAT_TO_DO = {
    UNKNOWN_CHANNEL: "the channel or thread was deleted",
    UNKNOWN_WEBHOOK: "the time in which this command could be answered is over",
    TOKEN_DEAD: "the time in which this command could be answered is over",
    UNKNOWN_INTERACTION: "the command was not answered within 3 seconds; the person was told so",
    ACKNOWLEDGED: "another process with the same token has answered; give them one database",
    40094: "where only its user has installed the bot, an answer has six messages at most",
    NO_ACCESS: "the bot can't see the channel: give its role View Channels; " + _PERMISSIONS,
    NO_PERMISSION: "the bot lacks {lacking}; " + _PERMISSIONS,
    50005: "the message belongs to somebody else; was the token replaced?",
    50007: "this person takes no direct messages from the bot",
    ARCHIVED: "the thread is archived and can't be opened again; continue in a new one",
    LOCKED: "a moderator has locked the thread; continue in a new one",
    160002: "give its role the permission Read Message History",
    160006: "the server has its most threads; archive some",
    20016: "the channel is in slow mode; give its role the permission Manage Messages",
    30007: "see the message",
    20009: _FILTER.format("explicit content"),
    200000: _FILTER.format("what the server's AutoMod forbids"),
    240000: _FILTER.format("a link that Discord takes for harmful"),
}
_UNKNOWN = "see the code on docs.discord.com"

_UNTOUCHABLE = frozenset({50005, 50021})
"""What an edit is told of one message, somebody else's or of a kind of its own; others can be
posted."""

_UNSHOWABLE = frozenset({20009, 200000, 240000})
"""What a text is told for words or links in it."""


class TokenRefused(LockedOut):
    """Discord takes the bot token no more."""

    def __init__(self, route: str) -> None:
        super().__init__(f"Discord refused {route} (HTTP {UNAUTHORIZED}): {TOKEN_ADVICE}")


class Refused(Undeliverable):
    """Discord said a definite no. code: its JSON error code, 0 without one; status: HTTP's."""

    def __init__(self, route: str, status: int, code: int, message: str = "") -> None:
        super().__init__(_explained(route, status, code, message))
        self.route = route
        self.status = status
        self.code = code


def translate(route: str, status: int, body: object) -> DeliveryError:
    """The core error for an answer that is no success; 429 is not for this function.

    A refusal by 4xx is definite: Discord says it in JSON. Everything else may or may not have
    landed, a page with such a status too: it is from a proxy or from the guard in front of Discord,
    which has a code of its own in JSON.
    """
    definite = 400 <= status < 500 and status != 408
    if not definite or not isinstance(body, Mapping) or body.get("code") == _GUARD:
        page = ", not by Discord itself" if definite else ""
        return Unreachable(f"Discord failed at {route} (HTTP {status}{page})")
    code = body.get("code")
    code = code if isinstance(code, int) else 0
    if code == UNKNOWN_MESSAGE:
        return PartGone(f"the message is gone ({code})")
    if code == INVALID_FORM and _too_long(body.get("errors")):
        return TooLarge(f"Discord refused the size ({code})")
    if status == UNAUTHORIZED and not code:
        return TokenRefused(route)
    message = body.get("message")
    said = message[:100] if isinstance(message, str) else ""
    if code in _UNTOUCHABLE and route.startswith("PATCH "):
        return Untouchable(_explained(route, status, code, said))
    if code in _UNSHOWABLE:
        return Unshowable(_explained(route, status, code, said))
    return Refused(route, status, code, said)


def _explained(route: str, status: int, code: int, message: str) -> str:
    """What was refused, why, and what to do."""
    what = str(code) if code else f"HTTP {status}"
    advice = _WHAT_TO_DO.get(code, _UNKNOWN)
    if code == NO_PERMISSION:
        advice = advice.format(lacking=_LACKING.get(route, "a permission"))
    said = f" {message}" if message else ""
    return f"Discord refused {route} ({what}{said}): {advice}"


def _too_long(errors: object) -> bool:
    """Whether the form was refused for the length of its text (`BASE_TYPE_MAX_LENGTH`)."""
    content = errors.get("content") if isinstance(errors, Mapping) else None
    listed = content.get("_errors") if isinstance(content, Mapping) else None
    found = listed if isinstance(listed, list) else []
    return any(isinstance(e, Mapping) and e.get("code") == "BASE_TYPE_MAX_LENGTH" for e in found)
