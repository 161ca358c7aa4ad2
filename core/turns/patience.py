"""Looks at a thread before its prompt is answered, and not for long: who asked waits for that."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from core.errors import RateLimited, Unreachable

T = TypeVar("T")

_PAUSES = (1.0, 3.0)  # seconds between two looks, where the platform asks for no longer wait
_LONGEST = 30.0  # seconds, of all looks and what lies between them


async def briefly(look: Callable[[], Awaitable[T]], now: Callable[[], float]) -> T:
    """What it finds, after up to two failures that may pass. Raises: DeliveryError."""
    until = now() + _LONGEST
    try:
        async with asyncio.timeout(_LONGEST):
            for pause in _PAUSES:
                try:
                    return await look()
                except (RateLimited, Unreachable) as error:
                    wait = max(pause, error.retry_after)
                    if now() + wait > until:
                        raise
                await asyncio.sleep(wait)
            return await look()
    except TimeoutError as error:
        raise Unreachable(f"the thread couldn't be read within {_LONGEST:g} seconds") from error
