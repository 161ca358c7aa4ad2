"""`python -m benchmarks.delivery.proofs`: what docs/delivery.md says can't be better, computed."""

import math
from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import patch

import structlog

from benchmarks.delivery import ours
from benchmarks.delivery.answers import Answer, Measure, measure
from benchmarks.delivery.bench import SEEDS, Result, result
from benchmarks.delivery.bound import Waits
from benchmarks.delivery.cells import Cell, answers, play, together
from benchmarks.delivery.limiters import Shape
from benchmarks.delivery.sites import LATENCY, SPREAD, Method, Place, Site, Terms
from benchmarks.delivery.traces import GAP, Trace
from core.delivery import pacing
from core.delivery.pacing import Pacer
from core.delivery.sharing import OwnBudget

MEAN = LATENCY * math.exp(SPREAD**2 / 2)
"""Seconds that a call takes on average: nobody knows beforehand how long one will."""
ONE_MESSAGE = 400
"""Tokens that fit into one message on Discord."""
THRIFT, RUNS = 1.3, 6
"""Seconds for which each of several answers keeps each of its states in `thrifty`; how many runs
tell what it comes to."""


class Gathered(Site):
    """Where all messages of a command's answer have the interaction's budget, as follow-ups in the
    channel do.
    """

    def keys(self, answer: Answer, method: Method, *, first: bool = True) -> Sequence[str]:
        """As if each were the first one."""
        return super().keys(answer, method)


def one_stream(name: str, seeds: Sequence[int]) -> float:
    """No staleness of an answer alone is less, if one native stream writes it that Slack doesn't
    refuse as a bucket either: its start and end, and as many appends as a bucket has meanwhile, at
    the best instants for who knows the future. In seconds, mean over the seeds.
    """
    waited = written = 0.0
    for seed in seeds:
        (answer,) = answers(Cell(Place.SLACK, name, 1, Terms()), seed)
        waited += Waits(answer.trace, answer.size).of(_calls([answer]))
        written += answer.trace.whole
    return MEAN + waited / written


def unforeseen(seeds: Sequence[int], calls: int | None = None) -> float:
    """The same for who knows every text and how many there are, but no time before it has come: no
    expected staleness of a steady answer is less. In seconds. calls: so many, the end one of them.

    The gaps between tokens are independent of each other and of the texts. Who decides when a token
    comes pays the mean of the next gap for each letter that waits, whatever came before: as if all
    gaps were even, for which the best instants are known. To decide within a gap doesn't help:
    of these gaps (gamma, shape 4) never more than the mean is left, however long they have lasted.
    """
    alone, waited = _steady(seeds), 0.0
    calls = _calls(alone) if calls is None else calls
    for answer in alone:
        even = tuple(GAP * number for number in range(answer.size))
        waited += Waits(Trace(even, answer.trace.texts), answer.size).of(calls)
    return MEAN + waited / sum(answer.trace.whole for answer in alone)


def needed(staleness: float, seeds: Sequence[int]) -> tuple[int, int]:
    """How many calls are needed for that, by who knows as much as `unforeseen`; and how many a
    stream has that no shape refuses.
    """
    most = _calls(_steady(seeds))
    enough = (calls for calls in range(1, 10 * most) if unforeseen(seeds, calls) <= staleness)
    return next(enough), most


def _steady(seeds: Sequence[int]) -> list[Answer]:
    return [answers(Cell(Place.SLACK, "steady", 1, Terms()), seed)[0] for seed in seeds]


def _calls(alone: Sequence[Answer]) -> int:
    """Of one stream: its start, its end, and the appends of a bucket while the longest lasts."""
    appends = Site(Place.SLACK, Terms(), 0).budget(Method.APPEND)
    return 2 + appends.most(max(answer.end - answer.start for answer in alone))


def beginning(cell: Cell, seeds: Sequence[int], tokens: int) -> float:
    """Our staleness of the first tokens of an answer alone, if it ended there."""
    found = []
    for seed in seeds:
        (answer,) = answers(cell, seed)
        cut = Trace(answer.trace.times[:tokens], answer.trace.texts[:tokens])
        found.append(replace(answer, trace=cut))
        together(found[-1:], Site(cell.place, cell.terms, seed), ours.process())
    return measure(found).staleness


def gathered(cell: Cell, seeds: Sequence[int]) -> float:
    """Our staleness in a cell of commands, did the rest of an answer stand in the channel."""
    found = []
    for seed in seeds:
        streams = answers(cell, seed)
        together(streams, Gathered(cell.place, cell.terms, seed), ours.process())
        found.extend(streams)
    return measure(found).staleness


