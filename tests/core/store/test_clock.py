"""Leases are measured by a clock that nobody can step."""

from core.store.clock import steady


def test_a_step_of_the_wall_clock_is_not_seen() -> None:
    wall, monotonic = [1_000.0], [5.0]
    clock = steady(lambda: wall[0], lambda: monotonic[0])
    assert clock() == 1_000.0
    wall[0] += 3_600.0
    monotonic[0] += 2.0
    assert clock() == 1_002.0
