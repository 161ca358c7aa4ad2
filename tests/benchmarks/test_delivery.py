"""The delivery laboratory: its bound is one, its limiters are true, and ours loses nothing."""

import random
from bisect import bisect_left
from collections.abc import Callable
from itertools import combinations

import pytest

from benchmarks.delivery import peers
from benchmarks.delivery.answers import Answer, measure
from benchmarks.delivery.bars import verdicts
from benchmarks.delivery.bench import Result, result
from benchmarks.delivery.bound import Waits
from benchmarks.delivery.cells import Cell, admits, answers, together
from benchmarks.delivery.limiters import Limiter, Shape, limiter
from benchmarks.delivery.proofs import (
    changed,
    gathered,
    kept_for_ends,
    one_stream,
    thrifty,
    unforeseen,
)
from benchmarks.delivery.sites import Method, Place, Site, Terms
from benchmarks.delivery.traces import NAMES, Trace, trace

CELLS = [
    Cell(Place.SLACK, "steady", 3, Terms()),
    Cell(Place.SLACK, "bursty", 1, Terms(Shape.SLIDING)),
    Cell(Place.SLACK, "steady", 10, Terms(stingy=True)),
    Cell(Place.THREADS, "slow", 1, Terms(Shape.FIXED)),
    Cell(Place.SHARED, "steady", 3, Terms(Shape.FIXED)),
    Cell(Place.COMMANDS, "bursty", 3, Terms(Shape.FIXED, stingy=True)),
]


def played(cell: Cell) -> Result:
    return result(cell, runs=1)


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_nobody_beats_the_bound_and_ours_is_whole(cell: Cell) -> None:
    found = result(cell, runs=1)
    assert found.bound <= found.edits + 1e-9
    for name, policy in found.policies.items():
        assert found.bound <= policy.staleness, name
    assert found.ours.unfinished == 0
    if not cell.terms.stingy:
        assert found.ours.refused == 0
    assert not next(each for each in verdicts([found]) if "unfinished" in each.bar).misses


def test_no_stream_alone_beats_what_one_can_come_to() -> None:
    least = one_stream("steady", range(1))
    for shape in Shape:
        cell = Cell(Place.SLACK, "steady", 1, Terms(shape))
        assert played(cell).bound <= least <= played(cell).ours.staleness


def test_who_foresees_nothing_waits_longer_than_who_knows_all() -> None:
    assert one_stream("steady", range(3)) < unforeseen(range(3))
    usual = result(Cell(Place.SLACK, "steady", 1, Terms()), runs=3)
    assert unforeseen(range(3)) < usual.ours.staleness


def test_last_calls_are_admitted_where_there_is_one_for_each_at_its_end() -> None:
    for trace_ in NAMES:
        assert admits(Cell(Place.THREADS, trace_, 10, Terms(Shape.FIXED)), range(2))
        assert admits(Cell(Place.SHARED, trace_, 3, Terms(Shape.FIXED, stingy=True)), range(3))
    assert admits(Cell(Place.SLACK, "steady", 30, Terms(Shape.SLIDING)), range(1))
    assert not admits(Cell(Place.SLACK, "steady", 30, Terms()), range(1))
    assert not admits(Cell(Place.SHARED, "steady", 10, Terms(Shape.FIXED)), range(2))


def test_what_the_thread_costs_is_told_by_having_all_of_a_command_in_the_channel() -> None:
    cell, seeds = Cell(Place.COMMANDS, "steady", 1, Terms(Shape.FIXED)), range(3)
    usual = result(cell, runs=3).ours.staleness
    assert played(cell).bound < gathered(cell, seeds) < usual


def test_thrift_costs_several_what_it_says_and_one_alone_nothing() -> None:
    for count, spread in ((1, False), (3, True)):
        cell = Cell(Place.SLACK, "steady", count, Terms())
        usual, thrift = played(cell).ours.staleness, thrifty(cell, range(1), 1.3, 2)
        assert (thrift > usual) is spread
        assert (thrift == usual) is not spread


def test_what_is_tried_differs_and_leaves_nothing_behind() -> None:
    cell, stingy = (Cell(Place.SLACK, "steady", 1, Terms(stingy=each)) for each in (False, True))
    usual, pressed = result(cell).ours, result(stingy).ours
    assert changed(cell, "SPREAD", 60.0).staleness > usual.staleness
    assert kept_for_ends(stingy).staleness > pressed.staleness
    assert (result(cell).ours, result(stingy).ours) == (usual, pressed)


