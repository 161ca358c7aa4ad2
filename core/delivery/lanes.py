"""Which way a growing answer takes into its thread, and who asks for its calls.

Chosen when there is something to show, for each part anew, by what the budgets have at hand:

1. a native stream, while a call that starts one and a call that stops it are to be had;
2. else a post that is edited, while each of all who do so gets two edits in time;
3. else nothing until one of these is possible, or the text is complete and is posted at once.

Where the platform refuses to have a message touched for long, that one stays as it is: what is
missing comes in a new message, as posts have a budget of their own.
"""

from collections.abc import Callable
from dataclasses import replace

import structlog

from core.budget import Budget
from core.delivery.deliveries import Delivery, How
from core.delivery.pacing import HORIZON, LONG
from core.delivery.reply import Reply
from core.errors import RateLimited
from core.ports import Paces, Streams, Thread
from core.types import Allowance, Kind, PartId, StreamLimits

log = structlog.get_logger()

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
ENOUGH = 12.0
"""A growing message isn't kept waiting for LONG by a refusal; by one of appends alone where it
could have so many edits: few are better kept, as the end of a stream brings the rest."""
PIECES = 1.0
"""Calls that a message is to have where the platform takes posts alone: one in five seconds."""
STUCK, TOLD, AREA = 1.0, 3.0, 75.0
"""An answer's last text comes in a message of its own where an edit comes so many seconds later, as
it has to queue, or as it was refused for so long; and so many letter-seconds. From LONG on, a
single letter is worth a message."""


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
        self._ends = False  # the call that ends the stream was granted to an edit
        self._granted: tuple[Allowance, float] | None = None  # for a call that was not made yet
        self._refused_until = float("-inf")

    async def ask(self, wanted: Delivery) -> float:
        """0.0: look again what is due, and whether it is granted. Else seconds to wait."""
        if self.grants(wanted):
            return 0.0
        if wanted.kind is Kind.FIRST:
            return await self._begin()
        if wanted.how is How.EDIT and not self._edits:
            interim = wanted.kind is Kind.INTERIM
            if interim and self._only_posts() and self._leaves(wanted, LONG):
                return 0.0
            self._join_edits()
        if (wait := await self._end_first(wanted)) > 0:
            return wait
        wait = await self._take(self.allowance(wanted), wanted.kind)
        if self._left_behind(wanted, wait):
            return 0.0
        if wanted.how is How.STOP and wait > NEAR:
            self._reply.hold_stop(self._now() + wait)
            return 0.0
        return self._append_late(wanted, wait) if wanted.how is How.APPEND else wait

    async def _end_first(self, wanted: Delivery) -> float:
        """What an edit of a message that is a stream needs besides: the call that ends it. Which of
        the two failed isn't known, so the next try asks for both again.
        """
        if wanted.how is not How.EDIT or self._stream is None or self._ends:
            return 0.0
        wait = await self._take(self._stream.stop, Kind.FINAL)
        self._ends = wait == 0
        return wait

    def _append_late(self, wanted: Delivery, wait: float) -> float:
        """What a stream does that can't be appended to for so long; seconds, as `ask`."""
        now = self._now()
        if wait > LONG and wanted.kind is Kind.INTERIM:
            edited = self._budget.share(self._reply.limits.edit) >= ENOUGH
            if (edited or self._refuses()) and self._reply.end_stream(now):
                return 0.0
        held = self._reply.held(now)
        return min(wait, held) if held > 0 else wait

    def held_up(self, wanted: Delivery, wait: float) -> bool:
        """Whether a call that the platform would refuse isn't waited for, as what is missing comes
        in a new message. Where many share a thread's edits, they would share its posts as well.
        """
        few = self._budget.share(self._reply.limits.edit) >= FEW
        return few and self._left_behind(wanted, wait)

    def _left_behind(self, wanted: Delivery, wait: float) -> bool:
        """Whether a message stays as it is, as a post comes sooner than an edit: the rest follows
        in a new message.
        """
        if wanted.how is not How.EDIT:
            return False
        final = wanted.kind is Kind.FINAL
        if not final:
            wait = min(wait, self._budget.soonest(self._reply.limits.edit))
        told = self._now() < self._refused_until
        longest = (TOLD if told else STUCK) if final else LONG
        if wait <= longest:
            return False
        sooner = wait - self._budget.soonest(self._posts, spare=True)
        return sooner > longest and self._leaves(wanted, sooner)

    def _leaves(self, wanted: Delivery, sooner: float) -> bool:
        """Leave the message as it is, unless hardly anything is missing in it."""
        least = 1 if sooner >= LONG else round(AREA / sooner)
        if not self._reply.leave(least):
            return False
        log.info("delivery.goes_on_in_a_new_message", part=wanted.index, sooner=round(sooner, 3))
        return True

    def _refuses(self) -> bool:
        """Whether the platform takes no edits, or no appends, for long: it said so."""
        limits, ways = self._reply.limits, [self._reply.limits.edit]
        if self._streams and limits.stream:
            ways.append(limits.stream.append)
        return any(self._budget.soonest(way) > LONG for way in ways)

    def _only_posts(self) -> bool:
        """Whether it does, and what edits it takes are too few."""
        return self._refuses() and self._budget.share(self._reply.limits.edit) < LEAST

    def grants(self, delivery: Delivery) -> bool:
        """Whether this call was granted and not made."""
        if self._granted is None:
            return False
        allowance, until = self._granted
        return self._now() < until and allowance == self.allowance(delivery)

    @property
    def _posts(self) -> Allowance:
        """What posts are counted under by now: it may turn out who has to make them."""
        return self._thread.limits.post

    def used(self) -> None:
        """The granted call is made."""
        self._granted, self._ends = None, False

    def allowance(self, delivery: Delivery) -> Allowance:
        """What the call is counted under."""
        stream = self._stream
        if delivery.how is How.POST or (delivery.how is How.START and stream is None):
            return self._posts
        if delivery.how is How.EDIT or stream is None:
            return self._reply.limits.edit
        return {How.START: stream.start, How.APPEND: stream.append}.get(delivery.how, stream.stop)

    async def refused(self, delivery: Delivery, error: RateLimited) -> None:
        """The platform refused the call. What is left of a stream may be edited in."""
        self._refused_until = self._now() + error.retry_after
        meant = self.allowance(delivery)
        if error.narrow:
            meant = replace(meant, within=None)
        await self._budget.refused(meant, error.retry_after)
        if delivery.how is How.APPEND:
            self._append_late(delivery, error.retry_after)

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
        posts = bool(self._reply.known) and self._only_posts()
        edits = INFINITE if self._edits else self._budget.share(limits.edit)
        if stream := None if posts else self._better_streamed(edits):
            if (wait := self._too_early(self._budget.share(stream.append))) > 0:
                return wait
            if await self._take(stream.start, Kind.FIRST) == 0:
                self._begin_stream(stream)
                return 0.0
        self._reply.begin_native(False)
        calls = PIECES if posts else edits
        wait = self._too_early(calls) if posts or edits >= LEAST else LOOK
        if wait > 0:
            return wait
        wait = await self._take(self._posts, Kind.FIRST)
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
        if self._budget.soonest(stream.append) > LONG:
            return None
        if LEAST <= edits < INFINITE and self._budget.share(stream.append) < edits - 1:
            return None
        return stream

    def found_open(self) -> None:
        """The message is a stream that this process didn't start: its end is counted on, too."""
        if self._reply.limits.stream:
            self._join_stream(self._reply.limits.stream)

    def _begin_stream(self, stream: StreamLimits) -> None:
        """It is started; its end is counted on."""
        self._join_stream(stream)
        self._reply.begin_native(True)

    def _join_stream(self, stream: StreamLimits) -> None:
        self._leave_stream()
        self._stream = stream
        self._budget.join(stream.append, final=False)
        self._budget.join(stream.stop)

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
