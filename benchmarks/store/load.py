"""The load: turns side by side, each of five transactions, over conversations of 40 messages."""

import asyncio
import logging
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection, text

from core.errors import StoreBusy
from core.lifecycle import State
from core.store.opening import Transactions
from core.store.sql import SqlHistory, SqlTurns
from core.types import Memory, Outcome, Prompt, Remembered, Role, ThreadKey, Verdict

AT_A_TIME = 32
CONVERSATIONS = 4 * AT_A_TIME
WINDOW = 40
PLATFORM = "slack"
ANSWER = "The answer, of a usual length. " * 10
_DELIVERIES = 5

# By the database itself: ten million rows from here would take minutes.
_CONVERSATIONS = text(
    "WITH RECURSIVE n (n) AS"
    " (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < :conversations)"
    " INSERT INTO conversation (id, platform, thread, fence, start, ratio, told, speaker, several,"
    " fresh, created_at) SELECT 1 + n, :platform, :thread || n, 0, :start, 1.0, false, '', false,"
    " false, 1.0 FROM n"
)
_MESSAGES = text(
    "WITH RECURSIVE p (p) AS (SELECT 0 UNION ALL SELECT p + 1 FROM p WHERE p + 1 < :messages)"
    " INSERT INTO message (conversation_id, position, role, author, content, identity)"
    " SELECT id, p, CASE p % 2 WHEN 0 THEN 'user' ELSE 'assistant' END, 'Ann', :answer, ''"
    " FROM conversation CROSS JOIN p"
)


@dataclass(frozen=True)
class Run:
    """What one run came to. p99: seconds from accepting to settled. cpu: seconds a turn."""

    turns_a_second: float
    p99: float
    cpu: float


def silent() -> None:
    """No log lines from this process: its output is a table, or JSON."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def thread_of(number: int) -> ThreadKey:
    """The key of a conversation."""
    return ThreadKey(f"slack:T1:C1:{number}")


def fill(conn: Connection, conversations: int, messages: int) -> None:
    """Conversations of so many messages each, of which the last `WINDOW` are sent."""
    values = {
        "conversations": conversations,
        "messages": messages,
        "platform": PLATFORM,
        "thread": thread_of(0)[:-1],
        "start": messages - WINDOW,
        "answer": ANSWER,
    }
    conn.execute(_CONVERSATIONS, values)
    conn.execute(_MESSAGES, values)


def prompt(worker: str, number: int, thread: ThreadKey) -> Prompt:
    """One of its own."""
    return Prompt(
        platform=PLATFORM,
        thread=thread,
        identity=f"{worker}/{number}",
        sequence=f"{time.time_ns():020}",
        author="Ann",
        text="A question of a usual length, say.",
        asked_at=1_700_000_000.0,
        address='{"channel": "C1", "ts": "1700000000.000100"}',
    )


class OurTurn:
    """A turn through the ports: accept, claim, load the window, answer, finish.

    first: of the `CONVERSATIONS` that are asked in; people of several workers ask in their own.
    """

    def __init__(self, database: Transactions, worker: str = "worker", first: int = 0) -> None:
        self._turns = SqlTurns(database)
        self._history = SqlHistory(database)
        self._worker = worker
        self._first = first

    async def __call__(self, number: int) -> None:
        """The turn `number`; which one is claimed is the store's choice."""
        thread = thread_of(self._first + number % CONVERSATIONS)
        asked = prompt(self._worker, number, thread)
        await self._accept(asked)
        while (turn := await self._turns.claim(self._worker, (PLATFORM,), 60.0)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        known = await self._history.load(turn.prompt.thread)
        assert len(known.messages) == WINDOW
        said = (
            Remembered(Role.USER, turn.prompt.text, "Ann"),
            Remembered(Role.ASSISTANT, ANSWER),
        )
        memory = Memory(start=known.memory.start + len(said))
        await self._turns.answer(turn, Outcome(verdict=Verdict.COMPLETE, text=ANSWER), said, memory)
        await self._turns.finish(turn, State.SETTLED)

    async def _accept(self, asked: Prompt) -> None:
        """As a platform does that delivers again what it was not told of in time."""
        for _ in range(_DELIVERIES):
            with suppress(StoreBusy):
                await self._turns.accept(asked)
                return
        raise StoreBusy("it was never accepted")


async def measured(one: Callable[[int], Awaitable[None]], turns: int, first: int = 0) -> Run:
    """So many turns, numbered from `first` on, `AT_A_TIME` side by side."""
    numbers = iter(range(first, first + turns))
    took: list[float] = []

    async def work() -> None:
        for number in numbers:
            began = time.perf_counter()
            await one(number)
            took.append(time.perf_counter() - began)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(AT_A_TIME)))
    elapsed, cpu = time.perf_counter() - began, time.process_time() - cpu
    return Run(turns / elapsed, statistics.quantiles(took, n=100)[98], cpu / turns)


def summed_up(runs: list[Run]) -> dict[str, Any]:
    """Medians, and the least and the most beside them."""
    return {
        name: spread_of([getattr(run, name) for run in runs])
        for name in ("turns_a_second", "p99", "cpu")
    }


def spread_of(values: list[float]) -> dict[str, float]:
    """The median, the least and the most."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}
