"""Reads of a place's history: one after the other in a channel, and a rate limit is waited out.

Who began anew after each rate limit would, beside others in the same channel, never come to the
end; and of those that go together when a limit ends, most would be refused.
"""

import asyncio
from collections.abc import Mapping

from adapters.discord.calls import Answer, Api, Route
from core.errors import RateLimited, Unreachable

PATIENCE = 120.0
"""Seconds that are waited at most for Discord's rate limits before a read is given up."""


async def patiently(
    api: Api,
    route: Route,
    names: Mapping[str, str],
    query: Mapping[str, str],
    tries: int = 1,
    patience: float = PATIENCE,
) -> Answer:
    """The call, made again after each rate limit. tries: of those that don't get through. patience:
    seconds that are waited at most for limits.

    Raises: DeliveryError.
    """
    async with api.reading.setdefault(names["channel"], asyncio.Lock()):
        return await _patiently(api, route, names, query, tries, patience)


async def _patiently(
    api: Api,
    route: Route,
    names: Mapping[str, str],
    query: Mapping[str, str],
    tries: int,
    patience: float,
) -> Answer:
    while True:
        try:
            return await api.call(route, names, None, query)
        except RateLimited as error:
            wait = max(error.retry_after, 0.01)
            patience -= wait
            if patience < 0:
                raise
        except Unreachable:
            wait = 1.0
            tries -= 1
            if not tries:
                raise
        await asyncio.sleep(wait)
