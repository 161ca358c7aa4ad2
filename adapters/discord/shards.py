"""Which shards are ours: seats leased from the store, a connection for each, and fair shares.

Two connections of one shard would both acknowledge every command. So a shard is a seat that one
process holds at a time, and whoever can't renew it closes its connection before the lease ends.
"""

import asyncio
from collections.abc import Callable

import structlog

from adapters.discord.connection import Connection
from adapters.discord.gateway import Closed
from adapters.discord.incoming import pauses
from adapters.discord.starts import Starts
from core.errors import DeliveryError, StoreError
from core.seats import Seat, Seating, Seats

log = structlog.get_logger()

LEASE = 15.0
"""Seconds that a seat is held without renewing."""
MARGIN = 3.0
"""Seconds before the end of a lease at which its connection is closed."""
LOOKING = 1.0
"""Seconds between two looks for a free seat, while we have fewer than our share."""
ASKING = 60.0
"""Seconds before a shard that Discord refused as too large is tried with the same count."""


class Shards:
    """The shards of this process. `run` keeps them, until it is cancelled.

    scope: the seats' in the store. wanted: how many shards the bot should have. lease: seconds.
    failed: why Discord won't have us back; unless `patient`, also why a first connection came to
    nothing. trouble: what keeps the seats from being renewed now; empty when nothing does.
    """

    def __init__(
        self,
        seats: Seats,
        starts: Starts,
        scope: str,
        wanted: int,
        open_: Callable[[Seat, float], Connection],
        *,
        lease: float = LEASE,
    ) -> None:
        self.connections: dict[Seat, Connection] = {}
        self.seating: Seating | None = None
        self.failed: Exception | None = None
        self.trouble = ""
        self._seats, self._starts, self._scope, self._wanted = seats, starts, scope, wanted
        self._open, self._lease = open_, lease
        self._clock = asyncio.get_running_loop().time
        self._serving: dict[Seat, asyncio.Task[None]] = {}
        self._leaving: dict[Seat, asyncio.Task[None]] = {}
        self._look = asyncio.Event()
        self._changed = asyncio.Event()
        self.patient = False

    @property
    def standby(self) -> bool:
        """Whether others have all the seats there are for us."""
        return self.seating is not None and not self.seating.held and not self.trouble

    async def run(self) -> None:
        """Look, renew and give on, until Discord won't have us back. Raises: what it said."""
        try:
            while self.failed is None:
                pause = await self._round()
                try:
                    async with asyncio.timeout(pause):
                        await self._look.wait()
                except TimeoutError:
                    pass
                self._look.clear()
            raise self.failed
        finally:
            await self._leave()

    async def settled(self) -> None:
        """Wait until every seat that is ours has a session and its servers have been named."""
        while not self._known():
            self._changed.clear()
            news = [c.session.complete for c in self.connections.values()]
            waits = [
                asyncio.create_task(event.wait())
                for event in (self._changed, *news)
                if not event.is_set()
            ]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()

    def _known(self) -> bool:
        return self.seating is not None and all(
            seat in self.connections and self.connections[seat].session.complete.is_set()
            for seat in self.seating.held
        )

    async def _round(self) -> float:
        """One look at the seats; returns the seconds until the next."""
        try:
            begun = self._clock()
            for seat in await self._seats.renew(self._scope, self._lease):
                if seat in self.connections:
                    self.connections[seat].extend(self._end_of(begun))
            begun = self._clock()
            seating = await self._seats.look(self._scope, self._wanted, self._lease)
        except StoreError as error:
            if not self.trouble:
                log.warning("discord.seats_not_renewed", reason=str(error))
            self.trouble = str(error)
            return LOOKING
        self.trouble = ""
        self._arrange(seating, begun)
        return LOOKING if len(seating.held) < seating.share else self._lease / 3

    def _end_of(self, begun: float) -> float:
        """When a connection has to be closed whose seat was renewed by a call begun then."""
        return begun + self._lease - MARGIN

    def _arrange(self, seating: Seating, begun: float) -> None:
        """Close what is not ours any more, open what has become ours, give on what is too much."""
        known = self.seating
        if known is None or (known.held, known.size) != (seating.held, seating.size):
            numbers = sorted(seat.number for seat in seating.held if seat.size == seating.size)
            log.info("discord.shards", ours=numbers, of=seating.size, processes=seating.living)
        self.seating = seating
        for seat, task in self._serving.items():
            if seat not in seating.held:
                task.cancel()
        ours = sorted(seating.held, key=lambda seat: (seat.size != seating.size, seat.number))
        for index, seat in enumerate(ours):
            if seat.size != seating.size or index >= seating.share:
                if seat not in self._leaving:
                    self._leaving[seat] = asyncio.create_task(self._give(seat))
            elif seat not in self._serving:
                connection = self.connections[seat] = self._open(seat, self._end_of(begun))
                self._serving[seat] = asyncio.create_task(self._serve(seat, connection))
        self._changed.set()

    async def _give(self, seat: Seat) -> None:
        """Close the connection and let go of its seat."""
        try:
            if serving := self._serving.get(seat):
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
            await self._seats.release(self._scope, seat)
        except StoreError as error:  # its lease ends by itself, and the next round gives it anew
            log.warning("discord.seat_not_released", reason=str(error))
        finally:
            del self._leaving[seat]
            self._look.set()

    async def _serve(self, seat: Seat, connection: Connection) -> None:
        """Be the shard until its seat is lost."""
        try:
            for pause in pauses():
                try:
                    await connection.run()
                except Closed as closed:
                    if closed.too_few:
                        await self._too_few()
                    else:
                        self._fail(closed)
                    return
                except Exception as error:  # noqa: BLE001 - before its first session: anything
                    if not self.patient:
                        self._fail(error)
                        return
                    told = isinstance(error, DeliveryError)
                    reason = str(error) if told else type(error).__name__
                    log.warning("discord.not_connected", reason=reason)
                    await asyncio.sleep(pause)
                else:
                    return
        finally:
            del self._serving[seat]
            del self.connections[seat]
            self._look.set()

    async def _too_few(self) -> None:
        """A shard holds more servers than Discord allows: ask how many there should be."""
        for pause in pauses():
            try:
                wanted = await self._starts.shards()
            except Closed as closed:
                self._fail(closed)
                return
            except DeliveryError as error:
                log.warning("discord.not_connected", reason=str(error), again_in=pause)
                await asyncio.sleep(pause)
            else:
                break
        if wanted > self._wanted:
            log.warning("discord.more_shards", before=self._wanted, now=wanted)
            self._wanted = wanted
        else:
            log.error("discord.shards_refused", asked=self._wanted, again_in=ASKING)
            await asyncio.sleep(ASKING)

    def _fail(self, error: Exception) -> None:
        self.failed = error
        self._look.set()

    async def _leave(self) -> None:
        """Close every connection, then let others have the seats."""
        tasks = [*self._leaving.values(), *self._serving.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self._seats.leave(self._scope)
        except StoreError as error:  # their leases end by themselves
            log.warning("discord.seat_not_released", reason=str(error))
