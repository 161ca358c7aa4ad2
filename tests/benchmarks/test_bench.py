"""`make bench`: it merges what the parts say, hides no miss, and says what did not run."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks.__main__ import Run, closing, measured, parts, whole
from benchmarks.closing import number, text_of
from benchmarks.store.told import figures

FAST = {"name": "turns", "value": 2500.4, "unit": "a second", "bar": "at least 2000", "kept": True}
SLOW = {"name": "p99", "value": 41.26, "unit": "ms", "bar": "at most 30", "kept": False}
PLAIN = {"name": "CPU", "value": 3.0, "unit": "us", "bar": "", "kept": None, "spread": [2.5, 14.0]}
UNSEEN = {"name": "K=100", "value": 0, "unit": "missed", "bar": "none", "kept": None}


def printing(text: str, code: int = 0) -> Run:
    return lambda command: (code, text)


def part(name: str, *rows: dict[str, Any]) -> dict[str, Any]:
    return measured(name, printing(json.dumps({"part": name, "figures": rows})), quick=True)


def test_the_closing_table_has_every_bar_and_its_verdict() -> None:
    found = [part("store", FAST, PLAIN, SLOW), part("streams", UNSEEN)]
    lines = closing(found)
    assert [line.split() for line in lines[1:4]] == [
        ["store:", "turns", "2,500", "a", "second", "at", "least", "2000", "kept"],
        ["store:", "p99", "41.3", "ms", "at", "most", "30", "MISSED"],
        ["streams:", "K=100", "0", "missed", "none", "not", "judged"],
    ]
    assert "1 of 3 bars kept, 1 missed" in lines
    assert not any("DID NOT RUN" in line for line in lines)
    bars = whole(found, "")["bars"]
    assert [(each["part"], each["name"], each["kept"]) for each in bars] == [
        ("store", "turns", True),
        ("store", "p99", False),
        ("streams", "K=100", None),
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [("", 1), (json.dumps({"figures": [FAST]}), 3), ("a line\n{}", 0), ('{"figures": [{}]}', 0)],
)
def test_a_part_that_did_not_run_is_said(text: str, code: int) -> None:
    found = measured("path", printing(text, code), quick=False)
    assert found["failed"]
    assert found["figures"] == [], "half of its figures would look like all of them"
    assert any(line.startswith("path DID NOT RUN: ") for line in closing([part("a", FAST), found]))


@pytest.mark.parametrize("quick", [True, False])
def test_a_part_is_asked_as_its_own_command(quick: bool) -> None:
    asked: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> tuple[int, str]:
        asked.append(command)
        return 0, '{"figures": []}'

    measured("store", run, quick=quick)
    assert asked == [[sys.executable, "-m", "benchmarks.store", "--json", *["--quick"] * quick]]


def test_a_part_without_a_table_of_its_own_gets_one() -> None:
    assert text_of(part("a", FAST, PLAIN)).splitlines() == [
        "turns  2,500 a second",
        "CPU    3 (2.50-14) us",
    ]
    assert text_of({"text": "mine\n", "figures": []}) == "mine"
    assert [number(value) for value in (0.1234, 12.34, 1234.5)] == ["0.12", "12.3", "1,234"]


@pytest.mark.parametrize("name", parts())
def test_every_part_exists_and_takes_both_options(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert "--quick" in said
    assert "--json" in said


def test_the_parts_are_found() -> None:
    assert {"delivery", "store"} <= set(parts())
    assert "soak" not in parts(), "it is asked for how long"


def servers(cores: int, rates: tuple[float, float]) -> dict[str, bool | None]:
    """One worker and two; a turn takes 2 ms of processor time."""
    alike = {name: {"median": 0.001} for name in ("cpu", "server")}
    rows = {
        str(at): {"turns_a_second": {"median": rate}} | alike
        for at, rate in zip((1, 2), rates, strict=True)
    }
    found = figures({"servers": {"cores": cores, "workers": rows}})
    return {each.name: each.kept for each in found}


def test_workers_are_judged_by_the_bar_or_by_the_most_that_the_cores_admit() -> None:
    name = "2 workers to one"
    assert servers(8, (500, 860))[name] is True
    assert servers(8, (500, 840))[name] is False
    # One keeps 1.8 of two cores busy: 1.11 times as much is all there is.
    assert servers(2, (900, 950))[name] is True
    assert servers(2, (900, 840))[name] is False
