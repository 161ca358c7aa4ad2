"""Tells the reader of a response that its connection is gone.

aiohttp closes a connection on which something came that is no HTTP (a broken chunk, a proxy's own
page in the middle of the body), but tells a reader that waits for more nothing of it.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp


@contextmanager
def noticed(response: aiohttp.ClientResponse) -> Iterator[None]:
    """Inside, the end of the connection is the end of the body, whatever else it was.

    Where it was gone before, who reads on gets a RuntimeError.
    """
    body, connection = response.content, response.connection
    protocol = None if connection is None else connection.protocol
    closed = None if protocol is None else protocol.closed

    def lost(_: asyncio.Future[None]) -> None:
        if not body.is_eof() and body.exception() is None:
            body.feed_eof()

    if closed is not None:
        closed.remove_done_callback(_heard)
        closed.add_done_callback(_heard)
        closed.add_done_callback(lost)
    try:
        yield
    finally:
        if closed is not None:
            closed.remove_done_callback(lost)


def _heard(closed: asyncio.Future[None]) -> None:
    """Take the reason of an end, which may come long after the response; else asyncio complains."""
    if not closed.cancelled():
        closed.exception()
