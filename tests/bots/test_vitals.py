"""The process on its own /metrics, and what its garbage collector is spared."""

import asyncio
import gc
import re
import time
from pathlib import Path

import aiohttp

from bots.settings import load
from bots.vitals import EVERY, LAG, THRESHOLDS, watched
from bots.wiring import service


def late(seconds: float) -> float:
    """How many looks came later than so many seconds."""
    found = {
        sample.labels.get("le", ""): sample.value
        for metric in LAG.collect()
        for sample in metric.samples
        if sample.name.endswith("_bucket")
    }
    return found["+Inf"] - found[str(seconds)]


async def test_a_loop_that_stands_still_is_seen() -> None:
    async with watched():
        before = late(0.2)
        await asyncio.sleep(EVERY / 2)
        assert late(0.2) == before
        time.sleep(0.4)  # noqa: ASYNC251 - that is the point
        await asyncio.sleep(EVERY)
        assert late(0.2) == before + 1


async def test_a_service_tells_its_memory_files_and_tasks_and_keeps_what_it_loaded(
    tmp_path: Path,
) -> None:
    loaded = load(
        {"DATABASE_URL": f"sqlite:///{tmp_path}/t.db", "HTTP_PORT": "0"}, tmp_path / ".env"
    )
    said: list[str] = []
    assert gc.get_freeze_count() == 0
    before = gc.get_threshold()
    async with service(loaded, said.append):
        assert gc.get_freeze_count() > 10_000
        assert gc.isenabled() and gc.get_threshold() == THRESHOLDS != before
        (address,) = re.findall(r"http://\S+/", "\n".join(line for line in said if "Play" in line))
        async with aiohttp.ClientSession() as session, session.get(f"{address}metrics") as answer:
            told = dict(
                line.rsplit(" ", 1) for line in (await answer.text()).splitlines() if line[0] != "#"
            )
    assert gc.get_freeze_count() == 0
    assert gc.get_threshold() == before
    assert float(told["threadseek_tasks"]) >= 3
    assert float(told["process_resident_memory_bytes"]) > 10e6
    assert float(told["process_open_fds"]) > 5
    assert "threadseek_loop_lag_seconds_count" in told
