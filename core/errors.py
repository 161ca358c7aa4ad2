"""What can go wrong, by what to do about it.

ThreadseekError
├── CompletionError      the API failed; `failure` says how
├── DeliveryError        a platform failed
│   ├── RateLimited      wait `retry_after` seconds
│   │   └── Held         the same, by what the platform said before: the call wasn't made
│   ├── Unreachable      the call may or may not have landed; it may be tried again
│   │   └── Barred       a proxy on the way refuses our user or password
│   ├── PartGone         the message was deleted by somebody
│   │   └── Stopped      it stays, and a person wants no more in it
│   ├── Untouchable      the message stays as it is; others can be posted
│   ├── StreamOpen       the message is a former process's stream; nothing landed, edit it again
│   ├── StreamOver       the message takes nothing more by its stream; nothing landed, edit it
│   ├── TooLarge         the platform refused the size
│   ├── LockedOut        the platform refuses our token: its turns wait for another one
│   └── Undeliverable    for ever: removed from the channel, thread locked
│       └── Unshowable   this text alone: other words may be shown
├── StoreError           the database failed
│   ├── StoreBusy        locked or away for too long; try again
│   ├── StoreUnusable    full, read-only, newer than the code, in use by another process
│   ├── LostClaim        another worker holds the conversation now
│   └── Withdrawn        the prompt was deleted: take the answer back
└── ConfigurationError   every problem at once

Adapters and the store chain the library's own error as the cause.
"""

from collections.abc import Sequence
from enum import StrEnum


class ThreadseekError(Exception):
    """Everything that is not a programming error."""


class Failure(StrEnum):
    """Why a completion failed. What follows from each: `core.turns.retrying`."""

    TRANSPORT = "transport"  # no connection, DNS, TLS, dropped before headers
    STALLED = "stalled"  # a clock ran out; `clock` says which
    TRUNCATED = "truncated"  # the stream ended without a finish that is known
    BUSY = "busy"  # 429
    SERVER = "server"  # 408, 5xx, insufficient_system_resource
    EMPTY = "empty"  # finished without a visible word
    TOO_LONG = "too_long"  # the history exceeds the context; `limit` is the model's, if it said so
    TOO_BIG = "too_big"  # 413
    MAX_TOKENS = "max_tokens"  # max_tokens out of range; `limit` is the largest allowed
    NO_ROOM = "no_room"  # max_tokens doesn't fit behind the messages; `limit` is what they leave
    SHAPE = "shape"  # the order or kind of the messages was refused
    MODERATED = "moderated"  # "Content Exists Risk"
    REFUSED = "refused"  # 400 or 422 for any other reason
    CREDENTIALS = "credentials"  # 401, 403, wrong or expired key
    BALANCE = "balance"  # 402, used_up
    CONFIGURATION = "configuration"  # token_mismatched, api_not_implemented, no_api, unknown model


class Clock(StrEnum):
    """Which limit on the API's time ran out, by the variable that sets it."""

    IDLE = "DEEPSEEK_IDLE_TIMEOUT"
    FIRST = "DEEPSEEK_FIRST_TOKEN_TIMEOUT"
    PROGRESS = "DEEPSEEK_PROGRESS_TIMEOUT"
    TURN = "DEEPSEEK_TURN_TIMEOUT"


class CompletionError(ThreadseekError):
    """The API did not answer.

    status: HTTP status, 0 without one. code, message: the API's own, keys redacted, message at
    most 300 characters. trace_id: the API's id of the request, "" without one. retry_after:
    seconds the API asked us to wait, None without. limit: a number the message named, see Failure.
    clock: what ran out, None when nothing did. own: the message is a sentence of ours; what the far
    end or a library says may repeat what people said.
    """

    def __init__(
        self,
        failure: Failure,
        message: str = "",
        *,
        status: int = 0,
        code: str = "",
        trace_id: str = "",
        retry_after: float | None = None,
        limit: int | None = None,
        clock: Clock | None = None,
        own: bool = False,
    ) -> None:
        super().__init__(failure, message)
        self.failure = failure
        self.message = message
        self.status = status
        self.code = code
        self.trace_id = trace_id
        self.retry_after = retry_after
        self.limit = limit
        self.clock = clock
        self.own = own

    def __str__(self) -> str:
        facts = [self.failure.value, self.status and f"HTTP {self.status}", self.code, self.message]
        return " · ".join(str(fact) for fact in facts if fact)


class DeliveryError(ThreadseekError):
    """A platform call failed. retry_after: seconds that the platform asked to wait, if it did."""

    retry_after = 0.0


class RateLimited(DeliveryError):
    """The platform said 429.

    narrow: it said so of the narrowest allowance alone, of those that the call is counted under.
    """

    def __init__(self, retry_after: float, *, narrow: bool = False) -> None:
        super().__init__(f"rate limited for {retry_after:g} s")
        self.retry_after = retry_after
        self.narrow = narrow


class Held(RateLimited):
    """The platform would say 429, as it told us in time: so the call was not made."""


class Unreachable(DeliveryError):
    """No answer, or a server error: the call may have landed. Trying again may help."""


class Barred(Unreachable):
    """A proxy on the way wants another user or password; it may lock them if they go on coming."""


class PartGone(DeliveryError):
    """The message that should be edited was deleted: taken as a wish to stop."""


class Stopped(PartGone):
    """A person ended the answer by the platform's own button: what is there stays, nothing landed.

    The message may be edited once more, to its end.
    """


class Untouchable(DeliveryError):
    """This message takes no edit any more, ever, and nothing landed. A new one may be posted."""


class StreamOpen(DeliveryError):
    """A native stream that we didn't start holds this message, and nothing landed: the next edit
    ends it first.
    """


class StreamOver(DeliveryError):
    """There is no native stream (any more) for this message, and nothing landed: go on without."""


class TooLarge(DeliveryError):
    """The platform refused the size of the text."""


class LockedOut(DeliveryError):
    """The platform refuses our token, whatever is asked. The message says how to get another."""


class Undeliverable(DeliveryError):
    """Nothing sent to this thread will land: no further call is worth making for this turn."""


class Unshowable(Undeliverable):
    """The platform shows no text with such words, here at least, and nothing landed. Which words
    these are isn't told; a text that ended within one may be shown when it goes on.
    """


class StoreError(ThreadseekError):
    """The database failed."""


class StoreBusy(StoreError):
    """The database stayed locked, or away, past the time a caller can wait; it may be tried again.

    Nothing was written, unless a server was lost during the commit: then nobody knows.
    """


class StoreUnusable(StoreError):
    """The database can't be used; the message says why and what to do. Nothing was written."""


class LostClaim(StoreError):
    """Another worker holds this conversation now: stop without a further write."""


class Withdrawn(StoreError):
    """The prompt was deleted while this claim held: nothing was written, the answer has to go."""


class ConfigurationError(ThreadseekError):
    """One or more variables are wrong. problems: one line each, beginning with the variable."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
