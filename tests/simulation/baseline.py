"""I14: what a process holds once everything is quiet. It has to be what it held at its start."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from types import CodeType
from typing import Any

from core.delivery.sharing import OwnBudget
from core.turns import metrics
from core.turns.engine import Engine
from tests.simulation.process import Process

_OURS = frozenset({"schedule.py", "people.py", "process.py", "locks.py"})
"""Where the tasks begin that play a schedule (`locks`: a process waits for its death)."""
_SLOTS = 128
_LOOK = Engine._next.__code__
_PACERS = 11
"""Of one prompt: edits by an interaction's token; posts, edits and the three calls of a stream,
each maybe under a wider one."""


def held(process: Process) -> list[str]:
    """What an idle process still holds, and should not."""
    engine, queueing = process.engine, process.engine._queueing
    found = []
    if engine._running or queueing._tasks:
        found.append(f"I14 still at work: {len(engine._running)} {len(queueing._tasks)}")
    if not _SLOTS - looking() <= engine._slots._value <= _SLOTS:
        found.append(f"I14 slots left: {engine._slots._value}")
    budget = engine._means.budget
    kept = len(budget._desks._desks) if isinstance(budget, OwnBudget) else 0
    if kept > _PACERS * sum(len(site.limits) for site in process.sites.values()):
        found.append(f"I14 pacers kept: {kept}")
    if any(process.life in lives for lives in process.world.streams.values()):
        found.append("I14 a stream is open")
    return found


def left(tasks: Iterable["asyncio.Task[object]"]) -> list[str]:
    """Tasks among these that the schedule did not start: nobody waits for them."""
    found = []
    for task in tasks:
        code = _begun_at(task)
        if code is not None and Path(code.co_filename).name not in _OURS and code != _LOOK:
            found.append(f"I14 a task is left: {code.co_qualname}")
    return found


def looking() -> int:
    """How many looks for work are under way; an idle process makes one each second."""
    return sum(_begun_at(task) == _LOOK for task in asyncio.all_tasks())


def _begun_at(task: "asyncio.Task[Any]") -> CodeType | None:
    return getattr(task.get_coro(), "cr_code", None)


def counted() -> tuple[float, float]:
    """Turns being answered, and the prompts' and completions' tokens, as the metrics say."""
    tokens = sum(metrics.TOKENS.labels(kind)._value.get() for kind in ("prompt", "completion"))
    return metrics.ACTIVE._value.get(), tokens
