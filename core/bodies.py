"""What a platform answers to a call, up to a size."""

import asyncio

import aiohttp

MOST = 32 * 1024 * 1024
"""Bytes. The largest answer there is, a page of long messages, has some ten million."""


async def whole(response: aiohttp.ClientResponse) -> bytes:
    """The body. One that never ends would fill the memory until the time of its call is over.

    Raises: ClientPayloadError, also for one that is larger than any; what aiohttp raises.
    """
    try:
        await response.content.readexactly(MOST)
    except asyncio.IncompleteReadError as end:
        return end.partial
    raise aiohttp.ClientPayloadError(f"more than {MOST} bytes")
