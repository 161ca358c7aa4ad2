"""More of the protocol broken on purpose: what becomes of edits, deletions, crowds, and of what is
written down or left behind beside the answers.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import structlog
from sqlalchemy import Connection, select, update

from core.errors import StoreError, Undeliverable, Unreachable
from core.lifecycle import State
from core.ports import Amended, Turn
from core.store import inbox
from core.store.clock import Now
from core.store.schema import message, turn
from core.store.sql import SqlTurns
from core.turns.answering import Answering
from core.turns.engine import Engine
from core.types import Memory, Outcome, PartId, Prompt, Remembered, Role, ThreadKey
from tests.simulation.logs import SECRET
from tests.simulation.mutants import _Wrapped
from tests.simulation.process import Protocol

log = structlog.get_logger()


def _kept(conn: Connection, identity: str) -> tuple[str, str | None]:
    """A prompt's text, and its entry of the history."""
    asked = select(message.c.content).join(turn).where(message.c.role == Role.USER)
    text = conn.execute(select(turn.c.text).where(turn.c.identity == identity)).scalar() or ""
    return text, conn.execute(asked.where(turn.c.identity == identity)).scalar()


def _prompt(conn: Connection, identity: str) -> Prompt:
    row = conn.execute(select(turn).where(turn.c.identity == identity)).one()
    thread = row.text[1:].split("]")[0]
    return Prompt(
        platform=thread.split(":")[1],
        thread=ThreadKey(thread),
        identity=identity,
        sequence=row.sequence,
        author="",
        text=row.text,
        asked_at=row.asked_at,
        address=row.address,
    )


def _text_again(conn: Connection, identity: str, text: str) -> None:
    conn.execute(update(turn).where(turn.c.identity == identity).values(text=text))


def _entry_again(conn: Connection, identity: str, content: str) -> None:
    mine = select(turn.c.id).where(turn.c.identity == identity).scalar_subquery()
    entry = update(message).where(message.c.turn_id == mine, message.c.role == Role.USER)
    conn.execute(entry.values(content=content))


class AnswersEditsToo(SqlTurns):
    """Takes an edited prompt for a new one."""

    async def amend(self, identity: str, text: str) -> Amended:
        """Answer it once more."""
        amended = await super().amend(identity, text)
        if amended.known and not amended.fence:
            prompt = await self._database.read(_prompt, identity)
            again = replace(prompt, identity=f"{identity} {text[-2:]}", text=text)
            await super().accept(again)
        return amended


class OverlooksEdits(SqlTurns):
    """An edit changes what is stored, but not what is being asked."""

    async def amend(self, identity: str, text: str) -> Amended:
        """The claim stays."""

        def amend(conn: Connection, identity: str, text: str) -> Amended:
            done = conn.execute(update(turn).where(turn.c.identity == identity).values(text=text))
            return Amended(known=bool(done.rowcount))

        return await self._database.write(amend, identity, text)


class RemembersTheOldWords(SqlTurns):
    """An edit changes the turn, but not the history."""

    async def amend(self, identity: str, text: str) -> Amended:
        """The entry stays."""
        _, before = await self._database.read(_kept, identity)
        amended = await super().amend(identity, text)
        if before is not None:
            await self._database.write(_entry_again, identity, before)
        return amended


class KeepsDeletedText(SqlTurns):
    """A deletion ends the turn, but its text stays."""

    async def withdraw(self, identity: str) -> bool:
        """The text stays."""
        before, _ = await self._database.read(_kept, identity)
        withdrawn = await super().withdraw(identity)
        await self._database.write(_text_again, identity, before)
        return withdrawn


class RemembersTheDeleted(SqlTurns):
    """A deletion leaves the history as it was."""

    async def withdraw(self, identity: str) -> bool:
        """The entry stays."""
        _, before = await self._database.read(_kept, identity)
        withdrawn = await super().withdraw(identity)
        if before is not None:
            await self._database.write(_entry_again, identity, before)
        return withdrawn


class AcknowledgesChangesFirst(SqlTurns):
    """Says that an edit or a deletion is stored before it is."""

    async def amend(self, identity: str, text: str) -> Amended:
        """A busy store loses it."""
        try:
            return await super().amend(identity, text)
        except StoreError:
            return Amended(known=True)

    async def withdraw(self, identity: str) -> bool:
        """A busy store loses it."""
        try:
            return await super().withdraw(identity)
        except StoreError:
            return False


