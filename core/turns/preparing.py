"""Waits for the place of an answer, before the answer is committed."""

import asyncio
import contextlib

from core.errors import DeliveryError, RateLimited, Unreachable
from core.placing import Prepares
from core.ports import Thread

PATIENCE = 10.0
"""Seconds for which an answer isn't committed that nobody can see."""
_PAUSE = 1.0  # seconds between two tries, where the platform asks for no longer wait


async def prepared(thread: Thread) -> None:
    """Until an answer can be posted, PATIENCE at most. What is committed is never asked again, and
    a question that is edited before anything is visible is to be. Whoever posts meets each error.
    """
    if not isinstance(thread, Prepares):
        return
    with contextlib.suppress(TimeoutError, DeliveryError):
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await thread.prepare()
                    return
                except RateLimited as error:
                    wait = max(error.retry_after, 0.01)
                except Unreachable:
                    wait = _PAUSE
                await asyncio.sleep(wait)
