"""The protocol, broken on purpose in one place each. Every one of these must be noticed.

Each is a small subclass or wrapper that the schedule's processes are made of; nothing else changes.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import Connection, func, insert, select

from core.delivery.sharing import OwnBudget
from core.delivery.writer import Writer
from core.errors import PartGone, RateLimited, StoreError, Unreachable
from core.lifecycle import State
from core.ports import FindsPost, RemovesPart, Thread, Turn
from core.store.schema import conversation, message
from core.store.sql import SqlHistory, SqlTurns
from core.turns.answering import Answering
from core.turns.engine import Engine
from core.types import (
    NOTHING,
    Allowance,
    Conversation,
    Kept,
    Kind,
    Limits,
    Memory,
    Outcome,
    PartId,
    Prompt,
    Remembered,
    Role,
    ThreadKey,
    Unseen,
)
from tests.simulation.process import Protocol
from tests.simulation.store import LifeDatabase


class AcknowledgesFirst(SqlTurns):
    """Says that it is stored before it is."""

    async def accept(self, prompt: Prompt) -> bool:
        """A crash or a busy store loses it."""
        try:
            return await super().accept(prompt)
        except StoreError:
            return True


class TakesEveryCopy(SqlTurns):
    """No deduplication: each delivery counts as a prompt of its own."""

    async def accept(self, prompt: Prompt) -> bool:
        """Store it under another name when the name is taken."""
        if await super().accept(prompt):
            return True
        return await super().accept(replace(prompt, identity=f"{prompt.identity} again"))


class DeduplicatesWhatItSaw(SqlTurns):
    """Marks a prompt as known before it is committed, in a memory beside the database."""

    async def accept(self, prompt: Prompt) -> bool:
        """A crash in between turns every further delivery into nothing."""
        database = self._database
        assert isinstance(database, LifeDatabase)
        if prompt.identity in database.vault.seen:
            return False
        database.vault.seen.add(prompt.identity)
        return await super().accept(prompt)


class AnswersTheLastFirst(SqlTurns):
    """Keeps no order: the newest prompt of a thread comes first."""

    async def accept(self, prompt: Prompt) -> bool:
        """Store the order upside down."""
        turned = f"{999_999 - int(prompt.sequence):06d}"
        return await super().accept(replace(prompt, sequence=turned))


class ForgetsWhatItPosted(SqlTurns):
    """No memory of posts at all."""

    async def announce(self, turn: Turn, index: int, *, named: bool = False) -> None:
        """Nothing."""

    async def posted(self, turn: Turn, index: int, part: PartId, *, only: bool = False) -> None:
        """Nothing."""


class DoesNotAnnounce(SqlTurns):
    """No intent: a post whose answer is lost with the process is unknown to the next one."""

    async def announce(self, turn: Turn, index: int, *, named: bool = False) -> None:
        """Nothing."""


class CountsNoAttempts(SqlTurns):
    """Asks as often as it likes."""

    async def attempt(self, turn: Turn) -> int:
        """Always the first."""
        return 1


class RenewsNoLease(SqlTurns):
    """A turn that takes longer than its lease is another worker's as well."""

    async def renew(self, turn: Turn, lease: float) -> None:
        """Nothing."""


class HasNoFence(SqlTurns):
    """Whoever once had the claim may write for ever."""

    async def _current(self, turn: Turn) -> Turn:
        """The claim as if it were the newest."""

        def fence(connection: Connection) -> int:
            key = conversation.c.thread == turn.prompt.thread
            return int(connection.execute(select(conversation.c.fence).where(key)).scalar_one())

        return replace(turn, fence=await self._database.read(fence))

    async def attempt(self, turn: Turn) -> int:
        """Without a fence."""
        return await super().attempt(await self._current(turn))

    async def renew(self, turn: Turn, lease: float) -> None:
        """Without a fence."""
        await super().renew(await self._current(turn), lease)

    async def announce(self, turn: Turn, index: int, *, named: bool = False) -> None:
        """Without a fence."""
        await super().announce(await self._current(turn), index, named=named)

    async def posted(self, turn: Turn, index: int, part: PartId, *, only: bool = False) -> None:
        """Without a fence."""
        await super().posted(await self._current(turn), index, part, only=only)

    async def answer(
        self, turn: Turn, outcome: Outcome, remember: Sequence[Remembered], memory: Memory
    ) -> None:
        """Without a fence."""
        await super().answer(await self._current(turn), outcome, remember, memory)


