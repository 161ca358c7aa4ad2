"""Discord's numbers and refusals: types, permission bits, flags, limits, error codes.

Sources: discord-api-docs (topics/opcodes-and-status-codes, topics/permissions, resources/channel,
resources/message). Pure.
"""

from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]

EPOCH_MS = 1_420_070_400_000
# The bot's user has its application's id, as with every app of today.
OWNER, BOT = "1100000000000000001", "1100000000000000002"
GUILD, MANAGED_ROLE = "1100000000000000003", "1100000000000000004"

# Channel types.
TEXT, DM, VOICE, ANNOUNCEMENT, FORUM = 0, 1, 2, 5, 15
ANNOUNCEMENT_THREAD, PUBLIC_THREAD, PRIVATE_THREAD = 10, 11, 12
THREADS = (ANNOUNCEMENT_THREAD, PUBLIC_THREAD, PRIVATE_THREAD)

# Message types.
PLAIN, THREAD_CREATED, REPLY, SLASH, STARTER, MENU = 0, 18, 19, 20, 21, 23
SYSTEM = (THREAD_CREATED, STARTER)

# Permission bits.
ADMINISTRATOR, ADD_REACTIONS, VIEW, SEND = 1 << 3, 1 << 6, 1 << 10, 1 << 11
MANAGE_MESSAGES, EMBED_LINKS, ATTACH, READ_HISTORY = 1 << 13, 1 << 14, 1 << 15, 1 << 16
MENTION_EVERYONE, USE_COMMANDS, MANAGE_THREADS = 1 << 17, 1 << 31, 1 << 34
CREATE_THREADS, CREATE_PRIVATE, SEND_IN_THREADS = 1 << 35, 1 << 36, 1 << 38
ALL = (1 << 50) - 1
IN_DIRECT = ADD_REACTIONS | VIEW | SEND | EMBED_LINKS | ATTACH | READ_HISTORY | MENTION_EVERYONE
USUAL = IN_DIRECT | USE_COMMANDS | CREATE_THREADS | CREATE_PRIVATE | SEND_IN_THREADS

# Message flags.
SUPPRESS_EMBEDS, HAS_THREAD, EPHEMERAL, LOADING = 1 << 2, 1 << 5, 1 << 6, 1 << 7
SILENT, COMPONENTS_V2 = 1 << 12, 1 << 15

CONTENT_LIMIT, NONCE_LIMIT, NAME_LIMIT = 2000, 25, 100
FILE_LIMIT = 10 * 2**20
ARCHIVE_MINUTES = (60, 1440, 4320, 10080)

# code: (HTTP status, message).
ERRORS: dict[int, tuple[int, str]] = {
    10003: (404, "Unknown Channel"),
    10004: (404, "Unknown Guild"),
    10007: (404, "Unknown Member"),
    10008: (404, "Unknown Message"),
    10013: (404, "Unknown User"),
    10015: (404, "Unknown Webhook"),
    10062: (404, "Unknown interaction"),
    10063: (404, "Unknown application command"),
    20009: (400, "Explicit content cannot be sent to the desired recipient(s)"),
    20031: (400, "Channel names contain words that are not allowed"),
    30046: (
        429,
        "Maximum number of edits to messages older than 1 hour reached. Try again later",
    ),
    40005: (413, "Request entity too large"),
    40060: (400, "Interaction has already been acknowledged."),
    40333: (403, "internal network error"),
    50001: (403, "Missing Access"),
    50003: (403, "Cannot execute action on a DM channel"),
    50005: (403, "Cannot edit a message authored by another user"),
    50006: (400, "Cannot send an empty message"),
    50007: (403, "Cannot send messages to this user"),
    50008: (400, "Cannot send messages in a non-text channel"),
    50013: (403, "Missing Permissions"),
    50021: (403, "Cannot execute action on a system message"),
    50024: (400, "Cannot execute action on this channel type"),
    50027: (401, "Invalid Webhook Token"),
    50035: (400, "Invalid Form Body"),
    50083: (400, "Thread is archived"),
    50109: (400, "The request body contains invalid JSON."),
    160002: (400, "Cannot reply without permission to read message history"),
    160004: (400, "A thread has already been created for this message"),
    160005: (400, "Thread is locked"),
    200000: (400, "Message was blocked by automatic moderation"),
    200001: (400, "Title was blocked by automatic moderation"),
    240000: (400, "Message blocked by harmful links filter"),
}


class Refusal(Exception):
    """Discord says no. code: its JSON error code; status and message follow from it if known."""

    def __init__(
        self, code: int, *, status: int = 0, message: str = "", errors: Json | None = None
    ) -> None:
        known, text = ERRORS.get(code, (400, ""))
        self.code, self.status, self.errors = code, status or known, errors
        self.message = message or text
        super().__init__(code, self.message)

    def body(self) -> Json:
        """The JSON body."""
        body: Json = {"message": self.message, "code": self.code}
        return body | ({"errors": self.errors} if self.errors else {})


def plain(status: int, text: str) -> Refusal:
    """A refusal without a code: "401: Unauthorized", "404: Not Found"."""
    return Refusal(0, status=status, message=f"{status}: {text}")


def invalid(path: str, code: str, text: str) -> Refusal:
    """50035 about one field; path: its keys with dots, as in "embeds.0.title"."""
    errors: Json = {"_errors": [{"code": code, "message": text}]}
    for key in reversed(path.split(".")):
        errors = {key: errors}
    return Refusal(50035, errors=errors)


def required(path: str) -> Refusal:
    """50035: a field is missing."""
    return invalid(path, "BASE_TYPE_REQUIRED", "This field is required")


def too_long(path: str, limit: int) -> Refusal:
    """50035: a text or a list is too long."""
    return invalid(path, "BASE_TYPE_MAX_LENGTH", f"Must be {limit} or fewer in length.")


def bad_length(path: str, low: int, high: int) -> Refusal:
    """50035: a text is too short or too long."""
    text = f"Must be between {low} and {high} in length."
    return invalid(path, "BASE_TYPE_BAD_LENGTH", text)


def not_one_of(path: str, choices: Iterable[object]) -> Refusal:
    """50035: a value isn't one of those allowed."""
    listed = ", ".join(str(choice) for choice in choices)
    return invalid(path, "BASE_TYPE_CHOICES", f"Value must be one of {{{listed}}}.")
