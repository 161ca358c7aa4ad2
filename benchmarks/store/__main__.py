"""How fast the store is: `python -m benchmarks.store [--quick] [--json] [PART ...]`.

Parts: turns, hops, windows, servers, erasing; without one all but the last. With --large that comes
too, and the windows of a file of ten million messages: it takes minutes to fill such files where
others want the disk too.
"""

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.store import files, servers
from benchmarks.store.erasing import erasing
from benchmarks.store.hops import hops
from benchmarks.store.load import silent
from benchmarks.store.told import figures, lines

_TURNS = 2_000
_SHARED_TURNS = 300
_SIZES = (10_000, 1_000_000)
_LARGE = 10_000_000
_WORKERS = (1, 2, 4)
_ERASED = 100_000
_PARTS = ("turns", "hops", "windows", "servers", "erasing")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(prog="benchmarks.store")
    options.add_argument("parts", nargs="*", metavar="PART", help=", ".join(_PARTS))
    options.add_argument("--json", action="store_true", help="for programs")
    options.add_argument("--quick", action="store_true", help="once, no large file, fewer workers")
    options.add_argument("--large", action="store_true", help="files that take minutes, too")
    options.add_argument("--repetitions", type=int, default=0, help="5, with --quick 1")
    chosen = options.parse_args()
    if unknown := set(chosen.parts) - set(_PARTS):
        options.error(f"no such part: {', '.join(sorted(unknown))}")
    silent()
    found = _measured(
        chosen.parts or (_PARTS if chosen.large else _PARTS[:-1]),
        chosen.repetitions or (1 if chosen.quick else 5),
        quick=chosen.quick,
        large=chosen.large,
    )
    text = "\n".join(lines(found))
    if chosen.json:
        told = [asdict(each) for each in figures(found)]
        text = json.dumps({"part": "store", "text": text, "figures": told, **found}, indent=2)
    print(text)


def _measured(
    parts: Sequence[str], repetitions: int, *, quick: bool, large: bool
) -> dict[str, Any]:
    """What each part found."""
    found: dict[str, Any] = {}
    if "turns" in parts:
        found["turns"] = asyncio.run(files.turns(repetitions, _TURNS))
    if "hops" in parts:
        found["hops"] = asyncio.run(hops(repetitions))
    if "windows" in parts:
        sizes = _SIZES + ((_LARGE,) if large else ())
        found["windows"] = asyncio.run(files.windows(repetitions, sizes))
    if "servers" in parts:
        workers = _WORKERS[:2] if quick else _WORKERS
        found["servers"] = servers.shared(repetitions, _SHARED_TURNS, workers)
    if "erasing" in parts:
        found["erasing"] = asyncio.run(erasing(_ERASED // 20 if quick else _ERASED))
    return found


if __name__ == "__main__":
    main()