def test_the_same_cell_gives_the_same_result() -> None:
    def play() -> Result:
        return result(CELLS[0], runs=1)

    assert play() == play()


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_is_in_order_and_has_its_size(name: str) -> None:
    found = trace(name, 1)
    assert list(found.times) == sorted(found.times)
    assert found.times[0] == 0.0
    assert found.size == (2000 if name == "long" else 500)
    assert found == trace(name, 1) != trace(name, 2)


def test_the_bound_is_the_best_of_all_ways_to_choose_the_instants() -> None:
    rng = random.Random(7)
    times = sorted(rng.uniform(0, 3) for _ in range(9))
    texts = ["a" * rng.randint(1, 6) for _ in times]
    waits = Waits(Trace(tuple(times), tuple(texts)), instants=500)
    for calls in range(1, 10):
        best = min(
            sum(
                len(text) * (next(at for at in (*chosen, times[-1]) if at >= time) - time)
                for time, text in zip(times, texts, strict=True)
            )
            for chosen in combinations(times[:-1], calls - 1)
        )
        assert waits.of(calls) == pytest.approx(best)


@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("shape", list(Shape))
def test_a_limiter_admits_what_it_says(shape: Shape, share: float) -> None:
    def fresh() -> Limiter:
        return limiter(shape, 5, 5.0, 5, share)

    greedy, passed, now = fresh(), 0, 0.0
    while now <= 21.0:
        if (wait := greedy.wait(now)) == 0:
            assert greedy.told(now)[0] >= 1
            greedy.take(now)
            passed += 1
        else:
            assert greedy.told(now)[0] == 0
            assert greedy.told(now)[1] == pytest.approx(wait)
            now += wait
    assert passed == fresh().most(21.0)


def test_staleness_is_the_mean_wait_of_a_letter() -> None:
    answer = Answer(0, 10.0, Trace((0.0, 1.0, 2.0), ("aa ", "bb ", "cccc")), 0)
    answer.show(2, 11.5)
    answer.show(1, 11.6)  # an older text lands late: what was seen once was seen
    answer.show(3, 13.0)
    found = measure([answer])
    assert found.staleness == pytest.approx((2 * 1.5 + 2 * 0.5 + 4 * 1.0) / 8)
    assert (found.first, found.lag, found.unfinished) == (1.5, 1.0, 0.0)
    answer.show(2, 14.0)
    assert measure([answer]).unfinished == 1.0


class Messages(Site):
    """A site that keeps which tokens of a peer's only answer each of its messages has shown, one
    text after another, and the budgets of its calls."""

    def __init__(self, place: Place) -> None:
        super().__init__(place, Terms(Shape.FIXED), 0)
        self.messages: list[list[tuple[int, int]]] = []
        self.counted = set[str]()

    async def call(
        self, answer: Answer, method: Method, shown: Callable[[], None], *, first: bool = True
    ) -> None:
        before = self._visible(answer)
        await super().call(answer, method, shown, first=first)
        self.counted.add(self.keys(answer, method, first=first)[0])
        if method is Method.POST:
            self.messages.append([])
        start = before if method is Method.POST else self.messages[-1][0][0]
        self.messages[-1].append((start, self._visible(answer)))

    @staticmethod
    def _visible(answer: Answer) -> int:
        return bisect_left(answer.trace.letters, answer.steps[-1][1]) if answer.steps else 0


POSTS = {
    "post at the end": (5, 2_000),
    "llmcord": (2, 4_094),
    "LangBot": (1, 2_000),
    "vercel/chat": (1, 1_997),
    "openclaw": (5, 2_000),
    "hermes-agent": (5, 2_000),
}
"""Messages of an answer of 8,000 characters, and the most that one has."""


@pytest.mark.parametrize("place", [Place.THREADS, Place.COMMANDS], ids=str)
@pytest.mark.parametrize("name", peers.DISCORD)
def test_no_message_of_others_is_longer_than_discord_takes(name: str, place: Place) -> None:
    (answer,) = answers(Cell(place, "long", 1, Terms(Shape.FIXED)), 0)
    assert answer.trace.characters[-1] > 8_000
    site, (posts, limit) = Messages(place), POSTS[name]
    together([answer], site, peers.DISCORD[name]())
    texts = [
        "".join(answer.trace.texts[start:end]).rstrip()
        for message in site.messages
        for start, end in message
    ]
    assert len(site.messages) == posts
    assert limit - 300 < max(len(text) for text in texts) <= limit  # a line less at most
    assert answer.whole == (name not in ("LangBot", "vercel/chat"))
    if place is Place.COMMANDS:
        assert site.counted == {"hook:0"}
