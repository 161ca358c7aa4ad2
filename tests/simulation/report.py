"""Plays many schedules on all cores and says what came of them.

`python -m tests.simulation.report COUNT [FIRST]` prints the report and exits 1 on a violation.
"""

import gc
import logging
import multiprocessing
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from tests.simulation.schedule import play
from tests.simulation.world import POINTS

_AT_A_TIME = 50
_TELLS = 1_000  # schedules
_OFTEN = 10
"""Crashes at a point from which on it counts as looked at."""


@dataclass
class Report:
    """What schedules came to, together. bad: seed and problems of those with violations."""

    schedules: int = 0
    prompts: int = 0
    missed: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    hits: Counter[str] = field(default_factory=Counter)
    points: Counter[str] = field(default_factory=Counter)
    regimes: Counter[str] = field(default_factory=Counter)
    bad: dict[int, list[str]] = field(default_factory=dict)

    def add(self, other: "Report") -> None:
        """Take another one in."""
        self.schedules += other.schedules
        self.prompts += other.prompts
        self.missed += other.missed
        self.seconds += other.seconds
        self.cpu += other.cpu
        self.hits += other.hits
        self.points += other.points
        self.regimes += other.regimes
        self.bad |= other.bad

    def violations(self) -> Iterable[str]:
        """One line each, with what replays it."""
        for seed, problems in sorted(self.bad.items()):
            for problem in problems:
                yield f"make simulate N=1 FIRST={seed}: {problem}"

    def lines(self) -> Iterable[str]:
        """For people."""
        yield from self.violations()
        hours = self.seconds / 3600
        yield f"{self.schedules} schedules, {self.prompts} prompts, {hours:,.0f} virtual hours"
        yield f"{len(self.bad)} with violations"
        yield f"{self.missed} prompts that nothing brought in (no reading back in their schedule)"
        yield f"{self.schedules / max(self.cpu, 1e-9):.0f} schedules a second of processor time"
        for title, counts in (
            ("kinds", self.regimes),
            ("faults", self.hits),
            (f"crash points, {sum(self.points.values())} crashes", self.points),
        ):
            yield f"{title}:"
            yield from (f"  {number:>8,} {what}" for what, number in sorted(counts.items()))
        rare = sorted(point for point in POINTS if self.points[point] < _OFTEN)
        yield f"points hit fewer than {_OFTEN} times: {', '.join(rare) or 'none'}"
        never = sorted(point for point in rare if not self.points[point])
        yield f"points never hit: {', '.join(never) or 'none'}"


def quietly() -> None:
    """No logs, and no collecting of garbage between few and small objects: both only cost."""
    logging.disable(logging.CRITICAL)
    gc.set_threshold(50_000, 50, 1_000)


def played(first: int, count: int) -> Report:
    """The schedules from `first` on, in this Python process."""
    report = Report()
    started = time.process_time()
    for seed in range(first, first + count):
        one = play(seed)
        report.schedules += 1
        report.prompts += one.prompts
        report.missed += one.missed
        report.seconds += one.seconds
        report.hits += one.hits
        report.points += one.points
        report.regimes[one.regime] += 1
        if one.problems:
            report.bad[seed] = one.problems
    report.cpu = time.process_time() - started
    return report


def pool() -> ProcessPoolExecutor:
    """One process a core; none outlives us, even if we are killed."""
    fresh = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(os.cpu_count(), mp_context=fresh, initializer=_begin)


def _begin() -> None:
    """Be a worker, for as long as there is who started it: it would wait for work for ever."""
    quietly()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def tell(part: Report, total: Report, count: int) -> None:
    """What is wrong, at once, and how far it is: a long run takes hours."""
    lines = list(part.violations())
    if total.schedules % _TELLS == 0:
        lines.append(f"{total.schedules} of {count} schedules, {len(total.bad)} with violations")
    for line in lines:
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def main() -> int:
    """The report. Returns the exit code."""
    count = int(sys.argv[1])
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    total = Report()
    starts = range(first, first + count, _AT_A_TIME)
    sizes = [min(_AT_A_TIME, first + count - start) for start in starts]
    if count <= _AT_A_TIME:
        quietly()
        total.add(played(first, count))
    else:
        with pool() as workers:
            for part in workers.map(played, starts, sizes):
                total.add(part)
                tell(part, total, count)
    print(*total.lines(), sep="\n")  # noqa: T201
    return 1 if total.bad else 0


if __name__ == "__main__":
    sys.exit(main())
