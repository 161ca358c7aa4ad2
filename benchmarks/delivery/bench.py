"""Every policy in every cell, in parallel processes; the results are the same for any number."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from sys import stderr

import structlog

from benchmarks.delivery import ours, peers
from benchmarks.delivery.answers import Measure
from benchmarks.delivery.bound import bound
from benchmarks.delivery.cells import Cell, Played, Process, admits, play
from benchmarks.delivery.limiters import Shape
from benchmarks.delivery.sites import Place, Terms
from benchmarks.delivery.traces import NAMES

OURS = "Threadseek"
_MANY = 10
SEEDS = {1: 24, 3: 12, 10: 4, 30: 6, 100: 1}
"""How often a cell with so many answers is played, with the seeds 0, 1, ...: with fewer of them, a
single answer that waits decides on a bar."""
LEARNED = 10
"""Calls after the first refusal within which a budget that is smaller than believed is learned."""


@dataclass(frozen=True)
class Result:
    """One cell. policies: by name. bound: nobody's staleness is less; edits: nobody's who posts
    once and edits. late: our calls that were refused later than LEARNED after the first one was.
    admits: see `cells.admits`.
    """

    cell: Cell
    policies: Mapping[str, Measure]
    bound: float
    edits: float
    late: int
    admits: bool

    @property
    def ours(self) -> Measure:
        """What we came to."""
        return self.policies[OURS]

    @property
    def best(self) -> tuple[str, float]:
        """The other policy that left nothing unfinished with the least staleness; and that."""
        whole = [
            (name, measure.staleness)
            for name, measure in self.policies.items()
            if name != OURS and not measure.unfinished
        ]
        return min(whole, key=lambda pair: pair[1], default=("nobody else", float("inf")))


def cells() -> list[Cell]:
    """All of them. Slack doesn't say how it counts; Discord's headers describe fixed windows.

    Where answers share no budget, few numbers tell all. Of many answers the long ones are left
    out: they cost most and tell what the slow ones tell.
    """
    ks = {Place.SLACK: SEEDS, Place.THREADS: (1, 10, 100), Place.COMMANDS: (1, 10, 100)}
    return [
        Cell(place, name, k, Terms(shape, stingy))
        for place in Place
        for name in NAMES
        for k in ks.get(place, (3, 10))
        for shape in (Shape if place is Place.SLACK else (Shape.FIXED,))
        for stingy in (False, True)
        if k <= _MANY or name != "long"
    ]


def quick() -> list[Cell]:
    """A few cells of every place, in seconds."""
    documented = {place: Terms(Shape.FIXED) for place in Place} | {Place.SLACK: Terms()}
    found = [Cell(place, "steady", k, terms) for place, terms in documented.items() for k in (1, 3)]
    slack = [Cell(Place.SLACK, "bursty", 3, Terms(shape, stingy=True)) for shape in Shape]
    return [*found, *slack]


def result(cell: Cell, runs: int | None = None) -> Result:
    """Play one cell. runs: instead of what SEEDS says."""
    # Refusals are what is measured here; nobody reads about each of them.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    seeds = range(runs or SEEDS[cell.answers])
    others = peers.SLACK if cell.place is Place.SLACK else peers.DISCORD
    processes: dict[str, Process] = {OURS: ours.process, **others}
    played = {name: play(cell, process, seeds) for name, process in processes.items()}
    return Result(
        cell,
        {name: each.measure for name, each in played.items()},
        bound(cell, seeds),
        bound(cell, seeds, lanes=False),
        _late(played[OURS]),
        admits(cell, seeds),
    )


def results(wanted: Sequence[Cell], workers: int, runs: int | None = None) -> list[Result]:
    """Play cells, in their order. runs: see `result`."""
    if workers == 1:
        return [result(cell, runs) for cell in wanted]
    ordered = sorted(wanted, key=lambda cell: (cell.answers, cell.trace == "long"))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        found = dict[Cell, Result]()
        for each in pool.map(partial(result, runs=runs), ordered):
            found[each.cell] = each
            line = f"{len(found)}/{len(ordered)} {each.cell}: {each.ours.staleness:.3f} s"
            print(f"{line}, {each.best[0]} {each.best[1]:.3f} s", file=stderr, flush=True)
    return [found[cell] for cell in wanted]


def _late(played: Played) -> int:
    """See Result. Each budget is learned on its own, by each process anew."""
    return sum(_refused_late(calls) for log in played.logs for calls in log.values())


def _refused_late(calls: Sequence[bool]) -> int:
    if all(calls):
        return 0
    return _count(not passed for passed in calls[calls.index(False) + LEARNED + 1 :])


def _count(these: Iterable[bool]) -> int:
    return sum(these)
