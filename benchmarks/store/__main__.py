"""How fast the store is: `python -m benchmarks.store [--json] [--repetitions N] [PART ...]`.

Parts: turns, hops, windows, servers; all of them without one.
"""

import argparse
import asyncio
import json
import logging
from collections.abc import Iterable
from typing import Any

import structlog

from benchmarks.store import files, servers
from benchmarks.store.hops import hops

_TURNS = 2_000
_SHARED_TURNS = 300
_SIZES = (10_000, 1_000_000, 10_000_000)
_WORKERS = (1, 2, 4)
_PARTS = ("turns", "hops", "windows", "servers")


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


def _row(run: dict[str, Any]) -> str:
    return (
        f"{_spread(run['turns_a_second'], 1, 0)} turns/s, p99 {_spread(run['p99'], 1e3, 1)} ms, "
        f"CPU {_spread(run['cpu'], 1e6, 0)} us a turn"
    )


def _spread(value: dict[str, float], factor: float, digits: int) -> str:
    median, least, most = (value[name] * factor for name in ("median", "least", "most"))
    return f"{median:,.{digits}f} ({least:,.{digits}f}-{most:,.{digits}f})"


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(prog="benchmarks.store")
    options.add_argument("parts", nargs="*", metavar="PART", help=", ".join(_PARTS))
    options.add_argument("--json", action="store_true", help="for programs")
    options.add_argument("--repetitions", type=int, default=5)
    chosen = options.parse_args()
    if unknown := set(chosen.parts) - set(_PARTS):
        options.error(f"no such part: {', '.join(sorted(unknown))}")
    parts, repetitions = chosen.parts or _PARTS, chosen.repetitions
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    found: dict[str, Any] = {}
    if "turns" in parts:
        found["turns"] = asyncio.run(files.turns(repetitions, _TURNS))
    if "hops" in parts:
        found["hops"] = asyncio.run(hops(repetitions))
    if "windows" in parts:
        found["windows"] = asyncio.run(files.windows(repetitions, _SIZES))
    if "servers" in parts:
        found["servers"] = servers.shared(repetitions, _SHARED_TURNS, _WORKERS)
    print(json.dumps(found, indent=2) if chosen.json else "\n".join(lines(found)))


if __name__ == "__main__":
    main()
