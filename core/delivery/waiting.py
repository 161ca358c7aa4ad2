"""The text of a growing answer that nobody sees yet: how much it is, and how long it has waited.

Pure. Times are seconds of one monotonic clock.
"""

from core.errors import Undeliverable
from core.types import NOTHING, Unseen

QUIET, PATIENCE = 0.025, 0.15
"""Seconds: new text is shown once nothing came for QUIET, or it has waited for PATIENCE."""

DRAWN = 0.5
"""Seconds for which drawn text is new enough to ask for leave with. What is sent is drawn anew."""
EARLY_DRAWN = 0.15
"""The same, where it says how long first words wait."""


class Deadline:
    """When a finished reply that can't be shown is given up. patience: seconds from its end on."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._at: float | None = None

    def check(self, *, finished: bool, now: float) -> None:
        """Raises: Undeliverable, when it is over."""
        if not finished:
            return
        if self._at is None:
            self._at = now + self._patience
        elif now >= self._at:
            raise Undeliverable(
                f"the platform couldn't be reached for {self._patience / 60:g} minutes; "
                "the answer is stored, but not shown completely"
            )

    def within(self, seconds: float | None, now: float) -> float | None:
        """So many seconds (None: for ever), but not beyond it."""
        if seconds is None or self._at is None:
            return seconds
        return min(seconds, max(0.0, self._at - now))


class Waiting:
    """Text that waits to be shown. It may come without a time; the next question gives it one."""

    def __init__(self) -> None:
        self._fresh = 0  # characters that came and have no time yet
        self._came: float | None = None  # since when there is text that is counted later
        self._since: tuple[float, float] | None = None  # when text first and last came
        self._unseen = NOTHING
        self._at = 0.0  # of `_unseen`

    def came(self, characters: int) -> None:
        """More of it."""
        self._fresh += characters

    def heard(self, now: float) -> None:
        """What came and has no time yet came now."""
        if self._fresh:
            waited = 0.0
            if self._came is None or self._since is None:
                self._since = (self._since[0] if self._since else now, now)
            else:  # evenly since then
                waited = self._fresh * (now - self._came) / 2
            self._came = None
            characters = self._unseen.characters + self._fresh
            self._unseen = Unseen(characters, self.unseen(now).area + waited)
            self._at, self._fresh = now, 0

    def coming(self, now: float) -> None:
        """Text came now that is counted later."""
        self._came = now if self._came is None else self._came
        self._since = (self._since[0] if self._since else now, now)

    def unseen(self, now: float) -> Unseen:
        """What waits."""
        characters, area = self._unseen.characters, self._unseen.area
        return Unseen(characters, area + characters * (now - self._at))

    def debounce(self, now: float) -> float:
        """Seconds for which new text waits for more."""
        if self._since is None:
            return 0.0
        first, last = self._since
        return min(last + QUIET, first + PATIENCE) - now

    def silence(self, now: float) -> float:
        """Seconds since the latest of it came; infinite when there is none."""
        return now - self._since[1] if self._since else float("inf")

    def clear(self) -> None:
        """It is on its way, or there is nothing to see in it."""
        self._since, self._came, self._unseen = None, None, NOTHING
