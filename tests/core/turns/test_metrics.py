"""What /metrics says of an answer's delivery."""

from prometheus_client import REGISTRY

from core.errors import RateLimited
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
