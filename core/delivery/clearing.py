"""Removes messages that an answer has no text for: left by another process, or landed late."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

from core.delivery.finding import Lost
from core.delivery.reply import Reply
from core.ports import FindsPost, RemovesPart, Retracts, Thread
from core.types import PartId

_T = TypeVar("_T")


class Attempt(Protocol):
    """Makes a call; (False, None) after a pause when it should be repeated."""

    async def __call__(self, call: Callable[[], Awaitable[_T]], /) -> tuple[bool, _T | None]:
        """See the class."""


class Clearing:
    """What one reply leaves behind. Where the thread can't do it, it stays.

    patience: raises Undeliverable when it has been tried for too long. key: of the post of a part.
    """

    def __init__(
        self,
        thread: Thread,
        reply: Reply,
        lost: Lost,
        attempt: Attempt,
        patience: Callable[[], None],
        key: Callable[[int], str],
    ) -> None:
        self._thread = thread
        self._reply = reply
        self._lost = lost
        self._attempt = attempt
        self._check_patience = patience
        self._key = key
        self._orphans = frozenset(reply.uncertain)  # announced by a process that died then
        self._removed: set[PartId] = set()

    async def leftover(self) -> None:
        """Remove the messages that the reply has no text for. Raises: Undeliverable."""
        if not isinstance(self._thread, RemovesPart):
            return
        for part in self._reply.leftover:
            while part not in self._removed:
                self._check_patience()
                if (await self._attempt(partial(self._thread.remove, part)))[0]:
                    self._removed.add(part)

    async def twins(self, ambiguous: set[int]) -> None:
        """Remove posts that were taken for lost and landed late. ambiguous: parts with such.

        Raises: Undeliverable.
        """
        if not (isinstance(self._thread, FindsPost) and isinstance(self._thread, RemovesPart)):
            return
        for index in sorted(ambiguous):
            found = None
            while found is None:
                self._check_patience()
                _, found = await self._attempt(partial(self._lost.twins, index))
            if not found and self._reply.withdrawn and index in self._orphans:
                await self._retract(self._key(index))
            for part in found:
                removed = part in self._reply.known
                while not removed:
                    self._check_patience()
                    removed, _ = await self._attempt(partial(self._thread.remove, part))

    async def _retract(self, key: str) -> None:
        """Remove a post that can't be found. Raises: Undeliverable."""
        removed = not isinstance(self._thread, Retracts)
        while not removed and isinstance(self._thread, Retracts):
            self._check_patience()
            removed, _ = await self._attempt(partial(self._thread.retract, key))
