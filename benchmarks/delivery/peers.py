"""How other bots show a growing answer, described from their public sources as of 2026.

Each is kinder to them than they are: everybody reads the stream without delay, and rules written
for one platform are also tried on the other. On Discord a message takes no more than it does, and
who has more text does what its source does: goes on in further messages, or loses the rest. Where
a source isn't known, messages are as full as they can be, and further ones have the budget that
the first one has. On Slack nobody's message overflows: no trace has more than 8,200 characters,
and one takes 12,000 of `markdown_text` (40,000 of `text`).
"""

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable
from contextlib import suppress

from benchmarks.delivery.answers import Answer
from benchmarks.delivery.cells import Process
from benchmarks.delivery.clients import Client, send, until
from benchmarks.delivery.messages import Messages, room
from benchmarks.delivery.sites import Method, Place, Refused, Site
from tests.simulation.loop import now

Way = Callable[[Answer, Site, Client], Awaitable[None]]
BUFFER = 256
"""Characters that slack_sdk's chat_stream gathers before a call."""
EMBED = 4_096 - 2
"""Characters of llmcord's embeds on Discord: what a description takes, without the cursor, a space
and a dot, that stands there while it grows."""
DOTS = 3
"""Characters of the "..." that vercel/chat puts where it cuts."""


async def at_end(answer: Answer, site: Site, client: Client) -> None:
    """AstrBot and many more: one message when all is there; as many as it takes, one after
    another."""
    await until(answer.end)
    await Messages(answer, site, client).show(answer.size)


async def counting(answer: Answer, site: Site, client: Client) -> None:
    """ChatGPT-in-Slack: a placeholder, a thread with a chat.update of its own for every 20 tokens,
    which may overtake each other; at the end one more, after all of them."""
    await send(site, answer, Method.POST, 0, client)
    sent = []
    for tokens in range(20, answer.size + 1, 20):
        await until(answer.at(tokens - 1))
        update = send(site, answer, Method.EDIT, tokens, client)
        sent.append(asyncio.create_task(update))
    await until(answer.end)
    await asyncio.gather(*sent, return_exceptions=True)
    await send(site, answer, Method.EDIT, answer.size, client)


async def buffered(answer: Answer, site: Site, client: Client) -> None:
    """slack_sdk's chat_stream: a native stream, one call for every 256 characters."""
    method, sent = Method.START, 0
    characters = answer.trace.characters
    for tokens in range(1, answer.size + 1):
        if characters[tokens] - characters[sent] < BUFFER:
            continue
        await until(answer.at(tokens - 1))
        await send(site, answer, method, tokens, client)
        method, sent = Method.APPEND, tokens
    await until(answer.end)
    if method is Method.START:
        await send(site, answer, method, 0, client)
    await send(site, answer, Method.STOP, answer.size, client)


async def fallback(answer: Answer, site: Site, client: Client) -> None:
    """vercel/chat without native streams: "...", then an edit half a second after each; interim
    ones may fail, and nothing guards the last one. On Discord it is cut, and "..." put there: the
    rest is never shown."""
    shown, most = 0, room(answer, site.most)
    if most < answer.size:
        most = room(answer, site.most - DOTS)
    await send(site, answer, Method.POST, 0, client)
    while now() + 0.5 < answer.end:
        await asyncio.sleep(0.5)
        if (tokens := min(answer.arrived(now()), most)) > shown:
            with suppress(Refused):
                await send(site, answer, Method.EDIT, tokens, client)
                shown = tokens
    await until(answer.end)
    if shown < most:
        await send(site, answer, Method.EDIT, most, client)


async def draft(answer: Answer, site: Site, client: Client) -> None:
    """openclaw: at once, then 1.0 s (Discord 1.2 s) after the last call; on Slack a 429 ends the
    preview, and a last edit that fails becomes a message. Text beyond the limit ends the preview
    too; at the end it gets what fits, further messages the rest."""
    throttle = 1.0 if site.place is Place.SLACK else 1.2
    messages, free, dead = Messages(answer, site, client), answer.start, False
    while (shown := messages.shown) < answer.size:
        due = answer.end if dead else min(max(free, answer.at(shown)), max(answer.end, now()))
        await until(due)
        tokens = answer.arrived(now())
        if messages.room < tokens < answer.size:
            dead = True
            continue
        try:
            await messages.show(tokens)
            free = now() + throttle
        except Refused:
            dead = True
            if tokens == answer.size:
                await at_end(answer, site, Client.PAUSES)
                return


