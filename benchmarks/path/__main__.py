"""`python -m benchmarks.path [--quick] [--json] [--profile PLATFORM:K]`.

K answers grow at the same time, each by 40 tokens a second, through ingress, store, client, reply,
pacer and adapter of the shipped command. Platform and API are processes of their own. What is
measured is measured in windows, one after the other, while all K grow.
"""

import argparse
import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from benchmarks import reporting, service
from benchmarks.far_ends.process import FarEnd
from benchmarks.probed import TICK
from benchmarks.reporting import Figure, percentile

WINDOWS, SECONDS = 5, 1.0
ASKED = 25.0  # new events a second meanwhile
RAMP = 500.0  # events a second that begin the answers
ENOUGH, FULL = 0.8, 0.9  # it doesn't keep up that reads less of the tokens with so much of a core
GROWTH = 1.1  # of the cost of a token, from 100 answers on: what windows of one cell differ by
LOST = 3.0  # seconds after which an event that nobody acknowledged is lost
WARM = 20  # answers that have begun before memory is looked at first
SETTLING = 2.0  # seconds between the first token and the first window


@dataclass
class Cell:
    """What K answers on one platform gave. times: seconds; tokens: read in each window."""

    platform: str
    live: int
    cpu: list[float] = field(default_factory=list)
    share: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)
    floor: list[float] = field(default_factory=list)
    acks: list[float] = field(default_factory=list)
    behind: float = 0.0
    memory: float = 0.0
    profile: str = ""
    areas: dict[str, float] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)


async def measure(
    platform: str, live: int, windows: int, rate: float, profile: bool = False
) -> Cell:
    """One cell."""
    cell = Cell(platform, live)
    async with AsyncExitStack() as stack:
        far = service.slack() if platform == "slack" else service.discord()
        end, variables = await stack.enter_async_context(far)
        api, more = await stack.enter_async_context(service.api())
        settings = variables | more | {"DEEPSEEK_CONCURRENCY": str(live)}
        ours = await stack.enter_async_context(service.running(settings))
        await ours.ready()
        await _begin(platform, end, api, WARM, WARM)
        await api.ask("flow", rate=rate)
        await asyncio.sleep(SETTLING)
        warm = (await ours.probe("mark"))["rss"]
        await api.ask("flow", rate=0.0)
        await _begin(platform, end, api, live - WARM, live)
        await api.ask("flow", rate=rate)
        await asyncio.sleep(SETTLING)
        # Before the windows: what is asked in them waits, and weighs as well.
        cell.memory = ((await ours.probe("mark"))["rss"] - warm) / (live - WARM)
        if profile:
            await ours.probe("profile")
        for _ in range(windows):
            await _window(cell, ours, end, api)
            if cell.rate[-1] < ENOUGH * rate and cell.share[-1] > FULL:
                break  # more of that says nothing more
        if profile:
            said = await ours.probe("stop")
            cell.profile, cell.areas = said["text"], said["areas"]
        cell.calls = await end.ask("calls")
    return cell


async def _begin(platform: str, end: FarEnd, api: FarEnd, more: int, live: int) -> None:
    """Ask for so many answers more, and wait until `live` have begun."""
    await end.ask("events" if platform == "slack" else "messages", rate=RAMP, count=more)
    async with asyncio.timeout(120):
        while (await api.ask("look"))["streams"] < live:  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def _window(cell: Cell, ours: service.Service, end: FarEnd, api: FarEnd) -> None:
    before, sent = await ours.probe("mark"), await api.ask("look")
    idle: list[float] = []
    idling = asyncio.create_task(_idle(idle))
    ask = "events" if cell.platform == "slack" else "commands"
    cell.acks += await end.ask(ask, rate=ASKED, count=int(ASKED * SECONDS))
    idling.cancel()
    cell.floor.append(percentile(idle, 0.99))
    after, got = await ours.probe("mark"), await api.ask("look")
    wall = after["wall"] - before["wall"]
    read = got["sent"] - got["unread"] - sent["sent"] + sent["unread"]
    cell.cpu.append((after["cpu"] - before["cpu"]) / max(read, 1.0))
    cell.share.append((after["cpu"] - before["cpu"]) / wall)
    cell.rate.append(read / wall / cell.live)
    cell.lag.append(after["lag_p99"])
    cell.behind = got["unread"] / cell.live / 40.0


