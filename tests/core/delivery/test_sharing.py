"""What processes say to each other about a budget; a level goes from one to the next unchanged."""

import asyncio
from bisect import bisect_left
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.delivery.pacing import SPARE, SPREAD, Desk, Level, Pacer
from core.delivery.sharing import News, OwnBudget, Waits, alone, steady
from core.types import Allowance, Kind, Left, Unseen
from tests.fakes.clock import now, run

SLACK = Allowance("edit", 10, 50 / 60, shared=True)
NEVER = float("-inf")


@given(
    st.lists(
        st.tuples(st.sampled_from(["take", "refused", "succeeded"]), st.floats(0, 3)), max_size=200
    )
)
@settings(max_examples=60, deadline=None)
def test_a_pacer_that_is_kept_and_made_again_is_the_same(said: list[tuple[str, float]]) -> None:
    one, level, at, granted = Pacer(SLACK), Pacer(SLACK).level(0.0), 0.0, list[float]()
    for number, (what, pause) in enumerate(said):
        at += pause
        again = Pacer(SLACK, level)
        if what == "take":
            kind = Kind(number % 3)
            wait = again.grant(kind, at)
            assert wait == pytest.approx(one.grant(kind, at))
            granted += [at] * (wait == 0)
        elif what == "refused":
            one.refused(pause, at)
            again.refused(pause, at)
        else:
            one.succeeded(at)
            again.succeeded(at)
        level = again.level(at)
    for index, begin in enumerate(granted):
        assert bisect_left(granted, begin + 60) - index <= SLACK.burst + 60 * SLACK.rate


def test_a_level_of_larger_numbers_than_documented_is_not_believed() -> None:
    pacer = Pacer(SLACK, Level(50, 0.0, 9.0, 50, 0.0))
    granted = 0
    while pacer.grant(Kind.FINAL, 1.0) == 0:
        granted += 1
    assert (granted, pacer.rate, pacer.burst) == (10, SLACK.rate, SLACK.burst)


def test_news_become_part_of_the_level() -> None:
    told = News(successes=3) + News(refusals=1, until=40.0) + News(unasked=2, until=NEVER)
    assert told == News(3, 1, 2, 40.0)
    pacer = Pacer(SLACK)
    told.tell(pacer, left=30.0, now=1000.0)
    assert (pacer.rate, pacer.burst) == (SLACK.rate * 0.75, 6.0)
    assert pacer.grant(Kind.FINAL, 1000.0) == pytest.approx(30.0)
    pacer = Pacer(SLACK)
    News(unasked=7).tell(pacer, left=NEVER, now=0.0)
    assert pacer.level(0.0).tokens == 3
    News(unasked=7).tell(pacer, left=NEVER, now=0.0)
    assert pacer.level(0.0).tokens == 0


def test_news_of_hours_are_not_told_one_by_one() -> None:
    told = News()
    for _ in range(1000):
        told += News(successes=1, refusals=1)
    assert (told.successes, told.refusals) == (100, 100)
    assert not News()


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    level = Level(0.0, 5000.0, 1.0, 10.0, 5030.0)
    assert steady(level, 4999.5) == level
    back = Pacer(Allowance("a", 10, 1.0), steady(level, 1000.0))
    assert back.grant(Kind.FINAL, 1000.0) == pytest.approx(30.0)
    assert back.grant(Kind.FINAL, 1031.0) == 0.0


def test_four_that_can_not_ask_stay_within_the_allowance() -> None:
    pacers = [alone(SLACK, 0.0) for _ in range(4)]
    steps = [step / 10 for step in range(600)]
    granted = sum(pacer.grant(Kind.FINAL, at) == 0 for at in steps for pacer in pacers)
    assert 0.9 * 60 * SLACK.rate <= granted <= SLACK.burst + 60 * SLACK.rate


def test_what_matters_less_waits_at_least_as_long() -> None:
    waits = Waits()
    waits.told(Kind.FIRST, 5.0)
    waits.told(Kind.FIRST, 4.0)
    waits.told(Kind.INTERIM, 6.0)
    assert [waits.left(kind, 3.0) for kind in Kind] == [3.0, 2.0, 0.0]
    assert [waits.left(kind, 5.5) for kind in Kind] == [0.5, 0.0, 0.0]


def test_an_own_budget_is_the_pacer_of_each_allowance() -> None:
    async def main() -> None:
        budget = OwnBudget(now)
        granted = [await budget.take(SLACK, Kind.FINAL) for _ in range(11)]
        assert granted[:10] == [0.0] * 10
        assert granted[10] == pytest.approx(1 / SLACK.rate)
        assert await budget.take(Allowance("post", 1, 1.0), Kind.FINAL) == 0.0
        await budget.refused(SLACK, 30.0)
        assert await budget.take(SLACK, Kind.FINAL) == pytest.approx(30.0)
        for _ in range(100):
            await budget.succeeded(SLACK)
        assert await budget.take(SLACK, Kind.FINAL) == pytest.approx(30.0)

    run(main())


