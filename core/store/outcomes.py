"""An outcome to and from the columns of a turn."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row

from core.types import Outcome, Usage, Verdict


def columns_of(outcome: Outcome) -> dict[str, Any]:
    """Column name -> value."""
    return {
        "verdict": outcome.verdict,
        "answer": outcome.text,
        "notice": outcome.notice,
        "candidates": outcome.candidates,
        "reasoning": outcome.reasoning,
        "usage": outcome.usage and asdict(outcome.usage),
        "finish_reason": outcome.finish_reason,
        "model": outcome.model,
        "response_id": outcome.response_id,
        "trace_id": outcome.trace_id,
    }


def outcome_of(row: Row[Any]) -> Outcome | None:
    """The outcome of a turn's row; None while there is none."""
    if row.verdict is None:
        return None
    return Outcome(
        verdict=Verdict(row.verdict),
        text=row.answer,
        notice=row.notice,
        candidates=tuple(row.candidates),
        reasoning=row.reasoning,
        usage=row.usage and Usage(**row.usage),
        finish_reason=row.finish_reason,
        model=row.model,
        response_id=row.response_id,
        trace_id=row.trace_id,
    )
