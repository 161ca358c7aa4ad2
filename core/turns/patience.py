"""Looks at a thread before its prompt is answered, and not for long: who asked waits for that."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from core.errors import RateLimited, Unreachable

T = TypeVar("T")

_PAUSES = (1.0, 3.0)  # seconds after the first look that doesn't get through, and after the second
_LONGEST = 30.0  # seconds, of all looks and what lies between them


async def briefly(look: Callable[[], Awaitable[T]], now: Callable[[], float]) -> T:
    """What it finds, after up to two looks that don't get through, and after rate limits: these say
    how long they last. Raises: DeliveryError.
    """
    until = now() + _LONGEST
    pauses = iter(_PAUSES)
    try:
        async with asyncio.timeout(_LONGEST):
            while True:
                try:
                    return await look()
                except RateLimited as error:
                    wait = max(_PAUSES[0], error.retry_after)
                    if now() + wait > until:
                        raise
                except Unreachable:
                    if (wait := next(pauses, 0.0)) <= 0:
                        raise
                await asyncio.sleep(wait)
    except TimeoutError as error:
        raise Unreachable(f"the thread couldn't be read within {_LONGEST:g} seconds") from error
