"""Events of places that are still being read back: they come after what was missed there."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

Event = tuple[str, Mapping[str, Any]]


class Holding:
    """Events that wait, by the channel or thread they are of. take: what becomes of each."""

    def __init__(self, take: Callable[[Event], Awaitable[None]]) -> None:
        self._take = take
        self._held: dict[str, list[Event]] = {}
        self._lock = asyncio.Lock()

    def close(self, places: Iterable[str]) -> None:
        """Events of these places wait from now on."""
        for place in places:
            self._held.setdefault(place, [])

    def held(self, event: Event) -> bool:
        """Whether it has to wait; it is kept then."""
        _, message = event
        place = str(message.get("channel_id") or message.get("id"))  # or what was deleted itself
        if place not in self._held:
            return False
        self._held[place].append(event)
        return True

    async def open(self, places: Iterable[str]) -> None:
        """Take what waited for these places, in its order; nothing waits for them any more."""
        async with self._lock:
            for place in places:
                while held := self._held.get(place):
                    await self._take(held[0])
                    del held[0]  # not when cancelled: then it is still to be taken
                self._held.pop(place, None)

    async def open_others(self, places: Iterable[str]) -> None:
        """The same for all places but these."""
        await self.open(list(self._held.keys() - set(places)))
