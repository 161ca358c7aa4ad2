"""What a message says that can't be touched any more, where that isn't known."""

from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from core.delivery.clearing import Attempt
from core.delivery.deliveries import Delivery
from core.delivery.reply import Reply
from core.errors import LockedOut, Undeliverable
from core.placing import ReadsPart
from core.ports import Thread

log = structlog.get_logger()

WITHIN = 120.0
"""Seconds in which a message is to be read: where a platform takes one read a minute, another one
may have come before."""


class Looking:
    """Reads messages of one reply.

    patience: raises Undeliverable when it has been tried for too long. pause: waits for so many
    seconds, or less. now: the writer's clock.
    """

    def __init__(
        self,
        thread: Thread,
        reply: Reply,
        attempt: Attempt,
        patience: Callable[[], None],
        pause: Callable[[float], Awaitable[None]],
        now: Callable[[], float],
    ) -> None:
        self._thread = thread
        self._reply = reply
        self._attempt = attempt
        self._check_patience = patience
        self._pause = pause
        self._now = now

    async def look(self, delivery: Delivery, landing: float) -> str | None:
        """Which of the texts that were sent the message says; None: nobody can tell, or it is no
        matter. landing: when (on the clock) nothing that was cut off can land any more.

        Raises: LockedOut, Undeliverable when the reply is given up.
        """
        thread, reply = self._thread, self._reply
        texts, known = reply.visible.doubtful(delivery.index), reply.visible.says(delivery.index)
        if delivery.part is None or known is not None or not isinstance(thread, ReadsPart):
            return None
        until = self._now() + WITHIN
        while texts and self._now() < until and not (reply.withdrawn or reply.whole):
            self._check_patience()
            try:
                read, says = await self._attempt(partial(thread.says, delivery.part, texts))
            except LockedOut:
                raise
            except Undeliverable as error:
                log.warning("delivery.message_not_read", part=delivery.index, error=str(error))
                return None
            if read and (says == texts[-1] or self._now() >= landing):
                return says
            while read and not reply.withdrawn and (left := landing - self._now()) > 0:
                self._check_patience()
                await self._pause(left)
        return None
