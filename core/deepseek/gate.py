"""How many attempts may be under way at once: less after a 429, slowly more again."""

import asyncio
import math
from collections import deque
from typing import Self

import structlog
from prometheus_client import Gauge

FEW = 4
"""Attempts under way up to which a 429 takes one place and not half of them: it may as well be
about something else (tokens a minute, the balance, one prompt)."""

DOUBLING = 120.0
"""Seconds in which the gate gets twice as wide by itself: from one to 32 in ten minutes."""

PLACES = Gauge(
    "threadseek_completion_places", "API attempts that may be under way at once: less after a 429."
)
WAITING = Gauge("threadseek_completions_waiting", "API attempts that wait for a place.")

_LOOK = 1.0  # seconds between two looks whether time has made a place for those who wait

_log = structlog.get_logger()


class Gate:
    """A first-come, first-served gate of adaptive width; within `with` it is on /metrics.

    The account's real limit is not published and moves with its balance, so it is found the way
    TCP finds a line's: halved when the API says 429, one more after twice as many answers as fit,
    and twice as many after two minutes, since a limit that has risen would else never be noticed.
    Slower than TCP, since a prompt that is refused three times in this search is lost.

    size: the widest the gate gets. active: attempts under way.
    """

    def __init__(self, size: int) -> None:
        self.active = 0
        self._size = float(size)
        self._room = float(size)
        self._since = 0.0  # when the room was that
        self._lessons = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._look: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        PLACES.set_function(lambda: int(self._room_at(loop.time())))
        WAITING.set_function(lambda: len(self._waiting))
        return self

    def __exit__(self, *_: object) -> None:
        PLACES.set_function(lambda: 0)
        WAITING.set_function(lambda: 0)

    @property
    def room(self) -> float:
        """Its width now, in attempts."""
        return self._room_at(asyncio.get_running_loop().time())

    async def enter(self) -> int:
        """Wait for a place and take it. How often the gate was narrowed by then: for `shrink`."""
        if not self._waiting and self.active < int(self.room):
            self.active += 1
            return self._lessons
        place = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._admit()
        try:
            await place
        except asyncio.CancelledError:
            if not place.cancelled():
                self.leave()
            elif place in self._waiting:
                self._waiting.remove(place)
            raise
        return self._lessons

    def leave(self) -> None:
        """Give the place back."""
        self.active -= 1
        self._admit()

    def shrink(self, lesson: int) -> None:
        """The API said that there are too many: half of those under way; of a few one less. What
        is refused while it alone is under way was not one too many.

        lesson: what `enter` gave. Those that began together are refused together, and teach once;
        so there was room for all who are under way when one does, and fewer than those is narrower.
        """
        if lesson != self._lessons or self.active < 2:
            return
        self._lessons += 1
        fitting = self.active - 1 if self.active <= FEW else max(FEW, self.active / 2)
        self._set(fitting)
        _log.warning("completion.narrowed", places=int(self._room), most=int(self._size))

    def widen(self) -> None:
        """An answer came through."""
        self._set(self.room + 0.5 / self.room)

    def _room_at(self, time: float) -> float:
        if self._room >= self._size:
            return self._size
        doublings = min(64.0, (time - self._since) / DOUBLING)
        return min(self._size, self._room * math.exp2(doublings))

    def _set(self, room: float) -> None:
        self._room = room
        self._since = asyncio.get_running_loop().time()

    def _admit(self) -> None:
        while self._waiting and self.active < int(self.room):
            place = self._waiting.popleft()
            if not place.done():
                self.active += 1
                place.set_result(None)
        if self._waiting and self._look is None and self.room < self._size:
            self._look = asyncio.get_running_loop().call_later(_LOOK, self._looked)

    def _looked(self) -> None:
        self._look = None
        self._admit()
