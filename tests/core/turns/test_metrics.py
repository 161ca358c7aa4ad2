"""What /metrics says of a turn and of its answer's delivery."""

import asyncio

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from core.delivery.deliveries import How
from core.errors import CompletionError, Failure, RateLimited
from core.turns import metrics
from core.types import Chunk, Usage, Verdict
from tests.fakes.clock import run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, prompt
from tests.fakes.thread import Fault


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"threadseek_{name}", {"platform": "fake", **labels}) or 0.0


def seen() -> list[float]:
    return [
        sample("staleness_seconds_count", lane="edit"),
        sample("first_paint_seconds_count", lane="edit"),
        sample("final_lag_seconds_count", lane="edit"),
        sample("delivery_calls_sum", lane="edit"),
        sample("delivery_refused_total", method="edit"),
        sample("staleness_seconds_sum", lane="edit"),
    ]


def test_an_answer_s_delivery_is_counted_by_platform_and_lane() -> None:
    async def main() -> None:
        bench = Bench(words("an ", "answer ", "in ", "some ", "words", pause=0.5))
        bench.platform.screen().faults.extend([None, Fault(RateLimited(0.5))])
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
        assert bench.platform.screen().visible == ["an answer in some words"]

    before = seen()
    run(main())
    *counts, staleness = [later - earlier for earlier, later in zip(before, seen(), strict=True)]
    shown, first, lag, calls, refused = counts
    assert (shown, first, lag, refused) == (1, 1, 1, 1)
    assert calls >= 3
    assert 0.15 < staleness < 3


def taken() -> list[float]:
    """First chunks, their seconds, turns, their seconds, tokens by kind, failed attempts."""
    kinds = [{"kind": kind} for kind in ("prompt", "prompt_cached", "completion")]
    names = ("first_chunk_seconds_count", "first_chunk_seconds_sum")
    whole = ("turn_seconds_count", "turn_seconds_sum")
    found = [
        *(REGISTRY.get_sample_value(f"threadseek_{name}") for name in (*names, *whole)),
        *(REGISTRY.get_sample_value("threadseek_tokens_total", kind) for kind in kinds),
        REGISTRY.get_sample_value("threadseek_completion_failures_total", {"failure": "server"}),
    ]
    return [value or 0.0 for value in found]


def active() -> float:
    return REGISTRY.get_sample_value("threadseek_turns_active") or 0.0


def test_what_a_turn_took_is_counted() -> None:
    usage = Usage(100, 5, 105, cached_tokens=60)
    script = [2.0, Chunk(text="yes", finish_reason="stop", usage=usage), Chunk(done=True)]
    idle = active()

    async def main() -> None:
        bench = Bench([1.0, CompletionError(Failure.SERVER)], script)
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(1)
            assert active() == idle + 1

    before = taken()
    run(main())
    firsts, first, turns, seconds, *rest = [
        later - earlier for earlier, later in zip(before, taken(), strict=True)
    ]
    assert (firsts, turns, rest) == (1, 1, [100, 60, 5, 1])
    assert first == pytest.approx(2.0), "of the attempt, not of the turn"
    assert seconds == pytest.approx(3.5 + 0.15), "with the pause before the second attempt"
    assert active() == idle


def test_the_log_names_the_request_that_failed() -> None:
    async def main() -> None:
        bench = Bench([CompletionError(Failure.CREDENTIALS, trace_id="t-1")])
        with capture_logs() as logs:
            async with bench.process() as engine:
                await engine.accept(prompt("hi"))
        (told,) = [each for each in logs if each["event"] == "turn.answered"]
        assert (told["trace"], told["verdict"]) == ("t-1", "error")

    run(main())


def test_what_may_happen_on_a_platform_is_there_before_it_does() -> None:
    """A rate over a counter sees no first event of a series that begins with it."""
    fresh = "never seen"
    metrics.from_zero(fresh)
    for name in ("prompts_accepted_total", "turns_parked_total"):
        assert REGISTRY.get_sample_value(f"threadseek_{name}", {"platform": fresh}) == 0, name
    for verdict in (*Verdict, "withdrawn", "gone", "abandoned"):
        labels = {"platform": fresh, "verdict": verdict}
        assert REGISTRY.get_sample_value("threadseek_turns_total", labels) == 0, verdict
    for method in How:
        labels = {"platform": fresh, "method": method.name.lower()}
        assert REGISTRY.get_sample_value("threadseek_delivery_refused_total", labels) == 0, method
    for failure in Failure:
        labels = {"failure": failure}
        found = REGISTRY.get_sample_value("threadseek_completion_failures_total", labels)
        assert found is not None, failure