class _Interim:
    """hermes-agent's clock: strikes lengthen it, three end the preview."""

    def __init__(self) -> None:
        self.interval, self.strikes, self.at = 0.8, 0, float("-inf")

    def due(self, characters: int) -> bool:
        """More than 24 characters are always due: they are never counted anew."""
        return characters >= 24 or (characters > 0 and now() - self.at >= self.interval)

    def refused(self) -> bool:
        """True: no more previews."""
        self.strikes, self.interval = self.strikes + 1, min(self.interval * 2, 10.0)
        return self.strikes >= 3


async def ticking(answer: Answer, site: Site, client: Client) -> None:
    """hermes-agent: looks every 50 ms; edits after 0.8 s, or from the 24th character on always.
    A full message is cut after its last line, and the rest goes on in a new one, whose characters
    are counted anew."""
    clock, dead, done = _Interim(), False, False
    messages = Messages(answer, site, client, lines=True)
    while not done:
        tokens, done = answer.arrived(now()), now() >= answer.end
        due = done or clock.due(messages.characters(tokens))
        if not dead and tokens > messages.shown and due:
            try:
                await messages.show(tokens)
                clock.strikes = 0
            except Refused:
                dead = messages.posted and clock.refused()
            clock.at = now()
        if not done:
            await (until(answer.end) if dead else asyncio.sleep(0.05))
    for _ in range(2):
        if messages.shown == answer.size:
            return
        try:
            messages = Messages(answer, site, client, lines=True)
            await messages.show(answer.size)
        except Refused:
            await asyncio.sleep(3)


async def batches(answer: Answer, site: Site, client: Client) -> None:
    """LangBot: posts after 8 tokens, edits after every 64, waiting for each call. What one message
    has no room for is lost."""
    posted, most = False, room(answer, site.most)
    for tokens in (8, *range(64, answer.size, 64)):
        await until(answer.at(tokens - 1))
        await _swallow(send(site, answer, _method(posted), min(tokens, most), client))
        posted = True
    await until(answer.end)
    await _swallow(send(site, answer, _method(posted), most, client))


def _method(posted: bool) -> Method:
    return Method.EDIT if posted else Method.POST


async def _swallow(call: Awaitable[None]) -> None:
    with suppress(Refused):
        await call


def llmcord() -> Callable[[Answer, Site, Client], Awaitable[None]]:
    """llmcord: an edit when a chunk arrives a second after the last edit of any answer; shows one
    chunk less than it has, and waits out the second for the last one. On Discord its messages are
    embeds; one that is full waits out the second as well, for its last edit, and a new one goes
    on."""
    last = float("-inf")

    async def way(answer: Answer, site: Site, client: Client) -> None:
        nonlocal last
        limit = site.most if site.place is Place.SLACK else EMBED
        messages, token = Messages(answer, site, client, limit=limit), 1
        while token < answer.size:
            await until(answer.at(token))
            full = token > messages.room
            if not messages.posted or full or now() - last >= 1.0 - 1e-9:
                if full:
                    await until(last + 1.0)
                await _swallow(messages.show(token))
                messages.posted, last = True, now()  # even if it was refused
            due = max(last + 1.0, now()) - answer.start
            token = max(token + 1, bisect_left(answer.trace.times, due))
        await until(answer.end)
        await until(last + 1.0)
        await _swallow(messages.show(answer.size))
        last = now()

    return way


def _with(way: Way, client: Client) -> Process:
    return lambda: lambda answer, site: way(answer, site, client)


def _llmcord(client: Client) -> Process:
    def process() -> Callable[[Answer, Site], Awaitable[None]]:
        way = llmcord()
        return lambda answer, site: way(answer, site, client)

    return process


SLACK: dict[str, Process] = {
    "post at the end": _with(at_end, Client.PAUSES),
    "ChatGPT-in-Slack": _with(counting, Client.TWICE),
    "bolt chat_stream": _with(buffered, Client.RAISES),
    "vercel/chat native": _with(buffered, Client.PAUSES),
    "vercel/chat edits": _with(fallback, Client.PAUSES),
    "openclaw": _with(draft, Client.PAUSES_ONCE),
    "hermes-agent": _with(ticking, Client.RAISES),
    "llmcord's rule": _llmcord(Client.PAUSES),
}
DISCORD: dict[str, Process] = {
    "post at the end": _with(at_end, Client.QUEUES),
    "llmcord": _llmcord(Client.QUEUES),
    "LangBot": _with(batches, Client.QUEUES),
    "vercel/chat": _with(fallback, Client.RAISES),
    "openclaw": _with(draft, Client.QUEUES),
    "hermes-agent": _with(ticking, Client.QUEUES),
}
