"""How many turns of one place are worked on beside those of others. Pure.

A channel takes about a message a second, whatever is asked in it: turns that wait for that would
hold every slot, and nobody else would be answered. So what is left free is shared: the more a place
has, the more must be free for it to get another, and some slots stay for whoever comes next.
"""

from collections import Counter
from collections.abc import Sequence

SPARE = 24
"""Slots that one place leaves to others; of few slots it is a quarter. Two leave half as many."""


class Shares:
    """The turns that are worked on, by their place; "" is none, which is never full."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._spare = min(SPARE, slots // 4)
        self._turns = Counter[str]()

    def begun(self, place: str) -> None:
        """One more."""
        self._turns[place] += 1

    def ended(self, place: str) -> None:
        """One less."""
        self._turns[place] -= 1
        if not self._turns[place]:
            del self._turns[place]

    @property
    def full(self) -> Sequence[str]:
        """The places of which no other turn is to be begun now."""
        if not self._spare:
            return ()
        enough = (self._slots - self._turns.total()) * (self._slots - self._spare) / self._spare
        return tuple(place for place, turns in self._turns.items() if place and turns >= enough)
