"""Writes a reply into a thread: asks for leave, makes the calls, survives their failures."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import structlog

from core.budget import Budget
from core.delivery.calling import Calls
from core.delivery.clearing import Clearing
from core.delivery.deliveries import Delivery
from core.delivery.failing import failed, stays, unshowable
from core.delivery.finding import Journal, Lost, post_key
from core.delivery.freshness import Freshness
from core.delivery.lanes import Lanes
from core.delivery.looking import Looking
from core.delivery.reply import Reply
from core.delivery.waiting import DRAWN, EARLY_DRAWN, Deadline
from core.errors import (
    Held,
    RateLimited,
    StreamOpen,
    ThreadseekError,
    Undeliverable,
    Unreachable,
    Unshowable,
    Untouchable,
)
from core.ports import FindsPost, RemovesPart, Retracts, Thread
from core.types import Arrivals

log = structlog.get_logger()

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds: bounds of the pause after a call that didn't get through; it doubles, full jitter."""
PATIENCE = 15 * 60.0
"""Seconds for which the final text is tried before the reply is given up."""
QUIESCENCE = 3.0
"""Seconds after which a post whose answer was lost is nearly always visible, if it landed."""
SETTLING = 25.0
"""Seconds after which a call that was cut off (by a time-out, or with the process that made it)
surely takes no effect any more."""

LONGEST_GAP = 2.0
"""Seconds that a reply waits at most for more text, and between two calls on one message."""

_T = TypeVar("_T")


