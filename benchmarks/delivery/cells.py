"""A cell: one place, one kind of answer, so many at once, one way to count; and its runs."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.delivery.answers import Answer, Measure, measure
from benchmarks.delivery.sites import Method, Place, Refused, Site, Terms
from benchmarks.delivery.traces import trace
from core.errors import Undeliverable
from tests.simulation.loop import now, run

SPREAD = 10.0
"""Seconds within which simultaneous answers start."""


@dataclass(frozen=True)
class Cell:
    """trace: its name. answers: how many at once (K)."""

    place: Place
    trace: str
    answers: int
    terms: Terms

    def __str__(self) -> str:
        return f"{self.place} | {self.trace} | K={self.answers} | {self.terms}"


@dataclass(frozen=True)
class Played:
    """One policy in one cell. answers: of all seeds. log: see Site, one of each seed."""

    measure: Measure
    answers: Sequence[Answer]
    logs: Sequence[dict[str, list[bool]]]


Policy = Callable[[Answer, Site], Awaitable[None]]
"""Delivers one answer."""
Process = Callable[[], Policy]
"""Makes the policy of one process: what its answers share is made anew for every run."""


def answers(cell: Cell, seed: int) -> list[Answer]:
    """The answers of one run, the same ones for every policy."""
    rng = random.Random(f"{cell.trace}:{cell.answers}:{seed}")
    alone = cell.answers == 1
    return [
        Answer(
            number,
            1.0 if alone else 1.0 + rng.uniform(0, SPREAD),
            trace(cell.trace, seed * 1000 + number),
            0 if cell.place is Place.SHARED else number,
        )
        for number in range(cell.answers)
    ]


def admits(cell: Cell, seeds: Sequence[int]) -> bool:
    """Whether every answer could have its last call at its end, in all runs, if the budgets were
    spent on nothing but last calls: an edit, or on Slack the end of a stream.
    """
    for seed in seeds:
        site = Site(cell.place, cell.terms, seed)
        for answer in sorted(answers(cell, seed), key=lambda answer: answer.end):
            answer.steps.append((answer.end, 0))  # what is edited was posted
            ways = [site.keys(answer, Method.EDIT)]
            if cell.place is Place.SLACK:
                ways.append(site.keys(answer, Method.STOP))
            ready = (way for way in ways if not any(_waits(site, way, answer.end)))
            if (free := next(ready, None)) is None:
                return False
            for key in free:
                site.budget(key).take(answer.end)
    return True


def _waits(site: Site, keys: Sequence[str], now: float) -> list[float]:
    return [site.budget(key).wait(now) for key in keys]


def play(cell: Cell, process: Process, seeds: Sequence[int]) -> Played:
    """All runs of a policy in a cell."""
    played, logs = list[Answer](), []
    for seed in seeds:
        site = Site(cell.place, cell.terms, seed)
        streams = answers(cell, seed)
        together(streams, site, process())
        played.extend(streams)
        logs.append(site.log)
    return Played(measure(played), played, logs)


def together(streams: Sequence[Answer], site: Site, policy: Policy) -> None:
    """One run: deliver these answers of one process."""
    run(_all(streams, site, policy))


async def _all(streams: Sequence[Answer], site: Site, policy: Policy) -> None:
    async def one(answer: Answer) -> None:
        await asyncio.sleep(answer.start - now())
        with suppress(Refused, Undeliverable):  # whoever gives up leaves the answer unfinished
            await policy(answer, site)

    await asyncio.gather(*(one(answer) for answer in streams))
