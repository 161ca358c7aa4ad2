"""Two replicas on a server under load: kills, one stopped past its lease, the server torn down."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.contract.store.serving import Cluster, serving
from tests.torture.kills import Storm, on_a_server


@pytest.fixture(scope="module")
def cluster() -> Generator[Cluster, None, None]:
    """A server of its own: it is torn down."""
    with serving() as running_server:
        yield running_server


@pytest.mark.timeout(300)
async def test_six_kills_a_stop_and_a_restart_under_load(cluster: Cluster, tmp_path: Path) -> None:
    storm = Storm(
        kills=6,
        seed=3,
        rate=1.0,
        longest=0.6,
        replicas=2,
        stops=1,
        restarts=1,
        slow=0.1,
    )
    report = await on_a_server(tmp_path, storm, cluster)
    assert report.balanced, str(report)
    assert report.accounted == report.prompts
    assert report.pauses == 2, "a stop and a restart"
    assert report.answered >= 10, "the load leaves room to answer"