class CommitsTheAnswerLast(SqlTurns):
    """Shows an answer first and stores it when everything is shown."""

    async def answer(
        self, turn: Turn, outcome: Outcome, remember: Sequence[Remembered], memory: Memory
    ) -> None:
        """Only keep it in mind."""
        self.__dict__.setdefault("_held", {})[turn.id] = (outcome, remember, memory)

    async def finish(
        self, turn: Turn, state: State, reason: str = "", kept: Kept | None = None
    ) -> None:
        """Store it now."""
        held = self.__dict__.get("_held", {}).pop(turn.id, None)
        if held is not None:
            await super().answer(turn, *held)
        await super().finish(turn, state, reason, kept)


class RemembersTwice(SqlTurns):
    """The history is not bound to its turn: said again, an answer is remembered again."""

    async def answer(
        self, turn: Turn, outcome: Outcome, remember: Sequence[Remembered], memory: Memory
    ) -> None:
        """A commit whose answer was lost is made once more."""
        before = self.__dict__.setdefault("_said", set())
        again = turn.id in before
        before.add(turn.id)
        await super().answer(turn, outcome, remember, memory)
        for entry in remember:
            if again and entry.role is Role.ASSISTANT:
                await self._database.write(_append, turn, entry)


def _append(conn: Connection, turn: Turn, entry: Remembered) -> None:
    here = conn.execute(
        select(conversation.c.id).where(conversation.c.thread == turn.prompt.thread)
    ).scalar_one()
    end = select(func.coalesce(func.max(message.c.position) + 1, 0)).where(
        message.c.conversation_id == here
    )
    conn.execute(
        insert(message).values(
            conversation_id=here,
            position=end.scalar_subquery(),
            role=entry.role,
            author="",
            content=entry.content,
            identity="",
        )
    )


class ShowsTheNoticeTwice(SqlTurns):
    """What stands beneath a committed answer is taken for a part of its text, too."""

    async def claim(
        self, owner: str, platforms: Sequence[str], lease: float, full: Sequence[str] = ()
    ) -> Turn | None:
        """Of an answered turn that is taken up again."""
        turn = await super().claim(owner, platforms, lease, full)
        if turn is None or turn.outcome is None or not turn.outcome.notice:
            return turn
        outcome = turn.outcome
        text = f"{outcome.text}\n\n{outcome.notice}"
        return replace(turn, outcome=replace(outcome, text=text))


class WaitsForNothing(SqlTurns):
    """Whoever takes up what is shown settles it at once."""

    async def claim(
        self, owner: str, platforms: Sequence[str], lease: float, full: Sequence[str] = ()
    ) -> Turn | None:
        """Without what is left of the wait."""
        turn = await super().claim(owner, platforms, lease, full)
        return turn if turn is None or turn.settles_in is None else replace(turn, settles_in=0.0)


class MixesThreads(SqlHistory):
    """Remembers one conversation for all threads."""

    async def load(self, thread: ThreadKey) -> Conversation:
        """The first thread's memory, whatever the thread."""
        site = str(thread).rsplit(":", 1)[0]
        return await super().load(ThreadKey(f"{site}:1"))


class _Hasty(Writer):
    """Shows the reply and believes that it stays so."""

    async def run(self) -> None:
        """No settling."""
        await self._show()


class _HastyAnswering(Answering):
    """With a writer that doesn't settle."""

    async def _work(self) -> None:
        self._writer.__class__ = _Hasty
        await super()._work()


class SettlesNothing(Engine):
    """What was cut off on the way may land on top of the final text, for ever."""

    def _start(self, turn: Turn, claimed: float) -> None:
        super()._start(turn, claimed)
        *_, answering = self._running.values()
        answering.__class__ = _HastyAnswering


