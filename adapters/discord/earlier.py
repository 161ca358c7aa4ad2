"""What was said before a prompt: in its thread, or along the replies that led to it."""

from collections.abc import Mapping, Sequence
from typing import Any

from adapters.discord import calls
from adapters.discord.calls import Api
from adapters.discord.events import remembered, replied
from adapters.discord.ids import Address, Bot, is_snowflake
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
        message = replied(found)
        others = await _others(api, bot, at, message) if message and _ours(found, bot) else {}
        whole = {str(found.get("id")): found} | others
        latest_first = sorted(whole, key=lambda id_: id_.rjust(20, "0"), reverse=True)
        entries += filter(None, (remembered(whole[id_], bot) for id_ in latest_first))
        if not message:
            break
    return tuple(reversed(entries))


async def _others(api: Api, bot: Bot, at: Address, question: str) -> dict[str, Mapping[str, Any]]:
    """The messages of our answer to a question, by id: each of them replies to it, none to the one
    before. Of a channel in which more than a page was said since, only those on it.
    """
    query = {"after": question, "limit": str(PAGE)}
    page = (await api.call(calls.READ, {"channel": at.channel}, None, query)).body
    listed = page if isinstance(page, list) else []
    messages = (m for m in listed if isinstance(m, Mapping) and is_snowflake(m.get("id")))
    return {
        one["id"]: one
        for one in messages
        if _ours(one, bot) and replied(one) == question and int(one["id"]) < int(at.before)
    }


def _ours(message: Mapping[str, Any], bot: Bot) -> bool:
    author = message.get("author")
    return isinstance(author, Mapping) and author.get("id") == bot.user
