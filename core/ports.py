"""What turns and delivery ask of the world. Each port is satisfied elsewhere and joined in bots.

`Thread` is all that a platform must give. What some platforms can do besides are protocols of one
method (`ShowsStatus`, ...): a thread that has the method has the ability.
"""

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from core.lifecycle import State
from core.types import (
    Chunk,
    CompletionRequest,
    Conversation,
    Kept,
    Left,
    Limits,
    Memory,
    Outcome,
    PartId,
    Prompt,
    Remembered,
    ThreadKey,
)


class Thread(Protocol):
    """Live handle on one conversation, for one turn. Texts are the model's own Markdown."""

    @property
    def limits(self) -> Limits:
        """What the platform allows here."""

    async def post(self, text: str, key: str) -> PartId:
        """Post a new message. key: the same for a repeated attempt at the same post; it ends with a
        colon and the index of the part, from 0.

        Raises: RateLimited, Unreachable, TooLarge, Undeliverable, LockedOut, and PartGone when
        somebody deleted the message that the platform had made for the answer.
        """

    async def edit(self, part: PartId, text: str) -> None:
        """Replace the text of a posted message.

        Raises: RateLimited, Unreachable, PartGone, Untouchable, TooLarge, Undeliverable, LockedOut.
        """


@runtime_checkable
class ShowsStatus(Protocol):
    """Can say what is going on before there are words ("is thinking…")."""

    async def status(self, text: str) -> None:
        """Show one line of status; it goes by itself when a message is posted. Never raises.

        text: empty to take it away.
        """


@runtime_checkable
class ShowsQueued(Protocol):
    """Can show the one who asked that the prompt waits for others of its conversation.

    Each prompt is told of at most once that it waits.
    """

    async def queued(self, ahead: int) -> None:
        """So many are before it; 0: its turn has come, which is said of each that was to wait,
        perhaps more than once, perhaps by another process. Never raises.
        """


@runtime_checkable
class ReadsEarlier(Protocol):
    """Can read what was said in the thread before the prompt."""

    async def earlier(self) -> Sequence[Remembered]:
        """Messages before the prompt, oldest first, identities set. Empty when there are none.

        The answer waits for it, half a minute at most. Raises: DeliveryError.
        """


@runtime_checkable
class Streams(Protocol):
    """Can write a message by a native stream: only what is new is sent, out of own budgets.

    `Thread.limits.stream` says whether streams are to be had now. Texts are whole texts of the
    part, each one the one before and more, an open code fence not closed. `Thread.edit` of a
    message whose stream is open stops that first, also before it raises Untouchable. It raises
    Stopped where a person did, and at first StreamOpen where the stream is none of this handle's.
    """

    async def start(self, text: str, key: str) -> PartId:
        """Post a new message that begins with this text. key: as for `Thread.post`.

        Raises: StreamOver when no stream is to be had here: post instead; else as `Thread.post`.
        """

    async def append(self, part: PartId, shown: str, text: str) -> None:
        """Make the message say `text`, which says `shown` now.

        Raises: StreamOver when the stream is over, or when the text as it is sent doesn't continue
        what was sent: edit instead; Stopped when a person ended it; else as `Thread.edit`. After
        Unreachable nobody knows what landed: edit instead, too.
        """

    async def stop(self, part: PartId, shown: str, text: str) -> None:
        """The same with the last text of the message. Raises: as `append`."""


@runtime_checkable
class Paces(Protocol):
    """Hears from the platform how much of its budget is left, and until when."""

    def left(self, part: PartId) -> Left | None:
        """For edits of this message; None when the platform said nothing. Makes no call."""


@runtime_checkable
class FindsPost(Protocol):
    """Can find a post whose reply was lost."""

    async def find(self, key: str, known: Collection[PartId] | None = None) -> Sequence[PartId]:
        """The messages posted with this key, oldest first: one, when all went well.

        known: messages of this reply that aren't looked for. Raises: DeliveryError.
        """