class _Wrapped:
    """A live handle between the writer and the platform."""

    def __init__(self, thread: Thread) -> None:
        self._thread = thread

    @property
    def limits(self) -> Limits:
        """The platform's."""
        return self._thread.limits

    async def post(self, text: str, key: str) -> PartId:
        """Pass it on."""
        return await self._thread.post(text, key)

    async def edit(self, part: PartId, text: str) -> None:
        """Pass it on."""
        await self._thread.edit(part, text)

    async def remove(self, part: PartId) -> None:
        """Pass it on."""
        assert isinstance(self._thread, RemovesPart)
        await self._thread.remove(part)

    async def find(self, key: str, known: Collection[PartId] | None = None) -> Sequence[PartId]:
        """Pass it on."""
        thread = self._thread
        return await thread.find(key, known) if isinstance(thread, FindsPost) else ()


class EditsOnce(_Wrapped):
    """An edit that fails is not tried again, not even the final one."""

    async def edit(self, part: PartId, text: str) -> None:
        """Say that it went well."""
        try:
            await super().edit(part, text)
        except (RateLimited, Unreachable):
            await asyncio.sleep(0)


class FindsNothing(_Wrapped):
    """Never looks whether a post whose answer was lost is there."""

    async def find(self, key: str, known: Collection[PartId] | None = None) -> Sequence[PartId]:
        """Nothing."""
        return ()


class PostsUnderNewKeys(_Wrapped):
    """A repeated post is another post to the platform."""

    _posts = 0

    async def post(self, text: str, key: str) -> PartId:
        """Under a key that is used once."""
        self._posts += 1
        return await super().post(text, f"{key}:{id(self)}:{self._posts}")


class InsistsOnItsMessage(_Wrapped):
    """A message that somebody deleted is posted again."""

    async def edit(self, part: PartId, text: str) -> None:
        """Post instead."""
        try:
            await super().edit(part, text)
        except PartGone:
            await self._thread.post(text, "insisting:0")


class IgnoresTheBudget(Engine):
    """Never waits for the platform's allowance."""

    def _start(self, turn: Turn, claimed: float) -> None:
        super()._start(turn, claimed)
        *_, answering = self._running.values()
        answering._writer._lanes._budget = _Eager(_never)


def _never() -> float:
    return 0.0


class _Eager(OwnBudget):
    """Waits a moment where the adapter makes no call, else no time would pass."""

    _again = False

    async def take(self, allowance: Allowance, kind: Kind, unseen: Unseen = NOTHING) -> float:
        pause, self._again = 0.1 * self._again, False
        return pause

    def share(self, allowance: Allowance) -> float:
        """More than enough."""
        return 100.0

    async def refused(self, allowance: Allowance, retry_after: float) -> None:
        self._again = True

    async def succeeded(self, allowance: Allowance) -> None:
        return None


MUTANTS = (
    Protocol("ack before commit", turns=AcknowledgesFirst),
    Protocol("no deduplication", turns=TakesEveryCopy),
    Protocol("deduplicate on seen", turns=DeduplicatesWhatItSaw),
    Protocol("no fence", turns=HasNoFence),
    Protocol("lease not renewed", turns=RenewsNoLease),
    Protocol("no settle", engine=SettlesNothing),
    Protocol("no read-back", reads_back=False),
    Protocol("no intent", turns=DoesNotAnnounce),
    Protocol("forgets posts", turns=ForgetsWhatItPosted),
    Protocol("final edit not retried", wraps=EditsOnce),
    Protocol("answer not committed first", turns=CommitsTheAnswerLast),
    Protocol("history per turn not unique", turns=RemembersTwice),
    Protocol("attempts not counted", turns=CountsNoAttempts),
    Protocol("order not kept", turns=AnswersTheLastFirst),
    Protocol("wrong thread's memory", history=MixesThreads),
    Protocol("notice shown twice", turns=ShowsTheNoticeTwice),
    Protocol("lost posts not looked for", wraps=FindsNothing),
    Protocol("posts under new keys", wraps=PostsUnderNewKeys),
    Protocol("a deleted answer posted again", wraps=InsistsOnItsMessage),
    Protocol("no allowance kept", engine=IgnoresTheBudget),
)
LINGERING_MUTANTS = (Protocol("the wait not handed on", turns=WaitsForNothing),)


def _typed(wrapped: _Wrapped) -> tuple[Thread, FindsPost, RemovesPart]:
    """The wrappers satisfy the ports: checked by the type checker."""
    return wrapped, wrapped, wrapped
