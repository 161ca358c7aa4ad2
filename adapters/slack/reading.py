"""Reads of threads: one after the other, and a rate limit is waited out by all of them together.

Who began anew after each rate limit would, beside others, never come to the end; and of those that
go together when a limit ends, all but one would be refused.
"""

import asyncio
from typing import Any

import structlog

from adapters.slack import calls
from adapters.slack.calls import Api
from core.errors import RateLimited

log = structlog.get_logger()

PATIENCE = 120.0
"""Seconds within which a read is made again after Slack's rate limits before it is given up."""


async def patiently(api: Api, patience: float = PATIENCE, **args: Any) -> dict[str, Any]:
    """A page of conversations.replies, asked for again after each rate limit.

    patience: seconds; a wait that ends later than that isn't begun. Raises: DeliveryError.
    """
    clock = asyncio.get_running_loop().time
    until = clock() + patience
    while True:
        async with api.reading:
            wait = api.reads_from - clock()
            if wait <= 0:
                try:
                    return await api.call(calls.REPLIES, **args)
                except RateLimited as limited:
                    wait = max(limited.retry_after, 0.01)
                    api.reads_from = clock() + wait
                    log.info("slack.reading_waits", seconds=wait)
        if clock() + wait > until:
            raise RateLimited(wait)
        await asyncio.sleep(wait)