class RefusesSilently(SqlTurns):
    """What comes beyond ten is dropped."""

    async def accept(self, prompt: Prompt) -> bool:
        """Nothing is said of it."""
        if await self.waiting(prompt.thread) >= inbox.MOST_OPEN:
            return False
        return await super().accept(prompt)


class TakesAnyNumber(SqlTurns):
    """No bound to what waits."""

    async def accept(self, prompt: Prompt) -> bool:
        """All wait in their conversation."""

        def accept(conn: Connection, prompt: Prompt, now: Now) -> bool:
            inbox._make(conn, prompt.platform, prompt.thread, now)
            return inbox._store_turn(conn, prompt, prompt.thread, now, crowded=False)

        return await self._database.write(accept, prompt, self._clock())


class CountsNoTokens(SqlTurns):
    """Does not keep what the API counted."""

    async def answer(
        self, turn: Turn, outcome: Outcome, remember: Sequence[Remembered], memory: Memory
    ) -> None:
        """Without the usage."""
        await super().answer(turn, replace(outcome, usage=None), remember, memory)


class StoresSecrets(SqlTurns):
    """What the API complained of is stored as it came."""

    async def answer(
        self, turn: Turn, outcome: Outcome, remember: Sequence[Remembered], memory: Memory
    ) -> None:
        """With a token in it."""
        trace = "" if outcome.finish_reason else SECRET
        await super().answer(turn, replace(outcome, trace_id=trace), remember, memory)


class _LeavesItThere(Answering):
    """The turn of a deleted prompt ends, and what is visible of it stays."""

    def _withdraw(self) -> None:
        self._turn = replace(self._turn, withdrawn=True)
        for task in (self._asker, self._writing):
            if task:
                task.cancel()

    async def _take_back(self) -> None:
        await self._means.turns.finish(self._turn, State.CANCELLED, "the prompt was deleted")


class LeavesTheAnswer(Engine):
    """Takes nothing back."""

    def _start(self, turn: Turn, claimed: float) -> None:
        super()._start(turn, claimed)
        *_, answering = self._running.values()
        answering.__class__ = _LeavesItThere


class LogsWords(Engine):
    """Logs what people write."""

    async def accept(self, prompt: Prompt) -> bool:
        """Where it helps to find faults."""
        log.debug("prompt", text=prompt.text)
        return await super().accept(prompt)


async def _watch() -> None:
    await asyncio.sleep(100_000.0)


class LeaksTasks(Engine):
    """Starts something for each turn that nobody ends."""

    def _start(self, turn: Turn, claimed: float) -> None:
        super()._start(turn, claimed)
        self.__dict__.setdefault("_watching", []).append(asyncio.create_task(_watch()))


class LeaksSlots(Engine):
    """Never takes up as many turns again."""

    def _ended(self, task: asyncio.Task[None]) -> None:
        super()._ended(task)
        self._slots._value -= 1


class InsistsOnTheChannel(_Wrapped):
    """Does not understand that the bot was removed."""

    async def post(self, text: str, key: str) -> PartId:
        """Try again."""
        try:
            return await super().post(text, key)
        except Undeliverable as error:
            raise Unreachable("for now") from error

    async def edit(self, part: PartId, text: str) -> None:
        """Try again."""
        try:
            await super().edit(part, text)
        except Undeliverable as error:
            raise Unreachable("for now") from error


PEOPLES_MUTANTS = (
    Protocol("an edit answered once more", turns=AnswersEditsToo),
    Protocol("an edit overlooked", turns=OverlooksEdits),
    Protocol("old words remembered", turns=RemembersTheOldWords),
    Protocol("a deletion keeps the text", turns=KeepsDeletedText),
    Protocol("a deletion keeps the history", turns=RemembersTheDeleted),
    Protocol("a deletion leaves the answer", engine=LeavesTheAnswer),
    Protocol("ack of a change before the commit", turns=AcknowledgesChangesFirst),
    Protocol("a crowd refused silently", turns=RefusesSilently),
    Protocol("more than ten taken in", turns=TakesAnyNumber),
    Protocol("tokens not kept", turns=CountsNoTokens),
    Protocol("a secret stored", turns=StoresSecrets),
    Protocol("words logged", engine=LogsWords),
    Protocol("tasks leaked", engine=LeaksTasks),
    Protocol("slots leaked", engine=LeaksSlots),
    Protocol("a refusal for good not believed", wraps=InsistsOnTheChannel),
)
