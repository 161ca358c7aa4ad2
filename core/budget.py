"""What delivery and the platforms ask of a rate budget: a port, as those of `core.ports`."""

from typing import Protocol

from core.types import NOTHING, Allowance, Kind, Left, Unseen


class Budget(Protocol):
    """Whether a call to a platform may be made now. None of it raises."""

    async def take(self, allowance: Allowance, kind: Kind, unseen: Unseen = NOTHING) -> float:
        """0.0: the call may be made at once, and is counted. Else seconds after which to ask again,
        though something more important may be asked before.

        Of the calls of one kind that wait in this process, the one whose text has the most
        character-seconds comes first.
        """

    def share(self, allowance: Allowance) -> float:
        """How many calls each answer could have within the length of a usual one if one more
        joined, as far as this process knows.
        """

    def soonest(self, allowance: Allowance, *, spare: bool = False) -> float:
        """Seconds after which a last text's call may be granted, as far as this process knows.

        spare: so that half of the burst is left.
        """

    def join(self, allowance: Allowance, *, final: bool = True) -> None:
        """An answer of this process is being written out of this allowance from now on.

        final: its last call is, too. Each join wants its `leave`, said alike.
        """

    def leave(self, allowance: Allowance, *, final: bool = True) -> None:
        """That answer needs no more."""

    def pace(self, allowance: Allowance, left: Left) -> None:
        """The platform says what is left: interim calls spread it evenly. Where that is none for
        long, no call is granted until then, as after a refusal, though nothing else is learned.
        """

    async def refused(self, allowance: Allowance, retry_after: float) -> None:
        """The platform said 429 to a granted call, and to wait `retry_after` seconds."""

    async def succeeded(self, allowance: Allowance) -> None:
        """A granted call went through."""
