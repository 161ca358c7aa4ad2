"""I14: what a process holds once everything is quiet. It has to be what it held at its start."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from core.delivery.sharing import OwnBudget
from core.turns import metrics
from tests.simulation.process import Process

_OURS = frozenset({"schedule.py", "people.py", "process.py", "locks.py"})
"""Where the tasks begin that play a schedule (`locks`: a process waits for its death)."""
_SLOTS = 128
_PACERS = 3
"""Of one prompt: posts, edits, and edits by an interaction's token."""
_WIDER = 3
"""That these are within: Slack's posts and its minute of edits, Discord's texts altogether."""


def held(process: Process) -> list[str]:
    """What an idle process still holds, and should not."""
    engine, queueing = process.engine, process.engine._queueing
    found = []
    if engine._running or queueing._tasks:
        found.append(f"I14 still at work: {len(engine._running)} {len(queueing._tasks)}")
    if engine._slots._value != _SLOTS:
        found.append(f"I14 slots left: {engine._slots._value}")
    budget = engine._means.budget
    kept = len(budget._desks._desks) if isinstance(budget, OwnBudget) else 0
    if kept > _PACERS * sum(len(site.limits) for site in process.sites.values()) + _WIDER:
        found.append(f"I14 pacers kept: {kept}")
    if any(process.life in lives for lives in process.world.streams.values()):
        found.append("I14 a stream is open")
    return found


def left(tasks: Iterable["asyncio.Task[object]"]) -> list[str]:
    """Tasks among these that the schedule did not start: nobody waits for them."""
    found = []
    for task in tasks:
        code = getattr(task.get_coro(), "cr_code", None)
        if code is not None and Path(code.co_filename).name not in _OURS:
            found.append(f"I14 a task is left: {code.co_qualname}")
    return found


def counted() -> tuple[float, float]:
    """Turns being answered, and the prompts' and completions' tokens, as the metrics say."""
    tokens = sum(metrics.TOKENS.labels(kind)._value.get() for kind in ("prompt", "completion"))
    return metrics.ACTIVE._value.get(), tokens
