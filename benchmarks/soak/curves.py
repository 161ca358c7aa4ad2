"""The samples as a picture: a panel for each measure, over the minutes of the run. Pure."""

import math
from collections.abc import Sequence

from benchmarks.drawing import FONT, Panel, picture
from benchmarks.soak.flat import MEASURES, WARM_UP
from benchmarks.soak.samples import Sample

WIDTH, HEIGHT, LEFT, TOP, GAP = 720, 120, 60, 40, 56
_LINE = 'stroke="#d62728" stroke-width="1.5"'
_WARM = 'stroke="#999" stroke-width="1" stroke-dasharray="3 3"'


def svg(samples: Sequence[Sample]) -> str:
    """The whole picture. A dashed line ends the warm-up."""
    minutes = max(samples[-1].at / 60, 1 / 60)
    lines: list[str] = []
    for number, (field, measure) in enumerate(MEASURES.items()):
        points = [(each.at / 60, float(getattr(each, field))) for each in samples]
        top = round_up(max(value for _, value in points))
        panel = Panel(
            title=f"{measure.name}{f', {measure.unit}' if measure.unit else ''}",
            left=LEFT,
            top=TOP + number * (HEIGHT + GAP),
            width=WIDTH,
            height=HEIGHT,
            across=minutes,
            up=top,
            columns={minutes * part / 4: f"{minutes * part / 4:.3g}" for part in range(5)},
            rows={top * part / 2: f"{top * part / 2:g}" for part in range(3)},
        )
        warm = [(minutes * WARM_UP, 0.0), (minutes * WARM_UP, top)]
        lines += panel.drawn([(warm, _WARM), (points, _LINE)])
    tall = TOP + len(MEASURES) * (HEIGHT + GAP)
    lines.append(f'<text x="{LEFT + WIDTH}" y="{tall - 8}" {FONT} text-anchor="end">minutes</text>')
    return picture(LEFT + WIDTH + 20, tall, lines)


def round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, ... from `value` on."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= value)
