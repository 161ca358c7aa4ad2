"""Takes each right behaviour out of the code, once, and sees its tests fail.

`python -m tests.faults.breaking [NUMBER ...]` breaks a copy of the tree for one row of the fault
table after the other (all without a number), runs the tests that the row names, and exits 1 if a
breakage goes unnoticed. The rows are data (`tests/faults/table.py`); docs/faults.md is written
from them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CODE = ("bots", "core", "adapters", "migrations", "tests", "pyproject.toml")
_PATIENCE = 240.0
"""Seconds for the tests of one breakage; tests that hang have noticed it, too."""
_FAILED = 1
"""pytest's exit code for tests that ran and failed; others mean that the breakage is no code."""


@dataclass(frozen=True, slots=True)
class Breakage:
    """The right behaviour, taken out. file: from the root. old: occurs there exactly once.

    tests: node ids of pytest; each of them has to fail.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fault:
    """A row. what: the fault; right: what Threadseek does then, for people to read."""

    number: int
    what: str
    right: str
    breakages: tuple[Breakage, ...]


def broken_copy(breakage: Breakage, place: Path) -> None:
    """A copy of the tree at `place` without the behaviour. Raises ValueError for a stale row."""
    for name in _CODE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, place / name)
    path = place / breakage.file
    text = path.read_text()
    if text.count(breakage.old) != 1:
        raise ValueError(f"{breakage.file} holds {text.count(breakage.old)} times {breakage.old!r}")
    path.write_text(text.replace(breakage.old, breakage.new))


def unnoticed(breakage: Breakage) -> list[str]:
    """The tests that pass although the behaviour is gone, or that can't tell."""
    result = []
    with tempfile.TemporaryDirectory() as folder:
        broken_copy(breakage, Path(folder))
        for test in breakage.tests:
            command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", test]
            environment = os.environ | {"PYTHONPATH": folder, "PYTHONDONTWRITEBYTECODE": "1"}
            try:
                done = subprocess.run(
                    command,
                    cwd=folder,
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=_PATIENCE,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                continue
            if done.returncode != _FAILED:
                result.append(f"{test} (exit {done.returncode}): {done.stdout[-300:]}")
    return result


def main(numbers: Sequence[int]) -> int:
    """Break row by row and say what came of it. Returns the exit code."""
    from tests.faults.table import FAULTS

    survivors = 0
    for fault in FAULTS:
        if numbers and fault.number not in numbers:
            continue
        started = time.monotonic()
        passed = [line for breakage in fault.breakages for line in unnoticed(breakage)]
        tests = sum(len(breakage.tests) for breakage in fault.breakages)
        verdict = "NOT NOTICED" if passed else f"noticed by {tests}"
        print(f"{fault.number:3} {verdict:14} {time.monotonic() - started:5.1f} s  {fault.what}")  # noqa: T201
        for line in passed:
            print(f"      {line}")  # noqa: T201
        survivors += bool(passed)
    print(f"{survivors} rows not noticed")  # noqa: T201
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main([int(number) for number in sys.argv[1:]]))
