"""The life of one claimed turn: ask, commit, deliver, settle. Nothing of it outlives `run`."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from core.delivery.reply import Reply
from core.delivery.writer import Writer
from core.errors import LostClaim, PartGone, StoreBusy, StoreError, Undeliverable, Withdrawn
from core.lifecycle import State
from core.ports import Budget, Completions, Concludes, History, ShowsStatus, Thread, Turn, Turns
from core.turns import metrics, notices
from core.turns.answer import Frame
from core.turns.asking import Asked, Asking, Policy
from core.turns.restored import answered_before
from core.turns.status import StatusLine
from core.types import Outcome, PartId, Verdict

log = structlog.get_logger()

_DELETED = "the prompt was deleted"
_ANSWERED_BEFORE = "it is answered already; this database is older than that answer"
_COMMIT_AGAIN = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds between tries while the store fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What every turn works with. now: seconds, monotonic. chance: uniform in [0, 1).

    began: when this process did, seconds since the epoch.
    """

    turns: Turns
    history: History
    completions: Completions
    budget: Budget
    policy: Policy
    lease: float
    now: Callable[[], float]
    chance: Callable[[], float]
    began: float = float("-inf")


class _Journal:
    """The store, as the writer sees it.

    A store that is busy is waited for. One that fails must not keep an answer from a person: what
    that costs is that a crash just then could post a part again.
    """

    def __init__(self, turns: Turns, turn: Turn) -> None:
        self._turns = turns
        self._turn = turn
        self._complete = True
        self.outcome_stored = asyncio.Event()

    async def announce(self, index: int) -> None:
        """The part is about to be posted."""
        await self._tolerant(lambda: self._turns.announce(self._turn, index))

    async def posted(self, index: int, part: PartId) -> None:
        """The part was posted."""
        done = await self._tolerant(lambda: self._turns.posted(self._turn, index, part))
        self._complete = self._complete and done

    async def delivered(self, seconds: float) -> None:
        """All is shown. Waits for the outcome to be stored, which may be late.

        A part that isn't recorded would be posted by whoever goes on: then nothing is stored.
        """
        await self.outcome_stored.wait()
        if self._complete:
            await self._tolerant(lambda: self._turns.deliver(self._turn, seconds))

    async def _tolerant(self, write: Callable[[], Awaitable[None]]) -> bool:
        """Whether it was written."""
        for delay in (*_COMMIT_AGAIN, None):
            try:
                await write()
                return True
            except (LostClaim, Withdrawn):
                raise
            except StoreError as error:
                log.error("turn.part_not_recorded", turn=self._turn.id, error=str(error))
                if delay is None or not isinstance(error, StoreBusy):
                    break
                await asyncio.sleep(delay)
        return False


