"""Posts whose answer was lost: the names they go by, who remembers them, how they are found."""

from collections.abc import Callable, Sequence
from math import inf
from typing import Protocol

from core.delivery.deliveries import How
from core.delivery.reply import Reply
from core.ports import FindsPost, HasNameless, Thread
from core.types import PartId


def post_key(key: str, index: int) -> str:
    """The key under which part `index` of a reply is posted, however often that is tried."""
    return f"{key}:{index}"


class Journal(Protocol):
    """The durable memory of what was posted."""

    async def held(self) -> bool:
        """Whether nobody else can be writing this reply; False: that can't be told now."""

    async def announce(self, index: int, *, named: bool) -> None:
        """The part `index` is about to be posted. named: its key finds it, ever after."""

    async def posted(self, index: int, part: PartId, *, only: bool) -> None:
        """The part `index` was posted as `part`. only: no other try of it can have landed."""

    async def strangers(self, parts: Sequence[PartId], *, exclusive: bool) -> Sequence[PartId]:
        """Those of these messages that are parts of nothing, as far as anybody knows.

        exclusive: see `core.ports.HasNameless`.
        """

    async def stored(self) -> None:
        """Wait until how the reply ends is stored: nobody begins it anew from then on."""

    async def delivered(self, seconds: float) -> None:
        """All is shown, and nothing that was cut off before can land after so many seconds."""


class Lost:
    """Looks for posts of one reply whose answer was lost.

    key: of the post of a part. now: the writer's clock.
    """

    def __init__(
        self,
        thread: Thread,
        journal: Journal,
        reply: Reply,
        key: Callable[[int], str],
        now: Callable[[], float],
    ) -> None:
        self._thread = thread
        self._journal = journal
        self._reply = reply
        self._key = key
        self._now = now
        self._tried: dict[int, float] = {}  # when this process posted a part first

    def tried(self, index: int) -> None:
        """The part is being posted now."""
        if index not in self._reply.inherited:
            self._tried.setdefault(index, self._now())

    def named(self, how: How) -> bool:
        """Whether the key of a new message that is made so finds it, ever after."""
        thread = self._thread
        return not isinstance(thread, HasNameless) or (thread.exclusive and how is not How.START)

    async def look(self, index: int) -> Sequence[PartId]:
        """The messages posted with the key of this part; where it finds none and may be forgotten,
        those of ours that nobody else can have posted. Each kind oldest first.

        Raises: DeliveryError.
        """
        if not isinstance(self._thread, FindsPost):
            return ()
        found = await self._thread.find(self._key(index), self._reply.known)
        return found or await self._nameless(index)

    async def twins(self, index: int) -> Sequence[PartId]:
        """The messages posted with the key of this part, which may have been posted several times;
        of the others those that are surely ours. Raises: DeliveryError.
        """
        thread = self._thread
        if not isinstance(thread, FindsPost):
            return ()
        found = await thread.find(self._key(index), self._reply.known)
        if not (isinstance(thread, HasNameless) and thread.exclusive):
            return found
        return [*found, *await self._nameless(index)]

    async def _nameless(self, index: int) -> Sequence[PartId]:
        thread, key = self._thread, self._key(index)
        if not isinstance(thread, HasNameless):
            return ()
        within = self._now() - self._tried.get(index, -inf)
        nameless = await thread.nameless(key, within, self._reply.before(index))
        if not nameless:
            return ()
        left = await self._journal.strangers(nameless, exclusive=thread.exclusive)
        return left if len(left) == 1 or thread.exclusive else ()
