"""The yardstick: the same turn in SQL by hand, on sqlite3 on a thread, with group commit.

No fences, no states to compare, no errors to explain, no more statements than the rows need.
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.store.load import ANSWER, CONVERSATIONS, PLATFORM, WINDOW, thread_of

_Job = tuple[Callable[..., Any], tuple[Any, ...], "asyncio.Future[Any]"]


class RawTurn:
    """A turn of five transactions; use as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> "RawTurn":
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Stop."""
        self._jobs.put(None)
        self._thread.join()

    async def __call__(self, number: int) -> None:
        """The turn `number`, of the conversation that it was asked in."""
        here = 1 + number % CONVERSATIONS
        turn = await self._do(_accept, here, number)
        await self._do(_claim, here, turn)
        start, rows = await self._do(_load, here)
        assert len(rows) == WINDOW
        await self._do(_answer, here, turn, start + 2)
        await self._do(_finish, here, turn)

    async def _do(self, fn: Callable[..., Any], *args: Any) -> Any:
        told = self._loop.create_future()
        self._jobs.put((fn, args, told))
        return await told

    def _work(self) -> None:
        file = sqlite3.connect(self._path, isolation_level=None)
        for setting in ("synchronous = FULL", "foreign_keys = ON", "secure_delete = ON"):
            file.execute(f"PRAGMA {setting}")
        while (job := self._jobs.get()) is not None:
            batch = [job]
            while not self._jobs.empty() and (job := self._jobs.get()) is not None:
                batch.append(job)
            file.execute("BEGIN IMMEDIATE")
            results = [(told, fn(file, *args)) for fn, args, told in batch]
            file.execute("COMMIT")
            self._loop.call_soon_threadsafe(_tell, results)
        file.close()


def _tell(results: list[tuple["asyncio.Future[Any]", Any]]) -> None:
    for told, result in results:
        told.set_result(result)


def _accept(file: sqlite3.Connection, here: int, number: int) -> Any:
    file.execute(
        "INSERT INTO conversation (platform, thread, fence, start, ratio, told, speaker, several,"
        " fresh, created_at) VALUES (?, ?, 0, 0, 1.0, 0, '', 0, 1, ?) ON CONFLICT DO NOTHING",
        (PLATFORM, thread_of(here - 1), time.time()),
    )
    return file.execute(
        "INSERT INTO turn (conversation_id, identity, sequence, author, text, address, files,"
        " follow_up, asked_at, state, attempts, reason, received_at)"
        " VALUES (?, ?, ?, 'Ann', ?, ?, '[]', 0, 1.7e9, 'received', 0, '', ?)",
        (
            here,
            f"raw/{number}",
            f"{time.time_ns():020}",
            "A question of a usual length, say.",
            '{"channel": "C1", "ts": "1700000000.000100"}',
            time.time(),
        ),
    ).lastrowid


def _claim(file: sqlite3.Connection, here: int, turn: int) -> None:
    file.execute(
        "UPDATE conversation SET owner = 'raw', lease_until = ?, fence = fence + 1 WHERE id = ?",
        (time.time() + 60, here),
    )
    file.execute("UPDATE turn SET state = 'claimed' WHERE id = ? RETURNING *", (turn,)).fetchall()


def _load(file: sqlite3.Connection, here: int) -> Any:
    start = file.execute("SELECT start FROM conversation WHERE id = ?", (here,)).fetchone()[0]
    window = (
        "SELECT role, content, author, identity FROM message"
        " WHERE conversation_id = ? AND position >= ? ORDER BY position"
    )
    return start, file.execute(window, (here, start)).fetchall()


def _answer(file: sqlite3.Connection, here: int, turn: int, start: int) -> None:
    file.execute(
        "UPDATE turn SET state = 'answered', verdict = 'complete', answer = ?, notice = '',"
        " candidates = '[]', reasoning = '', answered_at = ? WHERE id = ?",
        (ANSWER, time.time(), turn),
    )
    file.execute("UPDATE conversation SET start = ?, fresh = 0 WHERE id = ?", (start, here))
    end = start + WINDOW - 2
    file.executemany(
        "INSERT INTO message (conversation_id, position, role, author, content, identity, turn_id)"
        " VALUES (?, ?, ?, ?, ?, '', ?)",
        [
            (here, end, "user", "Ann", "A question of a usual length, say.", turn),
            (here, end + 1, "assistant", "", ANSWER, turn),
        ],
    )


def _finish(file: sqlite3.Connection, here: int, turn: int) -> None:
    file.execute(
        "UPDATE turn SET state = 'settled', settled_at = ? WHERE id = ?", (time.time(), turn)
    )
    file.execute("UPDATE conversation SET owner = NULL, lease_until = NULL WHERE id = ?", (here,))
