"""Looks at a thread once more after a failure that may pass, and not for long."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from core.errors import RateLimited, Unreachable

T = TypeVar("T")

_PAUSES = (1.0, 3.0)  # seconds between two looks, where the platform asks for no longer wait
_PATIENCE = 30.0  # seconds from the first look within which another one begins


async def patiently(look: Callable[[], Awaitable[T]], now: Callable[[], float]) -> T:
    """What it finds, after up to two failures that may pass. Raises: DeliveryError."""
    until = now() + _PATIENCE
    for pause in _PAUSES:
        try:
            return await look()
        except (RateLimited, Unreachable) as error:
            wait = max(pause, error.retry_after)
            if now() + wait > until:
                raise
        await asyncio.sleep(wait)
    return await look()