def thrifty(cell: Cell, seeds: Sequence[int], seconds: float, several: int) -> float:
    """Our staleness in a cell, were all calls of so many answers or more spread as those of ten
    are: to each one in so many seconds at most.
    """
    usual = Pacer.gap

    def gap(pacer: Pacer, now: float, active: int = 1, finals: int = 1) -> float:
        least = seconds / active if active >= several else 0.0
        return max(least, usual(pacer, now, active, finals))

    with patch.object(Pacer, "gap", gap):
        return play(cell, ours.process, seeds).measure.staleness


def changed(cell: Cell, name: str, value: float) -> Measure:
    """What we come to in a cell with another figure in `core.delivery.pacing`."""
    with patch.object(pacing, name, value):
        return _played(cell)


def kept_for_ends(cell: Cell) -> Measure:
    """What we come to in a cell if appends are kept for last texts, as edits are."""
    join, leave = OwnBudget.join, OwnBudget.leave
    with (
        patch.object(OwnBudget, "join", lambda self, of, *, final=True: join(self, of)),
        patch.object(OwnBudget, "leave", lambda self, of, *, final=True: leave(self, of)),
    ):
        return _played(cell)


def _played(cell: Cell) -> Measure:
    return play(cell, ours.process, range(SEEDS[cell.answers])).measure


def _told(cell: Cell, what: str, then: Measure) -> str:
    usual = _played(cell)
    before = f"{usual.staleness:.3f} s, lag {usual.lag:.2f} s"
    return f"{cell}: {before}; {what}: {then.staleness:.3f} s, lag {then.lag:.2f} s"


def _best(of: Result) -> str:
    name, staleness = of.best
    return f"({name}) {staleness:.3f} s"


def main() -> None:
    """Print them."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    _print_slack()
    _print_discord()
    _print_ends()


def _print_slack() -> None:
    least = one_stream("steady", range(SEEDS[1]))
    blind = unforeseen(range(SEEDS[1]))
    print(f"Slack, steady, K=1, one stream that no shape refuses: at least {least:.3f} s,")
    print(f"  and for who doesn't know when the next token comes: at least {blind:.3f} s")
    for shape in (Shape.BUCKET, Shape.FIXED):
        usual = result(Cell(Place.SLACK, "steady", 1, Terms(shape)))
        print(f"  {shape}: ours {usual.ours.staleness:.3f} s, the best other {_best(usual)}")
        calls, most = needed(1.02 * usual.best[1], range(SEEDS[1]))
        print(f"    within 2 % of that takes {calls} of the {most} calls of a bucket")
    for terms, count in (
        (Terms(Shape.FIXED), 10),
        (Terms(Shape.FIXED), 3),
        (Terms(Shape.BUCKET, stingy=True), 10),
    ):
        cell, seeds = Cell(Place.SLACK, "steady", count, terms), range(RUNS)
        usual_s = play(cell, ours.process, seeds).measure.staleness
        second_s, third_s = (thrifty(cell, seeds, THRIFT, several) for several in (2, 3))
        print(f"{cell}: {usual_s:.3f} s; had each a call in {THRIFT} s at most:")
        print(f"  {second_s:.3f} s from the second answer on, {third_s:.3f} s from the third on")


def _print_discord() -> None:
    cell, seeds = Cell(Place.COMMANDS, "steady", 1, Terms(Shape.FIXED)), range(SEEDS[1])
    for tokens in (ONE_MESSAGE, answers(cell, 0)[0].size):
        print(f"{cell}, {tokens} tokens: {beginning(cell, seeds, tokens):.3f} s")
    print(f"  did all of it stand in the channel: {gathered(cell, seeds):.3f} s")
    for count in (1, 10):
        cell = Cell(Place.COMMANDS, "long", count, Terms(Shape.FIXED, stingy=True))
        usual = result(cell)
        channel_s = gathered(cell, range(SEEDS[count]))
        print(f"{cell}: {usual.ours.staleness:.3f} s, the best other {_best(usual)},")
        print(f"  ours, did all of it stand in the channel: {channel_s:.3f} s")


def _print_ends() -> None:
    for name in ("steady", "bursty", "slow"):
        for stingy in (False, True):
            cell = Cell(Place.SHARED, name, 3, Terms(Shape.FIXED, stingy))
            print(_told(cell, "with SPARE = 1.5", changed(cell, "SPARE", 1.5)))
    for name, count in (("long", 10), ("steady", 1), ("steady", 3)):
        cell = Cell(Place.SLACK, name, count, Terms(stingy=True))
        print(_told(cell, "appends kept for ends", kept_for_ends(cell)))
    cell = Cell(Place.SLACK, "steady", 3, Terms(stingy=True))
    print(_told(cell, "with SPREAD = 16", changed(cell, "SPREAD", 16.0)))


if __name__ == "__main__":
    main()
