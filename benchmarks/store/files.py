"""On a file: turns a second against the yardstick, and windows in small and large files."""

import statistics
import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.store.load import (
    AT_A_TIME,
    CONVERSATIONS,
    WINDOW,
    OurTurn,
    Run,
    fill,
    measured,
    summed_up,
    thread_of,
)
from benchmarks.store.raw import RawTurn
from bots.vitals import spared
from core.store.database import Database
from core.store.sql import SqlHistory

_WARM_UP = 200
_LOOKS = 2_000
_APART = 7919  # a prime: one conversation after the other, far from each other in the file


async def turns(repetitions: int, count: int) -> dict[str, Any]:
    """Ours and the yardstick's, one after the other each time, in new files."""
    ours: list[Run] = []
    raw: list[Run] = []
    for _ in range(repetitions):
        with TemporaryDirectory() as folder:
            async with _filled(Path(folder) / "ours.db") as database:
                one = OurTurn(database)
                await measured(one, _WARM_UP)
                with spared():  # as the service does
                    ours.append(await measured(one, count, _WARM_UP))
            path = Path(folder) / "raw.db"
            async with _filled(path):
                pass
            with RawTurn(path) as yardstick:
                await measured(yardstick, _WARM_UP)
                with spared():
                    raw.append(await measured(yardstick, count, _WARM_UP))
    ratios = [one.cpu / other.cpu for one, other in zip(ours, raw, strict=True)]
    return {
        "at_a_time": AT_A_TIME,
        "turns": count,
        "repetitions": repetitions,
        "ours": summed_up(ours),
        "raw": summed_up(raw),
        "cpu_ratio": {
            "median": statistics.median(ratios),
            "least": min(ratios),
            "most": max(ratios),
        },
    }


async def windows(repetitions: int, sizes: tuple[int, ...]) -> dict[str, Any]:
    """CPU seconds of loading a window, in files of so many messages, by turns."""
    each = 100  # messages of a conversation
    found: dict[int, list[float]] = {size: [] for size in sizes}
    with TemporaryDirectory() as folder:
        for size in sizes:
            async with _filled(Path(folder) / f"{size}.db", size // each, each):
                pass
        for _ in range(repetitions):
            for size in sizes:
                async with _opened(Path(folder) / f"{size}.db") as database:
                    found[size].append(await _look(SqlHistory(database), size // each))
    medians = {size: statistics.median(values) for size, values in found.items()}
    return {
        "repetitions": repetitions,
        "cpu": {
            str(size): {"median": medians[size], "least": min(values), "most": max(values)}
            for size, values in found.items()
        },
        "last_to_first": medians[sizes[-1]] / medians[sizes[0]],
    }


async def _look(history: SqlHistory, conversations: int) -> float:
    for number in range(_LOOKS // 10):
        await history.load(thread_of(number * _APART % conversations))
    began = time.process_time()
    for number in range(_LOOKS):
        known = await history.load(thread_of(number * _APART % conversations))
        assert len(known.messages) == WINDOW
    return (time.process_time() - began) / _LOOKS


def _opened(path: Path) -> AbstractAsyncContextManager[Database]:
    return Database.open(f"sqlite:///{path}")


@asynccontextmanager
async def _filled(
    path: Path, conversations: int = CONVERSATIONS, messages: int = WINDOW
) -> AsyncGenerator[Database, None]:
    async with _opened(path) as database:
        await database.write(fill, conversations, messages)
        yield database
