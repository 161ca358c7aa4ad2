"""How fresh one answer was for those who read it: measured while it is delivered. Pure.

Times are seconds of one monotonic clock. Characters are those of the model's text; a message that
shows a few more (a fence that is closed, a header that is repeated) doesn't count as fresher.
"""

from collections import Counter, deque
from dataclasses import dataclass

from core.delivery.deliveries import STREAMED, Delivery, How


@dataclass(frozen=True, slots=True)
class Figures:
    """What one answer came to.

    staleness: mean over characters of (visible - arrived), of those that became visible.
    first_paint: from the first character's arrival to the first visible text. final_lag: from the
    last one's to all of the text visible. None: that never happened.
    lane: "stream", "edit", or "post": at the end, in one call a message. None: nothing was shown.
    refused: calls refused as too early, by method. calls: those that went through or were refused.
    """

    staleness: float | None
    first_paint: float | None
    final_lag: float | None
    lane: str | None
    refused: dict[str, int]
    calls: int


class Freshness:
    """The measure of one answer."""

    def __init__(self) -> None:
        self._refused: Counter[How] = Counter()
        self._made: Counter[How] = Counter()
        self.restarted()

    def restarted(self) -> None:
        """The text that arrived was that of a failed attempt; nothing of it was shown."""
        self._coming: float | None = None  # since when there is text that is counted later
        self._began: float | None = None  # when the first character came
        self._ended = 0.0  # and the last one
        self._hidden: deque[tuple[int, float]] = deque()  # characters and their arrival
        self._arrived = self._seen = 0
        self._waited = 0.0  # character-seconds of those seen
        self._parts: dict[int, int] = {}  # characters that each message shows
        self._first: float | None = None  # when something was shown first
        self._last = 0.0  # and last

    def coming(self, now: float) -> None:
        """Text came now that is counted later."""
        self._coming = now if self._coming is None else self._coming

    def arrived(self, characters: int, now: float) -> None:
        """So many more came; when `coming` was said before, evenly from then until now."""
        if not characters:
            return
        since = now if self._coming is None else self._coming
        self._coming = None
        self._began = since if self._began is None else self._began
        self._ended = now
        self._hidden += ((characters // 2, since), (characters - characters // 2, now))
        self._arrived += characters

    def shown(self, delivery: Delivery, now: float) -> None:
        """The call went through."""
        self._made[delivery.how] += 1
        self._parts[delivery.index] = len(delivery.text)
        self._first = now if self._first is None else self._first
        self._last = now
        self._see(sum(self._parts.values()) - self._seen, now)

    def refused(self, delivery: Delivery) -> None:
        """The call came too early."""
        self._refused[delivery.how] += 1

    def figures(self, whole: bool) -> Figures:
        """What it came to. whole: all of the text is visible, since the last call."""
        lag = first = None
        if self._began is not None and self._first is not None:
            first = self._first - self._began
            if whole:
                self._see(self._arrived - self._seen, self._last)
                lag = max(0.0, self._last - self._ended)
        return Figures(
            staleness=self._waited / self._seen if self._seen else None,
            first_paint=first,
            final_lag=lag,
            lane=self._lane(),
            refused={how.name.lower(): times for how, times in self._refused.items()},
            calls=self._made.total() + self._refused.total(),
        )

    def _see(self, characters: int, now: float) -> None:
        """The oldest hidden characters are visible from now on."""
        while characters > 0 and self._hidden:
            waiting, since = self._hidden.popleft()
            seen = min(waiting, characters)
            if seen < waiting:
                self._hidden.appendleft((waiting - seen, since))
            self._waited += seen * (now - since)
            self._seen += seen
            characters -= seen

    def _lane(self) -> str | None:
        """By which calls it was shown."""
        if not self._made:
            return None
        if STREAMED.intersection(self._made):
            return "stream"
        return "edit" if self._made[How.EDIT] else "post"
