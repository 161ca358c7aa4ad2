"""What nobody can beat: the best instants for so many calls, known in advance. Pure.

For one answer: the exact least wait of n calls, by dynamic programming over the times at which
text arrives (the cost is a Monge array, so each row takes n log n). For several on one budget:
that is convex in n, so the calls go where the next one saves most.
Relaxed, so that it is a bound: a call takes the median latency; which call pays from which of the
budgets, and when each is full, is ignored; every answer gets its last call for nothing.
"""

from collections.abc import Sequence
from functools import lru_cache
from heapq import heapify, heapreplace

from benchmarks.delivery.answers import Answer
from benchmarks.delivery.cells import Cell, answers
from benchmarks.delivery.sites import LATENCY, Method, Place, Site
from benchmarks.delivery.traces import Trace

_INFINITE = float("inf")
_FINE, _COARSE = 500, 125  # instants looked at for one answer; fewer where there are many answers
_MANY = 10


class Waits:
    """Least letter-seconds of one answer by the number of its calls, without latency."""

    def __init__(self, trace: Trace, instants: int) -> None:
        step = -(-trace.size // instants)
        ends = [*range(step, trace.size, step), trace.size]
        self.most = len(ends)
        self._times: list[float] = [
            trace.times[end - 1] for end in ends
        ]  # merged to the latest: waits less
        self._sums: list[int] = [trace.letters[end] for end in (0, *ends)]
        self._moments: list[float] = [0.0]
        for time, before, after in zip(self._times, self._sums, self._sums[1:], strict=False):
            self._moments.append(self._moments[-1] + time * (after - before))
        self._best: list[float] = [self._cost(0, end) for end in range(self.most + 1)]
        self._least = [_INFINITE, self._best[-1]]
        self._chosen: list[list[int]] = [[0] * (self.most + 1)] * 2

    def of(self, calls: int) -> float:
        """The least wait with so many calls."""
        calls = min(calls, self.most)
        while len(self._least) <= calls:
            self._add_call()
        return self._least[calls]

    def steps(self, calls: int) -> list[tuple[float, int]]:
        """When the calls of the least wait are made, and the letters that each one shows."""
        self.of(calls)
        end, found = self.most, list[tuple[float, int]]()
        for number in range(min(calls, self.most), 0, -1):
            found.append((self._times[end - 1], self._sums[end]))
            end = self._chosen[number][end]
        return found[::-1]

    def _cost(self, start: int, end: int) -> float:
        """Wait of what arrived from instant `start` on when it is shown at `end`."""
        if end == 0:
            return 0.0
        letters = self._sums[end] - self._sums[start]
        return self._times[end - 1] * letters - (self._moments[end] - self._moments[start])

    def _add_call(self) -> None:
        """One more call: the best earlier instant grows with the later one."""
        row, chosen = [_INFINITE] * (self.most + 1), [0] * (self.most + 1)
        todo = [(1, self.most, 0, self.most - 1)]
        best, times, sums, moments = self._best, self._times, self._sums, self._moments
        while todo:
            low, high, first, last = todo.pop()
            if low > high:
                continue
            end = (low + high) // 2
            time, moment, total = times[end - 1], moments[end], sums[end]
            least, where = _INFINITE, first
            for start in range(first, min(last, end - 1) + 1):
                cost = best[start] + time * (total - sums[start]) - moment + moments[start]
                if cost < least:
                    least, where = cost, start
            row[end], chosen[end] = least, where
            todo.append((low, end - 1, first, where))
            todo.append((end + 1, high, where, last))
        self._best = row
        self._least.append(row[-1])
        self._chosen.append(chosen)


@lru_cache(maxsize=4096)
def _waits(trace: Trace, instants: int) -> Waits:
    return Waits(trace, instants)


def bound(cell: Cell, seeds: Sequence[int], *, lanes: bool = True) -> float:
    """No policy's staleness in this cell is less, in seconds; mean over the seeds.

    lanes: with all that the platform offers; else with one post an answer and its edits only.
    """
    waited = written = 0.0
    for seed in seeds:
        streams = answers(cell, seed)
        waits, calls = _plan(cell, streams, lanes)
        waited += sum(wait.of(n) for wait, n in zip(waits, calls, strict=True))
        written += sum(answer.trace.whole for answer in streams)
    return LATENCY + waited / written


def steps(cell: Cell, seed: int) -> list[list[tuple[float, int]]]:
    """Of every answer: when how many letters are visible, if nobody's staleness is less."""
    streams = answers(cell, seed)
    waits, calls = _plan(cell, streams, lanes=True)
    return [
        [(answer.start + at + LATENCY, letters) for at, letters in wait.steps(n)]
        for answer, wait, n in zip(streams, waits, calls, strict=True)
    ]


def _plan(
    cell: Cell, streams: Sequence[Answer], lanes: bool
) -> tuple[Sequence[Waits], Sequence[int]]:
    """The waits of all answers, and how many calls each one gets."""
    instants = _FINE if len(streams) <= _MANY else _COARSE
    waits = [_waits(answer.trace, instants) for answer in streams]
    longest = [int((answer.end - answer.start) / LATENCY) + 2 for answer in streams]
    site = Site(cell.place, cell.terms, 0)
    if cell.place in (Place.THREADS, Place.COMMANDS):
        own = [_own(site, answer) for answer in streams]
        return waits, [min(calls, most) for calls, most in zip(own, longest, strict=True)]
    seconds = max(answer.end for answer in streams) - min(answer.start for answer in streams)
    begun = 1 if lanes else 2  # the last call, and the post where those aren't counted
    return waits, _spread(waits, longest, _shared(site, seconds, lanes), begun)


def _own(site: Site, answer: Answer) -> int:
    """Calls of an answer that shares no budget."""
    keys = {site.keys(answer, Method.POST)[0], site.keys(answer, Method.EDIT)[0]}
    return sum(site.budget(key).most(answer.end - answer.start) for key in keys) + 1


def _shared(site: Site, seconds: float, lanes: bool) -> int:
    """Calls of all answers together; with their posts if all lanes count."""
    if site.place is Place.SHARED:
        names = [f"{Method.EDIT}:0", f"{Method.POST}:0"]
    else:
        names = [Method.EDIT, "posts", Method.START, Method.APPEND, Method.STOP]
    names = names if lanes else names[:1]
    return sum(site.budget(name).most(seconds) for name in names)


def _spread(
    waits: Sequence[Waits], longest: Sequence[int], calls: int, begun: int
) -> Sequence[int]:
    """Give the calls to the answers that they help most. begun: calls that each has anyhow."""
    had = [min(begun, most) for most in longest]
    gains = [(-_gain(waits[i], had[i], longest[i]), i) for i in range(len(waits))]
    heapify(gains)
    for _ in range(calls):
        gain, i = gains[0]
        if gain >= 0:
            break
        had[i] += 1
        heapreplace(gains, (-_gain(waits[i], had[i], longest[i]), i))
    return had


def _gain(wait: Waits, calls: int, most: int) -> float:
    """What one more call saves."""
    return wait.of(calls) - wait.of(calls + 1) if calls < min(most, wait.most) else 0.0