@runtime_checkable
class HasNameless(Protocol):
    """Has posts that can't be found by their key, ever or after some time, nor posted again once
    only.

    exclusive: what nobody knows of them is this conversation's, also when it is several, and none
    is a refusal's beside it.
    """

    exclusive: bool

    async def nameless(self, key: str, within: float, after: PartId | None) -> Sequence[PartId]:
        """Messages of ours behind the question that this may be true of, oldest first; those
        posted with other keys, also for other prompts, among them.

        within: the post was tried first so many seconds ago, `inf` when nobody knows. Older
        messages are left out where the platform tells their age. after: one that is older than
        the post; what is older still is left out. Raises: DeliveryError.
        """


@runtime_checkable
class RemovesPart(Protocol):
    """Can delete one of our own messages."""

    async def remove(self, part: PartId) -> None:
        """Delete it; deleting what is gone is fine. Raises: RateLimited, Unreachable, LockedOut."""


@runtime_checkable
class Retracts(Protocol):
    """Can remove a post that can't be found: its key posted again gives the same message."""

    async def retract(self, key: str) -> None:
        """Remove what was posted with this key. What can't be removed stays.

        Raises: RateLimited, Unreachable, LockedOut.
        """


@runtime_checkable
class Concludes(Protocol):
    """Wants to know what became of its turn, beyond the texts it was given."""

    async def concluded(self, outcome: Outcome) -> None:
        """The outcome is visible and settled. Never raises."""


class Threads(Protocol):
    """A platform, as the engine sees it."""

    def open(self, prompt: Prompt) -> Thread:
        """The live handle for answering this prompt; makes no call."""


class Completions(Protocol):
    """The chat-completion API."""

    def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        """Chunks as they arrive; one attempt. Close it to close the upstream connection at once.

        Ends after a finish of every choice or after a chunk that is `done`.
        Raises: CompletionError.
        """


@dataclass(frozen=True, slots=True)
class Posted:
    """One part of a reply that was announced to the store: id is None until its post returned."""

    index: int
    id: PartId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A claimed turn, as it was read when it was claimed.

    fence: grows with every claim. waited: another turn of the conversation was open when it came.
    crowded: too many were, so it is refused; its thread is then a conversation of its own.
    withdrawn: the prompt was deleted, so that all there is to do is to take the answer back.
    crashes: so many claims of it ended without its being given back, one after another.
    removed: so many messages of former answers were removed before it was asked anew.
    settles_in: of a delivered turn, seconds from the claim until nothing cut off can land any more;
    infinite when that can't be told, so that the wait begins anew.
    """

    id: int
    prompt: Prompt
    state: State
    attempts: int
    fence: int
    parts: tuple[Posted, ...] = ()
    waited: bool = False
    crowded: bool = False
    outcome: Outcome | None = None
    withdrawn: bool = False
    settles_in: float | None = None
    crashes: int = 0
    removed: int = 0


@dataclass(frozen=True, slots=True)
class Amended:
    """What an edit came to. known: the message was a prompt.

    fence: claims of it with a lower one are void now, because the new text is to be answered; 0
    when nothing is asked again.
    """

    known: bool
    fence: int = 0


@dataclass(frozen=True, slots=True)
class Recent:
    """A conversation as its newest turn left it. sequence: as in that turn's prompt.

    first: the sequence of its oldest turn, from which on the thread was ours.
    """

    thread: ThreadKey
    sequence: str
    first: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was asked, and what is shown of its outcome: nothing, while there is none.

    text, notice: as in `Outcome`.
    """

    identity: str
    asked: str
    text: str = ""
    notice: str = ""


