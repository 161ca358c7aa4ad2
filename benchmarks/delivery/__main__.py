"""`python -m benchmarks.delivery`: the table, the verdicts; or all of it as JSON, or a picture."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.delivery.bars import Verdict, figure, verdicts
from benchmarks.delivery.bench import OURS, Result, cells, quick, results
from benchmarks.delivery.picture import svg


def main() -> None:
    """Play, print. The exit code is 0 whatever is missed: this measures, tests judge."""
    parser = argparse.ArgumentParser(prog="benchmarks.delivery", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few cells, in seconds")
    parser.add_argument("--json", action="store_true", help="everything as JSON")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--svg", type=Path, help="only write the picture of the docs there")
    parser.add_argument("--only", default="", help="cells whose name contains this")
    parser.add_argument("--seeds", type=int, help="how often each cell is played")
    options = parser.parse_args()
    if options.svg:
        options.svg.write_text(svg())
        return
    wanted = quick() if options.quick else cells()
    wanted = [cell for cell in wanted if options.only in str(cell)]
    found = results(wanted, options.workers, options.seeds)
    said = verdicts(found)
    print(_json(found, said) if options.json else _text(found, said))


def _text(found: Sequence[Result], said: Sequence[Verdict]) -> str:
    lines = ["Staleness in seconds: mean over characters of (visible - arrived).", ""]
    head = ("policy", "S", "first", "lag", "worst", "unfinished", "calls", "429")
    row = "  {:<20}{:>8}{:>8}{:>8}{:>8}{:>12}{:>8}{:>8}".format
    for each in found:
        lines.append(f"{each.cell}   bound {each.bound:.3f}, for edits {each.edits:.3f}")
        lines.append(row(*head))
        for name, measure in sorted(each.policies.items(), key=lambda pair: pair[1].staleness):
            lines.append(
                row(
                    name.upper() if name == OURS else name,
                    f"{measure.staleness:.3f}",
                    f"{measure.first:.2f}",
                    f"{measure.lag:.2f}",
                    f"{measure.worst:.2f}",
                    f"{measure.unfinished:.0%}",
                    f"{measure.calls:.1f}",
                    f"{measure.refused:.1f}",
                )
            )
        lines.append("")
    return "\n".join([*lines, _bars(said)])


def _bars(said: Sequence[Verdict]) -> str:
    lines = []
    for verdict in said:
        state = f"{len(verdict.misses)} MISSED of {verdict.judged}" if verdict.misses else "kept"
        lines.append(f"{verdict.bar}: {state if verdict.judged else 'not judged'}")
        lines += [f"    {miss}" for miss in verdict.misses]
    return "\n".join(lines)


def _json(found: Sequence[Result], said: Sequence[Verdict]) -> str:
    content: dict[str, Any] = {
        "part": "delivery",
        "text": _bars(said),
        "figures": [asdict(figure(verdict)) for verdict in said],
        "cells": [
            {
                **asdict(each.cell),
                "bound": each.bound,
                "bound_for_edits": each.edits,
                "refused_late": each.late,
                "admits_last_calls": each.admits,
                "policies": {name: asdict(measure) for name, measure in each.policies.items()},
            }
            for each in found
        ],
        "verdicts": [{**asdict(verdict), "kept": verdict.kept} for verdict in said],
    }
    return json.dumps(content, indent=1)


if __name__ == "__main__":
    main()
