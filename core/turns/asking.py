"""From a prompt to an outcome: window, attempts, verdict, notice. Shows text as it comes."""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from core.delivery.characters import visible
from core.delivery.freshness import Freshness
from core.delivery.reply import Reply
from core.errors import CompletionError, DeliveryError, Failure, LockedOut
from core.ports import ReadsEarlier, Thread, Turn
from core.turns import metrics, notices, retrying, telling
from core.turns.answer import Answer, Frame
from core.turns.means import Means
from core.turns.patience import briefly
from core.turns.retrying import Change
from core.turns.status import REASONING, StatusLine
from core.turns.unsaid import unsaid
from core.turns.window import (
    Room,
    Window,
    build,
    corrected,
    entry_of,
    flattened,
    labelled,
)
from core.types import (
    Arrivals,
    Chunk,
    CompletionRequest,
    Conversation,
    Kept,
    Memory,
    Message,
    Outcome,
    Remembered,
    Role,
    Verdict,
)

log = structlog.get_logger()

_ANSWERS = (Verdict.COMPLETE, Verdict.LENGTH, Verdict.STOPPED)
_FORGOTTEN = (
    Failure.MODERATED,
    Failure.REFUSED,
    Failure.TOO_LONG,
    Failure.TOO_BIG,
    Failure.SHAPE,
)
"""Failures that the same prompt would cause again in every later request of its thread."""


class Wakes(Protocol):
    """The writer, as the reader sees it.

    freshness: is told what arrives. arrivals: what it wants of text that wasn't read yet.
    """

    arrivals: Arrivals
    freshness: Freshness

    def wake(self) -> None:
        """There is something new to show."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An outcome and what the conversation keeps of it."""

    outcome: Outcome
    remember: tuple[Remembered, ...]
    memory: Memory


@dataclass(slots=True)
class _Try:
    """What the next attempt will send. made: how it differs from the first by now.

    deadline: of all attempts; it moves on while one waits for its place.
    """

    window: Window
    messages: tuple[Message, ...]
    room: Room
    deadline: float
    max_tokens: int | None = None
    made: frozenset[Change] = frozenset()

    def build(self, system: str, conversation: Conversation, entry: Remembered) -> None:
        """The same of the conversation as it reads now."""
        trimmed, flat = Change.TRIM in self.made, Change.RESHAPE in self.made
        self.window = build(system, conversation, entry, self.room, full=trimmed)
        messages = self.window.messages
        self.messages = flattened(messages) if flat else messages


def parked(turn: Turn) -> Outcome:
    """The outcome of a turn whose handling broke off too often; the operator is told."""
    reference = notices.reference_of(turn.id)
    telling.parked(turn, reference)
    return Outcome(verdict=Verdict.ERROR, notice=notices.given_up(reference))


