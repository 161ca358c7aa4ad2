"""What gathering does to staleness: the delivery laboratory with text read both ways.

In the laboratory a token is read when it arrives. Here it is read as `core.deepseek.gathering` does
it: noticed at the next look, decoded when the writer draws it, stands still or comes to its end.
"""

import asyncio
from collections.abc import Callable
from statistics import fmean

import structlog

from benchmarks.delivery import ours
from benchmarks.delivery.answers import Answer
from benchmarks.delivery.bench import SEEDS, quick
from benchmarks.delivery.cells import Cell, play
from benchmarks.delivery.sites import Place, Terms
from core.deepseek.gathering import HOLD, STILL, TICK
from core.delivery.reply import Reply
from core.delivery.writer import Writer

Read = Callable[[Answer, Reply, Writer], None]


class Gathered:
    """One answer that gathers. A reader's task needs one turn of the loop to decode."""

    def __init__(self, answer: Answer, reply: Reply, writer: Writer) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer, self._reply, self._writer = answer, reply, writer
        self._came = 0  # tokens that the kernel has
        self._read = 0
        self._noticed = 0
        self._since = self._grown = 0
        self._ticks = 0
        self._still = STILL
        for number in range(answer.size):
            self._loop.call_at(answer.at(number), self._arrive)
        writer.arrivals.draw = self.draw

    def _arrive(self) -> None:
        self._came += 1
        if self._came == 1:  # the first is read as it comes, and then the looks begin
            self._noticed = 1
            self._add()
            self._loop.call_later(TICK, self._look)

    def draw(self) -> bool:
        """See Arrivals."""
        if self._read == self._came:
            return False
        self._loop.call_soon(self._add)
        return True

    def _add(self) -> None:
        for text in self._answer.trace.texts[self._read : self._came]:
            self._reply.add(text)
        if self._came == self._answer.size and not self._reply.finished:
            self._reply.finish()
        self._read = self._came
        self._writer.wake()

    def _look(self) -> None:
        self._ticks += 1
        if self._came > max(self._noticed, self._read):
            if self._noticed <= self._read:
                self._since = self._ticks
            self._grown = self._ticks
            self._writer.arrivals.coming()
        self._noticed = self._came
        waits, still = self._read < self._came, self._grown <= self._ticks - self._still
        late = self._since <= self._ticks - HOLD / TICK
        if waits and (still or late or self._came == self._answer.size):
            self._still = min(2 * self._still, 4 * STILL) if still else self._still
            self._add()
        if self._read < self._answer.size:
            self._loop.call_later(TICK, self._look)


def gathered(answer: Answer, reply: Reply, writer: Writer) -> None:
    """Read one answer."""
    Gathered(answer, reply, writer)


def staleness(cell: Cell, read: Read, runs: int) -> float:
    """What our delivery comes to in a cell, in seconds."""
    before, ours._read = ours._read, read  # type: ignore[assignment]
    try:
        return play(cell, ours.process, range(runs)).measure.staleness
    finally:
        ours._read = before


def rise(*, whole: bool) -> list[tuple[str, float, float]]:
    """Cell, staleness with every token read as it comes, staleness with tokens gathered."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    chosen = quick()
    if whole:
        chosen += [
            Cell(place, name, k, Terms())
            for place in (Place.SLACK, Place.COMMANDS)
            for name in ("slow", "bursty")
            for k in (1, 10)
        ]
    return [
        (
            str(cell),
            staleness(cell, ours._read, SEEDS[cell.answers]),
            staleness(cell, gathered, SEEDS[cell.answers]),
        )
        for cell in chosen
    ]


if __name__ == "__main__":
    rows = rise(whole=True)
    for name, plain, other in rows:
        print(f"{name:50}{plain:8.4f}{other:8.4f}{other / plain - 1:+8.2%}")
    print(f"mean {fmean(other for *_, other in rows) / fmean(row[1] for row in rows) - 1:+.2%}")
