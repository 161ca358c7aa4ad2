"""`python -m benchmarks.delivery.proofs`: what docs/delivery.md says can't be better, computed."""

import math
from collections.abc import Sequence

import structlog

from benchmarks.delivery import ours
from benchmarks.delivery.answers import measure
from benchmarks.delivery.bench import SEEDS
from benchmarks.delivery.bound import Waits
from benchmarks.delivery.cells import Cell, answers, play, together
from benchmarks.delivery.limiters import Shape
from benchmarks.delivery.sites import LATENCY, SPREAD, Method, Place, Site, Terms

MEAN = LATENCY * math.exp(SPREAD**2 / 2)
"""Seconds that a call takes on average: nobody knows beforehand how long one will."""


def one_stream(name: str, seeds: Sequence[int]) -> float:
    """No staleness of an answer alone is less, if one native stream writes it that Slack doesn't
    refuse as a bucket either: its start and end, and as many appends as a bucket has meanwhile, at
    the best instants for who knows the future. In seconds, mean over the seeds.
    """
    waited = written = 0.0
    for seed in seeds:
        (answer,) = answers(Cell(Place.SLACK, name, 1, Terms()), seed)
        appends = Site(Place.SLACK, Terms(), 0).budget(Method.APPEND)
        calls = 2 + appends.most(answer.end - answer.start)
        waited += Waits(answer.trace, answer.size).of(calls)
        written += answer.trace.whole
    return MEAN + waited / written


def alone(cell: Cell, seeds: Sequence[int]) -> float:
    """Our staleness of the answers of a cell, had each of them the platform for itself."""
    found = []
    for seed in seeds:
        for answer in answers(cell, seed):
            together([answer], Site(cell.place, cell.terms, seed), ours.process())
            found.append(answer)
    return measure(found).staleness


def main() -> None:
    """Print them."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    least = one_stream("steady", range(SEEDS[1]))
    print(f"Slack, steady, K=1, one stream that no shape refuses: at least {least:.3f} s")
    cell, seeds = Cell(Place.THREADS, "bursty", 10, Terms(Shape.FIXED)), range(SEEDS[10])
    together_s = play(cell, ours.process, seeds).measure.staleness
    print(f"{cell}: {together_s:.3f} s, each of them alone {alone(cell, seeds):.3f} s")


if __name__ == "__main__":
    main()
