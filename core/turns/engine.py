"""The engine: accepts prompts, claims turns, answers many conversations side by side.

Turns of one conversation run in order and one at a time, because the store hands out a
conversation to one worker at a time; conversations do not wait for each other.
"""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from core.errors import DeliveryError, StoreError
from core.lifecycle import State
from core.placing import HasPlaces, Readmits
from core.ports import Threads, Turn
from core.turns import metrics
from core.turns.answering import Answering
from core.turns.means import Means
from core.turns.queueing import Queueing
from core.turns.retrying import MOST_ATTEMPTS
from core.turns.shares import Shares
from core.types import Prompt, ThreadKey

log = structlog.get_logger()

_POLL = 1.0  # seconds; the wake-up is a hint, the poll is the truth
_AT_ONCE = 16  # writes made side by side while there is much to do: they share a commit
_READMISSION = 60.0  # seconds between two questions to a platform that refuses our token
_LOOK = 0.5  # seconds between two looks at what still runs while stopping
_FAREWELL = 5.0  # seconds that interrupted turns have to say so


class Engine:
    """One worker process's share of the turns.

    platforms: by name; a platform that connects later is added to this very mapping, and its
    turns are claimed from then on; of one that refuses our token none is, while it does. owner:
    names this process in leases. concurrency: turns answered at the same time.
    """

    def __init__(
        self, means: Means, platforms: Mapping[str, Threads], *, owner: str, concurrency: int = 128
    ) -> None:
        self._means = means
        self._platforms = platforms
        self._owner = owner
        self._slots = asyncio.Semaphore(concurrency)
        self._shares = Shares(concurrency)
        self._wake = asyncio.Event()
        self._claiming: asyncio.Future[list[bool]] | None = None
        self._running: dict[asyncio.Task[None], Answering] = {}
        self._locked_out: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        self._queueing = Queueing(means.turns)
        self._trouble = ""

    async def problem(self) -> str:
        """What keeps turns from being claimed, though the store works; empty when nothing does."""
        return self._trouble

    async def accept(self, prompt: Prompt) -> bool:
        """Commit the prompt; only after this returns may the event be acknowledged.

        False: it is known already, or a follow-up in a conversation the bot has no part in.
        Raises: StoreError, after which the event must not be acknowledged.
        """
        new = await self._means.turns.accept(prompt)
        if new:
            metrics.ACCEPTED.labels(prompt.platform).inc()
            log.info("prompt.accepted", platform=prompt.platform, characters=len(prompt.text))
            self._wake.set()
            self._tell_waiting(prompt)
        return new

    def _tell_waiting(self, prompt: Prompt) -> None:
        """Show that it waits, if it does. It is committed: no error of ours may refuse it now."""
        if prompt.platform not in self._platforms:
            return
        try:
            self._queueing.accepted(prompt, self._platforms[prompt.platform].open(prompt))
        except Exception as error:  # noqa: BLE001 - the turn itself meets it again, and is counted
            log.warning("prompt.wait_not_shown", error=repr(error))

    def wake(self) -> None:
        """Look for turns now: a platform has connected."""
        self._wake.set()

    async def run(self) -> None:
        """Claim and answer turns until `stop` is called."""
        wanted = 1
        while not self._stopping:
            slots = await self._take_slots(wanted)
            found = 0 if self._stopping else await self._claims(slots)
            for _ in range(slots - found):
                self._slots.release()
            wanted = min(_AT_ONCE, 2 * wanted) if found == slots else 1
            if not found:
                await self._idle()

    async def _take_slots(self, wanted: int) -> int:
        """Wait for a free slot, and take as many as are free then; returns how many."""
        await self._slots.acquire()
        taken = 1
        while taken < wanted and not self._slots.locked():
            await self._slots.acquire()  # doesn't wait
            taken += 1
        return taken

    async def _claims(self, most: int) -> int:
        """Begin so many turns, fewer when there are no more to be had; returns how many."""
        self._claiming = asyncio.gather(*(self._next() for _ in range(most)))
        return sum(await self._claiming)

    async def _next(self) -> bool:
        """Claim a turn, and work on it from now on; False: there is none, or no time for it."""
        asked = self._means.now()  # the lease begins at some time after this
        turn = await self._claim()
        if turn is None:
            return False
        if self._stopping:
            await self._give_back(turn)
            return False
        await self._begin(turn, asked)
        return True

    async def stop(self, grace: float) -> None:
        """Claim nothing more; give running turns `grace` seconds, then interrupt them visibly.

        One that only settles is left at once. Whatever is left, or just being claimed, is given
        back.
        """
        self._stopping = True
        self._wake.set()
        end = self._means.now() + grace
        leaving: dict[asyncio.Task[None], asyncio.Task[None]] = {}
        while self._running and (left := end - self._means.now()) > 0:
            for task, answering in self._running.items():
                if answering.settling and task not in leaving:
                    leaving[task] = asyncio.create_task(self._leave(task, answering))
            await asyncio.wait(set(self._running), timeout=min(left, _LOOK))
        for answering in self._running.values():
            answering.interrupt()
        if self._running:
            await asyncio.wait(set(self._running), timeout=_FAREWELL)
        for task, answering in self._running.items():
            if task not in leaving:
                leaving[task] = asyncio.create_task(self._leave(task, answering))
        await asyncio.gather(*leaving.values())
        if self._claiming:
            await asyncio.wait([self._claiming], timeout=_FAREWELL)
        for asking in self._locked_out.values():
            asking.cancel()
        await asyncio.gather(*self._locked_out.values(), return_exceptions=True)
        await self._queueing.stop()

    async def _leave(self, task: asyncio.Task[None], answering: Answering) -> None:
        """Stop the work on a turn, and give it back."""
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await self._give_back(answering.turn)

    async def _give_back(self, turn: Turn) -> None:
        """Another process may go on with it at once, and nothing broke off."""
        try:
            await self._means.turns.release(turn)
        except StoreError as error:
            log.warning("turn.not_given_back", turn=turn.id, error=str(error))

    async def _claim(self) -> Turn | None:
        self._wake.clear()
        platforms = tuple(name for name in self._platforms if name not in self._locked_out)
        if not platforms:
            return None
        trouble, turn = "", None
        try:
            lease, full = self._means.lease, self._shares.full
            turn = await self._means.turns.claim(self._owner, platforms, lease, full)
        except StoreError as error:
            log.error("engine.claim_failed", error=str(error))
        except Exception as error:
            trouble = f"no turn can be claimed ({error!r}): see engine.claim_failed in the log"
            if trouble != self._trouble:
                log.exception("engine.claim_failed", fix="repair the row that can't be read")
        self._trouble = trouble
        return turn

    async def _idle(self) -> None:
        try:
            async with asyncio.timeout(_POLL):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _begin(self, turn: Turn, claimed: float) -> None:
        """Work on the turn from now on; one that can't even be opened is left, at last given up."""
        try:
            self._start(turn, claimed)
            return
        except Exception as error:
            self._slots.release()
            log.exception("turn.left_for_later", turn=turn.id, crashes=turn.crashes)
            reason = f"can't be opened: {error!r}"
        if turn.crashes < MOST_ATTEMPTS:
            return
        metrics.PARKED.labels(turn.prompt.platform).inc()
        log.error("turn.abandoned", turn=turn.id, crashes=turn.crashes, reason=reason)
        try:
            await self._means.turns.finish(turn, State.ABANDONED, reason)
        except StoreError as error:
            log.error("turn.not_abandoned", turn=turn.id, error=str(error))

    def _start(self, turn: Turn, claimed: float) -> None:
        thread = self._platforms[turn.prompt.platform].open(turn.prompt)
        self._queueing.begun(turn, thread)
        answering = Answering(turn, thread, self._means, claimed)
        # While the store failed a lease can run out, and our own turn comes back to ourselves; or
        # another process heard that the question before this one was deleted.
        here = turn.prompt.thread
        former = [task for task, other in self._running.items() if other.turn.prompt.thread == here]
        task = asyncio.create_task(_instead_of(former, answering), name=f"turn-{turn.id}")
        self._running[task] = answering
        self._shares.begun(self._place(turn))
        metrics.ACTIVE.inc()
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        answering = self._running.pop(task)
        self._shares.ended(self._place(answering.turn))
        metrics.ACTIVE.dec()
        self._slots.release()
        self._wake.set()
        if answering.locked_out:
            self._lock_out(answering.turn.prompt.platform, answering.locked_out)
        if not task.cancelled() and (error := task.exception()):
            log.error(
                "turn.left_for_later",
                task=task.get_name(),
                crashes=answering.turn.crashes,
                error=repr(error),
            )

    def _place(self, turn: Turn) -> str:
        platform = self._platforms[turn.prompt.platform]
        return platform.place(turn.prompt.thread) if isinstance(platform, HasPlaces) else ""

    def _lock_out(self, platform: str, reason: str) -> None:
        """Claim nothing of a platform that refuses our token, until it takes it again."""
        if platform in self._locked_out or self._stopping:
            return
        log.error("platform.locked_out", platform=platform, fix=reason)
        asking = asyncio.create_task(self._until_readmitted(platform), name=f"{platform} locked")
        self._locked_out[platform] = asking

    async def _until_readmitted(self, name: str) -> None:
        platform, admitted = self._platforms[name], False
        while not admitted:
            await asyncio.sleep(_READMISSION)
            try:
                # One that can't be asked is tried with a turn.
                admitted = not isinstance(platform, Readmits) or await platform.readmitted()
            except DeliveryError as error:
                log.warning("platform.not_asked", platform=name, reason=str(error))
            except Exception:
                log.exception("platform.not_asked", platform=name)
        log.info("platform.readmitted", platform=name)
        del self._locked_out[name]
        self._wake.set()

    async def amend(self, identity: str, text: str) -> bool:
        """Somebody edited a message: what is stored follows, and so does an answer not yet begun.

        False: the message was no prompt. Raises: StoreError, after which the event must not be
        acknowledged.
        """
        amended = await self._means.turns.amend(identity, text)
        if amended.fence:
            for answering in self._running.values():
                answering.amended(identity, amended.fence)
            log.info("prompt.amended", identity=identity)
            self._wake.set()
        return amended.known

    def cut_short(self, identity: str) -> bool:
        """Somebody wants no more of the answer to this prompt: it ends with what has come of it.

        False: there is none that this process is waiting for.
        """
        return any(answering.cut_short(identity) for answering in self._running.values())

    async def withdraw(self, identity: str) -> None:
        """Somebody deleted a message: its text leaves the store, an answer under way is removed.

        Raises: StoreError, after which the event must not be acknowledged.
        """
        if await self._means.turns.withdraw(identity):
            self._take_back([identity])

    async def withdraw_thread(self, thread: ThreadKey) -> None:
        """Somebody deleted a whole thread: `withdraw`, of every prompt in it.

        Raises: StoreError, after which it has to be told again.
        """
        if identities := await self._means.turns.withdraw_thread(thread):
            self._take_back(identities)

    async def withdraw_threads(self, within: str, naming: Sequence[str]) -> None:
        """Somebody deleted what all these threads are in, as a channel: `withdraw_thread` of each,
        some at a time. Which they are: `core.ports.Turns.threads`.

        Raises: StoreError, after which it has to be told again.
        """
        threads = await self._means.turns.threads(within, naming)
        for first in range(0, len(threads), _AT_ONCE):
            some = threads[first : first + _AT_ONCE]
            await asyncio.gather(*map(self.withdraw_thread, some))

    def _take_back(self, identities: Sequence[str]) -> None:
        """Have what is visible of these prompts' answers removed, by us or whoever holds them."""
        for identity in identities:
            for answering in self._running.values():
                answering.withdrawn(identity)
            log.info("prompt.withdrawn", identity=identity)
        self._wake.set()


async def _instead_of(former: Sequence[asyncio.Task[None]], answering: Answering) -> None:
    """Carry a turn on, once whoever worked on it under an older claim has stopped."""
    for task in former:
        task.cancel()
    await asyncio.gather(*former, return_exceptions=True)
    await answering.run()
