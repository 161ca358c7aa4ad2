"""Posts whose answer was lost: the names they go by, who remembers them, how they are found."""

from collections.abc import Collection, Sequence
from typing import Protocol

from core.ports import FindsPost, HasNameless
from core.types import PartId


def post_key(key: str, index: int) -> str:
    """The key under which part `index` of a reply is posted, however often that is tried."""
    return f"{key}:{index}"


class Journal(Protocol):
    """The durable memory of what was posted."""

    async def announce(self, index: int) -> None:
        """The part `index` is about to be posted."""

    async def posted(self, index: int, part: PartId) -> None:
        """The part `index` was posted as `part`."""

    async def strangers(self, parts: Sequence[PartId]) -> Sequence[PartId]:
        """Those of these messages that are parts of nothing, as far as anybody knows."""

    async def delivered(self, seconds: float) -> None:
        """All is shown, and nothing that was cut off before can land after so many seconds."""


async def look_for(
    thread: FindsPost, journal: Journal, key: str, known: Collection[PartId]
) -> Sequence[PartId]:
    """The messages posted with this key; where it finds none and may be forgotten, the single
    one of ours that nobody else can have posted. known: those of this reply that are known.
    """
    found = await thread.find(key, known)
    if found or not isinstance(thread, HasNameless):
        return found
    nameless = await thread.nameless(key)
    left = await journal.strangers(nameless) if nameless else ()
    return left if len(left) == 1 else ()
