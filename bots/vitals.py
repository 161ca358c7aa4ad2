"""How the process itself is: its event loop's lag and tasks on /metrics, and its garbage.

prometheus-client tells the rest by itself: memory, open files, processor time.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from prometheus_client import Gauge, Histogram

EVERY = 0.1  # seconds between two looks

THRESHOLDS = (2_000, 3, 250)
"""When garbage is looked for: after so many new objects among these, after so many times among
those that stayed, after so many times of that among all: two million at the earliest."""

LAG = Histogram(
    "threadseek_loop_lag_seconds",
    "How late the event loop came to what was due, looked at ten times a second.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0),
)
TASKS = Gauge("threadseek_tasks", "Tasks of the event loop that have not ended.")


@asynccontextmanager
async def watched() -> AsyncIterator[None]:
    """Within it, lag and tasks are looked at."""
    loop = asyncio.get_running_loop()
    TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))
    looking = asyncio.create_task(_look(), name="vitals")
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
        TASKS.set_function(lambda: 0)


@contextmanager
def spared() -> Iterator[None]:
    """Within it the garbage collector passes over all that there was before, and looks through
    everything else rarely.

    What was imported stays for ever; looking through it took 30 ms each time, in which nothing
    else went on. A thousand answers weigh as much as that several times over, and hardly any of
    it is garbage that only the collector finds (docs/performance.md).
    """
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


async def _look() -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + EVERY
        await asyncio.sleep(EVERY)
        LAG.observe(max(0.0, loop.time() - due))
