"""The words everything else is written in. Pure data: no clock, no loop, no I/O."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NewType

ThreadKey = NewType("ThreadKey", str)
"""Opaque id of a conversation, made and parsed only by its adapter. Stored: a promise."""

ASIDE = "#"
"""In a ThreadKey between the conversation and who was refused in it, beside others."""

PartId = NewType("PartId", str)
"""Opaque id of one posted platform message, made and parsed only by its adapter. Stored."""


class Role(StrEnum):
    """Who speaks in a message sent to the API."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the `messages` array sent to the API."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a person asked, where and when.

    identity: the platform message's own identity, unique for ever: the deduplication key.
    sequence: text that sorts, inside one thread, as the platform orders its messages.
    author: a stable label of the speaker; empty where only one person can write.
    asked_at: seconds since the epoch, by the platform's clock.
    address: what the adapter needs to answer here, opaque to everyone else. Stored.
    files: names of attachments, which the model does not see.
    follow_up: not addressed to the bot by name; counts only behind a prompt of its conversation.
    late: found too long after it was asked, by reading the platform's history back: gets one
        line instead of an answer.
    """

    platform: str
    thread: ThreadKey
    identity: str
    sequence: str
    author: str
    text: str
    asked_at: float
    address: str
    files: tuple[str, ...] = ()
    follow_up: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one completion, as the API counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One decoded stream event of the choice `index`.

    done: the stream said it is complete ([DONE], or a whole completion arrived at once).
    response_id, model: as the API named them; empty when it did not.
    """

    index: int = 0
    text: str = ""
    reasoning: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    done: bool = False
    response_id: str = ""
    model: str = ""


def nothing() -> bool:
    """Nothing is done."""
    return False


@dataclass(slots=True, eq=False)
class Arrivals:
    """What has come of an answer, and wasn't decoded yet: between who reads it and who shows it.

    coming: called whenever something more lies unread. Must not block.
    draw: has it decoded, though not before the loop's next turn; False when there is nothing.
    """

    coming: Callable[[], object] = nothing
    draw: Callable[[], bool] = nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionRequest:
    """One question to the API. Model and sampling parameters are the client's own configuration.

    max_tokens: replaces the configured cap for this request (the API named a smaller maximum).
    seconds: what is left of the turn's time; the attempt takes no longer, once it has a place.
    begun: called when it has one, and its seconds begin.
    arrivals: for who wants to draw what has come; else it comes in larger pieces, a little late.
    """

    messages: tuple[Message, ...]
    max_tokens: int | None = None
    seconds: float = math.inf
    begun: Callable[[], object] = field(default=nothing, compare=False)
    arrivals: Arrivals = field(default_factory=Arrivals, compare=False)


class Verdict(StrEnum):
    """How a stream ended."""

    COMPLETE = "complete"
    LENGTH = "length"
    FILTERED = "filtered"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    STOPPED = "stopped"  # by a person
    REFUSED = "refused"  # by us: the model wasn't asked
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a turn: everything that is stored before the last edit is sent.

    text: the model's own Markdown of the first candidate, as far as it came.
    notice: one line shown beneath the text (or instead of it); empty when there is nothing to say.
    candidates: all candidates in index order when n > 1, else empty.
    reasoning: the model's thinking; never shown as the answer, never sent back.
    trace_id: the API's own id of a failed request.
    """

    verdict: Verdict
    text: str = ""
    notice: str = ""
    candidates: tuple[str, ...] = ()
    reasoning: str = ""
    usage: Usage | None = None
    finish_reason: str | None = None
    model: str = ""
    response_id: str = ""
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class Remembered:
    """One stored history entry. author: the speaker's label; empty for the assistant.

    identity: the platform message it came from, when it was read from the thread; else empty.
    """

    role: Role
    content: str
    author: str = ""
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """What a conversation carries from turn to turn beside its messages.

    start: position of the first message that is still sent (older ones were left out).
    ratio: the API's own token count over our estimate, from the last answers. Dimensionless.
    told: the person has been told that the beginning was left out.
    speaker: label of the first person who spoke; several: somebody else has spoken since.
    """

    start: int = 0
    ratio: float = 1.0
    told: bool = False
    speaker: str = ""
    several: bool = False


@dataclass(frozen=True, slots=True)
class Kept:
    """What a conversation keeps of a turn: entries of its history, and the memory after them."""

    remember: Sequence[Remembered]
    memory: Memory


@dataclass(frozen=True, slots=True)
class Conversation:
    """The stored messages from `memory.start` on, oldest first, contiguous positions.

    fresh: nothing was ever stored, so what was said in the thread before may still be read.
    """

    thread: ThreadKey
    messages: tuple[Remembered, ...] = ()
    memory: Memory = Memory()
    fresh: bool = True


class Kind(IntEnum):
    """What a call to a platform is for; a larger one matters more."""

    INTERIM = 0
    FIRST = 1
    FINAL = 2


@dataclass(frozen=True, slots=True)
class Allowance:
    """One rate budget of a platform, as data. Threads that share `key` share the budget.

    burst: calls that may be made at once. rate: calls a second, for ever.
    shared: several conversations spend it, so that processes that share the work share it too.
    within: a wider one that the same calls are counted under, too.
    guessed: the platform doesn't say how many it takes, so that a refusal says more.
    """

    key: str
    burst: float
    rate: float
    shared: bool = False
    within: "Allowance | None" = None
    guessed: bool = False


@dataclass(frozen=True, slots=True)
class Unseen:
    """What a call would show that nobody sees yet.

    characters: how many. area: the seconds that each of them has waited, summed.
    """

    characters: int = 0
    area: float = 0.0


NOTHING = Unseen()


@dataclass(frozen=True, slots=True)
class Left:
    """What a platform says is left of a budget: so many calls for so many seconds, then more.

    age: seconds since the latest call. period: seconds for which as many are given each time;
    infinite where that is unknown.
    """

    calls: int
    seconds: float
    age: float = 0.0
    period: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """What a platform allows messages that are written by a native stream.

    gap: least seconds between two calls on one. life: seconds after its start within which a stream
    has to be stopped; the platform ends it some time after that by itself.
    """

    start: Allowance
    append: Allowance
    stop: Allowance
    gap: float
    life: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a platform allows one thread.

    size: most units one part may have. measure: units of a part, of the text as it is sent.
    gap: least seconds between two calls on one message. post: may become another one meanwhile.
    stream: None where there are no native streams, or none any more.
    """

    size: int
    measure: Callable[[str], int]
    gap: float
    post: Allowance
    edit: Allowance
    stream: StreamLimits | None = None
