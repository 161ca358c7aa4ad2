"""A share of the schedules with every test run, and proof that they would notice.

`make simulate N=10000` plays more; a violation prints its seed, and `make simulate N=1 FIRST=seed`
replays it.
"""

from dataclasses import replace

import pytest

from core.ports import Turn
from core.store.sql import SqlTurns
from core.types import PartId, Prompt
from tests.simulation.schedule import play
from tests.simulation.world import Weather

SCHEDULES = 160
GROUPS = 8


@pytest.mark.parametrize("group", range(GROUPS))
def test_nothing_is_lost_doubled_or_stuck(group: int) -> None:
    for seed in range(group, SCHEDULES, GROUPS):
        problems, _, _ = play(seed, Weather())
        assert not problems, f"make simulate N=1 FIRST={seed}"


class ForgetsWhatItPosted(SqlTurns):
    """No memory of posts at all."""

    async def announce(self, turn: Turn, index: int) -> None:
        """Nothing."""

    async def posted(self, turn: Turn, index: int, part: PartId) -> None:
        """Nothing."""


class DoesNotAnnounce(SqlTurns):
    """A post whose answer is lost with the process is unknown to the next one."""

    async def announce(self, turn: Turn, index: int) -> None:
        """Nothing."""


class TakesEveryCopy(SqlTurns):
    """No deduplication."""

    async def accept(self, prompt: Prompt) -> bool:
        """Each delivery counts as a prompt of its own."""
        self._copies = getattr(self, "_copies", 0) + 1
        copy = f"{prompt.identity}:{id(self)}:{self._copies}"
        return await super().accept(replace(prompt, identity=copy))


class CountsNoAttempts(SqlTurns):
    """Asks as often as it likes."""

    async def attempt(self, turn: Turn) -> int:
        """Always the first."""
        return 1


class AcknowledgesFirst(SqlTurns):
    """Says that it is stored before it is."""

    async def accept(self, prompt: Prompt) -> bool:
        """A crash or a busy store loses it."""
        try:
            return await super().accept(prompt)
        except Exception:  # noqa: BLE001 - that is the mistake
            return True


@pytest.mark.parametrize(
    "broken",
    [ForgetsWhatItPosted, DoesNotAnnounce, TakesEveryCopy, CountsNoAttempts, AcknowledgesFirst],
)
def test_a_broken_protocol_is_noticed(broken: type[SqlTurns]) -> None:
    storm = Weather(crashes=6, crash=0.05, api=0.3)
    assert any(play(seed, storm, broken)[0] for seed in range(200))


def test_the_storm_itself_is_survived() -> None:
    storm = Weather(crashes=6, crash=0.05, api=0.3)
    for seed in range(30):
        assert not play(seed, storm)[0], f"seed {seed}"
