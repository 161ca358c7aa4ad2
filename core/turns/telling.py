"""What the operator is told of a turn: lines in the log, and what is counted."""

import structlog

from core.delivery.freshness import Figures
from core.errors import CompletionError, Failure
from core.lifecycle import State
from core.ports import Turn
from core.turns import metrics, notices
from core.turns.retrying import Again
from core.types import Outcome

log = structlog.get_logger()


def answered(turn: Turn, outcome: Outcome, seconds: float) -> None:
    """There is an outcome. seconds: since the turn was claimed."""
    usage = outcome.usage
    if usage:
        metrics.TOKENS.labels("prompt").inc(usage.prompt_tokens)
        metrics.TOKENS.labels("prompt_cached").inc(usage.cached_tokens)
        metrics.TOKENS.labels("completion").inc(usage.completion_tokens)
    log.info(
        "turn.answered",
        turn=turn.id,
        verdict=outcome.verdict.value,
        seconds=round(seconds, 2),
        model=outcome.model,
        finish=outcome.finish_reason,
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        cached_tokens=usage.cached_tokens if usage else None,
        response=outcome.response_id,
        trace=outcome.trace_id,
    )


def failed(
    turn: Turn, error: CompletionError, cause: str, attempt: int, again: Again | None, trace: str
) -> None:
    """An attempt failed: whether it is made again, else what can be done.

    cause: without what people said. trace: what a person is shown where the API gave none.
    """
    facts: dict[str, object] = {
        "turn": turn.id,
        "attempt": attempt,
        "failure": error.failure.value,
        "status": error.status,
        "code": error.code,
        "cause": cause,
        "trace": error.trace_id or trace,
    }
    if error.retry_after is not None:
        facts["retry_after"] = error.retry_after
    if again is not None:
        log.warning("turn.retrying", seconds=round(again.delay, 2), **facts)
        return
    say = log.warning if error.failure is Failure.MODERATED else log.error
    say("turn.failed", fix=notices.fix(error) or "see the cause", **facts)


def fitted(turn: Turn, tokens: int) -> None:
    """So many are asked for in this turn, as the model's context has room for no more."""
    fix = notices.fix(CompletionError(Failure.NO_ROOM))
    log.warning("turn.max_tokens_lowered", turn=turn.id, tokens=tokens, fix=fix)


def parked(turn: Turn, trace: str) -> None:
    """The work on it broke off too often. trace: what a person is shown."""
    metrics.PARKED.labels(turn.prompt.platform).inc()
    fix = "look at what was logged before each end, and for the process being killed (memory?)"
    facts = {"state": turn.state.value, "crashes": turn.crashes}
    log.error("turn.parked", turn=turn.id, trace=trace, fix=fix, **facts)


def given_up(turn: Turn, trace: str, attempts: int) -> None:
    """Each attempt that it may have was interrupted. trace: what a person is shown."""
    fix = "look for why the process stops so often"
    log.error("turn.given_up", turn=turn.id, trace=trace, attempts=attempts, fix=fix)


def ended(
    turn: Turn, state: State, verdict: str, seconds: float, figures: Figures, reason: str
) -> None:
    """The turn is over, in this state. verdict: as `metrics.TURNS` counts it.

    seconds: since it was claimed. reason: why its outcome is not shown; empty when it is.
    """
    metrics.TURN_SECONDS.observe(seconds)
    metrics.delivered(turn.prompt.platform, figures)
    metrics.TURNS.labels(turn.prompt.platform, verdict).inc()
    say = log.warning if state is State.ABANDONED else log.info
    why = {"reason": reason} if reason else {}
    say(f"turn.{state.value}", turn=turn.id, seconds=round(seconds, 2), **why)
