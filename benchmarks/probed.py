"""`threadseek run` with a probe inside its loop, asked by lines on standard input.

`mark`: CPU and memory now, and how late the loop was since the last mark. `profile` and `stop`:
what the loop's thread spends its time on, between them; `stop` says it.
"""

import asyncio
import cProfile
import io
import json
import os
import pstats
import sys
import time
from pathlib import Path

from benchmarks.reporting import percentile
from benchmarks.service import ROOT
from bots import commands
from bots.loops import factory

TICK = 0.005
"""Seconds between two looks at how late the loop is."""


class _Probe:
    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lags: list[float] = []
        self._profile: cProfile.Profile | None = None
        self._loop.add_reader(sys.stdin, self._asked)
        self._arm()

    def _arm(self) -> None:
        due = self._loop.time() + TICK
        self._loop.call_at(due, self._tick, due)

    def _tick(self, due: float) -> None:
        self._lags.append(self._loop.time() - due)
        self._arm()

    def _asked(self) -> None:
        line = sys.stdin.readline()
        if not line:  # nobody measures any more
            os._exit(1)
        what = line.strip()
        said: dict[str, object] = {}
        if what == "mark":
            lags, self._lags = self._lags, []
            said = {"cpu": time.process_time(), "wall": time.perf_counter(), "rss": _rss()}
            said |= {"lag_p99": percentile(lags, 0.99), "lag_most": max(lags, default=0.0)}
        elif what == "profile":
            self._profile = cProfile.Profile()
            self._profile.enable()
        elif what == "stop" and self._profile:
            self._profile.disable()
            stats = pstats.Stats(self._profile)
            out = io.StringIO()
            stats.stream = out  # type: ignore[attr-defined]
            stats.sort_stats("tottime").print_stats(60)
            stats.sort_stats("cumtime").print_stats(120)
            said = {"areas": _areas(stats), "text": out.getvalue()}
        print(json.dumps(said), flush=True)


def _areas(stats: pstats.Stats) -> dict[str, float]:
    """Seconds in each area of the code; what is built in counts for who called it."""
    found: dict[str, float] = {}
    for (file, _, _), (_, _, own, _, callers) in stats.stats.items():  # type: ignore[attr-defined]
        shares = {_area(file): own}
        if file == "~":
            shares = {}
            for (caller, _, _), (_, _, part, _) in callers.items():
                shares[_area(caller)] = shares.get(_area(caller), 0.0) + part
        for area, seconds in shares.items():
            found[area] = found.get(area, 0.0) + seconds
    return found


def _area(file: str) -> str:
    if file.startswith((f"{ROOT}/core/", f"{ROOT}/adapters/")):
        return "/".join(Path(file).relative_to(ROOT).parts[:2])
    if "/site-packages/" in file:
        return file.partition("/site-packages/")[2].partition("/")[0]
    return "asyncio" if "/asyncio/" in file else "the rest"


def _rss() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> None:
    """Run the service as the command does."""
    loaded = commands._settings()

    async def probed() -> int:
        _probe = _Probe()
        return await commands._serve(loaded)

    sys.exit(commands._guarded(probed, factory()))


if __name__ == "__main__":
    main()
