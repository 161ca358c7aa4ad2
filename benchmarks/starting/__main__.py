"""`python -m benchmarks.starting [--quick] [--json]`.

`threadseek --help`, and `threadseek run` with Slack and Discord until /readyz says 200; then the
memory of that process, a moment later. The floor is Python starting and ending with nothing to do.
"""

import asyncio
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import reporting, service
from benchmarks.reporting import Figure

REPETITIONS, QUICK = 7, 3
_REST = 1.0  # seconds between being ready and looking at the memory


def _ended(*command: str) -> tuple[float, float]:
    """Run a command to its end: seconds of wall and CPU time."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=service.ROOT)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def _ready(variables: dict[str, str], folder: Path) -> dict[str, float]:
    """Start the service in a folder, to ready: seconds, CPU seconds, MiB."""
    async with service.running(variables, service.COMMAND, folder) as ours:
        wall = await ours.ready()
        cpu = ours.cpu()
        await asyncio.sleep(_REST)
        return {"wall": wall, "cpu": cpu} | ours.memory()


async def _services(repetitions: int) -> list[Figure]:
    """Each on a database of its own: new ones first, then one that was made before."""
    async with service.slack() as (_, slack), service.discord() as (_, discord):
        both = slack | discord | {"DEEPSEEK_API_KEY": "sk-bench-00000000"}
        with tempfile.TemporaryDirectory() as root:
            made = Path(root) / "made"
            made.mkdir()
            async with service.running({"DEEPSEEK_API_KEY": "sk-b"}, service.COMMAND, made) as ours:
                await ours.ready()
            new, again = [], []
            for number in range(repetitions):
                folder = Path(root) / f"new{number}"
                folder.mkdir()
                new.append(await _ready(both, folder))
                folder = Path(root) / f"again{number}"
                shutil.copytree(made, folder)
                again.append(await _ready(both, folder))
    found = []
    for name, runs in (("run, database there", again), ("run, database made", new)):
        found += [
            reporting.of(f"{name}: ready", [run["wall"] for run in runs], "s", most=1.5),
            reporting.of(f"{name}: CPU until ready", [run["cpu"] for run in runs], "s"),
            reporting.of(
                f"{name}: idle memory (RSS)", [run["Rss"] for run in runs], "MiB", most=90.0
            ),
            reporting.of(f"{name}: idle memory (PSS)", [run["Pss"] for run in runs], "MiB"),
        ]
    return found


def main() -> None:
    """Measure and print."""
    chosen = reporting.options("starting", __doc__)
    repetitions = QUICK if chosen.quick else REPETITIONS
    floor = [_ended(sys.executable, "-c", "pass") for _ in range(repetitions)]
    said = [_ended(service.COMMAND[0], "--help") for _ in range(repetitions)]
    figures = [
        reporting.of("python -c pass: wall", [wall for wall, _ in floor], "s"),
        reporting.of("--help: wall", [wall for wall, _ in said], "s", most=0.3),
        reporting.of("--help: CPU", [cpu for _, cpu in said], "s"),
    ]
    figures += asyncio.run(_services(repetitions))
    reporting.show("starting", figures, as_json=chosen.json)


if __name__ == "__main__":
    main()
