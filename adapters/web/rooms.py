"""What is visible in each thread of the page, and who is watching.

A room is made from the stored turns when it is first looked at and forgotten when nobody has
looked for long: the store is the truth, a room is what the page shows of it. An entry has the same
id in every room that is made of it, so a page that stayed open shows nothing twice.
"""

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from core.delivery.finding import post_key
from core.delivery.parts import Parts
from core.delivery.sanitise import clean
from core.ports import Exchange
from core.turns.answer import Frame
from core.types import Allowance, Limits, Outcome, PartId, ThreadKey

_MOST_ROOMS = 200
_MOST_TURNS = 1_000  # of a conversation, the newest, that a room is made from
_FREE = Allowance(key="web", burst=10_000, rate=10_000)
LIMITS = Limits(size=100_000, measure=len, gap=0.1, post=_FREE, edit=_FREE)

Event = dict[str, Any]

Exchanges: TypeAlias = Callable[[ThreadKey, int], Awaitable[Sequence[Exchange]]]
"""The newest turns of a conversation, so many at most, in order. Raises: StoreError."""


def question_id(identity: str) -> str:
    """The entry of the prompt with this identity."""
    return f"you-{identity.rpartition(':')[2]}"


def _part_id(key: str) -> PartId:
    """The entry that is posted with this key."""
    return PartId(uuid.uuid5(uuid.NAMESPACE_URL, key).hex)


class Changes:
    """One watcher's view: the newest state of each entry that changed since it last looked."""

    def __init__(self, entries: list[Event]) -> None:
        self._pending: dict[str, Event] = {entry["id"]: entry for entry in entries}
        self._wake = asyncio.Event()
        self._wake.set()

    def put(self, event: Event) -> None:
        """An entry has a newer state; the state that the watcher has not seen is dropped."""
        self._pending[event["id"]] = event
        self._wake.set()

    async def next(self) -> list[Event]:
        """What changed; waits until something has."""
        await self._wake.wait()
        self._wake.clear()
        events = list(self._pending.values())
        self._pending.clear()
        return events


class _Room:
    """loaded: what is stored is in it, too, and not only what was said since.

    status: what is going on, while an answer is on its way.
    """

    def __init__(self) -> None:
        self.loaded = False
        self.entries: dict[str, Event] = {}
        self.status: Event | None = None
        self.watchers: set[Changes] = set()


class Rooms:
    """All rooms of the page. json: answers are JSON, and shown as such."""

    def __init__(self, exchanges: Exchanges, *, json: bool) -> None:
        self._exchanges = exchanges
        self._json = json
        self._rooms: OrderedDict[ThreadKey, _Room] = OrderedDict()

    async def load(self, thread: ThreadKey) -> None:
        """Put what is stored into the room, if it is not there. Raises: StoreError."""
        if (known := self._rooms.get(thread)) and known.loaded:
            return
        stored = await self._exchanges(thread, _MOST_TURNS)
        room = self._rooms.setdefault(thread, _Room())
        if not room.loaded:
            entries = {entry["id"]: entry for each in stored for entry in self._entries(each)}
            room.entries = entries | room.entries  # what was said since is newer
            room.loaded = True
        with self.watch(thread):  # who loads it has yet to look
            self.forget(_MOST_ROOMS)

    def _entries(self, exchange: Exchange) -> Iterator[Event]:
        """The entries of a stored turn, as they were when it was answered."""
        asked = question_id(exchange.identity)
        yield {"id": asked, "who": "user", "text": exchange.asked}
        frame, parts = Frame(json=self._json), Parts(LIMITS.size, LIMITS.measure)
        parts.feed(clean(frame.add(exchange.text) + frame.close()))
        parts.finish(0, clean(exchange.notice))
        for index, text in enumerate(parts.texts):
            part = _part_id(post_key(exchange.identity, index))
            yield {"id": part, "who": "assistant", "text": text}

    def shows(self, thread: ThreadKey, key: str) -> bool:
        """Whether an entry is shown."""
        room = self._rooms.get(thread)
        return room is not None and key in room.entries

    def say(self, thread: ThreadKey, key: str, who: str, text: str) -> None:
        """Show an entry, or its newer text."""
        room = self._rooms.setdefault(thread, _Room())
        self._rooms.move_to_end(thread)
        event = {**room.entries.get(key, {}), "id": key, "who": who, "text": text}
        room.entries[key] = event
        if who == "assistant" and room.status:
            room.status = {**room.status, "text": ""}  # its words are what is going on
        for watcher in room.watchers:
            watcher.put(event)

    def status(self, thread: ThreadKey, asked: str, text: str) -> None:
        """Show what is going on with the question of this entry; empty: nothing any more."""
        room = self._rooms.setdefault(thread, _Room())
        event = {"id": "status", "who": "status", "text": text, "of": asked if text else ""}
        room.status = event if text else None
        for watcher in room.watchers:
            watcher.put(event)

    def mark(self, thread: ThreadKey, key: str, ahead: int) -> None:
        """Show that a prompt waits for so many others; 0: no more."""
        room = self._rooms.get(thread)
        if room and key in room.entries:
            room.entries[key] = {**room.entries[key], "ahead": ahead}
            for watcher in room.watchers:
                watcher.put(room.entries[key])

    @contextmanager
    def watch(self, thread: ThreadKey) -> Iterator[Changes]:
        """Follow a room: everything first, then each change."""
        room = self._rooms.setdefault(thread, _Room())
        changes = Changes([*room.entries.values(), *([room.status] if room.status else [])])
        room.watchers.add(changes)
        try:
            yield changes
        finally:
            room.watchers.discard(changes)

    def forget(self, beyond: int = 0) -> None:
        """Forget the rooms that nobody watches, the oldest first, until so many rooms are left."""
        unwatched = [key for key, room in self._rooms.items() if not room.watchers]
        for key in unwatched[: max(0, len(self._rooms) - beyond)]:
            del self._rooms[key]


class WebThread:
    """A `Thread` that shows its parts in a room. asked: the entry of its prompt."""

    def __init__(self, rooms: Rooms, thread: ThreadKey, asked: str) -> None:
        self._rooms = rooms
        self._thread = thread
        self._asked = asked

    @property
    def limits(self) -> Limits:
        """The page's own: a part is split only to keep one update small."""
        return LIMITS

    async def post(self, text: str, key: str) -> PartId:
        """Show a new part."""
        part = _part_id(key)
        await self.edit(part, text)
        return part

    async def edit(self, part: PartId, text: str) -> None:
        """Show the part's newer text."""
        self._rooms.say(self._thread, part, "assistant", clean(text))

    async def status(self, text: str) -> None:
        """Show what is going on before there are words."""
        self._rooms.status(self._thread, self._asked, text)

    async def queued(self, ahead: int) -> None:
        """Mark the prompt for as long as it waits."""
        self._rooms.mark(self._thread, self._asked, ahead)

    async def concluded(self, outcome: Outcome) -> None:
        """The answer is whole: take the status away."""
        self._rooms.status(self._thread, self._asked, "")
