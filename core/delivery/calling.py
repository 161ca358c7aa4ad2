"""The calls that show a reply."""

from collections.abc import Callable

from core.delivery.deliveries import Delivery, How
from core.delivery.finding import Journal, Lost
from core.placing import Prepares
from core.ports import Streams, Thread
from core.types import PartId


class Calls:
    """Those of one reply in one thread. key: of the post of a part."""

    def __init__(
        self, thread: Thread, journal: Journal, lost: Lost, key: Callable[[int], str]
    ) -> None:
        self._thread = thread
        self._journal = journal
        self._lost = lost
        self._key = key

    async def make(self, delivery: Delivery, *, only: bool) -> PartId:
        """Make the call; a new message is announced before each try and kept after. only: no other
        try of it can have landed. Raises: DeliveryError, and whatever the journal raises.
        """
        part, text = delivery.part, delivery.text
        if part is None:
            return await self._begin(delivery, only=only)
        if delivery.how is How.EDIT or not isinstance(self._thread, Streams):
            await self._thread.edit(part, text)
        elif delivery.how is How.APPEND:
            await self._thread.append(part, delivery.shown, text)
        else:
            await self._thread.stop(part, delivery.shown, text)
        return part

    async def _begin(self, delivery: Delivery, *, only: bool) -> PartId:
        """Make a new message, unless the claim was lost meanwhile."""
        self._lost.tried(delivery.index)
        if isinstance(self._thread, Prepares):
            await self._thread.prepare()  # until the announcement an edited question is asked anew
        await self._journal.announce(delivery.index, named=self._lost.named(delivery.how))
        text, key = delivery.text, self._key(delivery.index)
        if delivery.how is How.START and isinstance(self._thread, Streams):
            part = await self._thread.start(text, key)
        else:
            part = await self._thread.post(text, key)
        await self._journal.posted(delivery.index, part, only=only)
        return part
