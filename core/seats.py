"""Of several processes, which does what only one may do: a port that the store satisfies. Pure."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Seat:
    """One of `size` seats, as it was taken. fence: grows whenever it is taken."""

    number: int
    size: int
    fence: int


@dataclass(frozen=True, slots=True)
class Seating:
    """How the seats of a scope are shared now.

    share: how many each of the `living` processes should hold at most. held: ours, of every size.
    """

    size: int
    share: int
    living: int
    held: frozenset[Seat]


class Seats(Protocol):
    """Who of several processes does what only one may do. One object is one process.

    Every method is one transaction and raises StoreBusy and StoreUnusable. Times are seconds.
    scope: what is shared out, without a "/". A seat is ours until its lease ends, counted from
    before the call that took or renewed it.
    """

    async def renew(self, scope: str, lease: float) -> frozenset[Seat]:
        """Hold on to what is held; returns it."""

    async def look(self, scope: str, wanted: int, lease: float) -> Seating:
        """Take part: take free seats up to our share. wanted: how many seats there should be; the
        largest wish counts.
        """

    async def release(self, scope: str, seat: Seat) -> None:
        """Let go of a seat."""

    async def leave(self, scope: str) -> None:
        """Let go of every seat, and take part no more."""

    async def reserve(self, scope: str, name: str, who: str, seconds: float) -> bool:
        """Keep a name to ourselves for so long from now; False: it is another's.

        who: which of us. The same one again sets a new time; 0 gives the name back.
        """
