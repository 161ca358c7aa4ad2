"""Erasing what is old in a file with many turns: for how long others wait for the writer."""

import asyncio
import statistics
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, text

from benchmarks.store.load import prompt, spread_of, thread_of
from bots.retention import PAUSE
from core.store.database import Database
from core.store.sql import SqlTurns

_EACH = 5  # turns of a conversation
_EVERY = 0.02  # seconds between two questions of somebody else's
_AGE = 1e8  # seconds: what fills the file is as old as the epoch
_QUIET = 5.0  # seconds of such questions before

# By the database itself: a question, the thinking about it and an answer, and its two entries.
_CONVERSATIONS = text(
    "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < :count)"
    " INSERT INTO conversation (id, platform, thread, fence, start, ratio, told, speaker, several,"
    " fresh, created_at) SELECT 1 + n, 'slack', :thread || n, 0, 0, 1.0, false, 'Ann', false,"
    " false, 1.0 FROM n"
)
_TURNS = text(
    "WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < :count)"
    " INSERT INTO turn (conversation_id, identity, sequence, author, text, address, files,"
    " follow_up, asked_at, state, attempts, reason, verdict, answer, notice, candidates, reasoning,"
    " received_at, answered_at, settled_at) SELECT 1 + n / :each, 'old/' || n, printf('%020d', n),"
    " 'Ann', :asked, '{}', '[]', false, n, 'settled', 1, '', 'complete', :answer, '', '[]',"
    " :reasoning, n, n, n FROM n"
)
_ENTRIES = text(
    "INSERT INTO message (conversation_id, position, role, author, content, identity, turn_id)"
    " SELECT conversation_id, 2 * ((id - 1) % :each) + n, role, '', said, '', id FROM turn"
    " CROSS JOIN (SELECT 0 AS n, 'user' AS role, :asked AS said"
    " UNION ALL SELECT 1, 'assistant', :answer)"
)


async def erasing(count: int) -> dict[str, Any]:
    """A file with so many turns that are all too old, erased as the service does it: half of them
    alone, the others while somebody asks fifty times a second.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "old.db"
        url = f"sqlite:///{path}"
        async with Database.open(url) as database:
            await database.write(_fill, count)
        async with Database.open(url) as database:  # with an empty log
            size = path.stat().st_size
            alone, beside = _Held(), _Held()
            await _erase(database, count - count // 2, alone)
            before = await _asking(database, "before", asyncio.sleep(_QUIET))
            meanwhile = await _asking(database, "beside", _erase(database, count // 2, beside))
            return {
                "turns": count,
                "mib": size / 2**20,
                "mib_after": path.stat().st_size / 2**20,
                "each": count / len(alone.seconds + beside.seconds),
                "cpu": spread_of(alone.cpu),
                "held": _spread(alone.seconds),
                "accepted": _spread(meanwhile),
                "accepted_before": _spread(before),
            }


@dataclass
class _Held:
    """Seconds of each transaction: how long it took, its commit included, and of processors."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def _fill(conn: Connection, count: int) -> None:
    values = {
        "count": count,
        "each": _EACH,
        "thread": thread_of(0)[:-1],
        "asked": "A question of a usual length, say. " * 5,
        "answer": "The answer, of a usual length. " * 50,
        "reasoning": "What was thought before it was given. " * 50,
    }
    conn.execute(_CONVERSATIONS, values | {"count": count // _EACH})
    conn.execute(_TURNS, values)
    conn.execute(_ENTRIES, values)


def _spread(seconds: list[float]) -> dict[str, float]:
    return spread_of(seconds) | {"p99": statistics.quantiles(seconds, n=100)[98]}


async def _erase(database: Database, count: int, held: _Held) -> None:
    """So many turns, or a few more."""
    turns, left = SqlTurns(database, lambda: 1e9), count
    while left > 0:
        began, used = time.perf_counter(), time.process_time()
        erased = await turns.erase(_AGE)
        held.seconds.append(time.perf_counter() - began)
        held.cpu.append(time.process_time() - used)
        left = left - erased.turns if erased else 0
        await asyncio.sleep(PAUSE)


async def _asking(
    database: Database, who: str, meanwhile: Coroutine[Any, Any, None]
) -> list[float]:
    """Seconds for each question to be stored that somebody asks meanwhile."""
    turns, doing = SqlTurns(database), asyncio.create_task(meanwhile)
    took: list[float] = []
    while not doing.done():
        began = time.perf_counter()
        await turns.accept(prompt(who, len(took), thread_of(len(took) % 1_000)))
        took.append(time.perf_counter() - began)
        await asyncio.sleep(_EVERY)
    return took
