"""What a turn would cost that went to aiosqlite's thread and back for each of its statements."""

import itertools
import statistics
import time
from typing import Any

import aiosqlite

STATEMENTS = 11
"""As many as a turn has: accept 2, claim 3, load 1, answer 3, finish 2."""

_TURNS = 300


async def hops(repetitions: int) -> dict[str, Any]:
    """One after the other, as in a transaction; each is empty, and nothing is committed."""
    rates: list[float] = []
    cpu: list[float] = []
    async with aiosqlite.connect(":memory:", isolation_level=None) as connection:
        for _ in range(repetitions):
            began, used = time.perf_counter(), time.process_time()
            for _turn, number in itertools.product(range(_TURNS), range(STATEMENTS)):
                await connection.execute_fetchall("SELECT ?", (number,))
            rates.append(_TURNS / (time.perf_counter() - began))
            cpu.append((time.process_time() - used) / _TURNS)
    return {
        "statements": STATEMENTS,
        "turns_a_second": {
            "median": statistics.median(rates),
            "least": min(rates),
            "most": max(rates),
        },
        "cpu": {"median": statistics.median(cpu), "least": min(cpu), "most": max(cpu)},
    }
