"""The gate: in order, halved by a 429, slowly wider again; a cancellation loses no place."""

import asyncio
import random

import pytest
from prometheus_client import REGISTRY

from core.deepseek.gate import DOUBLING, FEW, Gate
from core.errors import CompletionError, Failure
from core.turns.retrying import decide
from tests.fakes.clock import now, run


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_first_come_first_served() -> None:
    gate = Gate(1)
    served: list[int] = []

    async def one(number: int) -> None:
        await gate.enter()
        served.append(number)

    tasks = [asyncio.create_task(one(number)) for number in range(3)]
    await turn()
    assert served == [0]
    gate.leave()
    await turn()
    assert served == [0, 1]
    gate.leave()
    await asyncio.gather(*tasks)
    assert served == [0, 1, 2]


async def test_a_cancelled_waiter_takes_no_place() -> None:
    gate = Gate(1)
    await gate.enter()
    early, late, last = (asyncio.create_task(gate.enter()) for _ in range(3))
    await turn()
    early.cancel()
    await turn()
    gate.leave()
    late.cancel()  # it has the place already, and does not know it yet
    await asyncio.wait_for(last, 1)
    assert gate.active == 1


async def test_a_waiter_cancelled_in_the_moment_of_its_turn_is_passed_over() -> None:
    gate = Gate(1)
    await gate.enter()
    early, late = (asyncio.create_task(gate.enter()) for _ in range(2))
    await turn()
    early.cancel()
    gate.leave()
    await asyncio.wait_for(late, 1)
    assert gate.active == 1


def test_it_shrinks_at_once_and_widens_slowly() -> None:
    async def main() -> None:
        gate = Gate(32)
        lessons = [await gate.enter() for _ in range(16)]
        gate.shrink(lessons[0])
        assert gate.room == 8
        for _ in range(16):
            gate.leave()
        gate.widen()
        assert 8 < gate.room < 9
        for _ in range(1000):
            gate.widen()
        assert gate.room == 32

    run(main())


def test_a_429_with_few_under_way_takes_one_place_and_alone_none() -> None:
    async def main() -> None:
        gate = Gate(32)
        lessons = [await gate.enter() for _ in range(FEW + 1)]
        gate.shrink(lessons[-1])
        assert gate.room == FEW
        gate.leave()
        for under_way in range(FEW, 1, -1):
            gate.leave()
            gate.shrink(await gate.enter())
            assert gate.room == under_way - 1
            gate.leave()
        gate.shrink(await gate.enter())
        assert gate.room == 1, "and never below that"
        alone = Gate(32)
        alone.shrink(await alone.enter())
        assert alone.room == 32

    run(main())


def test_one_prompt_s_429_beside_another_makes_a_service_serial_for_moments_only() -> None:
    async def main() -> None:
        by_answers, by_time = Gate(32), Gate(32)
        for gate in (by_answers, by_time):
            await gate.enter()
            gate.shrink(await gate.enter())
            assert gate.room == 1
        for _ in range(3):
            by_answers.widen()
        assert by_answers.room >= 2
        await asyncio.sleep(DOUBLING)
        assert by_time.room >= 2
        await asyncio.sleep(4 * DOUBLING)
        assert by_time.room == 32

    run(main())


async def given_up(limit: int, prompts: int, chance: random.Random) -> int:
    """So many ask at once an account that takes no more than `limit`; how many it never took."""
    gate, under_way, lost = Gate(32), 0, 0

    async def taken() -> bool:
        nonlocal under_way
        lesson = await gate.enter()
        try:
            if under_way == limit:
                await asyncio.sleep(0.2)
                gate.shrink(lesson)
                return False
            under_way += 1
            await asyncio.sleep(chance.uniform(5, 15))
            under_way -= 1
            gate.widen()
            return True
        finally:
            gate.leave()

    async def ask() -> None:
        nonlocal lost
        busy = CompletionError(Failure.BUSY)
        attempt = 1
        while not await taken():
            dice = chance.random()
            again = decide(busy, attempt=attempt, visible=False, made=frozenset(), chance=dice)
            if again is None:
                lost += 1
                return
            await asyncio.sleep(again.delay)
            attempt += 1

    await asyncio.gather(*(ask() for _ in range(prompts)))
    return lost


@pytest.mark.parametrize(("limit", "most"), [(1, 0.15), (2, 0.1), (3, 0.1), (4, 0.05), (8, 0.01)])
def test_an_account_that_takes_few_at_once_serves_nearly_everybody(limit: int, most: float) -> None:
    lost = [run(given_up(limit, 60, random.Random(seed))) for seed in range(5)]
    assert sum(lost) <= 5 * 60 * most


def test_refusals_that_come_together_are_one_lesson() -> None:
    async def main() -> None:
        gate = Gate(32)
        together = [await gate.enter() for _ in range(32)]
        for lesson in together:
            gate.shrink(lesson)
            gate.leave()
        assert gate.room == 16
        later = [await gate.enter() for _ in range(16)]
        gate.shrink(later[0])
        assert gate.room == 8, "who began after it teaches another one"

    run(main())


def test_time_widens_it_and_lets_those_in_who_wait() -> None:
    async def main() -> None:
        gate = Gate(32)
        lessons = [await gate.enter() for _ in range(8)]
        gate.shrink(lessons[0])
        for _ in range(4):
            gate.leave()
        began = now()
        await gate.enter()  # nobody leaves: four silent streams hold the places
        assert 0.3 * DOUBLING < now() - began < 0.4 * DOUBLING
        await asyncio.sleep(DOUBLING * 2)
        assert 16 <= gate.room < 32
        await asyncio.sleep(DOUBLING)
        assert gate.room == 32

    run(main())


def test_it_tells_its_width_and_who_waits() -> None:
    def told() -> tuple[float | None, ...]:
        names = ("threadseek_completion_places", "threadseek_completions_waiting")
        return tuple(REGISTRY.get_sample_value(name) for name in names)

    async def main() -> None:
        with Gate(2) as gate:
            await gate.enter()
            assert told() == (2, 0)
            waiting = [asyncio.create_task(gate.enter()) for _ in range(3)]
            await turn()
            assert told() == (2, 2)
            for each in waiting:
                each.cancel()
            await turn()
            assert told() == (2, 0), "who gave up doesn't wait"
        assert told() == (0, 0)

    run(main())