class Answering:
    """Carries one claimed turn to its end; `run` is called once."""

    def __init__(self, turn: Turn, thread: Thread, means: Means) -> None:
        self._turn = turn
        self._thread = thread
        self._means = means
        self._reply = Reply(thread.limits, turn.parts)
        self._status = StatusLine(thread, lambda: self._reply.begun)
        self._journal = _Journal(means.turns, turn)
        self._writer = Writer(
            thread,
            self._reply,
            means.budget,
            self._journal,
            means.now,
            key=turn.prompt.identity,
            random=means.chance,
            settles_in=None if turn.withdrawn else turn.settles_in,
        )
        self._asking = Asking(
            turn,
            thread,
            self._reply,
            self._writer,
            self._status,
            policy=means.policy,
            turns=means.turns,
            history=means.history,
            completions=means.completions,
            now=means.now,
            chance=means.chance,
        )
        self._started = means.now()
        self._asker: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None
        self._committing = False
        self._interrupted = False
        self._amended = False
        self._outcome = Outcome(verdict=Verdict.ERROR)

    @property
    def turn_id(self) -> int:
        """Which turn this is."""
        return self._turn.id

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

    def withdrawn(self, identity: str) -> None:
        """Take the answer back if this is the prompt that was deleted."""
        if self._turn.prompt.identity == identity:
            self._withdraw()

    def _withdraw(self) -> None:
        self._turn = replace(self._turn, withdrawn=True)
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
            self._log_end("turn.settled")
            if isinstance(self._thread, Concludes):
                await self._thread.concluded(self._outcome)
        except* PartGone:
            await self._no_status()
            await turns.finish(turn, State.CANCELLED, "our message was deleted")
            self._log_end("turn.cancelled", reason="our message was deleted")
        except* Undeliverable as group:
            reason = str(group.exceptions[0])
            await self._no_status()
            await turns.finish(turn, State.ABANDONED, reason)
            self._log_end("turn.abandoned", reason=reason)
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
            await self._means.turns.finish(self._turn, State.CANCELLED, _DELETED)
            self._log_end("turn.cancelled", reason=_DELETED)
        except* Undeliverable as group:
            await self._means.turns.finish(self._turn, State.CANCELLED, str(group.exceptions[0]))
            self._log_end("turn.cancelled", reason=str(group.exceptions[0]))
        except* LostClaim:
            log.warning("turn.lost", turn=self._turn.id)

    async def _no_status(self) -> None:
        """Take away the line that says that the prompt is being worked on."""
        if isinstance(self._thread, ShowsStatus):
            await self._thread.status("")

    async def _work(self) -> None:
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
                await self._means.turns.renew(self._turn, self._means.lease)
            except LostClaim:
                raise
            except Withdrawn:
                self._withdraw()
            except StoreError as error:
                log.error("turn.lease_not_renewed", turn=self._turn.id, error=str(error))

    async def _ask(self) -> None:
        outcome = self._turn.outcome
        if outcome is not None:  # committed in an earlier life: only its delivery is outstanding
            frame = Frame(json=self._means.policy.json_object)
            self._reply.add(frame.add(outcome.text) + frame.close())
        else:
            outcome = await self._answer()
        self._outcome = outcome
        self._journal.outcome_stored.set()
        self._reply.finish(outcome.notice)
        self._writer.wake()

    async def _answer(self) -> Outcome:
        """Ask and commit; a bug on our side becomes a visible apology like any other failure."""
        try:
            if await answered_before(self._turn, self._thread, self._means.began):
                raise Undeliverable(_ANSWERED_BEFORE)
            asked = await self._asking.run()
        except (StoreError, Undeliverable):
            raise
        except Exception:
            log.exception("turn.broken", turn=self._turn.id)
            sentence = notices.referenced(notices.INTERNAL, f"turn-{self._turn.id}")
            conversation = await self._means.history.load(self._turn.prompt.thread)
            failed = Outcome(verdict=Verdict.ERROR, notice=sentence)
            asked = Asked(failed, (), conversation.memory)
        self._count(asked.outcome)
        await self._commit(asked)
        return asked.outcome

    async def _commit(self, asked: Asked) -> None:
        """Store the outcome before its last edit is sent.

        While the store fails the answer is shown all the same, and storing it is tried again.
        """
        self._committing = True
        for delay in (*_COMMIT_AGAIN, None):
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

    def _count(self, outcome: Outcome) -> None:
        usage = outcome.usage
        if usage:
            metrics.TOKENS.labels("prompt").inc(usage.prompt_tokens)
            metrics.TOKENS.labels("prompt_cached").inc(usage.cached_tokens)
            metrics.TOKENS.labels("completion").inc(usage.completion_tokens)
        log.info(
            "turn.answered",
            turn=self._turn.id,
            verdict=outcome.verdict.value,
            seconds=round(self._means.now() - self._started, 2),
            model=outcome.model,
            finish=outcome.finish_reason,
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=usage.completion_tokens if usage else None,
            cached_tokens=usage.cached_tokens if usage else None,
            response=outcome.response_id,
            trace=outcome.trace_id,
        )

    def _log_end(self, event: str, **facts: str) -> None:
        seconds = self._means.now() - self._started
        metrics.TURN_SECONDS.observe(seconds)
        metrics.TURNS.labels(self._turn.prompt.platform, self._outcome.verdict.value).inc()
        log.info(event, turn=self._turn.id, seconds=round(seconds, 2), **facts)
