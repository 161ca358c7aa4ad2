"""The picture of the docs: how much of an answer is visible, second by second, as SVG."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.delivery import ours, peers
from benchmarks.delivery.bench import OURS
from benchmarks.delivery.bound import steps
from benchmarks.delivery.cells import Cell, Process, answers, play
from benchmarks.delivery.sites import Place, Terms
from benchmarks.drawing import FONT, Panel, picture

PANELS = {
    "One answer on Slack": Cell(Place.SLACK, "steady", 1, Terms()),
    "Ten answers at once in a workspace (mean)": Cell(Place.SLACK, "steady", 10, Terms()),
}
SECONDS, EVERY = 20.0, 0.1
WIDTH, HEIGHT, LEFT, TOP, GAP, KEY = 420, 300, 46, 40, 40, 190
_COLOURS = (
    "#8c564b", "#ff7f0e", "#2ca02c", "#17becf", "#9467bd", "#e377c2", "#bcbd22", "#7f7f7f",
)  # fmt: skip

Curve = Sequence[float]
"""Percent visible at 0.0, 0.1, ... seconds after an answer's first token."""


def svg() -> str:
    """The whole picture; the same for the same code."""
    panels = {title: _curves(cell) for title, cell in PANELS.items()}
    names = list(next(iter(panels.values())))
    wide = LEFT + (WIDTH + GAP) * len(panels) + KEY
    lines: list[str] = []
    for number, (title, curves) in enumerate(panels.items()):
        lines += _panel(LEFT + number * (WIDTH + GAP), title, curves, names)
    lines += _key(LEFT + len(panels) * (WIDTH + GAP), names)
    return picture(wide, TOP + HEIGHT + 50, lines)


def _curves(cell: Cell) -> dict[str, Curve]:
    """What arrived, what the bound shows, what we and the others show."""
    processes: Mapping[str, Process] = {**peers.SLACK, OURS: ours.process}
    streams = answers(cell, 0)
    arriving = [[(each.at(n), each.trace.letters[n + 1]) for n in range(each.size)]
                for each in streams]  # fmt: skip
    starts = [each.start for each in streams]
    whole = [each.trace.whole for each in streams]
    found = {"arrived": _mean(arriving, starts, whole)}
    for name, process in processes.items():
        played = play(cell, process, [0])
        visible = [each.visible() for each in played.answers]
        found[name] = _mean(visible, starts, whole)
    found["bound"] = _mean(steps(cell, 0), starts, whole)
    return found


def _mean(
    curves: Sequence[Sequence[tuple[float, int]]], starts: Sequence[float], whole: Sequence[int]
) -> Curve:
    """The mean percent over answers that started at different times."""
    times = [index * EVERY for index in range(round(SECONDS / EVERY) + 1)]
    shares = []
    for steps_, start, most in zip(curves, starts, whole, strict=True):
        at = [time - start for time, _ in steps_]
        reached = [0, *(letters for _, letters in steps_)]
        shares.append([100 * reached[bisect_right(at, time)] / most for time in times])
    return [sum(column) / len(column) for column in zip(*shares, strict=True)]


def _panel(left: int, title: str, curves: Mapping[str, Curve], names: Sequence[str]) -> list[str]:
    panel = Panel(
        title=title,
        left=left,
        top=TOP,
        width=WIDTH,
        height=HEIGHT,
        across=SECONDS,
        up=100.0,
        columns={float(second): f"{second} s" for second in range(0, int(SECONDS) + 1, 5)},
        rows={float(percent): f"{percent}%" for percent in (0, 25, 50, 75, 100)},
    )
    return panel.drawn(
        [
            ([(index * EVERY, at) for index, at in enumerate(curves[name])], _stroke(name, names))
            for name in names
        ]
    )


def _key(left: int, names: Sequence[str]) -> list[str]:
    lines = []
    for number, name in enumerate(names):
        y = TOP + 16 + 22 * number
        lines.append(
            f'<line x1="{left}" y1="{y}" x2="{left + 30}" y2="{y}" {_stroke(name, names)}/>'
        )
        lines.append(f'<text x="{left + 38}" y="{y + 4}" {FONT}>{escape(name)}</text>')
    return lines


def _stroke(name: str, names: Sequence[str]) -> str:
    """How a curve is drawn."""
    if name == OURS:
        return 'stroke="#d62728" stroke-width="2.5"'
    if name == "bound":
        return 'stroke="#1f3fbf" stroke-width="2" stroke-dasharray="3 3"'
    if name == "arrived":
        return 'stroke="#000" stroke-width="1" stroke-dasharray="1 3"'
    colour = _COLOURS[(names.index(name) - 1) % len(_COLOURS)]
    return f'stroke="{colour}" stroke-width="1"'
