"""The gate: in order, halved by a 429, slowly wider again; a cancellation loses no place."""

import asyncio

from core.deepseek.gate import Gate


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


async def test_it_shrinks_at_once_and_widens_slowly() -> None:
    gate = Gate(8)
    for _ in range(8):
        await gate.enter()
    gate.shrink()
    assert gate.room == 4
    for _ in range(8):
        gate.leave()
    gate.widen()
    assert 4 < gate.room < 5
    for _ in range(100):
        gate.widen()
    assert gate.room == 8
    for _ in range(100):
        gate.shrink()
    assert gate.room == 1
    await asyncio.wait_for(gate.enter(), 1)
