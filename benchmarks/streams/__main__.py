"""`python -m benchmarks.streams [--quick] [--json]`: what a chunk costs, and whether bars are kept.

The readers of a comparison take turns, so that what else runs on the machine falls on all alike.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, median
from typing import Any

from benchmarks.streams.runs import Case, Certificates, certificates, here, run
from benchmarks.streams.staleness import rise

Runs = Mapping[Case, Sequence[dict[str, Any]]]

COMPARED = [Case(kind, 100, uvloop) for uvloop in (False, True) for kind in ("ours", "openai")]
FLOORS = [Case("asyncio", 100), Case("polled", 100)]
PEERS = [Case("httpx-sse", 100), Case("litellm", 100)]
FULL = [Case("ours", 1_000, uvloop=True), Case("ours", 1_000, uvloop=True, tls=True)]
CURVE = [Case("ours", streams, uvloop=True) for streams in (2_500, 5_000)]
SECONDS, LONGER = 2.0, 4.0
"""How long each run is measured; the latter with a thousand streams and more, and longer than
anything is held back, for what the loop does then. All that waits is read at both ends."""


@dataclass(frozen=True)
class Figure:
    """One number and its bar. kept: None where there is no bar."""

    name: str
    value: float
    unit: str
    bar: str = ""
    kept: bool | None = None


def play(cases: Sequence[Case], times: int, seconds: float, files: Certificates) -> Runs:
    """Every case so often, in turns."""
    found: dict[Case, list[dict[str, Any]]] = {case: [] for case in cases}
    for number in range(times):
        for case in cases:
            found[case].append(run(case, seconds, files))
            print(f"{number + 1}/{times} {case}", file=sys.stderr, flush=True)
    return found


def of(runs: Runs, case: Case, name: str) -> float:
    """The median."""
    return float(median(each[name] for each in runs[case]))


def figures(runs: Runs, rose: float) -> list[Figure]:
    """What is judged, and what explains it."""
    found = []
    for uvloop, least in ((False, 20), (True, 30)):
        compared = [*FLOORS, *(case for case in COMPARED if case.uvloop is uvloop)]
        cpu = {case.kind: of(runs, case, "cpu") for case in compared}
        loop = "uvloop" if uvloop else "asyncio"
        ratio = cpu["openai"] / cpu["ours"]
        name = f"CPU a chunk of AsyncOpenAI by ours, 100 streams, {loop}"
        found.append(Figure(name, ratio, "times", f"at least {least}", ratio >= least))
        name = f"CPU a chunk of ours by bare polled sockets, 100 streams, {loop}"
        found.append(Figure(name, cpu["ours"] / cpu["polled"], "times"))
    for case, core, room in zip(FULL, (0.4, 0.7), (40, 90), strict=True):
        for name, value, unit, most in (
            ("CPU", of(runs, case, "core") * 100, "% of a core", core * 100),
            ("lag of the loop, p99", of(runs, case, "lag_p99") * 1e3, "ms", 5),
            ("memory a stream", of(runs, case, "memory") / 1024, "KiB", room),
        ):
            found.append(Figure(f"{name}: {case}", value, unit, f"at most {most:g}", value <= most))
        wanted = case.streams * 50 * 0.95
        rate = of(runs, case, "rate")
        text = f"at least {wanted:,.0f}"
        found.append(Figure(f"chunks read: {case}", rate, "a second", text, rate >= wanted))
    found.append(Figure("staleness through gathering", rose * 100, "%", "at most 1", rose <= 0.01))
    return found


def rows(runs: Runs) -> list[str]:
    """For people: a line a case, medians with the least and the most."""
    head = ("", "CPU a chunk, us", "% of a core", "chunks/s", "lag p99, ms", "KiB a stream")
    lines = ["{:<34}{:>20}{:>18}{:>12}{:>18}{:>14}".format(*head)]
    for case, each in runs.items():

        def spread(name: str, factor: float, digits: int, each: Any = each) -> str:
            values = [one[name] * factor for one in each]
            low, high = min(values), max(values)
            return f"{median(values):.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"

        rate, memory = of(runs, case, "rate"), of(runs, case, "memory") / 1024
        lines.append(
            f"{case!s:<34}{spread('cpu', 1e6, 1):>20}{spread('core', 100, 0):>18}{rate:>12,.0f}"
            f"{spread('lag_p99', 1e3, 1):>18}{memory:>14.0f}"
        )
    return lines


def main() -> None:
    """Measure and print. The exit code is 0 whatever is missed: this measures, people judge."""
    options = argparse.ArgumentParser(prog="benchmarks.streams", description=__doc__)
    options.add_argument("--quick", action="store_true", help="once each, without the curve")
    options.add_argument("--json", action="store_true", help="for programs")
    chosen = options.parse_args()
    if not here():
        sys.exit("The libraries to compare with are missing: make bench-streams installs them.")
    with certificates() as files:
        times = 1 if chosen.quick else 5
        runs = dict(play([*COMPARED, *FLOORS], times, SECONDS, files))
        runs |= play(FULL, times, LONGER, files)
        if not chosen.quick:
            runs |= play(PEERS, 1, SECONDS, files)
            runs |= play(CURVE, 1, LONGER, files)
    stale = rise(whole=not chosen.quick)
    rose = fmean(row[2] for row in stale) / fmean(row[1] for row in stale) - 1
    judged = figures(runs, rose)
    if chosen.json:
        told: dict[str, Any] = {"part": "streams", "figures": [asdict(figure) for figure in judged]}
        told["runs"] = {str(case): each for case, each in runs.items()}
        told["staleness"] = stale
        print(json.dumps(told, indent=2))
        return
    print("\n".join(rows(runs)))
    print()
    for each in judged:
        state = "" if each.kept is None else f"   {each.bar}: {'kept' if each.kept else 'MISSED'}"
        print(f"{each.name}: {each.value:,.2f} {each.unit}{state}")


if __name__ == "__main__":
    main()