class Writer:
    """Shows one reply in one thread. The reader adds to the reply and calls `wake`.

    key: prefix of the posts' keys, unique for ever (part 2 of the reply is `{key}:2`).
    now: a monotonic clock, in seconds, that runs with the event loop's. random: uniform in [0, 1).
    settles_in: a former process had shown everything and made no call since but such as carry the
    final text; what was cut off before can't land any more after so many seconds (more than
    SETTLING: nobody knows, so that the wait begins anew).
    settling: everything is shown; only what was cut off on the way is being waited out.
    arrivals: text that the reader has not decoded yet; it is drawn before any is bound.
    """

    def __init__(
        self,
        thread: Thread,
        reply: Reply,
        budget: Budget,
        journal: Journal,
        now: Callable[[], float],
        *,
        key: str,
        random: Callable[[], float],
        quiescence: float = QUIESCENCE,
        patience: float = PATIENCE,
        settles_in: float | None = None,
    ) -> None:
        self._thread = thread
        self._reply = reply
        self._lanes = Lanes(thread, reply, budget, now)
        keyed = partial(post_key, key)
        self._lost = Lost(thread, journal, reply, keyed, now)
        self._calls = Calls(thread, journal, self._lost, keyed)
        tries = self._attempt, self._check_patience
        self._clearing = Clearing(thread, reply, self._lost, *tries, keyed)
        self._looking = Looking(thread, reply, *tries, self._sleep, now)
        self._journal = journal
        self._now = now
        self._random = random
        self._quiescence = quiescence
        self.freshness = Freshness()
        self._woken = asyncio.Event()
        self._idle = False
        self._failures = 0
        self._drawn_at = float("-inf")
        self._deadline = Deadline(patience)
        self._lost_at = now()  # when a post's answer was lost last
        self._ambiguous = set(reply.inherited)  # parts that may have been posted unknown to us
        self._doubt = now() if reply.inherited else None  # when a call was cut off last
        self._kept: float | None = None  # the doubt whose end is stored
        self._resumes = settles_in is not None
        if settles_in is not None:
            self._doubt = now() + min(settles_in, SETTLING) - SETTLING
            self._kept = self._doubt if settles_in <= SETTLING else None
        self._leaving = False
        self.settling = False
        self.arrivals = Arrivals(coming=self._coming)

    def wake(self) -> None:
        """The reply has more text or is finished. Never blocks."""
        self._reply.heard(self._now())
        if self._idle or self._reply.finished:
            self._woken.set()

    def _coming(self) -> None:
        """Text has come that isn't read yet: it counts from now on."""
        now = self._now()
        self._reply.waiting.coming(now)
        self.freshness.coming(now)
        if self._idle:
            self._woken.set()

    async def _drawn(self) -> None:
        """Have the reader add what has come."""
        self._drawn_at = self._now()
        if self.arrivals.draw():
            await asyncio.sleep(0)

    async def run(self) -> None:
        """Write until the finished reply is shown and nothing else is.

        A call that never returns would hang this for ever: the adapter's own timeouts have to turn
        it into Unreachable. Cancelling leaves at most one call whose outcome is unknown.
        When a call was cut off on the way, what it carried may still land on top of the final
        text: then everything is made sure of once more when that can't happen any longer. When
        that will be is stored, so that the wait goes on where it was, whoever goes on with it.
        Raises: PartGone, Undeliverable (also when the final text was tried for `patience`
        seconds), and whatever the journal raises.
        """
        try:
            await self._run()
        finally:
            self._lanes.close()

    async def _run(self) -> None:
        if not await self._resumed():
            await self._show()
        while self._doubt is not None and not self._leaving:
            left = self._doubt + SETTLING - self._now()
            if left > 0 and (await self._keep(left) or await self._disturbed(left)):
                if self._reply.withdrawn:
                    await self._show()
                continue
            self._doubt = None
            await self._clearing.twins(self._ambiguous)
            self._reply.recheck()
            await self._show()

    def leave(self) -> None:
        """The finished reply is a farewell: whoever goes on waits for what is in doubt."""
        self._leaving = True
        self.wake()

    def stay(self) -> None:
        """The reply is no farewell any more: a person has ended it."""
        self._leaving = False

    def withdraw(self) -> None:
        """Show nothing more and remove what is visible; a call under way isn't cut off. `run` does
        it, or does it again after it ended. Never blocks.
        """
        self._reply.withdraw()
        self.stay()
        self._woken.set()

    async def _resumed(self) -> bool:
        """Whether all is shown already, by a former process, so that the wait just goes on."""
        if not self._resumes:
            return False
        self._resumes = False
        while not self._reply.finished:
            await self._sleep(None)
        reply = self._reply
        # Other limits than in the process before: there is more to post. Or it may have split the
        # text elsewhere, having left a message behind: then what it sent last says something else.
        if not reply.placed or len(reply.texts) > 1 or reply.leftover:
            self._doubt, self._kept = self._now(), None
        reply.whole = reply.placed and not reply.withdrawn
        return reply.whole

    async def _keep(self, left: float) -> bool:
        """Store when the doubt ends; False: that is done, and nothing has changed since."""
        if self._reply.withdrawn or self._kept == self._doubt:
            return False
        self._kept = self._doubt
        await self._journal.delivered(left)
        return True

    async def _disturbed(self, seconds: float) -> bool:
        """Wait until what was cut off can't land any more; True: something came in between."""
        self.settling = True
        self._woken.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return False
        finally:
            self.settling = False
        return True

    async def _show(self) -> None:
        """Write until the finished reply is shown and nothing of a former process is left."""
        while not self._reply.done:
            self._check_patience()
            now = self._now()
            fresh = EARLY_DRAWN if self._lanes.early else DRAWN
            delivery = self._reply.expected(now) if now < self._drawn_at + fresh else None
            if delivery is None:
                await self._drawn()
                now = self._now()
                delivery = self._reply.expected(now) or self._reply.peek(now)
            if delivery is None:
                wait = self._reply.wait(now)
                await self._sleep(wait, idle=wait is not None and wait > LONGEST_GAP)
            elif delivery.part is None and delivery.index in self._reply.uncertain:
                await self._resolve(delivery.index)
            else:
                await self._write(delivery)
        await self._clear_away()

    async def _leave(self, wanted: Delivery) -> bool:
        """Whether the call may be made now; waits when it may not.

        What comes while the budget is asked must not sleep through the wait.
        """
        self._woken.clear()
        if (delay := await self._lanes.ask(wanted)) > 0:
            if not self._woken.is_set():
                await self._sleep(delay)
            return False
        await self._drawn()
        due = self._reply.peek(self._now())
        return due is not None and self._lanes.grants(due)

    async def _write(self, wanted: Delivery) -> None:
        """Make one call if it is granted, else wait."""
        if not (await self._leave(wanted) and await self._held()):
            return
        delivery = self._reply.due(self._now())
        if delivery is None:
            return
        self._lanes.used()
        try:
            only = delivery.index not in self._ambiguous
            part = await self._calls.make(delivery, only=only)
        except RateLimited as error:
            await self._refused(delivery, error)
        except StreamOpen:
            self._reply.refused()
            self._lanes.found_open()
        except asyncio.CancelledError:
            self._cut_off(delivery)
            raise
        except Unreachable:
            self._cut_off(delivery)
            await self._pause("delivery.unreachable", part=delivery.index)
        except (Untouchable, Unshowable) as error:
            await self._denied(delivery, error)
        except ThreadseekError as error:
            failed(self._reply, delivery, error)
        else:
            self._reply.delivered(delivery, part, self._now())
            self.freshness.shown(delivery, self._now())
            await self._lanes.succeeded(delivery, part)
            self._failures = 0

    async def _denied(self, delivery: Delivery, error: Untouchable | Unshowable) -> None:
        """The message can't be touched any more; what it says is read, if that is in doubt. Or this
        text isn't shown: then all of it is waited for.
        """
        self._reply.refused()
        if isinstance(error, Unshowable):
            unshowable(delivery, error)
            while not self._reply.finished:
                await self._sleep(None)
            return
        landing = self._now() if self._doubt is None else self._doubt + SETTLING
        says = await self._looking.look(delivery, landing)
        stays(self._reply, delivery, error, says)

    async def _refused(self, delivery: Delivery, error: RateLimited) -> None:
        """It was too early for this call; newer text is sent instead."""
        self._reply.refused()
        if isinstance(error, Held):  # nobody was refused: the pace is right
            if not self._lanes.held_up(delivery, error.retry_after):
                await self._sleep(error.retry_after)
            return
        self.freshness.refused(delivery)
        log.warning("delivery.rate_limited", kind=delivery.kind.name, wait=error.retry_after)
        await self._lanes.refused(delivery, error)

    def _cut_off(self, delivery: Delivery) -> None:
        """A call ended without an answer: it may have landed, or may yet."""
        self._reply.cut_off(delivery)
        self._doubt = self._now()
        if delivery.part is None:
            self._lost_at = self._doubt
            self._ambiguous.add(delivery.index)

    async def _resolve(self, index: int) -> None:
        """Find out whether an uncertain post landed; else the same key has to do."""
        if not isinstance(self._thread, FindsPost):
            self._reply.found(index, None)
            return
        quiet = self._lost_at + self._quiescence - self._now()
        if quiet > 0 and not isinstance(self._thread, Retracts):  # else a repeated post finds it
            await asyncio.sleep(quiet)
        tried, found = await self._attempt(partial(self._lost.look, index))
        if not tried:
            return
        part = found[0] if found else None
        if part is not None:
            await self._journal.posted(index, part, only=False)
        self._reply.found(index, part)

    async def _clear_away(self) -> None:
        """Remove what was posted beyond the final parts, where that can be done.

        The answer is shown by now, if there is one: what can't be removed in time is only logged.
        Whoever begins it anew may need these messages, and would take them for deleted by a person.
        """
        if self._leaving or not isinstance(self._thread, RemovesPart):
            return
        await self._journal.stored()
        try:
            await self._clearing.leftover()
            while self._reply.uncertain:
                self._check_patience()
                await self._resolve(min(self._reply.uncertain))
            await self._clearing.leftover()
        except Undeliverable:
            log.warning("delivery.leftover_stays", parts=len(self._reply.leftover))

    async def _held(self) -> bool:
        """Whether the reply is surely ours; waits a moment when that can't be told."""
        held = await self._journal.held()
        if not held:
            await self._sleep(FIRST_PAUSE)
        return held

    async def _attempt(self, call: Callable[[], Awaitable[_T]]) -> tuple[bool, _T | None]:
        """A call beside the reply's own; (False, None) after a pause when it should be repeated.

        Raises: Undeliverable when it would have to wait for too long, and what the call raises.
        """
        if not await self._held():
            return False, None
        try:
            result = await call()
        except RateLimited as error:
            until = self._now() + max(error.retry_after, FIRST_PAUSE)
            while (left := until - self._now()) > 0:  # the end of the text ends a sleep, not a ban
                self._check_patience()
                await self._sleep(left)
        except Unreachable:
            await self._pause("delivery.unreachable", part=None)
        else:
            self._failures = 0
            return True, result
        return False, None

    async def _pause(self, event: str, part: int | None) -> None:
        """Wait after a call that didn't get through, longer each time, with full jitter."""
        if part is not None and self._reply.withdrawn:
            return  # it won't be made again
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures, 16))
        self._failures += 1
        pause = longest * self._random()
        log.warning(event, part=part, failures=self._failures, pause=round(pause, 3))
        await self._sleep(pause)

    def _check_patience(self) -> None:
        """Give up on a finished reply that can't be shown for too long."""
        self._deadline.check(finished=self._reply.finished, now=self._now())

    async def _sleep(self, seconds: float | None, *, idle: bool = False) -> None:
        """Wait so long (None: until woken). The end of the reply's text ends the wait.

        idle: any text does.
        """
        self._idle = idle or seconds is None
        self._woken.clear()
        try:
            async with asyncio.timeout(self._deadline.within(seconds, self._now())):
                await self._woken.wait()
        except TimeoutError:
            pass
        finally:
            self._idle = False