async def _idle(lags: list[float]) -> None:
    """How late this process's own loop is, which has nothing to do: the machine's part in it."""
    clock = asyncio.get_running_loop().time
    while True:
        due = clock() + TICK
        await asyncio.sleep(TICK)
        lags.append(clock() - due)


def figures(cells: list[Cell]) -> list[Figure]:
    """With the bars."""
    found = []
    for cell in cells:
        name = f"{cell.platform}, {cell.live:,} answers"
        first = next(other for other in cells if other.platform == cell.platform)
        us = [each * 1e6 for each in cell.cpu]
        found.append(reporting.of(f"{name}: CPU a token", us, "us"))
        found.append(reporting.of(f"{name}: CPU", [each * 100 for each in cell.share], "%"))
        found.append(reporting.of(f"{name}: tokens a second and answer", cell.rate, ""))
        found.append(Figure(f"{name}: tokens not read yet", cell.behind, "s"))
        if cell is not first:
            base = sorted(first.cpu)[len(first.cpu) // 2]
            ratio = [each / base for each in cell.cpu]
            label = f"{name}: CPU a token to that of {first.live}"
            found.append(reporting.of(label, ratio, "times", most=GROWTH))
        most = 20.0 if cell.live <= 1_000 else None
        lags = [each * 1e3 for each in cell.lag]
        found.append(reporting.of(f"{name}: loop lag p99", lags, "ms", most=most))
        floor = [each * 1e3 for each in cell.floor]
        found.append(reporting.of(f"{name}: an idle loop's lag p99", floor, "ms"))
        p99 = min(percentile(cell.acks, 0.99), LOST) * 1e3
        bar = "at most 50 ms" if cell.live <= 1_000 else ""
        kept = p99 <= 50 if bar else None
        found.append(Figure(f"{name}: new event acknowledged, p99", p99, "ms", bar, kept))
        memory = [cell.memory / 1024]
        found.append(reporting.of(f"{name}: memory an answer", memory, "KiB", most=96.0))
    return found


async def _all(cells: list[tuple[str, int]], windows: int, rate: float) -> list[Cell]:
    return [await measure(platform, live, windows, rate) for platform, live in cells]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.path", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 answers, two windows")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--rate", type=float, default=40.0, help="tokens a second (default 40)")
    parser.add_argument("--only", default="", metavar="PLATFORM:K", help="this cell alone")
    parser.add_argument("--profile", action="store_true", help="with --only: where the CPU goes")
    chosen = parser.parse_args()
    wanted = [(platform, k) for platform in ("slack", "discord") for k in (100, 1_000, 2_500)]
    if chosen.quick:
        wanted = [("slack", 100), ("discord", 100)]
    if chosen.only:
        platform, _, live = chosen.only.partition(":")
        wanted = [(platform, int(live))]
    windows = 2 if chosen.quick or chosen.profile else WINDOWS
    if chosen.profile:
        cell = asyncio.run(measure(*wanted[0], windows, chosen.rate, profile=True))
        whole = sum(cell.areas.values())
        print(cell.profile, cell.calls)
        for area, seconds in sorted(cell.areas.items(), key=lambda each: -each[1])[:16]:
            print(f"{area:<28}{seconds / whole:6.1%}")
        cells = [cell]
    else:
        cells = asyncio.run(_all(wanted, windows, chosen.rate))
    reporting.show("path", figures(cells), as_json=chosen.json)


if __name__ == "__main__":
    main()
