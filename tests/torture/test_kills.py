"""Twenty kills of the shipped command under load: nothing lost, doubled or stuck."""

from pathlib import Path

import pytest

from tests.torture.kills import Storm, torture


@pytest.mark.timeout(300)
async def test_twenty_kills_under_load(tmp_path: Path) -> None:
    storm = Storm(kills=20, seed=7, rate=1.0, longest=0.6, early=0.3)
    report = await torture(tmp_path, storm)
    assert report.balanced, str(report)
    assert report.accounted == report.prompts
    assert report.answered >= 10, "the load leaves room to answer"
    assert report.commands - len(report.unheard) - len(report.cut_off) >= 1, "so do commands"
