"""`python -m benchmarks.acks [--quick] [--json]`.

Events at an even rate, and how long each takes to be acknowledged: by the shipped command, which
stores it before, and by the same SDK with an empty handler, in turn. Answers stay out of it: the
API is asked once at a time and says nothing, so that new questions are stored and wait.

Slack tells us nothing but the acknowledgement. Discord has none for messages: what is measured is
when the message is stored, as our log says, and when the empty handler has it. A command of
Discord's is acknowledged by a call, before it is stored.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime

from benchmarks import reporting, service
from benchmarks.far_ends.process import FarEnd
from benchmarks.reporting import Figure, percentile

RATES = {10: 1.0, 100: 0.5, 500: 0.3}
"""Events a second, and for how many seconds."""
REPETITIONS = 5
LOST = 3.0  # seconds after which an event that nobody acknowledged is lost
BEFORE = 120  # events until all places for turns are taken
_SETTLING = 1.5

WAYS = {
    "Slack, Socket Mode": ("socket", "events"),
    "Slack, HTTP": ("http", "events"),
    "Discord, message": ("discord", "messages"),
    "Discord, command": ("discord", "commands"),
}


class Side:
    """One of the two that are compared, with a platform of its own."""

    def __init__(self, run: service.Service, end: FarEnd, ask: str) -> None:
        self.run = run
        self.end = end
        self._ask = ask
        self._log = run.log
        self._read = 0

    async def latencies(self, rate: float, count: int) -> list[float]:
        """Seconds for each of so many events; infinite for one that is lost."""
        if self._ask != "messages":
            found: list[float] = await self.end.ask(self._ask, rate=rate, count=count)
            return found
        await self.end.ask(self._ask, rate=rate, count=count)
        sent: dict[str, float] = await self.end.ask("sent")
        came: dict[str, float] = {}
        for _ in range(100):
            came |= self._came()
            if sent.keys() <= came.keys():
                break
            await asyncio.sleep(0.05)
        return [came.get(id_, float("inf")) - at for id_, at in sent.items()]

    def _came(self) -> dict[str, float]:
        """What the log says since it was read last: id and epoch seconds."""
        with self._log.open() as log:
            log.seek(self._read)
            lines = log.readlines()
            self._read = log.tell()
        found = {}
        for line in lines:
            if line.startswith("{") and '"discord.prompt"' in line:
                said = json.loads(line)
                at = datetime.fromisoformat(said["timestamp"]).timestamp()
                found[said["identity"].rpartition(":")[2]] = at
            elif line[:1].isdigit() and line.count(" ") == 1:
                id_, _, seconds = line.partition(" ")
                found[id_] = float(seconds)
        return found


@asynccontextmanager
async def side(way: str, ask: str, *, ours: bool) -> AsyncIterator[Side]:
    """Start one, and wait until it takes events."""
    async with AsyncExitStack() as stack:
        far = service.discord() if way == "discord" else service.slack(http=way == "http")
        end, variables = await stack.enter_async_context(far)
        _, more = await stack.enter_async_context(service.api())
        if ours:
            more |= {"DEEPSEEK_CONCURRENCY": "1", "LOG_FORMAT": "json"}
            program: tuple[str, ...] = service.COMMAND
        else:
            program = (sys.executable, "-m", "benchmarks.acks.empty", way)
        run = await stack.enter_async_context(service.running(variables | more, program))
        if ours:
            await run.ready()
        else:
            assert run.process.stdout
            run.port = int(await run.process.stdout.readline())
            # It has no log: what it prints is put where ours is read.
            stack.push_async_callback(_ended, asyncio.create_task(_kept(run)))
        if way == "http":
            await end.ask("subscribe", url=f"http://127.0.0.1:{run.port}/slack/events")
        one = Side(run, end, ask)
        await one.latencies(200, BEFORE)
        await asyncio.sleep(_SETTLING)
        yield one


async def _kept(run: service.Service) -> None:
    assert run.process.stdout
    with run.log.open("ab", buffering=0) as log:
        while line := await run.process.stdout.readline():
            log.write(line)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def measure(name: str, repetitions: int) -> list[Figure]:
    """One way, all rates."""
    way, ask = WAYS[name]
    found: list[Figure] = []
    async with side(way, ask, ours=True) as ours, side(way, ask, ours=False) as empty:
        for rate, seconds in RATES.items():
            mine: list[list[float]] = []
            theirs: list[list[float]] = []
            costs: dict[Side, list[float]] = {ours: [], empty: []}
            for _ in range(repetitions):
                for one, into in ((ours, mine), (empty, theirs)):
                    count, before = int(rate * seconds), one.run.cpu()
                    into.append(await one.latencies(rate, count))
                    costs[one].append((one.run.cpu() - before) / count * 1e3)
            for share, label in ((0.5, "p50"), (0.99, "p99")):
                for who, runs in (("ours", mine), ("empty handler", theirs)):
                    ms = [min(percentile(run, share), LOST) * 1e3 for run in runs]
                    title = f"{name}, {rate}/s, {who}: {label}"
                    found.append(reporting.of(title, ms, "ms"))
            for who, one in (("ours", ours), ("empty handler", empty)):
                found.append(
                    reporting.of(f"{name}, {rate}/s, {who}: CPU an event", costs[one], "ms")
                )
            lost = sum(latency == float("inf") for run in mine for latency in run)
            found.append(Figure(f"{name}, {rate}/s, ours: lost", lost, "", "none", lost == 0))
    return found


async def _all(names: list[str], repetitions: int) -> list[Figure]:
    return [figure for name in names for figure in await measure(name, repetitions)]


def main() -> None:
    """Measure and print."""
    chosen = reporting.options("acks", __doc__)
    names = list(WAYS)
    if chosen.quick:
        RATES.clear()
        RATES[100] = 0.3
        names = names[::2]
    figures = asyncio.run(_all(names, 2 if chosen.quick else REPETITIONS))
    reporting.show("acks", figures, as_json=chosen.json)


if __name__ == "__main__":
    main()
