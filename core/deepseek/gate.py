"""How many attempts may be under way at once: less after a 429, slowly more again."""

import asyncio
from collections import deque


class Gate:
    """A first-come, first-served gate of adaptive width.

    The account's real limit is not published and moves with its balance, so it is found the way
    TCP finds a line's: halved when the API says 429, one more after about as many answers as fit.

    size: the widest the gate gets. room: its width now, in attempts.
    """

    def __init__(self, size: int) -> None:
        self.room = float(size)
        self.active = 0
        self._size = float(size)
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Wait for a place and take it."""
        if not self._waiting and self.active < int(self.room):
            self.active += 1
            return
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place back."""
        self.active -= 1
        while self._waiting and self.active < int(self.room):
            place = self._waiting.popleft()
            if not place.done():
                self.active += 1
                place.set_result(None)

    def shrink(self) -> None:
        """The API said that there are too many: half of those under way, one at least."""
        self.room = max(1.0, min(self.room, self.active / 2))

    def widen(self) -> None:
        """An answer came through."""
        self.room = min(self._size, self.room + 1 / self.room)