def test_of_those_who_wait_the_one_with_the_most_character_seconds_is_next() -> None:
    async def main() -> list[str]:
        budget, since, served = OwnBudget(now), dict.fromkeys("abc", 0.0), list[str]()

        async def rewrite(name: str, gap: float) -> None:
            """Somebody whose text grows all the time, and who asks as often as may be."""
            while now() < 60.0:
                waited = now() - since[name]
                unseen = Unseen(round(100 * waited), 50 * waited**2)
                if wait := await budget.take(SLACK, Kind.INTERIM, unseen):
                    await asyncio.sleep(wait)
                    continue
                served.append(name)
                since[name] = now() + 0.02
                await asyncio.sleep(gap)

        await asyncio.gather(rewrite("a", 0.3), rewrite("b", 0.6), rewrite("c", 1.15))
        return served

    served = run(main())
    assert len(served) > 50
    later = served[12:]  # the burst is spent
    assert all(set(later[at : at + 3]) == set("abc") for at in range(0, len(later) - 3, 3))


def test_who_writes_faster_is_shown_more_often_and_nobody_starves() -> None:
    async def main() -> Counter[str]:
        budget, served = OwnBudget(now), Counter[str]()

        async def rewrite(name: str, speed: float) -> None:
            since = 0.0
            while now() < 120.0:
                waited = now() - since
                unseen = Unseen(round(speed * waited), speed * waited**2 / 2)
                if wait := await budget.take(SLACK, Kind.INTERIM, unseen):
                    await asyncio.sleep(wait)
                    continue
                served[name], since = served[name] + 1, now()
                await asyncio.sleep(0.1)

        await asyncio.gather(rewrite("fast", 200.0), rewrite("slow", 20.0), rewrite("slower", 2.0))
        return served

    served = run(main())
    assert served["fast"] > 1.2 * served["slow"] > 1.2 * served["slower"] > 10


def test_who_is_next_and_does_not_come_back_is_not_waited_for() -> None:
    older, newer = Unseen(10, 50.0), Unseen(10, 10.0)

    async def main() -> float:
        budget = OwnBudget(now)
        for _ in range(10):
            await budget.take(SLACK, Kind.FINAL)
        wait = await budget.take(SLACK, Kind.INTERIM, older)
        younger = await budget.take(SLACK, Kind.INTERIM, newer)
        assert wait < younger < wait + 0.1, "somebody older was told to ask again before"
        await asyncio.sleep(younger)
        asked = now()
        for _ in range(10):
            if (wait := await budget.take(SLACK, Kind.INTERIM, newer)) == 0:
                return now() - asked
            await asyncio.sleep(wait)
        return now()

    assert run(main()) < 0.1


def test_interim_calls_spread_the_burst_and_leave_the_reserve() -> None:
    async def main() -> list[float]:
        budget, served = OwnBudget(now), list[float]()
        while now() < 90.0:
            if wait := await budget.take(SLACK, Kind.INTERIM, Unseen(1, now())):
                await asyncio.sleep(wait)
            else:
                served.append(now())
        return served

    served = run(main())
    gaps = [later - earlier for earlier, later in pairwise(served)]
    assert 0.6 < gaps[0] < 1.0, "not all at once"
    assert gaps[-1] == pytest.approx(1 / SLACK.rate, rel=0.1), "nor hoarded"
    assert all(later > earlier - 0.05 for earlier, later in pairwise(gaps))


def test_a_last_call_waits_for_no_interim_one() -> None:
    async def main() -> None:
        budget = OwnBudget(now)
        assert await budget.take(SLACK, Kind.INTERIM, Unseen(9, 9.0)) == 0
        assert await budget.take(SLACK, Kind.INTERIM, Unseen(9, 9.0)) > 0
        assert await budget.take(SLACK, Kind.FINAL) == 0

    run(main())


