"""The budget is kept in every minute, finals come first, and a refusal is believed."""

from bisect import bisect_left
from collections import Counter
from heapq import heapify, heapreplace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.delivery import pacing
from core.delivery.pacing import LOWER_GUESS, PROBATION, Desk, Desks, Pacer
from core.types import Allowance, Kind, Unseen

SLACK = Allowance("edit", 10, 50 / 60)


def drain(pacer: Pacer, kind: Kind, now: float, finals: int = 1) -> int:
    granted = 0
    while pacer.grant(kind, now, finals) == 0.0:
        granted += 1
    return granted


@given(
    st.lists(st.tuples(st.sampled_from(Kind), st.floats(0, 3)), max_size=300),
    st.sampled_from([SLACK, Allowance("a", 1, 1.0), Allowance("b", 3.5, 0.25)]),
)
@settings(max_examples=60, deadline=None)
def test_no_minute_has_more_than_the_budget(
    asked: list[tuple[Kind, float]], allowance: Allowance
) -> None:
    pacer, now, granted = Pacer(allowance), 0.0, list[float]()
    for kind, pause in asked:
        now += pause
        if pacer.grant(kind, now) == 0.0:
            granted.append(now)
    for index, begin in enumerate(granted):
        count = bisect_left(granted, begin + 60) - index
        assert count <= allowance.burst + 60 * allowance.rate


def test_a_minute_at_full_tilt() -> None:
    pacer = Pacer(SLACK)
    assert sum(drain(pacer, Kind.FINAL, step / 10) for step in range(600)) == 59


def test_what_matters_more_finds_tokens() -> None:
    pacer = Pacer(SLACK)
    assert drain(pacer, Kind.INTERIM, 0.0) == 9
    assert drain(pacer, Kind.FIRST, 0.0) == 1
    pacer = Pacer(SLACK)
    assert drain(pacer, Kind.INTERIM, 0.0, finals=10) == 5
    assert drain(pacer, Kind.FIRST, 0.0, finals=10) == 1
    assert drain(pacer, Kind.FINAL, 0.0, finals=10) == 4


def test_however_many_need_a_last_call_half_of_the_burst_is_for_others() -> None:
    assert drain(Pacer(SLACK), Kind.INTERIM, 0.0, finals=1000) == 5


def test_idle_hours_do_not_add_up() -> None:
    pacer = Pacer(SLACK)
    assert drain(pacer, Kind.FINAL, 0.0) == 10
    assert drain(pacer, Kind.FINAL, 7200.0) == 10


@pytest.mark.parametrize("kind", Kind)
def test_after_the_wait_it_is_granted(kind: Kind) -> None:
    pacer, now = Pacer(SLACK), 1e6
    for _ in range(50):
        while wait := pacer.grant(kind, now):
            assert 0 < wait < 4
            now += wait


@pytest.mark.parametrize("kind", Kind)
def test_a_burst_of_one_starves_nobody(kind: Kind) -> None:
    pacer = Pacer(Allowance("one", 1, 1.0))
    assert pacer.grant(kind, 0.0) == 0.0
    assert pacer.grant(kind, 0.0) == pytest.approx(1.0)
    assert pacer.grant(kind, 1.0) == 0.0


def test_a_refusal_blocks_empties_and_lowers() -> None:
    pacer = Pacer(SLACK)
    pacer.refused(30, now=0.0)
    assert (pacer.rate, pacer.burst) == (SLACK.rate * 0.75, 6.0)
    assert pacer.grant(Kind.FINAL, 10.0) == pytest.approx(20.0)
    assert pacer.grant(Kind.FINAL, 30.0) == 0.0, "the platform said that one passes then"
    assert pacer.grant(Kind.FINAL, 30.0) == pytest.approx(1 / pacer.rate)
    assert pacer.grant(Kind.FINAL, 30.0 + 1 / pacer.rate) == 0.0


def test_an_earlier_end_does_not_shorten_a_block() -> None:
    pacer = Pacer(SLACK)
    pacer.refused(30, now=0.0)
    pacer.refused(1, now=1.0)
    assert pacer.grant(Kind.FINAL, 10.0) == pytest.approx(20.0)


