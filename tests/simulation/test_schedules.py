"""2,000 schedules with every test run.

`make simulate N=10000` plays more; a violation prints its seed, and `make simulate N=1 FIRST=seed`
replays it.
"""

import pytest

from tests.simulation.report import played
from tests.simulation.schedule import play

SCHEDULES, GROUPS = 2_000, 40
SIZE = SCHEDULES // GROUPS


@pytest.mark.parametrize("group", range(GROUPS))
def test_nothing_is_lost_doubled_or_stuck(group: int) -> None:
    report = played(group * SIZE, SIZE)
    assert report.schedules == SIZE
    assert not report.bad, "\n".join(report.lines())


def test_every_kind_of_trouble_comes() -> None:
    report = played(0, 4 * SIZE)
    assert min(report.regimes.values()) > SIZE / 10, report.regimes
    assert len([what for what, n in report.points.items() if n >= 2]) > 25, report.points
    assert sum(report.points.values()) > 2 * SIZE


def test_a_seed_is_a_replay() -> None:
    first, again = play(7), play(7)
    assert first == again
    assert play(8) != first
