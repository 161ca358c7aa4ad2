"""What goes wrong in a schedule, and how often. Everything is drawn from the schedule's seed."""

import random
from dataclasses import dataclass, replace

SUBJECTS = ("slack", "discord", "api", "store")
"""What can be out altogether for a while."""
BAD_UNTIL = 120.0
"""Seconds of bad weather."""
_LONGEST = {"store": 40.0}
"""Seconds of an outage. A part whose post could not be noted for 48 seconds is posted all the same:
a crash just then may leave it behind, which is not promised."""


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad it is; shares of calls unless it says otherwise. crashes: the most that may come."""

    crashes: int = 3
    crash: float = 0.015
    asleep: float = 0.3  # of the lives: a crash while nothing is called
    refused: float = 0.06
    lost_before: float = 0.04
    lost_after: float = 0.05
    tail: float = 0.04  # takes 3 to 25 seconds
    late: float = 0.6  # of the calls that were cut off: has its effect all the same
    api: float = 0.12
    store: float = 0.03
    ambiguous: float = 0.01  # committed, but the answer was lost
    unacknowledged: float = 0.15
    twice: float = 0.1  # of the events: also comes as another event at the same time
    deleted: float = 0.04  # of the posts: a person deletes it
    untold: float = 0.1  # of Discord's posts: its gateway says nothing of them
    closed: float = 0.06  # of the platforms: a conversation, or all of it, ends for good
    locked: float = 0.04  # of the platforms: refuses the bot token for a while
    strict: float = 0.05  # of the platforms: takes smaller texts than it says
    outage: float = 0.25  # of the subjects of a schedule
    streamless: float = 0.2  # of the platforms that may have native streams: has none
    sealed: float = 0.1  # of the streams: the platform ends it early
    halted: float = 0.03  # of the streams: a person ends it
    unended: float = 0.02  # of the streams: the platform doesn't end it for us
    window: float = 0.05  # of the platforms that may have streams: has no message edited for long
    edited: float = 0.15  # of the prompts
    named: float = 0.1  # of these edits: only this makes the message a prompt
    erased: float = 0.12
    poison: float = 0.03  # of the schedules: a prompt that kills who works on it
    burst: float = 0.03  # of the schedules: more prompts at once than may wait


CALM = Weather(*[0] * len(Weather.__slots__))
_CUT = {"lost_before": 0.1, "lost_after": 0.1, "late": 0.9}
_WILD = {"crash": 0.04, "api": 0.25, "asleep": 0.6, "burst": 0.25}
STORM = replace(Weather(), crashes=6, streamless=0.6, **_CUT, **_WILD)
"""For protocols that are broken on purpose."""
STREAMING = replace(STORM, crashes=1, streamless=0.05, sealed=0.6, lost_after=0.25)
"""For those that are broken where streams are; a crash hides much, since its text is edited."""
DOUBTING = replace(STORM, crashes=1, streamless=0.5, lost_after=0.2, unended=0.3, window=0.6)
"""For those that are broken where messages can't be touched any more."""
LOSING = replace(STREAMING, crashes=6, sealed=0.3, lost_before=0.3)
"""And where streams get lost."""
LINGERING = replace(STORM, crash=0.0, asleep=1.0, lost_before=0.3, late=1.0)
"""And where calls of a dead process land: it dies between calls, and all of them do."""


@dataclass(frozen=True, slots=True)
class Regime:
    """What kind of schedule it is.

    sites: the platforms that take part. replicas: 2 for two processes on one database, of which
    one may be stopped for longer than its lease. reads_back: what was missed is read from the
    platform. steps: the wall clock is stepped by an hour.
    """

    sites: tuple[str, ...]
    replicas: int
    reads_back: bool
    steps: bool
    outages: tuple[tuple[str, float, float], ...]

    @classmethod
    def drawn(cls, rng: random.Random, weather: Weather) -> "Regime":
        """The regime of a seed."""
        sites = rng.choice((("slack",), ("slack",), ("discord",), ("slack", "discord")))
        replicas = 2 if rng.random() < 0.2 else 1
        outages = []
        for subject in SUBJECTS:
            if rng.random() < weather.outage:
                begin = rng.uniform(0.0, BAD_UNTIL)
                lasts = rng.uniform(2, _LONGEST.get(subject, 90))
                outages.append((subject, begin, min(begin + lasts, BAD_UNTIL)))
        return cls(
            sites,
            replicas,
            reads_back=rng.random() < 0.85,
            steps=replicas == 1 and rng.random() < 0.2,
            outages=tuple(outages),
        )
