"""Looks at a running service through its /metrics, again and again."""

import asyncio
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

LAG = "threadseek_loop_lag_seconds_bucket"


@dataclass(frozen=True)
class Sample:
    """One look. at: seconds after the first. memory: resident MiB. lag: p99 since the look before,
    in milliseconds. active: turns being answered. ended: turns that have ended so far.
    """

    at: float
    memory: float
    files: float
    tasks: float
    lag: float
    active: float
    ended: float


Buckets = Mapping[float, float]
"""Upper end in seconds -> how many looks at the loop came no later."""


def between(earlier: Buckets, later: Buckets, share: float) -> float:
    """Milliseconds that this share of the looks in between did not exceed, evenly in each bucket.

    The last bucket has no end: what falls there counts as its beginning.
    """
    ends = sorted(later)
    counts = [later[end] - earlier.get(end, 0.0) for end in ends]
    wanted = share * counts[-1]
    below, start = 0.0, 0.0
    for end, count in zip(ends, counts, strict=True):
        if count >= wanted and count > below:
            finite = end if end != float("inf") else start
            return 1e3 * (start + (finite - start) * (wanted - below) / (count - below))
        below, start = count, end
    return 0.0


class Watch:
    """Takes samples of the service at an address (with the slash at the end)."""

    def __init__(self, address: str, session: aiohttp.ClientSession) -> None:
        self._address, self._session = address, session
        self._began = time.monotonic()
        self._buckets: dict[float, float] = {}

    async def look(self) -> Sample:
        """One sample. Raises: aiohttp.ClientError."""
        async with self._session.get(f"{self._address}metrics") as answer:
            text = await answer.text()
        values, buckets = read(text)
        lag = between(self._buckets, buckets, 0.99)
        self._buckets = buckets
        return Sample(
            at=time.monotonic() - self._began,
            memory=values["process_resident_memory_bytes"] / 2**20,
            files=values["process_open_fds"],
            tasks=values["threadseek_tasks"],
            lag=lag,
            active=values["threadseek_turns_active"],
            ended=values.get("threadseek_turns_total", 0.0),
        )

    async def keep_looking(self, every: float, samples: list[Sample]) -> None:
        """Until cancelled, every so many seconds."""
        began = time.monotonic()
        for number in itertools.count(1):
            await asyncio.sleep(max(0.0, began + number * every - time.monotonic()))
            samples.append(await self.look())


def read(text: str) -> tuple[dict[str, float], dict[float, float]]:
    """Every value by its name, those of one name added up; and the buckets of the lag."""
    values: dict[str, float] = {}
    buckets: dict[float, float] = {}
    parser: Any = text_string_to_metric_families
    for family in parser(text):
        for sample in family.samples:
            if sample.name == LAG:
                buckets[float(sample.labels["le"])] = sample.value
            values[sample.name] = values.get(sample.name, 0.0) + sample.value
    return values, buckets
