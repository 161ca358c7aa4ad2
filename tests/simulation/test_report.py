"""The report over all cores leaves nothing behind."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def workers_of(pid: int) -> list[str]:
    """The processes that play for a report."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [child for child in children if "spawn_main" in command(child)]


def command(pid: str) -> str:
    """How it was started; "" when it is no more."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def until(true: Callable[[], bool]) -> bool:
    """Whether it becomes true within 30 seconds."""
    end = time.monotonic() + 30
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_end_with_who_started_them() -> None:
    report = subprocess.Popen(  # far more than it gets to play
        [sys.executable, "-m", "tests.simulation.report", "1000000"],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert until(lambda: bool(workers_of(report.pid)))
        workers = workers_of(report.pid)
    finally:
        report.kill()
        report.wait()
    assert until(lambda: not any(map(command, workers)))
