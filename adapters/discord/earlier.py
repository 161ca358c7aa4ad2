"""What was said before a prompt: in its thread, or along the replies that led to it."""

from collections.abc import Mapping, Sequence

from adapters.discord import calls
from adapters.discord.calls import Api
from adapters.discord.events import remembered, replied
from adapters.discord.ids import Address, Bot
from core.errors import PartGone
from core.types import Remembered

EARLIER, PAGE, CHAIN = 200, 100, 20
"""How many messages before the prompt are read at most, in one call, and along replies."""


async def said_before(api: Api, bot: Bot, at: Address) -> Sequence[Remembered]:
    """Oldest first; nothing where there is no past, or none that is known to belong here.

    Raises: DeliveryError.
    """
    if at.replied:
        return await _chain(api, bot, at)
    return await _thread(api, bot, at) if at.thread else ()


async def _thread(api: Api, bot: Bot, at: Address) -> Sequence[Remembered]:
    """The thread's messages before the prompt."""
    entries: list[Remembered] = []
    before = at.before
    for _ in range(EARLIER // PAGE):
        query = {"before": before, "limit": str(PAGE)}
        page = (await api.call(calls.READ, {"channel": at.channel}, None, query)).body
        messages = [m for m in page if isinstance(m, Mapping)] if isinstance(page, list) else []
        entries += filter(None, (remembered(message, bot) for message in messages))
        if len(messages) < PAGE:
            break
        before = str(messages[-1]["id"])
    return tuple(reversed(entries))


async def _chain(api: Api, bot: Bot, at: Address) -> Sequence[Remembered]:
    """The messages that were replied to, from the first to the one before the prompt."""
    entries: list[Remembered] = []
    message = at.replied
    for _ in range(CHAIN):
        try:
            names = {"channel": at.channel, "message": message}
            found = (await api.call(calls.READ_ONE, names)).body
        except PartGone:
            break
        if not isinstance(found, Mapping):
            break
        if entry := remembered(found, bot):
            entries.append(entry)
        message = replied(found)
        if not message:
            break
    return tuple(reversed(entries))
