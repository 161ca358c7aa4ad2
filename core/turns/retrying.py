"""Whether a failed attempt is made again, and with what changed. Pure table.

Nothing is tried again once a word is visible, and at most three attempts are made for a prompt,
counted across restarts, as long as it reads the same: each one is billed.
"""

from dataclasses import dataclass
from enum import StrEnum

from core.errors import CompletionError, Failure

MOST_ATTEMPTS = 3
"""Attempts for a prompt, and claims of it that may break off, before it is given up. Also how often
showing a committed answer may fail by a mistake of ours."""
MOST_SHOWINGS = 10
"""Claims that may break off while a committed answer is shown, before a notice takes its place:
more, since the answer is there, and nothing says that its text is what the processes died of."""
LONGEST_RETRY_AFTER = 30.0
"""Seconds: a longer wait is told to the person instead of sat out."""

_FIRST_DELAY, _LONGEST_DELAY = 0.5, 8.0
_JITTER = 0.5  # seconds on top of Retry-After, so that not everybody comes back at once


class Change(StrEnum):
    """What is different in the next attempt. Each but NONE is made at most once a turn."""

    NONE = "none"
    TRIM = "trim"  # leave out more of the beginning
    CAP = "cap"  # ask for fewer tokens, in every turn
    FIT = "fit"  # ask for what the messages leave of the context, in this turn
    RESHAPE = "reshape"  # send the history in the plainest shape
    SAME = "same"  # the same again, but only once


_CHANGES: dict[Failure, Change] = {
    Failure.TRANSPORT: Change.NONE,
    Failure.STALLED: Change.NONE,
    Failure.TRUNCATED: Change.NONE,
    Failure.BUSY: Change.NONE,
    Failure.SERVER: Change.NONE,
    Failure.EMPTY: Change.SAME,
    Failure.TOO_LONG: Change.TRIM,
    Failure.TOO_BIG: Change.TRIM,
    Failure.MAX_TOKENS: Change.CAP,
    Failure.NO_ROOM: Change.FIT,
    Failure.SHAPE: Change.RESHAPE,
}
"""Failures that are not named here end the turn at once."""


@dataclass(frozen=True, slots=True)
class Again:
    """Try again after `delay` seconds with this change."""

    delay: float
    change: Change


def decide(
    error: CompletionError, *, attempt: int, visible: bool, made: frozenset[Change], chance: float
) -> Again | None:
    """What to do after attempt number `attempt` (from 1) failed; None: tell the person.

    visible: a word of this attempt was handed out for delivery. made: the changes that this turn
    has had. chance: uniform in [0, 1), for the jitter.
    """
    change = _CHANGES.get(error.failure)
    if visible or attempt >= MOST_ATTEMPTS or change is None or change in made:
        return None
    if change in (Change.TRIM, Change.CAP, Change.FIT, Change.RESHAPE):
        return Again(0.0, change)
    if error.retry_after is not None:
        if error.retry_after > LONGEST_RETRY_AFTER:
            return None
        return Again(error.retry_after + _JITTER * chance, change)
    ceiling = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0**attempt)
    return Again(ceiling * chance, change)
