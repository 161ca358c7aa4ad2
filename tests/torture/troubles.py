"""When the service was killed, and when it or its database stood still. Times: monotonic seconds.

The books need this for the two things that are not promised: a command that nobody lived to store,
and the order of prompts around a moment in which a decision was made and could not be acted on.
"""

from dataclasses import dataclass, field

_BEFORE = 0.2  # seconds by which what we note may be late


@dataclass
class Troubles:
    """deaths: kills. stops: SIGTERMs. pauses: (begin, end) of each time a process or the database
    stood still.
    """

    deaths: list[float] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    pauses: list[tuple[float, float]] = field(default_factory=list)

    def died(self, since: float, within: float) -> bool:
        """Whether anything was killed in that time; what stood still meanwhile gets it anew."""
        until = since + within
        for begin, end in sorted(self.pauses):
            if begin < until and end > since:
                until = max(until, end + within)
        return any(since - _BEFORE <= death <= until for death in self.deaths)

    def breaks(self, since: float) -> int:
        """How often work may have broken off since then."""
        ends = [end for _, end in self.pauses]
        return sum(moment >= since - _BEFORE for moment in (*self.deaths, *ends))

    def stood_still(self, since: float, within: float) -> bool:
        """Whether anything stood still in that time."""
        return any(begin < since + within and end > since for begin, end in self.pauses)

    def interrupted(self, since: float, until: float) -> bool:
        """Whether what was begun then may have been cut off by the later time."""
        ends = any(since - _BEFORE <= end <= until for end in (*self.deaths, *self.stops))
        return ends or self.stood_still(since, until - since)

    def decided(self, at: float, within: float) -> float:
        """When that was decided which was done at this moment, if something stood still between."""
        begins = [begin for begin, end in self.pauses if begin <= at <= end + within]
        return min([at, *begins])
