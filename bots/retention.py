"""What was said long ago is erased (RETENTION_DAYS): in rounds, for as long as the service runs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
from prometheus_client import Counter

from core.errors import StoreError
from core.store.opening import Transactions
from core.store.retention import Erased
from core.store.sql import SqlTurns

SOON, EVERY = 5.0, 3_600.0
"""Seconds to the first round, and from the end of one to the next."""
PAUSE = 0.05
"""Seconds between two transactions, so that all who wait to write come first."""
DAY = 86_400.0

log = structlog.get_logger()

ERASED = Counter("threadseek_turns_erased", "Turns whose words were erased for their age.")


@asynccontextmanager
async def erased_after(
    days: int | None, turns: SqlTurns, database: Transactions, then: Callable[[], None]
) -> AsyncIterator[None]:
    """Within it, the words of turns that ended so many days ago are erased; None: nothing is.

    then: called after each round that erased something.
    """
    if days is None:
        yield
        return
    erasing = asyncio.create_task(_rounds(days * DAY, turns, database, then), name="retention")
    try:
        yield
    finally:
        erasing.cancel()
        await asyncio.gather(erasing, return_exceptions=True)


async def _rounds(
    age: float, turns: SqlTurns, database: Transactions, then: Callable[[], None]
) -> None:
    await asyncio.sleep(SOON)
    while True:
        try:
            if await _round(age, turns, database):
                then()
        except StoreError as error:
            log.warning("retention.later", reason=str(error), again_in=EVERY)
        except Exception:
            log.exception("retention.broken", again_in=EVERY)
        await asyncio.sleep(EVERY)


async def _round(age: float, turns: SqlTurns, database: Transactions) -> bool:
    """Erase all that is too old, and the copies of the database that are; whether any was."""
    erased = Erased()
    backups = 0
    try:
        while some := await turns.erase(age):
            erased += some
            ERASED.inc(some.turns)
            await asyncio.sleep(PAUSE)
        backups = await database.drop_backups(age)
    finally:
        if erased or backups:
            facts = {"turns": erased.turns, "entries": erased.entries, "backups": backups}
            log.info("retention.erased", **facts)
    return bool(erased)
