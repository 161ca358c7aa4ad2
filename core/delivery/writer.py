"""Writes a reply into a thread: asks for leave, makes the calls, survives their failures."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import structlog

from core.delivery.reply import Delivery, Reply
from core.errors import Held, RateLimited, ThreadseekError, TooLarge, Undeliverable, Unreachable
from core.ports import Budget, FindsPost, RemovesPart, Retracts, Thread
from core.types import Allowance, Arrivals, PartId

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

HOLDING = 0.5
"""Seconds for which a granted call may wait until its text is ready: longer than a reply waits for
more text (core.delivery.reply.PATIENCE)."""

_T = TypeVar("_T")


def post_key(key: str, index: int) -> str:
    """The key under which part `index` of a reply is posted, however often that is tried."""
    return f"{key}:{index}"


class Journal(Protocol):
    """The durable memory of what was posted."""

    async def announce(self, index: int) -> None:
        """The part `index` is about to be posted."""

    async def posted(self, index: int, part: PartId) -> None:
        """The part `index` was posted as `part`."""

    async def delivered(self, seconds: float) -> None:
        """All is shown, and nothing that was cut off before can land after so many seconds."""


class Writer:
    """Shows one reply in one thread. The reader adds to the reply and calls `wake`.

    key: prefix of the posts' keys, unique for ever (part 2 of the reply is `{key}:2`).
    now: a monotonic clock, in seconds, that runs with the event loop's. random: uniform in [0, 1).
    settles_in: a former process had shown everything and made no call since but such as carry the
    final text; what was cut off before can't land any more after so many seconds.
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
        self._budget = budget
        self._journal = journal
        self._now = now
        self._key = key
        self._random = random
        self._quiescence = quiescence
        self._patience = patience
        self._woken = asyncio.Event()
        self._idle = False
        self._granted_until = float("-inf")  # for a call that was not made yet
        self._failures = 0
        self._deadline: float | None = None
        self._announced = set(reply.uncertain)
        self._orphans = frozenset(reply.uncertain)  # announced by a process that died then
        self._lost_at = now()  # when a post's answer was lost last
        self._ambiguous = set(reply.inherited)  # parts that may have been posted unknown to us
        self._doubt = now() if reply.inherited else None  # when a call was cut off last
        self._kept: float | None = None  # the doubt whose end is stored
        self._resumes = settles_in is not None
        if settles_in is not None:
            self._doubt = self._kept = now() + min(settles_in, SETTLING) - SETTLING
        self._removed: set[PartId] = set()
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
        self._reply.coming(self._now())
        if self._idle:
            self._woken.set()

    async def _drawn(self) -> None:
        """Have the reader add what has come."""
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
        if not await self._resumed():
            await self._show()
        while self._doubt is not None and not self._leaving:
            left = self._doubt + SETTLING - self._now()
            if left > 0 and (await self._keep(left) or await self._disturbed(left)):
                if self._reply.withdrawn:
                    await self._show()
                continue
            self._doubt = None
            await self._remove_twins()
            self._reply.recheck()
            await self._show()

    def leave(self) -> None:
        """The finished reply is a farewell: whoever goes on waits for what is in doubt."""
        self._leaving = True
        self.wake()

    def withdraw(self) -> None:
        """Show nothing more and remove what is visible; a call under way isn't cut off. `run` does
        it, or does it again after it ended. Never blocks.
        """
        self._reply.withdraw()
        self._woken.set()

    async def _resumed(self) -> bool:
        """Whether all is shown already, by a former process, so that the wait just goes on."""
        if not self._resumes:
            return False
        self._resumes = False
        while not self._reply.finished:
            await self._sleep(None)
        if not self._reply.placed:  # other limits than in the process before: there is more to post
            self._doubt, self._kept = self._now(), None
        return self._reply.placed and not self._reply.withdrawn

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
            await self._drawn()
            now = self._now()
            delivery = self._reply.peek(now)
            if delivery is None:
                await self._sleep(self._reply.wait(now))
            elif delivery.part is None and delivery.index in self._reply.uncertain:
                await self._resolve(delivery.index)
            else:
                await self._write(delivery)
        await self._clear_away()

    async def _leave(self, wanted: Delivery, allowance: Allowance) -> bool:
        """Whether the call may be made now; waits when it may not.

        More text may come while the budget is asked, and wait for still more: then the call is
        made as soon as that is due. What comes besides must not sleep through the wait.
        """
        if self._now() < self._granted_until:
            return True
        self._woken.clear()
        delay = await self._budget.take(allowance, wanted.kind, self._reply.age(self._now()))
        if delay == 0:
            self._granted_until = self._now() + HOLDING
        elif not self._woken.is_set():
            await self._sleep(delay)
        return delay == 0

    async def _write(self, wanted: Delivery) -> None:
        """Make one call if it is granted, else wait."""
        limits = self._reply.limits
        allowance = limits.post if wanted.part is None else limits.edit
        if not await self._leave(wanted, allowance):
            return
        await self._drawn()
        delivery = self._reply.due(self._now())
        if delivery is None:
            return
        self._granted_until = float("-inf")
        try:
            part = await self._call(delivery)
        except RateLimited as error:
            await self._refused(delivery, allowance, error)
        except asyncio.CancelledError:
            self._cut_off(delivery)
            raise
        except Unreachable:
            self._cut_off(delivery)
            await self._pause("delivery.unreachable", part=delivery.index)
        except TooLarge as error:
            self._reply.failed(delivery, self._now())
            log.warning("delivery.too_large", part=delivery.index, characters=len(delivery.text))
            if not self._reply.shrink():
                raise Undeliverable("the platform refuses even small parts as too large") from error
        except ThreadseekError:
            self._reply.failed(delivery, self._now())
            raise
        else:
            self._reply.delivered(delivery, part, self._now())
            await self._budget.succeeded(allowance)
            self._failures = 0

    async def _refused(self, delivery: Delivery, allowance: Allowance, error: RateLimited) -> None:
        """It was too early for this call; newer text is sent instead."""
        self._reply.failed(delivery, self._now())
        if isinstance(error, Held):  # nobody was refused: the pace is right
            await self._sleep(error.retry_after)
            return
        log.warning("delivery.rate_limited", kind=delivery.kind.name, wait=error.retry_after)
        await self._budget.refused(allowance, error.retry_after)

    def _cut_off(self, delivery: Delivery) -> None:
        """A call ended without an answer: it may have landed, or may yet."""
        self._reply.failed(delivery, self._now())
        self._doubt = self._now()
        if delivery.part is None:
            self._lost_at = self._doubt
            self._ambiguous.add(delivery.index)
            self._reply.uncertain.add(delivery.index)

    async def _call(self, delivery: Delivery) -> PartId:
        """The call itself; a post is announced before and kept after."""
        if delivery.part is not None:
            await self._thread.edit(delivery.part, delivery.text)
            return delivery.part
        if delivery.index not in self._announced:
            await self._journal.announce(delivery.index)
            self._announced.add(delivery.index)
        part = await self._thread.post(delivery.text, self._post_key(delivery.index))
        await self._journal.posted(delivery.index, part)
        return part

    def _post_key(self, index: int) -> str:
        return post_key(self._key, index)

    async def _resolve(self, index: int) -> None:
        """Find out whether an uncertain post landed; else the same key has to do."""
        if not isinstance(self._thread, FindsPost):
            self._reply.found(index, None)
            return
        quiet = self._lost_at + self._quiescence - self._now()
        if quiet > 0:
            await asyncio.sleep(quiet)
        tried, found = await self._attempt(self._thread.find(self._post_key(index)))
        if not tried:
            return
        part = found[0] if found else None
        if part is not None:
            await self._journal.posted(index, part)
        self._reply.found(index, part)

    async def _clear_away(self) -> None:
        """Remove what was posted beyond the final parts, where that can be done.

        The answer is shown by now, if there is one: what can't be removed in time is only logged.
        """
        if not isinstance(self._thread, RemovesPart):
            return
        try:
            await self._remove_leftover(self._thread)
            while self._reply.uncertain:
                self._check_patience()
                await self._resolve(min(self._reply.uncertain))
            await self._remove_leftover(self._thread)
        except Undeliverable:
            log.warning("delivery.leftover_stays", parts=len(self._reply.leftover))

    async def _remove_leftover(self, thread: RemovesPart) -> None:
        """Remove the messages that the reply has no text for. Raises: Undeliverable."""
        for part in self._reply.leftover:
            while part not in self._removed:
                self._check_patience()
                if (await self._attempt(thread.remove(part)))[0]:
                    self._removed.add(part)

    async def _remove_twins(self) -> None:
        """Remove posts that were taken for lost and landed late, where that can be done."""
        if not (isinstance(self._thread, FindsPost) and isinstance(self._thread, RemovesPart)):
            return
        for index in sorted(self._ambiguous):
            found = None
            while found is None:
                _, found = await self._attempt(self._thread.find(self._post_key(index)))
            if not found and self._reply.withdrawn and index in self._orphans:
                await self._retract(self._thread, self._post_key(index))
            for part in found:
                removed = part == self._reply.message(index)
                while not removed:
                    removed, _ = await self._attempt(self._thread.remove(part))

    async def _retract(self, thread: object, key: str) -> None:
        """Remove a post that can't be found, where that can be done."""
        removed = not isinstance(thread, Retracts)
        while not removed and isinstance(thread, Retracts):
            removed, _ = await self._attempt(thread.retract(key))

    async def _attempt(self, call: Awaitable[_T]) -> tuple[bool, _T | None]:
        """A call beside the reply's own; (False, None) after a pause when it should be repeated."""
        try:
            result = await call
        except RateLimited as error:
            await asyncio.sleep(max(error.retry_after, FIRST_PAUSE))
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
        if not self._reply.finished:
            return
        if self._deadline is None:
            self._deadline = self._now() + self._patience
        elif self._now() >= self._deadline:
            raise Undeliverable(
                f"the platform couldn't be reached for {self._patience / 60:g} minutes; "
                "the answer is stored, but not shown completely"
            )

    async def _sleep(self, seconds: float | None) -> None:
        """Wait so long (None: until woken). The end of the reply's text ends the wait."""
        if seconds is not None and self._deadline is not None:
            seconds = min(seconds, max(0.0, self._deadline - self._now()))
        self._idle = seconds is None
        self._woken.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            pass
        finally:
            self._idle = False
