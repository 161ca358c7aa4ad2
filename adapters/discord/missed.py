"""What was asked while nobody listened: read back from Discord after a new session began.

A session that could be resumed missed nothing. Everything else (a process that was down, a
session that ended) has to be read from the history of the places that changed since.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from adapters.discord import calls
from adapters.discord.calls import Api
from adapters.discord.events import left_waiting, read
from adapters.discord.ids import (
    Bot,
    channel_of,
    first_after,
    guild_of,
    is_snowflake,
    parent_of,
    time_of,
)
from adapters.discord.reading import PATIENCE, patiently
from core.errors import DeliveryError
from core.ports import Recent
from core.types import Prompt

log = structlog.get_logger()

LATE = 15 * 60.0
"""Seconds after which a question that was missed gets one line instead of an answer."""
REACH = 72 * 3600.0
"""Seconds that are read back at most."""
MARGIN = 15 * 60.0
"""Seconds before the newest question we know in which one may have been missed all the same."""
KNOWN = 30 * 86_400.0
"""Seconds for which a conversation counts as one in which something may have been asked."""
NAMING = 10.0
"""Seconds in which Discord should have named all servers of a new session."""
GATHERING = 2.0
"""Seconds after which those are read back that have been named; each other one when it is."""
ORDERED = 2.0
"""Seconds for which what was missed is taken place by place, a channel before its threads; then
as it comes, so that no place waits for another one."""
PAGES, PAGE = 10, 100
SIDE_BY_SIDE = 4
_TRIES = 3
_THREADS = (10, 11, 12)
_FORUMS = (15, 16)  # their newest message is a post, which is a thread
_DIRECT = "@me"


@dataclass(frozen=True, slots=True)
class Place:
    """Where something may have been said. guild: empty in direct messages. thread: is it one?

    last: id of the newest message, empty when unknown. since: when we came, epoch seconds. parent:
    of a thread, the channel that it is in. listed: Discord told all this; if not, it has to be
    asked whether it is a thread.
    """

    channel: str
    guild: str
    thread: bool
    last: str = ""
    since: float = 0.0
    parent: str = ""
    listed: bool = True


async def looked_up(api: Api, place: Place, patience: float = PATIENCE) -> Place:
    """The place as Discord says when asked. patience: see `patiently`. Raises: DeliveryError."""
    names = {"channel": place.channel}
    found = (await patiently(api, calls.CHANNEL, names, {}, _TRIES, patience)).body
    facts = found if isinstance(found, Mapping) else {}
    thread, last = facts.get("type") in _THREADS, facts.get("last_message_id")
    return replace(
        place,
        thread=thread,
        last=last if is_snowflake(last) else "",
        parent=parent_of(facts) if thread else "",
        listed=True,
    )


def places_of(guild: Mapping[str, Any], since: float) -> Iterable[Place]:
    """The channels and active threads of a GUILD_CREATE event in which messages are written."""
    for name in ("channels", "threads"):
        listed = guild.get(name)
        for channel in listed if isinstance(listed, list) else ():
            facts = channel if isinstance(channel, Mapping) else {}
            id_, last = facts.get("id"), facts.get("last_message_id")
            if is_snowflake(id_) and is_snowflake(last) and facts.get("type") not in _FORUMS:
                thread = name == "threads"
                server, parent = str(guild.get("id")), parent_of(facts) if thread else ""
                yield Place(id_, server, thread=thread, last=last, since=since, parent=parent)


def to_read(places: Iterable[Place], recent: Sequence[Recent], after: str) -> list[Place]:
    """Where to look for messages newer than `after`: what changed, and what we know besides.

    Direct messages and archived threads are in no list of Discord's.
    """
    found = {place.channel: place for place in places}
    for known in recent:
        guild, channel = guild_of(known.thread), channel_of(known.thread)
        if guild == _DIRECT:
            found.setdefault(channel, Place(channel, "", thread=False))
        elif not guild.startswith("@"):  # not where only a person's installation lets us answer
            found.setdefault(channel, Place(channel, guild, thread=False, listed=False))
    return [place for place in found.values() if _changed(place, after)]


def _changed(place: Place, after: str) -> bool:
    """Whether something newer may have been said there."""
    return not place.last or int(place.last) > int(after)


class Known:
    """What the store knew when a session began: it says what is to be read, of servers that come
    late, too.

    recent: the conversations of this shard. elsewhere: those of all: where nothing is known of
    ours, they say since when we have been there. now: epoch seconds.
    """

    def __init__(self, recent: Sequence[Recent], elsewhere: Sequence[Recent], now: float) -> None:
        newest = max((time_of(known.sequence) for known in recent or elsewhere), default=None)
        since = None if newest is None else max(newest - MARGIN, now - REACH)
        self.after = None if since is None else first_after(since)  # None: nothing, ever
        self.recent = recent

    def of(self, server: str) -> Sequence[Recent]:
        """The conversations of one server."""
        return [known for known in self.recent if guild_of(known.thread) == server]


class Reading:
    """One reading back, of what is newer than the newest prompt we know, a margin before it, too.

    readable: whether we may read a place, as far as we know. age: seconds since the first session
    of this process began: commands used since may still be on their way. slots: how many places
    are read side by side.
    """

    def __init__(
        self,
        api: Api,
        bot: Bot,
        readable: Callable[[Place], bool],
        known: Known,
        age: float = 0.0,
        slots: asyncio.Semaphore | None = None,
    ) -> None:
        self._api = api
        self._bot = bot
        self._readable = readable
        self._after = known.after
        self._begun = {channel_of(one.thread): one.first for one in known.recent}
        self._age = age
        self._slots = slots or asyncio.Semaphore(SIDE_BY_SIDE)

    def wanted(self, places: Iterable[Place], recent: Sequence[Recent]) -> list[Place]:
        """Where to read, of these places and conversations; nowhere at the very first."""
        if self._after is None:
            return []
        return [place for place in to_read(places, recent, self._after) if self._readable(place)]

    async def prompts(
        self, wanted: Sequence[Place]
    ) -> AsyncIterator[tuple[Place, Sequence[Prompt]]]:
        """The prompts of these places, the ones we know included: each place once, as it was looked
        up, in this order for as long as ORDERED says.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + ORDERED
        tasks = [asyncio.create_task(self._one(place)) for place in wanted]
        slow = []
        try:
            for task in tasks:
                done, _ = await asyncio.wait({task}, timeout=max(0.0, end - clock()))
                if done:
                    yield await task
                else:
                    slow.append(task)
            for late in asyncio.as_completed(slow):
                yield await late
        finally:
            for task in tasks:
                task.cancel()
        if wanted:
            log.info("discord.read_back", places=len(wanted))

    async def _one(self, place: Place) -> tuple[Place, Sequence[Prompt]]:
        after, prompts = self._after or "0", []
        async with self._slots:
            try:
                place = place if place.listed else await looked_up(self._api, place)
            except DeliveryError as error:
                log.info("discord.not_read_back", channel=place.channel, reason=str(error))
                return place, ()
            if _changed(place, after):
                prompts = await self._of(place, after)
        # A remark made before we were asked was never meant for us.
        first = self._begun.get(place.channel, "")
        return place, [p for p in prompts if not p.follow_up or p.sequence > first]

    async def _of(self, place: Place, after: str) -> list[Prompt]:
        """The prompts of one place newer than `after`, oldest first; what can't be read is left
        out. Read from the newest on, since the older ones of a busy place get one line at best.
        """
        prompts: list[Prompt] = []
        before = ""
        for _ in range(PAGES):
            try:
                query = {"limit": str(PAGE)} | ({"before": before} if before else {})
                names = {"channel": place.channel}
                page = await patiently(self._api, calls.READ, names, query, _TRIES)
            except DeliveryError as error:
                log.info("discord.not_read_back", channel=place.channel, reason=str(error))
                break
            listed = page.body if isinstance(page.body, list) else []
            messages = [m for m in listed if isinstance(m, Mapping) and is_snowflake(m.get("id"))]
            messages.sort(key=lambda message: int(message["id"]), reverse=True)
            for message in messages:
                asked = time_of(message["id"])
                # An id tells the millisecond, Discord's other times tell more.
                if int(message["id"]) <= int(after) or asked + 0.001 <= place.since:
                    return prompts[::-1]
                if prompt := self._prompt(message, place, page.time):
                    prompts.append(prompt)
            if len(listed) < PAGE or not messages:
                break
            before = str(messages[-1]["id"])
        return prompts[::-1]

    def _prompt(self, message: Mapping[str, Any], place: Place, now: float) -> Prompt | None:
        """What a message asks of us; `now` is Discord's clock."""
        age = now - time_of(message["id"])
        whole = {**message, "guild_id": place.guild}
        if age > self._age and (left := left_waiting(whole, self._bot, thread=place.thread)):
            return left
        if self._answered(message):
            return None
        outcome = read(whole, self._bot, thread=place.thread, parent=place.parent, late=age > LATE)
        return outcome if isinstance(outcome, Prompt) else None

    def _answered(self, message: Mapping[str, Any]) -> bool:
        """Whether we opened a thread on it: so it was stored and taken up, if not in a database
        that is older than that (a backup that was restored).
        """
        thread = message.get("thread")
        return isinstance(thread, Mapping) and str(thread.get("owner_id")) == self._bot.user
