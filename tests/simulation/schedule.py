"""Runs schedules and checks what must hold after each.

`python -m tests.simulation.schedule COUNT [FIRST]` prints a report and exits 1 on a violation;
with COUNT 1 it replays the seed FIRST.
"""

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy import Connection, Table, select

from core.delivery.reply import Reply
from core.errors import StoreError
from core.lifecycle import OPEN, State
from core.store.schema import message, turn
from core.store.sql import SqlTurns
from core.types import Prompt, Role, Verdict
from tests.fakes.clock import now, run
from tests.simulation.world import (
    CALM,
    LIMITS,
    RETRIES,
    Dead,
    Process,
    Weather,
    World,
    prompts_of,
)

_BAD_UNTIL = 120.0  # seconds of bad weather
_SETTLED_BY = 3_000.0  # seconds by which nothing may be open
_ANSWERS = (Verdict.COMPLETE, Verdict.LENGTH)

Row = Mapping[str, Any]


class Schedule:
    """One seed, played to its end."""

    def __init__(self, seed: int, weather: Weather, turns: type[SqlTurns]) -> None:
        self.world = World(seed, weather, turns)
        self.prompts: list[Prompt] = []
        self._process: Process = self.world.process()

    async def play(self) -> list[str]:
        """The violations; empty when all is well."""
        people = asyncio.create_task(self._people())
        clearing = asyncio.create_task(self._clear())
        while not (people.done() and self._quiet()) and now() < _SETTLED_BY:
            await self._process.run(self._until_quiet(people))
            await asyncio.sleep(self.world.rng.choice((0.1, 2.0, 20.0)))
            self._process = self.world.process()
        clearing.cancel()
        await asyncio.gather(people, clearing, return_exceptions=True)
        problems = self._violations()
        self.world.database.close()
        return problems

    async def _people(self) -> None:
        deliveries = []
        for at, prompt in prompts_of(self.world.rng):
            await asyncio.sleep(max(0.0, at - now()))
            self.prompts.append(prompt)
            deliveries.append(asyncio.create_task(self._deliver(prompt)))
        await asyncio.gather(*deliveries)

    async def _deliver(self, prompt: Prompt) -> None:
        """Bring one event as Slack does: four times at most, until it is acknowledged."""
        started = now()
        for after in RETRIES:
            await asyncio.sleep(max(0.0, started + after - now()))
            process = self._process
            try:
                await process.engine.accept(prompt)
                await self.world.passes("before the acknowledgement", process.life)
            except (StoreError, Dead):
                continue
            self.world.acknowledged.add(prompt.identity)
            if not self.world.happens("unacknowledged"):
                return

    async def _clear(self) -> None:
        await asyncio.sleep(_BAD_UNTIL)
        self.world.weather = CALM

    async def _until_quiet(self, people: "asyncio.Task[None]") -> None:
        await asyncio.wait({people})
        while not self._quiet():  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(1.0)

    def _quiet(self) -> bool:
        return now() > _BAD_UNTIL and not any(row["state"] in OPEN for row in self._rows(turn))

    def _rows(self, table: Table) -> list[Row]:
        def read(connection: Connection) -> list[Row]:
            return [row._asdict() for row in connection.execute(select(table))]

        return self.world.database.now(read)

    def _violations(self) -> list[str]:
        turns = {row["identity"]: row for row in self._rows(turn)}
        found = [f"acknowledged, not stored: {i}" for i in self.world.acknowledged - turns.keys()]
        for identity, row in turns.items():
            if row["state"] != State.SETTLED:
                found.append(f"stuck: {identity} is {row['state']} {row['reason']}")
                continue
            shown = [m for m in self.world.messages.values() if m.identity == identity]
            visible = [m.texts[-1] for m in shown if not m.gone]
            if visible != _expected(row):
                found.append(f"shown: {identity}: {visible} instead of {_expected(row)}")
        found += [f"asked {n} times: {what}" for what, n in self.world.asked.items() if n > 3]
        if self.world.overlaps:
            found.append("two turns of one conversation at once")
        if self.world.foreign:
            found.append("words of another conversation")
        return found + self._history(turns)

    def _history(self, turns: Mapping[str, Row]) -> list[str]:
        rows = self._rows(message)
        answers = Counter(row["turn_id"] for row in rows if row["role"] == Role.ASSISTANT)
        wanted = Counter(row["id"] for row in turns.values() if row["verdict"] in _ANSWERS)
        return [] if answers == wanted else [f"history: {answers} instead of {wanted}"]


def _expected(row: Row) -> list[str]:
    """The parts of a committed outcome, as people have to see them."""
    reply = Reply(LIMITS)
    reply.add(row["answer"])
    reply.finish(row["notice"])
    return list(reply.texts)


def play(
    seed: int, weather: Weather, turns: type[SqlTurns] = SqlTurns
) -> tuple[list[str], Counter[str], int]:
    """Violations, what happened, and how many prompts never got in (all deliveries failed).

    turns: the store to play with; a test may hand in one that is broken on purpose.
    """

    async def main() -> tuple[list[str], Counter[str], int]:
        schedule = Schedule(seed, weather, turns)
        problems = await schedule.play()
        never = len(schedule.prompts) - len(schedule.world.acknowledged)
        return problems, schedule.world.hits, never

    return run(main())


def main() -> int:
    """The report. Returns the exit code."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    count = int(sys.argv[1])
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    hits: Counter[str] = Counter()
    bad = missed = 0
    for seed in range(first, first + count):
        problems, happened, never = play(seed, Weather())
        hits += happened
        missed += never
        bad += bool(problems)
        for problem in problems:
            print(f"seed {seed}: {problem}")  # noqa: T201
    print(f"{count} schedules from {first}: {bad} with violations")  # noqa: T201
    print(f"prompts whose every delivery failed: {missed}")  # noqa: T201
    for what, number in sorted(hits.items()):
        print(f"  {number:>7} {what}")  # noqa: T201
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
