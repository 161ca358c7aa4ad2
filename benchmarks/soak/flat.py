"""Whether a curve is flat, and whether what was in use came back. Pure.

The rule: the first third is warm-up. Through the rest goes the line whose slope is the median of
the slopes of all pairs of points (Theil and Sen), which single spikes don't move. The curve is flat
if this line rises by no more than a measure's allowance from one end of that time to the other.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from benchmarks.reporting import Figure
from benchmarks.soak.samples import Sample

WARM_UP = 1 / 3
"""Share of the run."""
_POINTS = 200  # of a curve, at most: more tell nothing new of its slope


@dataclass(frozen=True)
class Measure:
    """One curve. rise: the allowance, in its unit. share: of the median, where that is more.

    back: how much more there may be when all is over than before the load; None: not compared.
    """

    name: str
    unit: str
    rise: float
    share: float = 0.0
    back: float | None = None


MEASURES = {
    "memory": Measure("memory", "MiB", rise=2.0, share=0.03),
    "files": Measure("open files", "", rise=2.0, share=0.2, back=3.0),
    "tasks": Measure("tasks", "", rise=2.0, share=0.2, back=2.0),
    "lag": Measure("loop lag p99", "ms", rise=2.0),
}
"""By the field of `Sample`."""


def slope(points: Sequence[tuple[float, float]]) -> float:
    """The median of the slopes of all pairs; 0.0 for fewer than two points."""
    thinned = points[:: max(1, len(points) // _POINTS)]
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(thinned, 2) if x2 != x1]
    return statistics.median(slopes) if slopes else 0.0


def rises(samples: Sequence[Sample]) -> list[Figure]:
    """How much each curve rises after the warm-up, with its verdict."""
    if len(samples) < 2:
        return []
    first, last = samples[0].at, samples[-1].at
    begin = first + (last - first) * WARM_UP
    late = [each for each in samples if each.at >= begin]
    return [
        _rise(measure, [(each.at, getattr(each, field)) for each in late])
        for field, measure in MEASURES.items()
    ]


def returns(before: Sample, after: Sample) -> list[Figure]:
    """How much more there is when all is over than before the load."""
    found = []
    for field, measure in MEASURES.items():
        if measure.back is None:
            continue
        more = getattr(after, field) - getattr(before, field)
        bar = f"at most {measure.back:g}"
        name = f"{measure.name} that did not come back"
        found.append(Figure(name, more, measure.unit, bar, more <= measure.back))
    return found


def middles(samples: Sequence[Sample]) -> Mapping[str, float]:
    """The medians, by field."""
    return {
        field: statistics.median(getattr(each, field) for each in samples) for field in MEASURES
    }


def _rise(measure: Measure, points: Sequence[tuple[float, float]]) -> Figure:
    rise = slope(points) * (points[-1][0] - points[0][0])
    values = [value for _, value in points]
    allowed = max(measure.rise, measure.share * statistics.median(values))
    bar = f"at most {allowed:.2g}"
    spread = (min(values), max(values))
    name = f"rise of {measure.name} after warm-up"
    return Figure(name, rise, measure.unit, bar, rise <= allowed, spread)
