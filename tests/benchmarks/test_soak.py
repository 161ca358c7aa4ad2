"""The soak: its rule for flat curves, its reading of /metrics, its picture; and a short run."""

import random
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from prometheus_client import CollectorRegistry, Histogram, generate_latest

from benchmarks.soak.__main__ import soak
from benchmarks.soak.curves import round_up, svg
from benchmarks.soak.flat import MEASURES, returns, rises, slope
from benchmarks.soak.samples import Sample, between, read

STILL = Sample(at=0.0, memory=90.0, files=20.0, tasks=40.0, lag=3.0, active=4.0, ended=0.0)
SECONDS = 1200


def run(field: str = "memory", a_minute: float = 0.0) -> list[Sample]:
    """Twenty minutes with noise and spikes, one field of which rises; the warm-up is steep."""
    rng = random.Random(3)
    found = []
    for at in range(0, SECONDS, 2):
        warm = min(1.0, at / 300)
        noise = {
            "memory": 40 + 50 * warm + rng.gauss(0, 0.3),
            "files": 20 + rng.choice([0, 0, 1, 2]),
            "tasks": 40 + rng.gauss(0, 6),
            "lag": rng.expovariate(0.5) + 90 * (rng.random() < 0.02),
        }
        noise[field] += a_minute * at / 60
        found.append(replace(STILL, at=float(at), **noise))
    return found


def test_noise_spikes_and_a_warm_up_are_flat() -> None:
    assert [each.kept for each in rises(run())] == [True] * len(MEASURES)


@pytest.mark.parametrize(
    ("field", "a_minute"), [("memory", 0.3), ("files", 0.6), ("tasks", 1.0), ("lag", 0.3)]
)
def test_what_rises_is_seen_and_nothing_else_is(field: str, a_minute: float) -> None:
    found = rises(run(field, a_minute))
    missed = [each for each in found if not each.kept]
    assert [each.name for each in missed] == [f"rise of {MEASURES[field].name} after warm-up"]
    rise = a_minute * SECONDS / 60 * 2 / 3
    assert missed[0].value == pytest.approx(rise, rel=0.2, abs=0.6)


def test_the_slope_is_the_median_of_all_pairs() -> None:
    # Of the pairs: 2, 2, 2, and 596, 299, 200 with the one that strays.
    assert slope([(0, 0), (1, 2), (2, 4), (3, 600)]) == 101.0
    assert slope([(0, 0), (1, 2), (2, 4), (3, 6), (4, 600)]) == 2.0
    assert slope([(float(x), 3.0 * x) for x in range(1000)]) == pytest.approx(3.0)
    assert slope([(1.0, 5.0)]) == 0.0


def test_what_does_not_come_back_is_seen() -> None:
    after = replace(STILL, files=24.0, tasks=42.0, memory=300.0)
    assert [each.kept for each in returns(STILL, after)] == [False, True]
    assert [each.kept for each in returns(STILL, STILL)] == [True, True]


def test_the_lag_of_a_time_is_read_from_the_buckets_of_its_ends() -> None:
    registry = CollectorRegistry()
    lag = Histogram(
        "threadseek_loop_lag_seconds", "Lag.", buckets=(0.001, 0.01, 0.1), registry=registry
    )
    for _ in range(1000):
        lag.observe(0.05)
    _, earlier = read(generate_latest(registry).decode())
    for _ in range(99):
        lag.observe(0.0005)
    lag.observe(0.5)
    values, later = read(generate_latest(registry).decode())
    assert values["threadseek_loop_lag_seconds_count"] == 1100
    assert between(earlier, later, 0.99) == pytest.approx(1.0)
    assert between(earlier, later, 0.5) == pytest.approx(0.505, abs=0.01)
    assert between(earlier, later, 0.999) == pytest.approx(100.0), "beyond the last bucket's end"
    assert between(later, later, 0.99) == 0.0


def test_the_picture_has_every_curve_within_its_panel() -> None:
    root = ElementTree.fromstring(svg(run()))
    lines = [each for each in root if each.tag.endswith("polyline")]
    boxes = [each for each in root if each.tag.endswith("rect") and each.get("x")]
    assert len(lines) == 2 * len(MEASURES), "a curve and the end of the warm-up"
    for box, line in zip(boxes, lines[1::2], strict=True):
        points = [tuple(map(float, each.split(","))) for each in line.get("points", "").split()]
        assert len(points) == SECONDS / 2
        left, top = float(box.get("x", "")), float(box.get("y", ""))
        assert all(left <= x <= left + float(box.get("width", "")) + 1 for x, _ in points)
        assert all(top <= y <= top + float(box.get("height", "")) for _, y in points)
    assert [round_up(value) for value in (0, 0.3, 7, 20, 21, 101)] == [1, 0.5, 10, 20, 50, 200]


@pytest.mark.timeout(200)
async def test_a_short_soak_balances_its_books_and_makes_trouble() -> None:
    soaked = await soak(minutes=0.35, seed=4)
    assert soaked.report.balanced, str(soaked.report)
    assert soaked.report.answered >= 15
    assert sum(soaked.made.values()) >= 5
    assert len(soaked.samples) >= 12
    assert soaked.samples[-1].ended > soaked.samples[0].ended
    assert all(each.memory > 30 and each.files > 5 and each.tasks > 3 for each in soaked.samples)
    back = returns(soaked.before, soaked.after)
    assert all(each.kept for each in back), back