def test_a_call_within_a_wider_allowance_takes_from_both_or_none() -> None:
    wide = Allowance("posts", 3, 0.5)
    rooms = [Allowance(f"room {number}", 2, 1.0, within=wide) for number in range(3)]

    async def main() -> None:
        budget = OwnBudget(now)
        assert [await budget.take(rooms[0], Kind.FINAL) for _ in range(3)] == [0, 0, 1.0]
        assert await budget.take(rooms[1], Kind.FINAL) == 0
        assert await budget.take(rooms[2], Kind.FINAL) == pytest.approx(2.0)
        await asyncio.sleep(2.0)
        assert [await budget.take(rooms[2], Kind.FINAL) for _ in range(2)] == [0, 2.0]
        await budget.refused(rooms[2], 60.0)
        assert await budget.take(rooms[1], Kind.FINAL) == pytest.approx(60.0)

    run(main())


def test_the_share_of_an_answer_is_what_comes_in_ten_seconds() -> None:
    budget = OwnBudget(lambda: 0.0)
    assert budget.share(SLACK) == pytest.approx(10 + 50 / 6)
    for _ in range(18):
        assert budget.share(SLACK) > 0.96
        budget.join(SLACK)
    assert budget.share(SLACK) < 1
    budget.leave(SLACK)
    assert budget.share(SLACK) == pytest.approx((10 + 50 / 6) / 18)
    room = Allowance("room", 100, 1.0, within=SLACK)
    assert budget.share(room) == budget.share(SLACK), "the scarcer one counts"
    budget.join(room)
    assert budget.share(SLACK) < 1


def served(size: int, answers: int = 1, period: float = 5.0) -> list[float]:
    """When interim calls are made by a budget of so many in a time, as the platform tells."""
    window = Allowance("window", 5, max(1.0, size / period))

    async def main() -> list[float]:
        budget, served, opened = OwnBudget(now), list[float](), 0.0
        for _ in range(answers):
            budget.join(window)
        while now() < 20.0:
            if wait := await budget.take(window, Kind.INTERIM, Unseen(1, now())):
                await asyncio.sleep(wait)
                continue
            opened = opened if served and now() < opened + period else now()
            made = now()
            served.append(made)
            await asyncio.sleep(0.15)
            left = size - sum(at >= opened for at in served)
            ends = opened + period
            budget.pace(window, Left(left, ends - now(), now() - made, period - 0.15))
        return served

    return run(main())


def test_what_the_platform_says_is_left_is_spread_evenly() -> None:
    gaps = [later - earlier for earlier, later in pairwise(served(5))]
    assert gaps == pytest.approx([1.0] * len(gaps), abs=0.04)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_the_last_call_that_is_left_is_kept_for_an_end_until_there_are_soon_more(size: int) -> None:
    calls = served(size)
    for opened, last in zip(calls[::size], calls[size - 1 :: size], strict=False):
        assert last >= opened + 5 - 0.2 * 5, "who ends meanwhile waits for a second at most"
    spread = [later - earlier for earlier, later in pairwise(calls[:size])]
    assert max(spread) - min(spread) < 0.1, "those before it are as fresh as can be"


def test_where_there_are_soon_more_the_last_call_is_as_fresh_as_the_others() -> None:
    gaps = [later - earlier for earlier, later in pairwise(served(3, period=2.0))]
    assert gaps == pytest.approx([2 / 3] * len(gaps), abs=0.07)


def test_of_what_is_left_one_call_is_kept_where_several_answers_end() -> None:
    async def main() -> float:
        budget = OwnBudget(now)
        window = Allowance("window", 5, 1.0)
        for _ in range(2):
            budget.join(window)
        budget.pace(window, Left(4, 5.0))
        return await budget.take(window, Kind.INTERIM, Unseen(1, 1.0))

    assert run(main()) == pytest.approx(5 / (5 - SPARE))


def test_of_several_answers_each_is_to_be_as_fresh_as_one() -> None:
    def gap(active: int) -> float:
        desk = Desk(Allowance("many", 20, 1.0))
        desk.queue.joins(active, final=False)
        assert desk.wait(Kind.INTERIM, Unseen(1, 1.0), 0.0) == 0
        desk.take(Kind.INTERIM, Unseen(1, 1.0), 0.0)
        return desk.wait(Kind.INTERIM, Unseen(1, 1.0), 0.0)

    assert gap(1) == pytest.approx(1 / (1 + 19 / SPREAD))
    assert gap(2) == pytest.approx(1 / (1 + 19 / (SPREAD / 2)))
    assert gap(50) == pytest.approx(1 / (1 + 19 / 5)), "but not all at once"


def test_the_soonest_call_that_leaves_half_of_the_burst() -> None:
    async def main() -> None:
        budget, allowance = OwnBudget(now), Allowance("posts", 10, 1.0)
        for left in range(9, 4, -1):
            await budget.take(allowance, Kind.FINAL)
            assert budget.soonest(allowance) == 0.0
            assert budget.soonest(allowance, spare=True) == pytest.approx(max(0, 6 - left))

    run(main())
