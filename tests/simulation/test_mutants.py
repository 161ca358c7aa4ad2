"""Every deliberate breakage of the protocol is noticed; the protocol itself survives the same."""

import pytest

from tests.simulation.adapter_mutants import ADAPTER_MUTANTS
from tests.simulation.mutants import LINGERING_MUTANTS, MUTANTS
from tests.simulation.mutants_people import PEOPLES_MUTANTS
from tests.simulation.mutants_streams import (
    DOUBTFUL_MUTANTS,
    LOST_STREAM_MUTANTS,
    STREAM_MUTANTS,
)
from tests.simulation.process import Protocol
from tests.simulation.report import quietly
from tests.simulation.schedule import play
from tests.simulation.weather import DOUBTING, LINGERING, LOSING, STORM, STREAMING, Weather

WITHIN = 200
"""Schedules in which a breakage has to be noticed."""


BROKEN = (
    *((broken, STORM) for broken in (*MUTANTS, *PEOPLES_MUTANTS, *ADAPTER_MUTANTS)),
    *((broken, STREAMING) for broken in STREAM_MUTANTS),
    *((broken, LOSING) for broken in LOST_STREAM_MUTANTS),
    *((broken, DOUBTING) for broken in DOUBTFUL_MUTANTS),
    *((broken, LINGERING) for broken in LINGERING_MUTANTS),
)


@pytest.mark.parametrize(("broken", "weather"), BROKEN, ids=[broken.name for broken, _ in BROKEN])
def test_a_broken_protocol_is_noticed(broken: Protocol, weather: Weather) -> None:
    quietly()
    for seed in range(WITHIN):
        problems = play(seed, weather, broken).problems
        if problems:
            print(f"{broken.name}: seed {seed}: {problems[0]}")  # noqa: T201
            return
    pytest.fail(f"{broken.name} survives {WITHIN} schedules: the simulation has a hole")


@pytest.mark.parametrize(
    "weather",
    [STORM, STREAMING, LOSING, LINGERING, DOUBTING],
    ids=["edits", "streams", "lost", "late", "doubtful"],
)
def test_the_storm_itself_is_survived(weather: Weather) -> None:
    quietly()
    for seed in range(40):
        assert not play(seed, weather).problems, f"seed {seed}"
