"""A process that does nothing but ask for calls of one budget: `python -m ... <url> <seconds>`."""

import asyncio
import sys

from core.store.budgets import SharedBudget
from core.store.postgres import PostgresDatabase
from core.types import Allowance, Kind

ALLOWANCE = Allowance("hammered", burst=10, rate=20.0, shared=True)


async def ask(budget: SharedBudget, kind: Kind, until: float) -> int:
    """Ask until a time of the loop, as a writer does; returns how many calls were granted."""
    loop, granted = asyncio.get_running_loop(), 0
    while loop.time() < until:
        wait = await budget.take(ALLOWANCE, kind)
        granted += wait == 0
        await asyncio.sleep(min(wait, max(0.0, until - loop.time())))
    return granted


async def main(url: str, seconds: float) -> None:
    """Two writers, one of them with what matters less; prints what they were granted."""
    async with PostgresDatabase.open(url) as database:
        loop = asyncio.get_running_loop()
        budget, until = SharedBudget(database, loop.time), loop.time() + seconds
        print("begun", flush=True)  # noqa: T201
        kinds = (Kind.FINAL, Kind.INTERIM)
        granted = await asyncio.gather(*(ask(budget, kind, until) for kind in kinds))
    print(*granted, flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