class Turns(Protocol):
    """The durable inbox and the life of its turns. Every method is one transaction.

    Methods that take a `Turn` raise `LostClaim` when the claim's fence is no longer the newest, and
    those that go on with it (`posted` and `release` do not) raise `Withdrawn` when its prompt was
    deleted and `Turn.withdrawn` doesn't say so.
    All raise StoreBusy and StoreUnusable.
    """

    async def accept(self, prompt: Prompt) -> bool:
        """Store prompt and turn; False when it is known already or a follow-up to nothing.

        Ten turns of a conversation are open at most: what comes beyond them is stored as crowded.
        """

    async def claim(
        self, owner: str, platforms: Sequence[str], lease: float, full: Sequence[str] = ()
    ) -> Turn | None:
        """Take the head turn of a free conversation for `lease` seconds; None without one.

        full: how the keys of those begin of which none is wanted now.
        """

    async def renew(self, turn: Turn, lease: float) -> None:
        """Hold the conversation for `lease` seconds from now."""

    async def attempt(self, turn: Turn) -> int:
        """Count one more API attempt before it is made; returns how many this text has had."""

    async def announce(self, turn: Turn, index: int, *, named: bool = False) -> None:
        """Say that the part `index` is about to be posted. named: its key finds it, ever after."""

    async def posted(self, turn: Turn, index: int, part: PartId, *, only: bool = False) -> None:
        """Keep the id of the posted part `index`. only: no other try of it can have landed."""

    async def strangers(
        self, turn: Turn, parts: Sequence[PartId], *, exclusive: bool
    ) -> Sequence[PartId]:
        """Those of these messages that were kept for no turn, in their order; none while they may
        be another turn's in the same place that misses one which isn't named, too.

        exclusive: refusals beside the conversation have none of them.
        """

    async def answer(
        self, turn: Turn, outcome: Outcome, remember: Sequence[Remembered], memory: Memory
    ) -> None:
        """Commit the outcome, the history entries and the memory: claimed -> answered."""

    async def park(self, turn: Turn, outcome: Outcome) -> None:
        """Put another outcome in the place of a committed one that won't be shown as it is.

        The conversation keeps its text in the place of the answer's; without one, nothing.
        """

    async def deliver(self, turn: Turn, seconds: float) -> None:
        """All is shown, but for so many seconds something older may land: answered -> delivered.

        Said again of a delivered turn, the seconds begin anew.
        """

    async def finish(
        self, turn: Turn, state: State, reason: str = "", kept: Kept | None = None
    ) -> None:
        """Step to settled, abandoned or cancelled, and free the conversation.

        kept: stored with it, where there is no outcome."""

    async def release(self, turn: Turn) -> None:
        """Give the turn back, to be claimed again: claimed -> received; else it stays."""

    async def waiting(self, thread: ThreadKey) -> int:
        """How many turns of this conversation are open, the one being answered included."""

    async def ahead(self, prompt: Prompt) -> int:
        """How many open turns the one of this prompt, which was accepted, waits for."""

    async def recent(self, platform: str, since: float, limit: int) -> Sequence[Recent]:
        """The conversations with a turn received since then, newest first, `limit` at most.

        since: seconds since the epoch, by our clock. For reading back what was missed while away.
        """

    async def amend(self, identity: str, text: str) -> Amended:
        """The message was edited: turn and history follow, and so does an answer not yet begun."""

    async def withdraw(self, identity: str) -> bool:
        """The message was deleted: its text leaves the store, an open turn isn't answered.

        True: whoever holds the turn, or claims it next, has to take back what is visible of it.
        """

    async def withdraw_thread(self, thread: ThreadKey) -> Sequence[str]:
        """The thread was deleted: `withdraw`, of every prompt in it, also of those refused beside
        a full queue; returns those for which it says True. What was read there goes, too.
        """

    async def threads(self, within: str, naming: Sequence[str]) -> Sequence[ThreadKey]:
        """Those whose key begins so, and one prompt's address at least contains one of these."""


class Edits(Protocol):
    """Who is told that a person changed a message after it was written.

    All raise StoreError, after which the event must not be acknowledged. Texts as in `Prompt`.
    """

    async def amend(self, identity: str, text: str) -> bool:
        """The message reads so now. False: it was no prompt."""

    async def withdraw(self, identity: str) -> None:
        """The message was deleted."""


class History(Protocol):
    """The stored conversations."""

    async def load(self, thread: ThreadKey) -> Conversation:
        """The conversation as it stands; an empty, fresh one when there is none."""

    async def adopt(self, turn: Turn, earlier: Sequence[Remembered], memory: Memory) -> None:
        """Store what was said before the bot came: once, before the first turn's own messages."""

    async def restart(self, thread: ThreadKey) -> bool | None:
        """Start afresh: nothing said so far is sent to the model again.

        None: there is no such conversation. False: a turn of it is open, so nothing was changed.
        """