class Asking:
    """Answers one prompt; `run` is called once."""

    def __init__(
        self,
        turn: Turn,
        thread: Thread,
        reply: Reply,
        writer: Wakes,
        status: StatusLine,
        means: Means,
    ) -> None:
        self._turn = turn
        self._thread = thread
        self._reply = reply
        self._writer = writer
        self._status = status
        self._means = means
        self._policy = means.policy
        self._reference = notices.reference_of(turn.id)
        self._frame = Frame(json=self._policy.json_object)
        self._under_way: tuple[Answer, CompletionError | None, Remembered, Window] | None = None

    async def run(self) -> Asked:
        """The outcome; its text has been given to the reply, its notice has not.

        Raises: StoreError, LockedOut.
        """
        prompt = self._turn.prompt
        if prompt.late:
            return await self._refused(notices.LATE)
        if self._turn.crowded:
            return await self._refused(notices.CROWDED)
        if self._turn.crashes >= retrying.MOST_ATTEMPTS:
            return await self._parked()
        if not visible(prompt.text):
            return await self._said(notices.ONLY_FILES if prompt.files else notices.HELP)
        conversation = await self._conversation()
        (entry,), memory = labelled([entry_of(prompt)], conversation.memory)
        conversation = replace(conversation, memory=memory)
        window = build(self._policy.system_prompt, conversation, entry, self._policy.room)
        if not window.fits:
            room = self._policy.room.request
            return await self._refused(notices.too_long(window.estimate, room))
        answer, error, attempt = await self._attempts(conversation, entry, window)
        self._under_way = answer, error, entry, attempt.window
        return self._conclude(*self._under_way)

    def stopped(self, unseen: int) -> Asked | None:
        """What is kept of an answer that a person stopped; None while there is none of the model's.

        unseen: so many characters of it, and of its frame, were to be shown and were not seen.
        """
        if self._under_way is None:
            return None
        self._under_way[0].stop(max(0, unseen - len(self._frame.end)))
        return self._conclude(*self._under_way)

    def unanswered(self) -> Kept | None:
        """What is kept of an answer that can't be shown any more and isn't stored: the question.
        None while there is none of the model's.
        """
        if self._under_way is None:
            return None
        answer, error, entry, window = self._under_way
        return Kept(_question(answer.outcome(error), error, entry), window.memory)

    async def _said(self, text: str) -> Asked:
        """An answer of our own: shown, but no part of the conversation with the model."""
        conversation = await self._means.history.load(self._turn.prompt.thread)
        self._show(text)
        return Asked(Outcome(verdict=Verdict.COMPLETE, text=text), (), conversation.memory)

    async def _refused(self, notice: str) -> Asked:
        """Why there is no answer: shown, and no part of the conversation either."""
        conversation = await self._means.history.load(self._turn.prompt.thread)
        return Asked(Outcome(verdict=Verdict.REFUSED, notice=notice), (), conversation.memory)

    async def _parked(self) -> Asked:
        """The notice for a prompt whose handling broke off too often: it isn't tried again.

        Nor is it remembered: it may be what breaks the handling.
        """
        conversation = await self._means.history.load(self._turn.prompt.thread)
        outcome = parked(self._turn)
        return Asked(outcome, (), conversation.memory)

    async def _conversation(self) -> Conversation:
        """The stored conversation; a fresh one first takes in what the thread said before."""
        key = self._turn.prompt.thread
        conversation = await self._means.history.load(key)
        if not (conversation.fresh and isinstance(self._thread, ReadsEarlier)):
            return conversation
        try:
            earlier = await briefly(self._thread.earlier, self._means.now)
        except LockedOut:
            raise
        except DeliveryError as error:
            log.warning("thread.earlier_unreadable", turn=self._turn.id, error=str(error))
            return conversation
        if not earlier:
            return conversation
        entries, memory = labelled(earlier, conversation.memory)
        await self._means.history.adopt(self._turn, entries, memory)
        return await self._means.history.load(key)

    async def _attempts(
        self, conversation: Conversation, entry: Remembered, window: Window
    ) -> tuple[Answer, CompletionError | None, _Try]:
        deadline = self._means.now() + self._policy.seconds
        cap = self._means.cap.tokens
        attempt = _Try(window, window.messages, self._policy.room, deadline, cap)
        answer = Answer()
        while True:
            number = await self._means.turns.attempt(self._turn)
            if number > retrying.MOST_ATTEMPTS:
                telling.given_up(self._turn, self._reference, number - 1)
                return answer, None, attempt
            answer = Answer()
            self._under_way = answer, None, entry, attempt.window
            error = await self._attempt(answer, attempt)
            if error is None:
                return answer, None, attempt
            metrics.FAILURES.labels(error.failure.value).inc()
            said = [m.content for m in attempt.messages if m.role is not Role.SYSTEM]
            cause = error.message if error.own else unsaid(error.message, [*said, answer.text])
            again = retrying.decide(
                error,
                attempt=number,
                visible=self._reply.begun,
                made=attempt.made,
                chance=self._means.chance(),
            )
            if again is not None and self._means.now() + again.delay >= attempt.deadline:
                again = None
            if again is not None:
                again = self._changed(attempt, again, error, conversation, entry)
            telling.failed(self._turn, error, cause, number, again, self._reference)
            if again is None:
                return answer, error, attempt
            self._reply.restart()
            self._under_way = Answer(), None, entry, attempt.window
            self._writer.freshness.restarted()
            await asyncio.sleep(again.delay)
            # What was deleted or edited meanwhile isn't sent again.
            current = await self._means.history.load(self._turn.prompt.thread)
            conversation = replace(current, memory=conversation.memory)
            attempt.build(self._policy.system_prompt, conversation, entry)

    async def _attempt(self, answer: Answer, attempt: _Try) -> CompletionError | None:
        """One attempt, shown as it comes; the error that ended it, None for an answer."""
        started = self._means.now()
        seconds = attempt.deadline - started

        def begun() -> None:
            attempt.deadline = self._means.now() + seconds

        frame = self._frame = Frame(json=self._policy.json_object)
        request = CompletionRequest(
            messages=attempt.messages,
            max_tokens=attempt.max_tokens,
            seconds=seconds,
            begun=begun,
            arrivals=self._writer.arrivals,
        )
        try:
            async with aclosing(self._means.completions.stream(request)) as chunks:
                async for chunk in chunks:
                    if answer.chunks == 0:
                        metrics.FIRST_CHUNK.observe(self._means.now() - started)
                    self._take(answer, frame, chunk)
                    if chunk.done:
                        break
        except CompletionError as error:
            self._show(frame.close())
            return error
        self._show(frame.close())
        return answer.blank

    def _take(self, answer: Answer, frame: Frame, chunk: Chunk) -> None:
        if chunk.reasoning and not answer.text:
            self._status.set(REASONING)
        self._show(frame.add(answer.add(chunk)))

    def _show(self, text: str) -> None:
        if text:
            self._reply.add(text)
            self._writer.freshness.arrived(len(text), self._means.now())
            self._writer.wake()

    def _changed(
        self,
        attempt: _Try,
        again: retrying.Again,
        error: CompletionError,
        conversation: Conversation,
        entry: Remembered,
    ) -> retrying.Again | None:
        """Prepare the next attempt; None when the change it needs can't be made."""
        attempt.made |= {again.change} - {Change.NONE}
        match again.change:
            case Change.TRIM:
                if error.limit:
                    context = min(attempt.room.context, error.limit)
                    attempt.room = replace(attempt.room, context=context)
                attempt.build(self._policy.system_prompt, conversation, entry)
                return again if attempt.window.fits else None
            case Change.CAP:
                if not error.limit:
                    return None
                self._means.cap.lower(error.limit)
                attempt.max_tokens = error.limit
            case Change.FIT:
                if not error.limit:
                    return None
                telling.fitted(self._turn, error.limit)
                attempt.max_tokens = error.limit
        return again

    def _conclude(
        self, answer: Answer, error: CompletionError | None, entry: Remembered, window: Window
    ) -> Asked:
        outcome = answer.outcome(error)
        memory = window.memory
        notes = []
        if answer.chunks == 0 and error is None and not answer.stopped:  # no attempt was left
            outcome = replace(outcome, verdict=Verdict.ERROR)
            notes.append(notices.given_up(self._reference))
        else:
            operator = self._policy.operator
            notes.append(notices.beneath(outcome, error, self._reference, operator=operator))
        remember = _question(outcome, error, entry)
        if outcome.verdict in _ANSWERS and visible(outcome.text):
            remember.append(Remembered(Role.ASSISTANT, outcome.text))
            if memory.start and not memory.told:
                memory = replace(memory, told=True)
                notes.append(notices.LEFT_OUT)
        if outcome.usage:
            memory = corrected(memory, window.estimate, outcome.usage.prompt_tokens)
        notice = " ".join(note for note in notes if note)
        return Asked(replace(outcome, notice=notice), tuple(remember), memory)


def _question(
    outcome: Outcome, error: CompletionError | None, entry: Remembered
) -> list[Remembered]:
    """The question, unless it would be refused again with every later request of its thread."""
    forgotten = error is not None and error.failure in _FORGOTTEN
    return [] if forgotten or outcome.verdict is Verdict.FILTERED else [entry]
