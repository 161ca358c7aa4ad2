"""The life of one claimed turn: ask, commit, deliver, settle. Nothing of it outlives `run`."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import structlog

from core.delivery.characters import visible
from core.delivery.reply import Reply
from core.delivery.writer import Writer
from core.errors import (
    LockedOut,
    LostClaim,
    PartGone,
    Stopped,
    StoreError,
    ThreadseekError,
    Undeliverable,
    Unshowable,
    Withdrawn,
)
from core.lifecycle import WITHDRAWN, State
from core.placing import Continues, Withholds
from core.ports import Concludes, ShowsStatus, Thread, Turn
from core.turns import notices, telling
from core.turns.answer import Frame
from core.turns.asking import Asked, Asking, parked
from core.turns.journal import AGAIN, Journal
from core.turns.means import Means
from core.turns.restored import answered_before
from core.turns.retrying import MOST_ATTEMPTS, MOST_SHOWINGS
from core.turns.status import StatusLine
from core.types import Outcome, Verdict

log = structlog.get_logger()

_GONE = "our message was deleted"
_STOPPED = "a person stopped it"
_ANSWERED_BEFORE = "it is answered already; this database is older than that answer"


class Answering:
    """Carries one claimed turn to its end; `run` is called once.

    claimed: when its claim was asked for, by `Means.now`.
    locked_out: why the platform takes nothing from us now; the turn was given back.
    """

    def __init__(self, turn: Turn, thread: Thread, means: Means, claimed: float) -> None:
        self._turn = turn
        self._thread = thread
        self._means = means
        if isinstance(thread, Continues):
            thread.continues([part.id for part in turn.parts if part.id is not None])
        self._reply = Reply(thread.limits, turn.parts)
        self._status = StatusLine(thread, lambda: self._reply.begun, stands=bool(turn.parts))
        if turn.outcome is not None:
            self._status.end()
        held = None if means.exclusive else means.lease
        self._journal = Journal(means.turns, turn, means.now, held, claimed)
        self._writer = Writer(
            thread,
            self._reply,
            means.budget,
            self._journal,
            means.now,
            key=turn.prompt.identity + (f"#{turn.removed}" if turn.removed else ""),
            random=means.chance,
            settles_in=None if turn.withdrawn else turn.settles_in,
        )
        self._asking = Asking(turn, thread, self._reply, self._writer, self._status, means)
        self._started = means.now()
        self._asker: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._committing = False
        self._interrupted = False
        self._unseen: int | None = None  # characters of an answer that a person stopped
        self._amended = False
        self._quiet = False
        self.locked_out = ""
        self._outcome = Outcome(verdict=Verdict.ERROR)

    @property
    def turn(self) -> Turn:
        """The turn, as it is claimed."""
        return self._turn

    @property
    def settling(self) -> bool:
        """Everything is committed and shown; another process can settle it as well."""
        return self._writer.settling

    def interrupt(self) -> None:
        """Stop asking and say so under what is visible; the turn will be claimed again."""
        if self._asker and not self._asker.done() and not self._committing:
            self._interrupted = True
            self._asker.cancel()
            self._reply.finish(notices.INTERRUPTED)
            self._writer.leave()

    def amended(self, identity: str, fence: int) -> None:
        """Stop when this claim of the prompt is void: nothing of it is visible, or will be."""
        if self._turn.prompt.identity == identity and self._turn.fence < fence:
            self._amended = True
            for task in (self._asker, self._writing):
                if task:
                    task.cancel()

    def cut_short(self, identity: str) -> bool:
        """End the answer with what has come, if it is this prompt's; False: it has ended."""
        asker, stopped = self._asker, self._unseen is not None
        if self._turn.prompt.identity != identity or asker is None or asker.done():
            return False
        if self._committing or stopped:
            return False
        self._unseen = 0
        asker.cancel()
        return True

    def withdrawn(self, identity: str) -> None:
        """Take the answer back if this is the prompt that was deleted."""
        if self._turn.prompt.identity == identity:
            self._withdraw()

    def _withdraw(self) -> None:
        self._turn = self._journal.turn = replace(self._turn, withdrawn=True)
        if self._asker:
            self._asker.cancel()
        self._journal.outcome_stored.set()  # what waits for it is told by the store
        self._writer.withdraw()

    async def run(self) -> None:
        """Until the outcome is visible and settled, or the turn is given back, up or taken back.

        Raises: StoreError when the store fails for good; the turn is then claimed again later.
        """
        try:
            if not self._turn.withdrawn:
                await self._carry()
        except* Withdrawn:
            self._withdraw()
        if self._turn.withdrawn:
            await self._take_back()

    async def _carry(self) -> None:
        """The turn of a prompt that stands. Raises: Withdrawn, when it doesn't any more."""
        turns, turn = self._means.turns, self._turn
        try:
            await self._work()
            if self._turn.withdrawn:
                return
            if self._amended:
                await self._no_status()
                log.info("turn.asked_anew", turn=turn.id)
                return
            if self._interrupted:
                await turns.release(turn)
                log.info("turn.interrupted", turn=turn.id)
                return
            await turns.finish(turn, State.SETTLED)
            self._log_end(State.SETTLED)
            if isinstance(self._thread, Concludes):
                await self._thread.concluded(self._outcome)
        except* PartGone:
            why = ("gone", _GONE) if self._unseen is None else ("stopped", _STOPPED)
            await self._no_status()
            await turns.finish(turn, State.CANCELLED, why[1], self._asking.unanswered())
            self._log_end(State.CANCELLED, *why)
        except* Undeliverable as group:
            await self._no_status()
            await self._give_up(turn, group)
        except* LockedOut as group:
            await self._wait_outside(group)
        except* LostClaim:
            log.warning("turn.lost", turn=turn.id)

    async def _take_back(self) -> None:
        """Remove what is visible of the answer, then end the turn."""
        self._withdraw()
        try:
            async with asyncio.TaskGroup() as group:
                holding = group.create_task(self._hold())
                await self._no_status()
                await self._writer.run()
                holding.cancel()
            await self._means.turns.finish(self._turn, State.CANCELLED, WITHDRAWN)
            self._log_end(State.CANCELLED, "withdrawn", WITHDRAWN)
        except* Undeliverable as group:
            why = str(group.exceptions[0])
            await self._means.turns.finish(self._turn, State.CANCELLED, why)
            self._log_end(State.CANCELLED, "withdrawn", why)
        except* LockedOut as group:
            await self._wait_outside(group)
        except* LostClaim:
            log.warning("turn.lost", turn=self._turn.id)

    async def _wait_outside(self, refused: ExceptionGroup[LockedOut]) -> None:
        """Give the turn back until the platform takes our token again."""
        self.locked_out = str(refused.exceptions[0])
        await self._means.turns.release(self._turn)
        log.warning("turn.waits_for_token", turn=self._turn.id)

    async def _give_up(self, turn: Turn, refused: ExceptionGroup[Undeliverable]) -> None:
        """End the turn without its outcome, or give it back where the outcome may yet be shown.

        Raises: Withdrawn, when the prompt was deleted since the turn was as it is given.
        """
        reason = str(refused.exceptions[0])
        if refused.subgroup(Unshowable):
            if self._interrupted:  # perhaps in the middle of a word, which is harmless as a whole
                await self._means.turns.release(turn)
                log.info("turn.interrupted", turn=turn.id)
                return
            await self._withheld()
        unanswered = self._asking.unanswered()
        await self._means.turns.finish(turn, State.ABANDONED, reason, unanswered)
        self._log_end(State.ABANDONED, "abandoned", reason)

    async def _withheld(self) -> None:
        """Say there that the answer isn't shown; the model isn't reminded of it either."""
        if isinstance(self._thread, Withholds):
            await self._thread.withheld()
        if self._journal.outcome_stored.is_set():
            with suppress(LostClaim):  # also when it was delivered once, and is shown again
                await self._means.turns.park(self._turn, Outcome(verdict=Verdict.ERROR))

    async def _no_status(self) -> None:
        """Take away the line that says that the prompt is being worked on; asked once for."""
        if isinstance(self._thread, ShowsStatus) and not self._quiet:
            self._quiet = True
            await self._thread.status("")

    async def _work(self) -> None:
        """Until all is shown and sure. No mistake of ours may hold a conversation for ever: in the
        place of an answer that it kept from being shown too often the next claim finds a notice.

        Raises: Undeliverable, when a notice failed to be shown too often, and what failed else.
        """
        mistake: Exception | None = None
        try:
            await self._to_the_end()
        except* ThreadseekError:
            raise
        except* Exception as group:  # noqa: BLE001 - told or raised below
            mistake = group.exceptions[0]
        if mistake is None:
            return
        turn = self._turn
        if turn.state is State.DELIVERED:
            log.error("turn.not_made_sure_of", turn=turn.id, exc_info=mistake)
            return
        if turn.outcome is not None and turn.crashes >= MOST_ATTEMPTS - 1:
            if not visible(turn.outcome.text):
                raise Undeliverable(f"showing it failed again and again: {mistake!r}") from mistake
            await self._means.turns.park(turn, parked(turn))
        raise mistake

    async def _to_the_end(self) -> None:
        """Until all is shown; of an answer that a person stops, what they see of it and the end."""
        try:
            await self._side_by_side()
        except* Stopped:
            if not self._turn.withdrawn:
                self._interrupted, self._unseen = False, self._reply.cut()
                self._writer.stay()
                await self._side_by_side()

    async def _side_by_side(self) -> None:
        """Reading, writing, the line of status and the lease."""
        async with asyncio.TaskGroup() as group:
            holding = group.create_task(self._hold())
            group.create_task(self._status.run())
            self._writing = group.create_task(self._writer.run())
            self._asker = group.create_task(self._ask())
            await asyncio.wait({self._writing})
            self._status.end()
            holding.cancel()

    async def _hold(self) -> None:
        """Renew the lease for as long as the turn is worked on."""
        while True:
            await asyncio.sleep(self._means.lease / 3)
            try:
                await self._journal.renew(self._means.lease)
            except Withdrawn:
                self._withdraw()

    async def _ask(self) -> None:
        outcome = self._turn.outcome
        if self._unseen is not None:
            outcome = await self._so_far(self._unseen)
        elif outcome is not None:  # committed in an earlier life: only its delivery is outstanding
            outcome = await self._deliverable(outcome)
            frame = Frame(json=self._means.policy.json_object)
            self._reply.add(frame.add(outcome.text) + frame.close())
        else:
            outcome = await self._answer_or_part()
        self._outcome = outcome
        self._journal.outcome_stored.set()
        self._reply.finish(outcome.notice)
        self._writer.wake()
        self._status.end()

    async def _deliverable(self, outcome: Outcome) -> Outcome:
        """The committed outcome, or the notice in its place when showing it broke off too often.

        Raises: StoreError.
        """
        turn = self._turn
        broken = turn.state is State.ANSWERED and turn.crashes >= MOST_SHOWINGS
        if not (broken and visible(outcome.text)):
            return outcome
        notice = parked(turn)
        await self._means.turns.park(turn, notice)
        return notice

    async def _answer_or_part(self) -> Outcome:
        """The answer, or what there is of it when it is cut short, and by nothing else besides."""
        asker = asyncio.current_task()
        try:
            return await self._answer()
        except asyncio.CancelledError:
            if self._unseen is None or asker is None or asker.uncancel():
                raise
        return await self._so_far(self._unseen)

    async def _answer(self) -> Outcome:
        """Ask and commit; a bug on our side becomes a visible apology like any other failure."""
        try:
            means = self._means
            if await answered_before(self._turn, self._thread, means.began, means.now):
                raise Undeliverable(_ANSWERED_BEFORE)
            asked = await self._asking.run()
        except (StoreError, LockedOut, Undeliverable):
            raise
        except Exception:
            trace = notices.reference_of(self._turn.id)
            log.exception("turn.broken", turn=self._turn.id, trace=trace)
            sentence = notices.referenced(notices.INTERNAL, trace)
            conversation = await self._means.history.load(self._turn.prompt.thread)
            failed = Outcome(verdict=Verdict.ERROR, notice=sentence)
            asked = Asked(failed, (), conversation.memory)
        self._told(asked.outcome)
        await self._commit(asked)
        return asked.outcome

    async def _so_far(self, unseen: int) -> Outcome:
        """The outcome of an answer that a person stopped: what they saw of it, also where more was
        committed already. Raises: Stopped when nothing of it is the model's.
        """
        asked = self._asking.stopped(unseen)
        if asked is None:
            raise Stopped(_STOPPED)
        log.info("turn.stopped", turn=self._turn.id)
        committed = self._committing  # it may have been
        if not committed:
            self._told(asked.outcome)
        await self._commit(asked)
        if committed:
            await self._means.turns.park(self._turn, asked.outcome)
        return asked.outcome

    async def _commit(self, asked: Asked) -> None:
        """Store the outcome before its last edit is sent.

        While the store fails the answer is shown all the same, and storing it is tried again.
        """
        self._committing = True
        for delay in (*AGAIN, None):
            try:
                await self._means.turns.answer(
                    self._turn, asked.outcome, asked.remember, asked.memory
                )
                return
            except (LostClaim, Withdrawn):
                raise
            except StoreError as error:
                if delay is None:
                    raise
                log.error("turn.not_stored_yet", turn=self._turn.id, error=str(error))
                self._reply.finish(asked.outcome.notice)
                self._writer.wake()
                await asyncio.sleep(delay)

    def _told(self, outcome: Outcome) -> None:
        telling.answered(self._turn, outcome, self._means.now() - self._started)

    def _log_end(self, state: State, instead: str = "", reason: str = "") -> None:
        """instead: of the verdict, for a turn whose outcome is not shown; reason: why."""
        seconds = self._means.now() - self._started
        whole = self._reply.done and not self._reply.withdrawn and self._unseen is None
        figures = self._writer.freshness.figures(whole=whole)
        verdict = instead or self._outcome.verdict.value
        telling.ended(self._turn, state, verdict, seconds, figures, reason)
