"""What was said before a prompt: in its thread, or along the replies that led to it.

It is read from the newest on: where not all can be read in time, the newest is known.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import structlog

from adapters.discord import calls
from adapters.discord.calls import Api, Route
from adapters.discord.events import remembered, replied, titled
from adapters.discord.ids import Address, Bot, is_snowflake
from adapters.discord.reading import patiently
from core.errors import DeliveryError, LockedOut, PartGone, Unreachable
from core.types import Remembered

log = structlog.get_logger()

Messages: TypeAlias = dict[str, Mapping[str, Any]]

EARLIER, PAGE, CHAIN = 200, 100, 20
"""How many messages before the prompt are read at most, in one call, and along replies."""
WITHIN = 25.0
"""Seconds in which all is read, rate limits included: the answer waits for that. Less than the
patience of who looks (core.turns.patience), which would lose what was read by then."""
_TRIES = 3


async def said_before(api: Api, bot: Bot, at: Address) -> Sequence[Remembered]:
    """Oldest first; nothing where there is no past, or none that is known to belong here.

    Where not all can be read, the operator is told, and it is the newest. Raises: DeliveryError,
    where nothing can be.
    """
    past = _Past(api, bot, at)
    try:
        async with asyncio.timeout_at(past.until):
            await past.read()
    except LockedOut:
        raise
    except TimeoutError as error:
        late = Unreachable("Discord didn't say in time what was said before")
        if not past.steps:
            raise late from error
        past.report(late)
    except DeliveryError as error:
        if not past.steps:
            raise
        past.report(error)
    return past.said()


class _Past:
    """What is read. until: when that ends, by the loop's time. steps: what was read so far, newest
    first, each by the ids of its messages. title: of the thread.
    """

    def __init__(self, api: Api, bot: Bot, at: Address) -> None:
        self.until = asyncio.get_running_loop().time() + WITHIN
        self.steps: list[Messages] = []
        self.title: Remembered | None = None
        self._api, self._bot, self._at = api, bot, at

    async def read(self) -> None:
        """All there is. Raises: DeliveryError."""
        if self._at.replied:
            await self._chain()
        elif self._at.thread:
            await self._thread()
            self.title = titled(await self._call(calls.CHANNEL, {}), self._bot)

    def said(self) -> Sequence[Remembered]:
        """What was read, oldest first."""
        found = (step[id_] for step in reversed(self.steps) for id_ in sorted(step, key=int))
        return tuple(filter(None, (self.title, *(remembered(one, self._bot) for one in found))))

    def report(self, error: DeliveryError) -> None:
        """Tell the operator that there is more, and why it isn't known."""
        read = sum(map(len, self.steps))
        log.warning("thread.earlier_unreadable", read=read, error=str(error))

    async def _thread(self) -> None:
        """The thread's messages before the prompt."""
        before = self._at.before
        for _ in range(EARLIER // PAGE):
            page = await self._page(before=before)
            self.steps.append(page)
            if len(page) < PAGE:
                break
            before = min(page, key=int)

    async def _chain(self) -> None:
        """The messages that were replied to, back from the prompt to the first."""
        message, page = self._at.replied, Messages()
        for _ in range(CHAIN):
            found = page.get(message) or await self._one(message)
            if found is None:
                break
            self.steps.append(step := {message: found})
            message = replied(found)
            if not message:
                break
            if _ours(found, self._bot):
                page = await self._page(after=str(int(message) - 1))  # the question is on it, too
                step |= {id_: one for id_, one in page.items() if self._answers(one, message)}

    def _answers(self, message: Mapping[str, Any], question: str) -> bool:
        """Whether it is one of the messages of our answer to a question: each of them replies to
        it, none to the one before. Of a channel in which more than a page was said since, only
        those on it are known.
        """
        ours = _ours(message, self._bot) and replied(message) == question
        return ours and int(message["id"]) < int(self._at.before)

    async def _one(self, message: str) -> Mapping[str, Any] | None:
        """A message; None where there is none any more."""
        try:
            found = await self._call(calls.READ_ONE, {}, message)
        except PartGone:
            return None
        return found if isinstance(found, Mapping) else None

    async def _page(self, **bounds: str) -> Messages:
        """A page of the channel, by ids."""
        found = await self._call(calls.READ, bounds | {"limit": str(PAGE)})
        listed = found if isinstance(found, list) else []
        messages = (one for one in listed if isinstance(one, Mapping))
        return {one["id"]: one for one in messages if is_snowflake(one.get("id"))}

    async def _call(self, route: Route, query: Mapping[str, str], message: str = "") -> Any:
        names = {"channel": self._at.channel, "message": message}
        left = self.until - asyncio.get_running_loop().time()
        return (await patiently(self._api, route, names, query, _TRIES, left)).body


def _ours(message: Mapping[str, Any], bot: Bot) -> bool:
    author = message.get("author")
    return isinstance(author, Mapping) and author.get("id") == bot.user