def test_lowered_numbers_have_a_floor_and_come_back() -> None:
    pacer = Pacer(SLACK)
    for _ in range(50):
        pacer.refused(0, now=0.0)
    assert pacer.rate == pytest.approx(SLACK.rate / 10)
    assert pacer.burst == 1.0
    for _ in range(100):
        pacer.succeeded(PROBATION)
    assert (pacer.rate, pacer.burst) == (SLACK.rate, SLACK.burst)


def test_successes_after_a_refusal_do_not_say_that_there_is_more() -> None:
    pacer = Pacer(SLACK)
    pacer.refused(30, now=0.0)
    for _ in range(100):
        pacer.succeeded(30 + PROBATION - 1)
    assert (pacer.rate, pacer.burst) == (SLACK.rate * 0.75, 6.0)


def test_calls_that_are_refused_together_are_one_lesson() -> None:
    pacer = Pacer(SLACK)
    for _ in range(5):
        pacer.refused(10, now=0.0)
    assert (pacer.rate, pacer.burst) == (SLACK.rate * 0.75, 6.0)


def test_a_refusal_says_more_of_a_rate_that_is_a_guess() -> None:
    guess, known = Pacer(Allowance("a", 10, 4.5, guessed=True)), Pacer(Allowance("a", 10, 4.5))
    for pacer in (guess, known):
        pacer.refused(1.0, 0.0)
    assert guess.rate == 4.5 * LOWER_GUESS < known.rate


@pytest.mark.parametrize("crowd", [10, 100, 1000])
def test_a_crowd_asks_no_more_than_is_needed_and_uses_every_call(crowd: int) -> None:
    desk = Desk(Allowance("all", burst=1, rate=44.0))
    desk.queue.joins(crowd, final=True)
    shown = [-number / 44 for number in range(crowd)]  # until when of each everything is seen
    asking = [(number / crowd / 10, number) for number in range(crowd)]
    heapify(asking)
    asked, granted = Counter[int](), 0
    while asking[0][0] < 20.0:
        now, number = asking[0]
        asked[int(200 * now)] += 1
        seconds = now - shown[number]
        unseen = Unseen(int(50 * seconds), 25 * seconds**2)
        wait = desk.wait(Kind.INTERIM, unseen, now)
        if wait == 0:
            desk.take(Kind.INTERIM, unseen, now)
            granted, shown[number] = granted + 1, now
        heapreplace(asking, (now + (wait or 0.3), number))
    assert granted >= 0.99 * min(20.0 * 44.0, crowd * 20.0 / 0.35)
    assert asked.total() <= 20.0 * 4400, "not each of all for every call"
    later = max(count for at, count in asked.items() if at >= 400)
    assert later <= 60, "nor all in the same 5 ms"


def test_an_allowance_is_shared_by_its_key() -> None:
    desks = Desks()
    assert desks.of(SLACK) is desks.of(Allowance("edit", 10, 50 / 60))
    assert desks.of(SLACK) is not desks.of(Allowance("post", 10, 50 / 60))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """So many desks are kept."""
    monkeypatch.setattr(pacing, "MOST", 100)
    return 100


def test_a_platform_with_a_budget_for_every_thread_does_not_fill_the_memory(few: int) -> None:
    desks = Desks()
    busy = desks.of(SLACK)
    for number in range(few * 2):
        desks.of(Allowance(f"thread {number}", 1, 1.0))
        assert desks.of(SLACK) is busy, "what is in use is kept"
    assert len(vars(desks)["_desks"]) == few


def test_what_an_answer_is_written_with_is_kept_however_long_it_is_not_asked_for(
    few: int,
) -> None:
    desks = Desks()
    busy = []
    for number in range(few + 10):
        busy.append(desks.of(Allowance(f"busy {number}", 1, 1.0)))
        busy[-1].queue.joins(number > 0, final=True)
    for number in range(few * 2):
        desks.of(Allowance(f"thread {number}", 1, 1.0))
    kept = vars(desks)["_desks"]
    assert "busy 0" not in kept, "nobody was using it"
    assert all(desks.of(Allowance(f"busy {n}", 1, 1.0)) is busy[n] for n in range(1, len(busy)))
    for desk in busy:
        desk.queue.joins(-1, final=True)
    for _ in range(few * 4):
        desks.of(SLACK)
    assert len(kept) == few
    assert desks.of(SLACK) is desks.of(SLACK)
