"""What must hold at the end of what people edited and deleted, and of what the API counted."""

import json
import re

from core.lifecycle import State
from core.store.edits import MARK
from core.turns import notices
from core.types import Role
from tests.simulation.books import Case
from tests.simulation.sayings import POISON
from tests.simulation.store import Row
from tests.simulation.world import World

MOST_DEATHS = 3
"""Processes that one prompt may kill before it is given up."""
_USAGES = "SELECT usage FROM turn WHERE usage IS NOT NULL"
_SAID = re.compile(r"^(.*?) word 0 of (\d+) ")
"""How the API's answers begin: what was asked, and in which attempt."""


def changed(world: World, row: Row) -> list[str]:
    """Of one turn: its text, its history, what was answered, and the tokens (I8)."""
    identity = row["identity"]
    case = world.books.cases.get(identity)
    if case is None:
        return []
    found = _stored(world, row, case)
    world.hits["crowded"] += case.crowded
    if bool(row["crowded"]) != case.crowded or (
        case.crowded and not row["late"] and row["answer"] not in (notices.CROWDED, "", None)
    ):
        found.append(f"I2 {identity}: crowded {case.crowded}, answered {row['answer']}")
    if POISON in row["text"] and not case.crowded:
        found += _parked(world, row)
    if row["answer"] and row["attempts"] and not case.crowded:
        found += _answered(world, row, case)
    return found


def _parked(world: World, row: Row) -> list[str]:
    """What kills every process that works on it is given up, and the person told so."""
    identity, deaths = row["identity"], world.deaths[row["text"]]
    found = [f"{identity} killed {deaths} processes"] if deaths > MOST_DEATHS else []
    if row["state"] == State.SETTLED and not row["late"] and not row["notice"]:
        found.append(f"{identity}: poison without a notice")
    return found


def _stored(world: World, row: Row, case: Case) -> list[str]:
    """Turn and history say what the person's message says, as far as we heard of it."""
    identity = row["identity"]
    text = MARK if case.withdrawn else case.text
    found = []
    if row["text"] != text or bool(row["withdrawn"]) != bool(case.withdrawn):
        found.append(f"{identity}: stored {row['text']!r} instead of {text!r}")
    open_then = case.withdrawn in ("untouched", "open")
    if open_then != (row["state"] == State.CANCELLED) and open_then:
        found.append(f"{identity} was deleted and is {row['state']}")
    if open_then and row["answer"]:
        found.append(f"{identity} was deleted and its answer is stored")
    entries = world.vault.rows("SELECT role, content FROM message WHERE turn_id = ?", row["id"])
    for entry in entries:
        wanted = text if entry["role"] == Role.USER else None
        wanted = MARK if open_then else wanted
        if wanted is not None and entry["content"] != wanted:
            found.append(f"{identity}: remembered {entry['content']!r} instead of {wanted!r}")
    return found


def _answered(world: World, row: Row, case: Case) -> list[str]:
    """The text that had to be answered was, in one attempt, and its tokens are stored."""
    identity = row["identity"]
    said = _SAID.match(row["answer"])
    if said is None:
        return [f"{identity}: an answer of nobody: {row['answer']!r}"]
    text, attempt = said[1], said[2]
    found = [] if text in case.texts else [f"{identity}: {text!r} answered, not {case.texts}"]
    if set(re.findall(r" of (\d+) ", row["answer"])) != {attempt}:
        found.append(f"{identity}: words of several attempts")
    counted = world.usage.get((text, int(attempt)))
    stored = json.loads(row["usage"]) if row["usage"] else None
    if row["verdict"] == "complete" or stored:
        wanted = (counted.prompt_tokens, counted.completion_tokens) if counted else None
        given = (stored["prompt_tokens"], stored["completion_tokens"]) if stored else None
        if wanted != given:
            found.append(f"I8 {identity}: {given} tokens instead of {wanted}")
    return found


def tallied(world: World, before: tuple[float, float], after: tuple[float, float]) -> list[str]:
    """I8, I14: the metrics. Tokens: what is stored at least, what the API reported at most.

    before, after: turns being answered and tokens, around the schedule.
    """
    tokens = after[1] - before[1]
    reported = sum(u.prompt_tokens + u.completion_tokens for u in world.usage.values())
    usages = [json.loads(row["usage"]) for row in world.vault.rows(_USAGES)]
    stored = sum(u["prompt_tokens"] + u["completion_tokens"] for u in usages)
    found = [] if stored <= tokens <= reported else [f"I8 {stored} <= {tokens} <= {reported}?"]
    return found if after[0] == before[0] else [*found, f"I14 turns active: {after[0] - before[0]}"]
