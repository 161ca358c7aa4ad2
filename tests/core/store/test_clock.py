"""Leases are measured by a clock that nobody can step."""

import time
from pathlib import Path

from core.store.clock import boot, machine_uptime, steady


def test_a_step_of_the_wall_clock_is_not_seen() -> None:
    wall, monotonic = [1_000.0], [5.0]
    clock = steady(lambda: wall[0], lambda: monotonic[0])
    assert clock() == 1_000.0
    wall[0] += 3_600.0
    monotonic[0] += 2.0
    assert clock() == 1_002.0


def test_a_boot_is_told_by_the_name_that_linux_gives_it(tmp_path: Path) -> None:
    name = tmp_path / "boot_id"
    name.write_text("5d0a6d4e-8c11-4f0e-9d6c-3f6c2a7f8b10\n")
    assert boot(name) == "5d0a6d4e-8c11-4f0e-9d6c-3f6c2a7f8b10"


def test_where_boots_have_no_name_each_process_counts_for_itself(tmp_path: Path) -> None:
    one, other = boot(tmp_path / "none"), boot(tmp_path / "nor here")
    assert one
    assert one != other
    assert boot(tmp_path / "none") == one


def test_the_uptime_goes_on_in_the_next_process() -> None:
    first, second = machine_uptime(time.monotonic), machine_uptime(time.monotonic)
    before, after = first(), second()
    assert before.since == after.since
    assert 0 <= after.at - before.at < 1
