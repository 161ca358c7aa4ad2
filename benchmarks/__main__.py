"""`python -m benchmarks [--quick] [--json] [PART ...]`: every part, one after the other.

A part is a folder here with a `__main__.py` that takes `--quick` and `--json`. The exit code says
whether every part ran, not whether the bars are kept: this measures, tests judge.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.closing import figures_of, table, text_of
from benchmarks.reporting import Figure

_HERE = Path(__file__).parent
_APART = {"soak", "delivery_live"}  # which take their time, by the wall clock
_EXTRA = ("openai", "litellm", "httpx_sse")  # whom we are compared with: the extra `bench`

Run = Callable[[Sequence[str]], tuple[int, str]]
"""Runs a command; its exit code, and what it printed."""


def parts() -> list[str]:
    """The names of all parts."""
    return sorted({path.parent.name for path in _HERE.glob("*/__main__.py")} - _APART)


def measured(part: str, run: Run, *, quick: bool) -> dict[str, Any]:
    """The JSON of a part, with the seconds it took; with `failed`, a sentence, if it didn't run."""
    began = time.monotonic()
    command = [sys.executable, "-m", f"benchmarks.{part}", "--json", *["--quick"] * quick]
    code, printed = run(command)
    found: dict[str, Any] = {"part": part, "figures": []}
    try:
        if code:
            raise ValueError(f"it ended with exit code {code}")
        told = json.loads(printed)
        figures_of(told)
        found = told
    except (ValueError, KeyError, TypeError) as error:
        found["failed"] = f"{type(error).__name__}: {error}"
    return {**found, "part": part, "seconds": round(time.monotonic() - began, 1)}


def missing() -> str:
    """A line that says what is left out because it isn't installed; "" if nothing is."""
    away = [name for name in _EXTRA if find_spec(name) is None]
    if not away:
        return ""
    return (
        f"Not installed, so not compared with: {', '.join(away)}"
        " (the extra `bench` of pyproject.toml)."
    )


def closing(found: Sequence[dict[str, Any]]) -> list[str]:
    """The table of all bars, and what did not run."""
    rows: list[tuple[str, Figure]] = [
        (each["part"], figure) for each in found for figure in figures_of(each)
    ]
    failed = [f"{each['part']} DID NOT RUN: {each['failed']}" for each in found if "failed" in each]
    took = sum(each["seconds"] for each in found)
    return [*table(rows), *failed, f"{took:.0f} s"]


def whole(found: Sequence[dict[str, Any]], left_out: str) -> dict[str, Any]:
    """All parts and all bars, for programs."""
    bars = [
        {"part": each["part"], **asdict(figure)}
        for each in found
        for figure in figures_of(each)
        if figure.bar
    ]
    return {"parts": list(found), "bars": bars, "left_out": left_out}


def _process(command: Sequence[str]) -> tuple[int, str]:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    return done.returncode, done.stdout


def main() -> int:
    """Run the parts; 1 if one of them did not run."""
    options = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    options.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts()))
    options.add_argument("--quick", action="store_true", help="less of each, in two minutes")
    options.add_argument("--json", action="store_true", help="for programs")
    chosen = options.parse_args()
    if unknown := set(chosen.parts) - set(parts()):
        options.error(f"no such part: {', '.join(sorted(unknown))}")
    found = []
    for part in chosen.parts or parts():
        found.append(measured(part, _process, quick=chosen.quick))
        if not chosen.json:
            title = f"{part} ({found[-1]['seconds']:.0f} s)"
            print(f"{title}\n{'-' * len(title)}\n{text_of(found[-1])}\n", flush=True)
    if chosen.json:
        print(json.dumps(whole(found, missing()), indent=1))
    else:
        print("\n".join([*closing(found), *filter(None, [missing()])]))
    return 1 if any("failed" in each for each in found) else 0


if __name__ == "__main__":
    sys.exit(main())
