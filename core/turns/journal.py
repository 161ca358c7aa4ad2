"""What the writer has to remember of a reply, in the store, and what becomes of it in bad times."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from core.errors import LostClaim, StoreBusy, StoreError, Withdrawn
from core.ports import Turn, Turns
from core.types import PartId

log = structlog.get_logger()

AGAIN = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between tries while the store fails."""
SURELY = 0.9
"""The share of a lease for which it is surely held: the answer of the store took a while, and its
clock may run a little faster than ours."""


class Journal:
    """The store, as the writer sees it.

    A store that is busy is waited for. One that fails must not keep an answer from a person: what
    that costs is that a crash just then could post a part again. But where another process may have
    claimed the turn meanwhile, nothing is written in its way.

    turn: as it is claimed; whoever learns that it was withdrawn says so here.
    now: seconds, monotonic. lease: of the claim, in seconds; None where no other process can claim
    it. claimed: when the claim was asked for, by `now`: its lease began no earlier.
    outcome_stored: set when what `stored` waits for is done.
    """

    def __init__(
        self,
        turns: Turns,
        turn: Turn,
        now: Callable[[], float],
        lease: float | None,
        claimed: float,
    ) -> None:
        self._turns = turns
        self.turn = turn
        self._now = now
        self._lease = lease
        self._held_until = claimed + SURELY * (lease or 0.0)
        self._complete = True
        self._posted: set[PartId] = set()
        self.outcome_stored = asyncio.Event()

    async def held(self) -> bool:
        """Whether nobody else can have claimed the turn. Raises: LostClaim, Withdrawn."""
        if self._lease is None or self._now() < self._held_until:
            return True
        return await self.renew(self._lease)

    async def renew(self, lease: float) -> bool:
        """Hold the turn for `lease` seconds more; False: the store fails.

        Raises: LostClaim, Withdrawn.
        """
        until = self._now() + SURELY * lease
        try:
            await self._turns.renew(self.turn, lease)
        except (LostClaim, Withdrawn):
            raise
        except StoreError as error:
            log.error("turn.lease_not_renewed", turn=self.turn.id, error=str(error))
            return False
        self._held_until = until
        return True

    async def announce(self, index: int, *, named: bool) -> None:
        """The part is about to be posted. Raises: LostClaim, Withdrawn."""
        turn = replace(self.turn, withdrawn=False)  # nothing is posted for a deleted prompt
        await self._tolerant(lambda: self._turns.announce(turn, index, named=named))

    async def posted(self, index: int, part: PartId, *, only: bool) -> None:
        """The part was posted."""
        self._posted.add(part)
        done = await self._tolerant(lambda: self._turns.posted(self.turn, index, part, only=only))
        self._complete = self._complete and done

    async def strangers(self, parts: Sequence[PartId], *, exclusive: bool) -> Sequence[PartId]:
        """Those of these messages that are parts of nothing; none while that can't be told."""
        for delay in (*AGAIN, None):
            try:
                found = await self._turns.strangers(self.turn, parts, exclusive=exclusive)
                return [part for part in found if part not in self._posted]
            except StoreError as error:
                log.warning("turn.strangers_unknown", turn=self.turn.id, error=str(error))
                if delay is not None:
                    await asyncio.sleep(delay)
        return ()

    async def stored(self) -> None:
        """Wait for the outcome to be stored, which may be late, or for the prompt to be deleted."""
        await self.outcome_stored.wait()

    async def delivered(self, seconds: float) -> None:
        """All is shown; told once the outcome is stored.

        A part that isn't recorded would be posted by whoever goes on: then nothing is stored.
        """
        await self.stored()
        if self._complete:
            await self._tolerant(lambda: self._turns.deliver(self.turn, seconds))

    async def _tolerant(self, write: Callable[[], Awaitable[None]]) -> bool:
        """Whether it was written."""
        for delay in (*AGAIN, None):
            try:
                await write()
                return True
            except (LostClaim, Withdrawn):
                raise
            except StoreError as error:
                log.error("turn.part_not_recorded", turn=self.turn.id, error=str(error))
                if delay is None or not isinstance(error, StoreBusy):
                    break
                await asyncio.sleep(delay)
        return False
