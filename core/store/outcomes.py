"""A turn from its columns, and its outcome to and from them."""

import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import bindparam

from core.lifecycle import State
from core.ports import Posted, Turn
from core.store.schema import turn
from core.types import Outcome, PartId, Prompt, ThreadKey, Usage, Verdict

OUTCOME = {
    name: bindparam(f"its_{name}", type_=turn.c[name].type)
    for name in (
        "verdict",
        "answer",
        "notice",
        "candidates",
        "reasoning",
        "usage",
        "finish_reason",
        "model",
        "response_id",
        "trace_id",
    )
}
"""Column name -> parameter, for a statement that sets an outcome."""

_VERDICTS = frozenset(Verdict)
_COUNTS = frozenset(field.name for field in fields(Usage))


def columns_of(outcome: Outcome) -> dict[str, Any]:
    """The parameters of `OUTCOME`."""
    return {
        "its_verdict": outcome.verdict,
        "its_answer": outcome.text,
        "its_notice": outcome.notice,
        "its_candidates": outcome.candidates,
        "its_reasoning": outcome.reasoning,
        "its_usage": outcome.usage and asdict(outcome.usage),
        "its_finish_reason": outcome.finish_reason,
        "its_model": outcome.model,
        "its_response_id": outcome.response_id,
        "its_trace_id": outcome.trace_id,
    }


def outcome_of(row: Any) -> Outcome | None:
    """The outcome of a turn's row; None while there is none.

    What another version stored is read as far as this one knows it: replicas are not all
    replaced at once.
    """
    if row.verdict is None:
        return None
    return Outcome(
        verdict=Verdict(row.verdict) if row.verdict in _VERDICTS else Verdict.ERROR,
        text=row.answer,
        notice=row.notice,
        candidates=tuple(row.candidates),
        reasoning=row.reasoning,
        usage=row.usage and _usage(row.usage),
        finish_reason=row.finish_reason,
        model=row.model,
        response_id=row.response_id,
        trace_id=row.trace_id,
    )


def _usage(stored: dict[str, int]) -> Usage:
    return Usage(**{name: count for name, count in stored.items() if name in _COUNTS})


def turn_of(row: Any, taken: Any, parts: Sequence[Any], *, waited: bool, since: str) -> Turn:
    """A stored turn as the engine sees it. parts: rows, in order; those of former answers that were
    removed have negative positions. since: of the clock that says how long it settles.
    """
    known = [each for each in parts if each.position is not None]
    settles_in = row.settles_in if row.settle_since == since else math.inf
    prompt = Prompt(
        platform=taken.platform,
        thread=ThreadKey(taken.thread),
        identity=row.identity,
        sequence=row.sequence,
        author=row.author,
        text=row.text,
        asked_at=float(row.asked_at),  # SQLite returns a whole REAL as an integer here
        address=row.address,
        files=tuple(row.files),
        follow_up=row.follow_up,
        late=row.late,
    )
    return Turn(
        id=row.id,
        prompt=prompt,
        state=State(row.state),
        attempts=row.attempts,
        fence=taken.fence,
        parts=tuple(
            Posted(each.position, each.part_id and PartId(each.part_id))
            for each in known
            if each.position >= 0
        ),
        waited=waited,
        crowded=row.crowded,
        outcome=outcome_of(row),
        withdrawn=row.withdrawn,
        crashes=row.crashes,
        removed=sum(each.position < 0 for each in known),
        settles_in=settles_in if row.state == State.DELIVERED else None,
    )
