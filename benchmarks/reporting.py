"""What every part prints: figures with their bars, for people or as JSON."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One number. bar: what is asked of it, empty when nothing is. kept: None without a bar.

    spread: the least and the most of the repetitions whose median the value is.
    """

    name: str
    value: float
    unit: str
    bar: str = ""
    kept: bool | None = None
    spread: tuple[float, float] | None = None


def of(name: str, values: Sequence[float], unit: str, *, most: float | None = None) -> Figure:
    """The median of the repetitions. most: the bar, in the figure's unit."""
    middle = median(values)
    bar = "" if most is None else f"at most {most:g} {unit}"
    kept = None if most is None else middle <= most
    return Figure(name, middle, unit, bar, kept, (min(values), max(values)))


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them don't exceed; 0.0 without any."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def options(part: str, about: str | None) -> argparse.Namespace:
    """`--quick` and `--json`, as every part has them."""
    parser = argparse.ArgumentParser(prog=f"benchmarks.{part}", description=about)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs, in seconds")
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser.parse_args()


def show(part: str, figures: Sequence[Figure], *, as_json: bool, more: str = "") -> None:
    """Print them. more: what is said besides to people."""
    if as_json:
        print(json.dumps({"part": part, "figures": [asdict(each) for each in figures]}, indent=1))
        return
    width = max(len(each.name) for each in figures)
    for each in figures:
        spread = "" if each.spread is None else f" ({_number(each.spread[0])}-"
        spread += "" if each.spread is None else f"{_number(each.spread[1])})"
        said = {None: "", True: "  kept: ", False: "  MISSED: "}[each.kept] + each.bar
        print(f"{each.name:<{width}}  {_number(each.value)}{spread} {each.unit}{said}")
    if more:
        print(more)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
