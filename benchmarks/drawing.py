"""Panels with curves, as SVG. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

FONT = 'font-family="sans-serif" font-size="12"'

Curve = Sequence[tuple[float, float]]
"""(x, y), in the units of the axes."""


@dataclass(frozen=True)
class Panel:
    """A box with axes. left, top, width, height: in pixels. across, up: where the axes end.

    columns, rows: what stands beside the axes, by its place on them. Both axes begin at 0.
    """

    title: str
    left: int
    top: int
    width: int
    height: int
    across: float
    up: float
    columns: Mapping[float, str]
    rows: Mapping[float, str]

    def drawn(self, curves: Sequence[tuple[Curve, str]]) -> list[str]:
        """The panel with its curves, each with the attributes of its line."""
        left, top = self.left, self.top
        lines = [
            f'<text x="{left}" y="{top - 14}" {FONT} font-weight="bold">'
            f"{escape(self.title)}</text>",
            f'<rect x="{left}" y="{top}" width="{self.width}" height="{self.height}"'
            ' fill="none" stroke="#999"/>',
        ]
        for at, label in self.rows.items():
            lines.append(
                f'<text x="{left - 6}" y="{self._y(at) + 4:.0f}" {FONT} text-anchor="end">'
                f"{escape(label)}</text>"
            )
        for at, label in self.columns.items():
            lines.append(
                f'<text x="{self._x(at):.0f}" y="{top + self.height + 18}" {FONT}'
                f' text-anchor="middle">{escape(label)}</text>'
            )
        for curve, stroke in curves:
            points = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in curve)
            lines.append(f'<polyline points="{points}" fill="none" {stroke}/>')
        return lines

    def _x(self, at: float) -> float:
        return self.left + self.width * at / self.across

    def _y(self, at: float) -> float:
        return self.top + self.height * (1 - at / self.up)


def picture(width: int, height: int, lines: Sequence[str]) -> str:
    """A whole SVG file."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
            *lines,
            "</svg>",
            "",
        ]
    )
