"""Which way a growing answer takes into its thread, and who asks for its calls.

Chosen when there is something to show, for each part anew, by what the budgets have at hand:

1. a native stream, while a call that starts one and a call that stops it are to be had;
2. else a post that is edited, while each of all who do so gets two edits in time;
3. else nothing until one of these is possible, or the text is complete and is posted at once.
"""

from collections.abc import Callable
from dataclasses import replace

from core.budget import Budget
from core.delivery.deliveries import Delivery, How
from core.delivery.pacing import HORIZON
from core.delivery.reply import Reply
from core.errors import RateLimited
from core.ports import Paces, Streams, Thread
from core.types import Allowance, Kind, PartId, StreamLimits

LOOK = 1.0
"""Seconds after which a reply for which there is no lane looks for one again."""
HOLDING = 0.5
"""Seconds for which a granted call may wait until its text is ready: longer than a reply waits for
more text (core.delivery.waiting.PATIENCE)."""
NEAR = 0.1
"""Seconds for which the text that a stream ends with waits for the end's own call; if that comes
later, the text is appended before."""
LEAST, FEW = 2.0, 3.0
"""Edits that a message needs: its last one and another. Below FEW its first words wait, so as to
be more."""
FIRST, CALM = 0.75, 0.06
"""Of the time that each later state lasts, what an answer's first words wait for, to be more: half
is best for who doesn't know the end, all of it for who does. But not once nothing came for CALM
seconds."""
PLENTY = 30.0
"""Calls from which on nothing waits for that."""
INFINITE = float("inf")
_ROUNDING = 1e-6
LONG, ENOUGH = 5.0, 12.0
"""Seconds from which an append isn't waited for where the message could have so many edits: few
are better kept, since the end of a stream can always bring the rest."""


class Lanes:
    """The lanes of one reply. now: the writer's clock.

    early: first words wait to be more; how long, the latest text says.
    """

    def __init__(
        self, thread: Thread, reply: Reply, budget: Budget, now: Callable[[], float]
    ) -> None:
        self._thread = thread
        self._streams = thread if isinstance(thread, Streams) else None  # which takes long to say
        self._reply = reply
        self._budget = budget
        self._now = now
        self._stream: StreamLimits | None = None  # while a message is one
        self._edits = self.early = False
        self._granted: tuple[Allowance, float] | None = None  # for a call that was not made yet

    async def ask(self, wanted: Delivery) -> float:
        """0.0: look again what is due, and whether it is granted. Else seconds to wait."""
        if self.grants(wanted):
            return 0.0
        if wanted.kind is Kind.FIRST:
            return await self._begin()
        if wanted.how is How.EDIT:
            self._join_edits()
        wait = await self._take(self.allowance(wanted), wanted.kind)
        if wanted.how is How.STOP and wait > NEAR:
            self._reply.hold_stop(self._now() + wait)
            return 0.0
        if wanted.how is How.APPEND and self._better_edited(wait):
            self._reply.go_plain()
            return 0.0
        return wait

    def _better_edited(self, wait: float) -> bool:
        """Whether a message isn't to wait so long for an append."""
        return wait > LONG and self._budget.share(self._reply.limits.edit) >= ENOUGH

    def grants(self, delivery: Delivery) -> bool:
        """Whether this call was granted and not made."""
        if self._granted is None:
            return False
        allowance, until = self._granted
        return self._now() < until and allowance == self.allowance(delivery)

    def used(self) -> None:
        """The granted call is made."""
        self._granted = None

    def allowance(self, delivery: Delivery) -> Allowance:
        """What the call is counted under."""
        limits, stream = self._reply.limits, self._stream
        if delivery.how is How.POST or (delivery.how is How.START and stream is None):
            return limits.post
        if delivery.how is How.EDIT or stream is None:
            return limits.edit
        return {How.START: stream.start, How.APPEND: stream.append}.get(delivery.how, stream.stop)

    async def refused(self, delivery: Delivery, error: RateLimited) -> None:
        """The platform refused the call. What is left of a stream may be edited in."""
        meant = self.allowance(delivery)
        if error.narrow:
            meant = replace(meant, within=None)
        await self._budget.refused(meant, error.retry_after)
        if delivery.how is How.APPEND and self._better_edited(error.retry_after):
            self._reply.go_plain()

    async def succeeded(self, delivery: Delivery, part: PartId) -> None:
        """The call went through."""
        await self._budget.succeeded(self.allowance(delivery))
        if isinstance(self._thread, Paces) and (left := self._thread.left(part)):
            self._budget.pace(self._reply.limits.edit, left)
        if self._stream and not self._reply.streaming:
            self._leave_stream()

    def close(self) -> None:
        """No more calls."""
        self._leave_stream()
        if self._edits:
            self._budget.leave(self._reply.limits.edit)
            self._edits = False

    async def _begin(self) -> float:
        """Choose the lane of a part that begins."""
        limits = self._reply.limits
        edits = INFINITE if self._edits else self._budget.share(limits.edit)
        if stream := self._better_streamed(edits):
            if (wait := self._too_early(self._budget.share(stream.append))) > 0:
                return wait
            if await self._take(stream.start, Kind.FIRST) == 0:
                self._begin_stream(stream)
                return 0.0
        self._reply.begin_native(False)
        if (wait := self._too_early(edits) if edits >= LEAST else LOOK) > 0:
            return wait
        wait = await self._take(limits.post, Kind.FIRST)
        if wait == 0:
            self._join_edits()
        return wait

    def _too_early(self, calls: float) -> float:
        """Seconds for which a message waits that so many calls are to follow; the fewer they are,
        the more it should say at first.
        """
        now = self._now()
        unseen = self._reply.unseen(now)
        self.early = False
        if not unseen.characters:
            return 0.0
        lasts = HORIZON / (1 + calls)  # each of its states, if all last equally long
        wait = -2 * unseen.area / unseen.characters  # text comes evenly
        if calls < FEW:
            wait += lasts
        elif calls < PLENTY and not self._reply.known:  # not what follows on a full message
            wait = min(wait + lasts * FIRST, CALM - self._reply.waiting.silence(now))
        self.early = wait > _ROUNDING
        return min(LOOK, wait) if self.early else 0.0

    def _better_streamed(self, edits: float) -> StreamLimits | None:
        """The limits of a stream, if one may be started and ended and gets more calls than edits.

        edits: how many the message could have instead, the last one included; a stream's end is
        no append.
        """
        stream = self._streams.limits.stream if self._streams else None
        if self._reply.plain or stream is None or self._budget.share(stream.stop) < 1:
            return None
        if LEAST <= edits < INFINITE and self._budget.share(stream.append) < edits - 1:
            return None
        return stream

    def _begin_stream(self, stream: StreamLimits) -> None:
        """It is started; its end is counted on."""
        self._leave_stream()
        self._stream = stream
        self._budget.join(stream.append, final=False)
        self._budget.join(stream.stop)
        self._reply.begin_native(True)

    async def _take(self, allowance: Allowance, kind: Kind) -> float:
        now = self._now()
        wait = await self._budget.take(allowance, kind, self._reply.unseen(now))
        if wait == 0:
            self._granted = allowance, self._now() + HOLDING
        return wait

    def _join_edits(self) -> None:
        if not self._edits:
            self._budget.join(self._reply.limits.edit)
            self._edits = True

    def _leave_stream(self) -> None:
        if self._stream:
            self._budget.leave(self._stream.append, final=False)
            self._budget.leave(self._stream.stop)
            self._stream = None
