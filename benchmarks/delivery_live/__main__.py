"""`python -m benchmarks.delivery_live`: the shipped command in real time, beside the laboratory."""

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from sys import stderr

import structlog

from benchmarks.delivery import ours
from benchmarks.delivery.answers import Answer, Measure, measure
from benchmarks.delivery.cells import Cell, play
from benchmarks.delivery.limiters import Shape
from benchmarks.delivery.sites import Place, Terms
from benchmarks.delivery.traces import NAMES
from benchmarks.delivery_live.ends import ENDS
from benchmarks.delivery_live.play import live

AGREEMENT = 0.15
"""The bar: the two differ by at most so much of the laboratory's staleness."""


@dataclass(frozen=True)
class Compared:
    """One cell, played both ways with the same traces."""

    cell: Cell
    live: Measure
    lab: Measure

    @property
    def differs(self) -> float:
        """By which share of the laboratory's the live staleness is more."""
        return self.live.staleness / self.lab.staleness - 1


def compared(cell: Cell, seeds: Sequence[int]) -> Compared:
    """Play a cell both ways."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    seen: list[Answer] = []
    for seed in seeds:
        seen += asyncio.run(live(cell, seed))
    found = Compared(cell, measure(seen), play(cell, ours.process, seeds).measure)
    print(f"{cell}: {found.live.staleness:.3f} s", file=stderr, flush=True)
    return found


def main() -> None:
    """Play, print. The exit code is 0 whatever differs: who reads it judges."""
    parser = argparse.ArgumentParser(prog="benchmarks.delivery_live", description=__doc__)
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    parser.add_argument("--only", default="", help="cells whose name contains this")
    parser.add_argument("--trace", choices=NAMES, default="steady", help="default: steady")
    options = parser.parse_args()
    cells = [
        Cell(place, options.trace, k, Terms(Shape.BUCKET if place is Place.SLACK else Shape.FIXED))
        for place in ENDS
        for k in (3 if place is Place.SHARED else 1, 10)
    ]
    wanted = [cell for cell in cells if options.only in str(cell)]
    found = [compared(cell, range(1 if cell.answers == 10 else 3)) for cell in wanted]
    print(_json(found) if options.json else _text(found))


def _text(found: Sequence[Compared]) -> str:
    lines = ["Staleness in seconds: mean over characters of (visible - arrived).", ""]
    row = "  {:<12}{:>8}{:>8}{:>8}{:>12}{:>8}{:>8}".format
    for each in found:
        kept = "agree" if abs(each.differs) <= AGREEMENT else "DIFFER"
        lines.append(f"{each.cell}   they {kept}: {each.differs:+.0%}")
        lines.append(row("", "S", "first", "lag", "unfinished", "calls", "429"))
        for name, one in (("live", each.live), ("laboratory", each.lab)):
            seconds = (f"{one.staleness:.3f}", f"{one.first:.2f}", f"{one.lag:.2f}")
            rest = (f"{one.unfinished:.0%}", f"{one.calls:.1f}", f"{one.refused:.1f}")
            lines.append(row(name, *seconds, *rest))
        lines.append("")
    return "\n".join(lines)


def _json(found: Sequence[Compared]) -> str:
    cells = [
        {
            **asdict(each.cell),
            "live": asdict(each.live),
            "laboratory": asdict(each.lab),
            "differs": each.differs,
            "agree": abs(each.differs) <= AGREEMENT,
        }
        for each in found
    ]
    return json.dumps({"cells": cells, "agreement": AGREEMENT}, indent=1)


if __name__ == "__main__":
    main()
