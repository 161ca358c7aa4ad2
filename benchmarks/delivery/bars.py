"""The bars that our delivery is judged by, each with a verdict that hides no miss. Pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.delivery.bench import Result
from benchmarks.delivery.cells import Cell
from benchmarks.delivery.limiters import Shape
from benchmarks.delivery.sites import Place, Terms
from benchmarks.reporting import Figure

NEAR = 1.02
"""How much more than the first is as good as the first: 2 %."""
RATIOS = {"steady": 1.25, "bursty": 1.6, "slow": 1.45}
"""Alone on Slack: the most that our staleness may be, of the bound for a post and its edits."""
LAG = 0.3
"""Seconds: the longest final lag, where the budget admits the final calls."""


@dataclass(frozen=True)
class Verdict:
    """misses: what isn't as it should be, a line for each cell. judged: how many cells were."""

    bar: str
    judged: int
    misses: Sequence[str]

    @property
    def kept(self) -> bool:
        """Nothing is missed, and something was judged."""
        return not self.misses and self.judged > 0


def figure(verdict: Verdict) -> Figure:
    """The same as `make bench` tells it: how many cells missed the bar, of those judged."""
    kept = verdict.kept if verdict.judged else None
    unit = f"of {verdict.judged} cells missed"
    return Figure(verdict.bar, len(verdict.misses), unit, "none", kept)


Miss = Callable[[Result], str | None]


def verdicts(results: Sequence[Result]) -> list[Verdict]:
    """All bars, for the cells that were played."""
    documented = [each for each in results if not each.cell.terms.stingy]
    stingy = [each for each in results if each.cell.terms.stingy]
    told = "the first refusal" if stingy else "a refusal"
    return [
        _verdict("first of all, or within 2 %", results, _not_first),
        *[_ratio(results, trace, most) for trace, most in RATIOS.items()],
        _most(results, Place.COMMANDS, 1, 0.36),
        _most(results, Place.THREADS, 1, 0.64),
        _most(results, Place.SLACK, 10, 0.95),
        _most(results, Place.SLACK, 100, 5.0),
        _threads(results),
        _verdict("nothing unfinished, lost or doubled", results, _unfinished),
        _verdict(
            f"final lag <= {LAG} s where the budget admits the final calls",
            [each for each in results if each.admits],
            lambda each: f"{each.ours.lag:.2f} s" if each.ours.lag > LAG else None,
        ),
        _verdict("no 429 where the budget is the documented one", documented, _refused),
        _verdict(
            f"a stingier budget is learned within ten calls of {told}",
            stingy,
            lambda each: f"{each.late} refused later" if each.late else None,
        ),
    ]


def _verdict(bar: str, judged: Sequence[Result], miss: Miss) -> Verdict:
    found = ((each, miss(each)) for each in judged)
    return Verdict(bar, len(judged), [f"{each.cell}: {why}" for each, why in found if why])


def _not_first(each: Result) -> str | None:
    name, best = each.best
    ours = each.ours.staleness
    missed = ours > best * NEAR
    return f"{ours:.3f} s, {name} {best:.3f} s" if missed else None


def _unfinished(each: Result) -> str | None:
    return f"{each.ours.unfinished:.0%}" if each.ours.unfinished else None


def _refused(each: Result) -> str | None:
    return f"{each.ours.refused:.2f} an answer" if each.ours.refused else None


def _ratio(results: Iterable[Result], trace: str, most: float) -> Verdict:
    def miss(each: Result) -> str | None:
        ratio = each.ours.staleness / each.edits
        return f"{ratio:.2f} ({each.ours.staleness:.3f} s)" if ratio > most else None

    usual = Cell(Place.SLACK, trace, 1, Terms())
    judged = [each for each in results if each.cell == usual]
    return _verdict(f"Slack, {trace}, K=1: S <= {most} times the bound for edits", judged, miss)


def _most(results: Iterable[Result], place: Place, k: int, most: float) -> Verdict:
    shape = Shape.BUCKET if place is Place.SLACK else Shape.FIXED
    judged = [each for each in results if each.cell == Cell(place, "steady", k, Terms(shape))]
    return _verdict(
        f"{place}, steady, K={k}: S <= {most} s",
        judged,
        lambda each: f"{each.ours.staleness:.3f} s" if each.ours.staleness > most else None,
    )


def _threads(results: Iterable[Result]) -> Verdict:
    alone = {each.cell: each.ours.staleness for each in results}

    def miss(each: Result) -> str | None:
        one = alone[Cell(Place.THREADS, each.cell.trace, 1, each.cell.terms)]
        worse = each.ours.staleness > one * NEAR
        return f"{each.ours.staleness:.3f} s, alone {one:.3f} s" if worse else None

    judged = [
        each
        for each in results
        if each.cell.place is Place.THREADS
        and each.cell.answers == 10
        and not each.cell.terms.stingy
    ]
    return _verdict("Discord, ten threads at once no worse than one", judged, miss)
