"""What `make bench` makes of the parts' JSON: each part's table, and the table of all bars. Pure.

A part prints `{"part": ..., "figures": [...]}`, each figure a `benchmarks.reporting.Figure`. With
`"text": ...` it brings its own table; what else it has to tell programs may stand beside them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.reporting import Figure

_VERDICTS = {True: "kept", False: "MISSED", None: "not judged"}


def figures_of(found: Mapping[str, Any]) -> list[Figure]:
    """The figures of a part's JSON. Raises: KeyError, TypeError, ValueError for another form."""
    return [
        Figure(
            name=str(each["name"]),
            value=float(each["value"]),
            unit=str(each["unit"]),
            bar=str(each["bar"] or ""),
            kept=each["kept"],
            spread=tuple(each["spread"]) if each.get("spread") else None,
        )
        for each in found["figures"]
    ]


def text_of(found: Mapping[str, Any]) -> str:
    """The table of one part: its own, or one line for each figure."""
    if found.get("text"):
        return str(found["text"]).rstrip()
    figures = figures_of(found)
    width = max((len(each.name) for each in figures), default=0)
    return "\n".join(f"{each.name:<{width}}  {_spread(each)} {each.unit}" for each in figures)


def table(rows: Sequence[tuple[str, Figure]]) -> list[str]:
    """Every figure that has a bar, of (part, figure), with its verdict."""
    judged = [(part, each) for part, each in rows if each.bar]
    cells = [("", "value", "bar", "")]
    cells += [
        (
            f"{part}: {each.name}",
            f"{number(each.value)} {each.unit}".rstrip(),
            each.bar,
            _VERDICTS[each.kept],
        )
        for part, each in judged
    ]
    first, second, third = (max(len(row[at]) for row in cells) for at in range(3))
    lines = [
        f"{row[0]:<{first}}  {row[1]:>{second}}  {row[2]:<{third}}  {row[3]}".rstrip()
        for row in cells
    ]
    missed = sum(each.kept is False for _, each in judged)
    kept = sum(each.kept is True for _, each in judged)
    return [*lines, "", f"{kept} of {len(judged)} bars kept, {missed} missed"]


def number(value: float) -> str:
    """As people read it: three digits, or all of those before the point."""
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f}"


def _spread(figure: Figure) -> str:
    value = number(figure.value)
    if figure.spread is None:
        return value
    return f"{value} ({number(figure.spread[0])}-{number(figure.spread[1])})"
