"""What is visible in each thread of the page, and who is watching.

A room is made from the stored history when it is first looked at and forgotten when nobody has
looked for long: the store is the truth, a room is what the page shows of it.
"""

import asyncio
import uuid
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.delivery.sanitise import clean
from core.ports import History
from core.types import Allowance, Limits, Outcome, PartId, ThreadKey

_MOST_ROOMS = 200
_FREE = Allowance(key="web", burst=10_000, rate=10_000)
LIMITS = Limits(size=100_000, measure=len, gap=0.1, post=_FREE, edit=_FREE)

Event = dict[str, Any]


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
    def __init__(self) -> None:
        self.entries: dict[str, Event] = {}
        self.watchers: set[Changes] = set()


class Rooms:
    """All rooms of the page."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._rooms: OrderedDict[ThreadKey, _Room] = OrderedDict()

    async def load(self, thread: ThreadKey) -> None:
        """Make the room from the stored history, if it is not there. Raises: StoreError."""
        if thread in self._rooms:
            return
        conversation = await self._history.load(thread)
        room = self._rooms.setdefault(thread, _Room())
        if not room.entries:
            for position, message in enumerate(conversation.messages):
                key = f"history-{position}"
                who = str(message.role)
                room.entries[key] = {"id": key, "who": who, "text": message.content}
        self._forget_old()

    def say(self, thread: ThreadKey, key: str, who: str, text: str) -> None:
        """Show an entry, or its newer text."""
        room = self._rooms.setdefault(thread, _Room())
        self._rooms.move_to_end(thread)
        event = {**room.entries.get(key, {}), "id": key, "who": who, "text": text}
        if who != "status":
            room.entries[key] = event
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
        changes = Changes(list(room.entries.values()))
        room.watchers.add(changes)
        try:
            yield changes
        finally:
            room.watchers.discard(changes)

    def _forget_old(self) -> None:
        unwatched = [key for key, room in self._rooms.items() if not room.watchers]
        for key in unwatched[: max(0, len(self._rooms) - _MOST_ROOMS)]:
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
        part = PartId(uuid.uuid5(uuid.NAMESPACE_URL, key).hex)
        await self.edit(part, text)
        return part

    async def edit(self, part: PartId, text: str) -> None:
        """Show the part's newer text."""
        self._rooms.say(self._thread, part, "assistant", clean(text))

    async def status(self, text: str) -> None:
        """Show what is going on before there are words."""
        self._rooms.say(self._thread, "status", "status", text)

    async def queued(self, ahead: int) -> None:
        """Mark the prompt for as long as it waits."""
        self._rooms.mark(self._thread, self._asked, ahead)

    async def concluded(self, outcome: Outcome) -> None:
        """The answer is whole: take the status away."""
        self._rooms.say(self._thread, "status", "status", "")
