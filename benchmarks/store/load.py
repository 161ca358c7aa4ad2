"""The load: turns side by side, each of five transactions, over conversations of 40 messages."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert

from core.errors import StoreBusy
from core.lifecycle import State
from core.store.opening import Transactions
from core.store.schema import conversation, message
from core.store.sql import SqlHistory, SqlTurns
from core.types import Memory, Outcome, Prompt, Remembered, Role, ThreadKey, Verdict

AT_A_TIME = 32
CONVERSATIONS = 4 * AT_A_TIME
WINDOW = 40
PLATFORM = "slack"
ANSWER = "The answer, of a usual length. " * 10
_BATCH = 50_000
_DELIVERIES = 5


@dataclass(frozen=True)
class Run:
    """What one run came to. p99: seconds from accepting to settled. cpu: seconds a turn."""

    turns_a_second: float
    p99: float
    cpu: float


def thread_of(number: int) -> ThreadKey:
    """The key of a conversation."""
    return ThreadKey(f"slack:T1:C1:{number}")


def fill(conn: Connection, conversations: int, messages: int) -> None:
    """Conversations of so many messages each, of which the last `WINDOW` are sent."""
    known = [
        {
            "id": 1 + n,
            "platform": PLATFORM,
            "thread": thread_of(n),
            "created_at": 1.0,
            "start": messages - WINDOW,
            "fresh": False,
        }
        for n in range(conversations)
    ]
    conn.execute(insert(conversation), known)
    for first in range(1, conversations + 1, max(1, _BATCH // messages)):
        last = min(conversations + 1, first + max(1, _BATCH // messages))
        said = [
            {
                "conversation_id": number,
                "position": position,
                "role": (Role.USER, Role.ASSISTANT)[position % 2],
                "author": "Ann",
                "content": ANSWER,
                "identity": "",
            }
            for number in range(first, last)
            for position in range(messages)
        ]
        conn.execute(insert(message), said)


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
    """A turn through the ports: accept, claim, load the window, answer, finish."""

    def __init__(self, database: Transactions, worker: str = "worker") -> None:
        self._turns = SqlTurns(database)
        self._history = SqlHistory(database)
        self._worker = worker

    async def __call__(self, number: int) -> None:
        """The turn `number`; which one is claimed is the store's choice."""
        asked = prompt(self._worker, number, thread_of(number % CONVERSATIONS))
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
        name: {
            "median": statistics.median(values),
            "least": min(values),
            "most": max(values),
        }
        for name in ("turns_a_second", "p99", "cpu")
        for values in [[getattr(run, name) for run in runs]]
    }
