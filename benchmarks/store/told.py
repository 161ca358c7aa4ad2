"""What the store's measurements say: lines for people, figures with their bars for `make bench`.

Pure. Arguments are what `benchmarks.store.files`, `hops` and `servers` found, by part.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from benchmarks.reporting import Figure

RATE, P99, RATIO = 2_000, 30.0, 4.0
"""SQLite, 32 at a time: the least turns a second, the most milliseconds, and the most CPU of a turn
as a multiple of sqlite3's by hand."""
ERASES = 15.0
"""The most milliseconds of a transaction that erases what is old."""
SLOWER = 1.3
"""The most that loading a window costs in the largest file, as a multiple of the smallest."""
SCALES = {"2": 1.7, "4": 3.0}
"""Workers on PostgreSQL -> the least turns a second, as a multiple of one worker's."""
NEAR = 0.85
"""Where the cores don't suffice for that: the least share of what they admit."""


def lines(found: dict[str, Any]) -> Iterable[str]:
    """For people."""
    if part := found.get("turns"):
        yield f"SQLite, {part['turns']} turns, {part['at_a_time']} at a time:"
        for who in ("ours", "raw"):
            yield f"  {who:<10}{_row(part[who])}"
        ratio = part["cpu_ratio"]
        yield f"  CPU to raw {ratio['median']:.2f} ({ratio['least']:.2f}-{ratio['most']:.2f})"
    if part := found.get("hops"):
        rate, cpu = _spread(part["turns_a_second"], 1, 0), _spread(part["cpu"], 1e6, 0)
        yield f"aiosqlite, {part['statements']} empty statements a turn, one after the other:"
        yield f"  at most {rate} turns/s, CPU {cpu} us a turn"
    if part := found.get("windows"):
        yield "SQLite, loading 40 messages:"
        for size, cpu in part["cpu"].items():
            yield f"  of {int(size):>9,}: {_spread(cpu, 1e6, 0)} us of CPU"
        yield f"  last to first {part['last_to_first']:.2f}"
    if part := found.get("servers"):
        yield f"PostgreSQL, {part['turns']} turns of each worker:"
        for number, row in part["workers"].items():
            server = _spread(row["server"], 1e6, 0)
            yield f"  {number:<10}{_row(row)}, the server's {server} us"
        yield f"  one keeps {busy(part['workers']['1']):.2f} of {part['cores']} cores busy"
    if part := found.get("erasing"):
        yield (
            f"SQLite, erasing {part['turns']:,} turns of a file of {part['mib']:,.0f} MiB"
            f" ({part['mib_after']:,.0f} afterwards):"
        )
        cpu = _spread(part["cpu"], 1e3, 1)
        yield f"  a transaction         {_waits(part['held'])}"
        yield f"    {part['each']:.0f} turns, CPU {cpu} ms"
        yield f"  a question meanwhile  {_waits(part['accepted'])}"
        yield f"  a question before     {_waits(part['accepted_before'])}"


def _waits(seconds: dict[str, float]) -> str:
    middle, p99, most = (1e3 * seconds[name] for name in ("median", "p99", "most"))
    return f"{middle:.1f} ms, p99 {p99:.1f} ms, at most {most:.1f} ms"


def _row(run: dict[str, Any]) -> str:
    return (
        f"{_spread(run['turns_a_second'], 1, 0)} turns/s, p99 {_spread(run['p99'], 1e3, 1)} ms, "
        f"CPU {_spread(run['cpu'], 1e6, 0)} us a turn"
    )


def _spread(value: dict[str, float], factor: float, digits: int) -> str:
    median, least, most = (value[name] * factor for name in ("median", "least", "most"))
    return f"{median:,.{digits}f} ({least:,.{digits}f}-{most:,.{digits}f})"


def busy(row: dict[str, Any]) -> float:
    """The cores that workers and server keep busy together."""
    spent = row["cpu"]["median"] + row["server"]["median"]
    return float(row["turns_a_second"]["median"] * spent)


def figures(found: dict[str, Any]) -> list[Figure]:
    """With bars where there are some."""
    made: list[Figure] = []
    if part := found.get("turns"):
        ours, raw = part["ours"], part["raw"]
        made += [
            _at_least("turns a second, SQLite", ours["turns_a_second"], 1, "", RATE),
            _at_most("p99 of a turn", ours["p99"], 1e3, "ms", P99),
            _at_most("CPU of a turn to sqlite3 by hand", part["cpu_ratio"], 1, "times", RATIO),
            _plain("CPU of a turn", ours["cpu"], 1e6, "us"),
            _plain("turns a second, sqlite3 by hand", raw["turns_a_second"], 1, ""),
            _plain("p99 of a turn, sqlite3 by hand", raw["p99"], 1e3, "ms"),
        ]
    if part := found.get("hops"):
        made.append(_plain("turns a second, a hop a statement", part["turns_a_second"], 1, ""))
    if part := found.get("windows"):
        made += [
            _plain(f"CPU of a window of {int(size):,}", cpu, 1e6, "us")
            for size, cpu in part["cpu"].items()
        ]
        last = {"median": part["last_to_first"]}
        made.append(
            _at_most(
                "a window in the largest file to one in the smallest", last, 1, "times", SLOWER
            )
        )
    if part := found.get("servers"):
        made += _of_servers(part)
    if part := found.get("erasing"):
        waits = {name: {"median": part[name]["p99"]} for name in ("held", "accepted")}
        made += [
            _at_most("CPU of a transaction that erases", part["cpu"], 1e3, "ms", ERASES),
            _plain("p99 of a transaction that erases", waits["held"], 1e3, "ms"),
            _plain("p99 of a question to be stored meanwhile", waits["accepted"], 1e3, "ms"),
        ]
    return made


def _of_servers(part: dict[str, Any]) -> list[Figure]:
    """A bar that the cores don't admit gives way to the most that they do, and says so."""
    workers = part["workers"]
    one = workers["1"]
    made = [
        _plain("turns a second, PostgreSQL, 1 worker", one["turns_a_second"], 1, ""),
        Figure("cores busy with 1 worker", busy(one), f"of {part['cores']}"),
    ]
    admitted = part["cores"] / busy(one)
    for number, wanted in SCALES.items():
        if number not in workers:
            continue
        ratio = workers[number]["turns_a_second"]["median"] / one["turns_a_second"]["median"]
        least = min(wanted, NEAR * admitted)
        bar = f"at least {least:.2g}"
        if least < wanted:
            bar += f" ({wanted:g} would take {wanted * busy(one):.1f} cores)"
        made.append(Figure(f"{number} workers to one", ratio, "times", bar, ratio >= least))
    return made


def _plain(name: str, value: dict[str, float], factor: float, unit: str) -> Figure:
    middle = value["median"] * factor
    spread = None
    if "least" in value:
        spread = (value["least"] * factor, value["most"] * factor)
    return Figure(name, middle, unit, spread=spread)


def _at_most(name: str, value: dict[str, float], factor: float, unit: str, most: float) -> Figure:
    made = _plain(name, value, factor, unit)
    return replace(made, bar=f"at most {most:g}", kept=made.value <= most)


def _at_least(name: str, value: dict[str, float], factor: float, unit: str, least: float) -> Figure:
    made = _plain(name, value, factor, unit)
    return replace(made, bar=f"at least {least:g}", kept=made.value >= least)
