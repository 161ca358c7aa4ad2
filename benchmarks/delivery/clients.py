"""What other bots' client libraries do with a call that is refused, or would be."""

import asyncio
from enum import Enum, auto

from benchmarks.delivery.answers import Answer
from benchmarks.delivery.sites import Method, Refused, Site
from tests.simulation.loop import now

TRIES = 10


class Client(Enum):
    """RAISES: slack_sdk by default, plain fetch. TWICE: slack_sdk with a retry handler of two.
    PAUSES: @slack/web-api for Node, which stops all its calls for Retry-After, then retries.
    PAUSES_ONCE: the same without retries. QUEUES: discord.py, which heeds the headers and lets
    calls of one bucket wait in line, with the text they were made with.
    """

    RAISES = auto()
    TWICE = auto()
    PAUSES = auto()
    PAUSES_ONCE = auto()
    QUEUES = auto()


async def until(at: float) -> None:
    """Sleep to that time."""
    if at > now():
        await asyncio.sleep(at - now())


async def send(site: Site, answer: Answer, method: Method, tokens: int, client: Client) -> None:
    """Make the message show so many tokens. Raises: Refused, when the client gives up."""
    if client is Client.QUEUES:
        await _queue(site, answer, method, tokens)
        return
    retries = {Client.TWICE: 2, Client.PAUSES: TRIES}.get(client, 0)
    pauses = client in (Client.PAUSES, Client.PAUSES_ONCE)
    while True:
        while pauses and site.paused_until > now():
            await until(site.paused_until)
        try:
            await _call(site, answer, method, tokens)
        except Refused as refused:
            if pauses:
                site.paused_until = max(site.paused_until, now() + refused.wait)
            if not retries:
                raise
            retries -= 1
            if client is Client.TWICE:
                await asyncio.sleep(refused.wait + site.random.random())
        else:
            return


async def _queue(site: Site, answer: Answer, method: Method, tokens: int) -> None:
    """In line for the bucket, never refused."""
    keys = site.keys(answer, method)
    async with site.lock(keys[0]):
        while wait := max(site.budget(key).wait(now()) for key in keys):
            await until(now() + wait)
        await _call(site, answer, method, tokens)


async def _call(site: Site, answer: Answer, method: Method, tokens: int) -> None:
    await site.call(answer, method, lambda: answer.show(tokens, now()))
