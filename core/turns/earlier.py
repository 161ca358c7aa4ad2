"""Reads what a thread said before the prompt: once a conversation, so it is tried again."""

import asyncio
from collections.abc import Callable, Sequence

from core.errors import RateLimited, Unreachable
from core.ports import ReadsEarlier
from core.types import Remembered

PAUSES = (1.0, 3.0)
"""Seconds between two tries, where the platform doesn't say how long to wait."""
PATIENCE = 30.0
"""Seconds from the first try within which another one begins."""


async def read_earlier(thread: ReadsEarlier, now: Callable[[], float]) -> Sequence[Remembered]:
    """As `ReadsEarlier.earlier`, after up to two failures that may pass. Raises: DeliveryError."""
    until = now() + PATIENCE
    for pause in PAUSES:
        try:
            return await thread.earlier()
        except (RateLimited, Unreachable) as error:
            wait = error.retry_after if isinstance(error, RateLimited) else pause
            if now() + wait > until:
                raise
        await asyncio.sleep(wait)
    return await thread.earlier()
