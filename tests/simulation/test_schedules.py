"""2,000 schedules with every test run, on all cores.

`make simulate N=10000` plays more; a violation prints its seed, and `make simulate N=1 FIRST=seed`
replays it.
"""

from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from tests.simulation.report import Report, played, pool
from tests.simulation.schedule import play

SCHEDULES, GROUPS = 2_000, 40
SIZE = SCHEDULES // GROUPS


@pytest.fixture(scope="module")
def reports() -> Iterator[list[Future[Report]]]:
    """Every group's, as they come."""
    with pool() as workers:
        yield [workers.submit(played, group * SIZE, SIZE) for group in range(GROUPS)]


@pytest.mark.parametrize("group", range(GROUPS))
def test_nothing_is_lost_doubled_or_stuck(group: int, reports: list[Future[Report]]) -> None:
    report = reports[group].result()
    assert report.schedules == SIZE
    assert not report.bad, "\n".join(report.lines())


def test_every_kind_of_trouble_came(reports: list[Future[Report]]) -> None:
    total = Report()
    for future in reports:
        total.add(future.result())
    assert min(total.regimes.values()) > SCHEDULES / 40, total.regimes
    points = {what: n for what, n in total.points.items() if n >= 5}
    assert len(points) > 25, total.points
    assert sum(total.points.values()) > SCHEDULES / 2


def test_a_seed_is_a_replay() -> None:
    first, again = play(7), play(7)
    assert first == again
    assert play(8) != first
