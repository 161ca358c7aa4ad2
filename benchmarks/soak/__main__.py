"""`python -m benchmarks.soak MINUTES [--json] [--svg FILE]`: the shipped command under steady load.

People ask on both platforms while calls, sockets and the API fail all the time. Its memory, files,
tasks and the lag of its loop are drawn and must be flat, and at the end every prompt has its one
answer. The exit code is 1 when the books don't balance; flatness is told.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.closing import number, table
from benchmarks.reporting import Figure
from benchmarks.soak.curves import svg
from benchmarks.soak.flat import middles, returns, rises
from benchmarks.soak.samples import Sample, Watch
from benchmarks.soak.troubles import FIRST_TOKEN, Stirring
from tests.torture.books import Report
from tests.torture.kills import Stage, Storm, known, settle, stage

RATE = 0.8
"""Prompts a second, on both platforms together: two thirds of what the stand-in of Slack, which
is stingy, lets pass with all that trouble. More would pile up, and nothing would be steady.
"""
_MOST_SAMPLES = 600
_CALM = 5.0  # seconds of quiet before a look that is compared with another


@dataclass(frozen=True)
class Soaked:
    """What came of it. before, after: looks at the service when nothing was asked."""

    samples: list[Sample]
    before: Sample
    after: Sample
    made: dict[str, int]
    report: Report

    def figures(self) -> list[Figure]:
        """With their bars."""
        bad = sum(map(len, (self.report.lost, self.report.doubled, self.report.stuck)))
        bad += len(self.report.wrong)
        books = Figure("lost, doubled, stuck or wrong", bad, "prompts", "none", bad == 0)
        return [*rises(self.samples), *returns(self.before, self.after), books]


async def soak(minutes: float, seed: int = 1) -> Soaked:
    """Run it that long, then let it settle and look at the books."""
    variables = {"DEEPSEEK_FIRST_TOKEN_TIMEOUT": str(FIRST_TOKEN), "LOG_LEVEL": "error"}
    with tempfile.TemporaryDirectory() as folder:
        storm = Storm(kills=0, seed=seed, rate=RATE)
        async with (
            aiohttp.ClientSession() as session,
            stage(Path(folder), storm, more=variables) as scene,
        ):
            watch = Watch(scene.fleet.address, session)
            await known(scene)
            await settle(scene)
            await asyncio.sleep(_CALM)
            before = await watch.look()
            samples, made = await _under_load(scene, watch, 60 * minutes, seed)
            await settle(scene)
            await asyncio.sleep(_CALM)
            after = await watch.look()
            await session.close()
            await scene.fleet.stop()
            report = await scene.books.balance(scene.ledger)
            report.wrong += scene.fleet.problems
            return Soaked(samples, before, after, made, report)


async def _under_load(
    scene: Stage, watch: Watch, seconds: float, seed: int
) -> tuple[list[Sample], dict[str, int]]:
    """The samples, and how often which trouble was made."""
    samples: list[Sample] = []
    stirring = Stirring(scene, random.Random(seed))
    every = max(1.0, seconds / _MOST_SAMPLES)
    tasks = [
        asyncio.create_task(scene.people.ask_on()),
        asyncio.create_task(stirring.go_on()),
        asyncio.create_task(watch.keep_looking(every, samples)),
    ]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():  # none ends by itself
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        scene.slack.faults.clear()
        scene.discord.faults.clear()
    return samples, dict(sorted(stirring.made.items()))


def _text(soaked: Soaked) -> str:
    middle = middles(soaked.samples)
    turns = soaked.samples[-1].ended - soaked.samples[0].ended
    seconds = soaked.samples[-1].at - soaked.samples[0].at
    lines = [
        f"{turns:.0f} turns in {seconds / 60:.1f} minutes under load, "
        f"{turns / seconds:.1f} a second; medians: memory {number(middle['memory'])} MiB, "
        f"{number(middle['files'])} files, {number(middle['tasks'])} tasks, "
        f"loop lag p99 {number(middle['lag'])} ms",
        "troubles: " + ", ".join(f"{name} {count}" for name, count in soaked.made.items()),
        *_books(soaked.report),
        "",
        *table([("soak", each) for each in soaked.figures()]),
    ]
    return "\n".join(lines)


def _books(report: Report) -> list[str]:
    """What became of the prompts, and everything that is wrong."""
    never = sum(map(len, (report.undelivered, report.unheard, report.cut_off)))
    lines = [
        f"prompts {report.prompts}, answered {report.answered}, notices {report.notices}, "
        f"never taken in {never}; API calls a prompt {report.calls / max(1, report.prompts):.2f}"
    ]
    for name in ("lost", "doubled", "stuck", "wrong"):
        lines += [f"  {name}: {what}" for what in getattr(report, name)]
    return lines


def _json(soaked: Soaked) -> dict[str, Any]:
    return {
        "part": "soak",
        "text": _text(soaked),
        "figures": [asdict(each) for each in soaked.figures()],
        "troubles": soaked.made,
        "samples": [asdict(each) for each in soaked.samples],
    }


def main() -> int:
    """Soak, draw, print."""
    options = argparse.ArgumentParser(prog="benchmarks.soak", description=__doc__)
    options.add_argument("minutes", type=float, nargs="?", default=20.0)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--json", action="store_true", help="for programs, every sample included")
    options.add_argument("--svg", type=Path, help="draw the curves there")
    chosen = options.parse_args()
    soaked = asyncio.run(soak(chosen.minutes, chosen.seed))
    if chosen.svg:
        chosen.svg.write_text(svg(soaked.samples))
    print(json.dumps(_json(soaked), indent=1) if chosen.json else _text(soaked))
    return 0 if soaked.report.balanced else 1


if __name__ == "__main__":
    sys.exit(main())
