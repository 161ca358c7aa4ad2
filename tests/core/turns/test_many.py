"""Many prompts at once: how fast they are taken up, and how many at a time."""

import asyncio
from typing import Any

from core.ports import Turn
from core.turns.engine import Engine
from tests.fakes.clock import run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, prompt

LONG = words(*(f"w{number} " for number in range(100)))


def test_those_that_wait_are_claimed_side_by_side() -> None:
    async def main() -> None:
        bench = Bench(LONG)
        claim, claims = bench.turns.claim, [0, 0]

        async def slow(*what: Any) -> Turn | None:
            claims[0] += 1
            claims[1] = max(claims)
            await asyncio.sleep(1.0)
            claims[0] -= 1
            return await claim(*what)

        bench.turns.claim = slow  # type: ignore[method-assign, assignment]
        async with bench.process() as engine:
            for number in range(40):
                await engine.accept(prompt("hi", thread=f"t{number}"))
            await asyncio.sleep(6.5)
            assert len(bench.api.requests) == 40, "1, 2, 4, 8 and 16 at once, then the rest"
            assert claims[1] == 16
            await asyncio.sleep(30.0)
            claims[1] = 0
            await asyncio.sleep(30.0)
            assert claims[1] == 1, "who has nothing to do looks once at a time"

    run(main())


def test_a_claim_that_takes_long_keeps_none_beside_it() -> None:
    async def main() -> None:
        bench = Bench(words("here"))
        claim, claims = bench.turns.claim, 0

        async def slow(*what: Any) -> Turn | None:
            nonlocal claims
            claims += 1
            await asyncio.sleep(30.0 if claims == 3 else 0.0)  # beside the second
            return await claim(*what)

        bench.turns.claim = slow  # type: ignore[method-assign, assignment]
        async with bench.process() as engine:
            for number in range(2):
                await engine.accept(prompt("hi", thread=f"t{number}"))
            await asyncio.sleep(2.0)
            assert bench.platform.screen("t1").visible == ["here"]

    run(main())


def test_no_more_are_taken_up_than_there_are_places() -> None:
    async def main() -> None:
        bench = Bench(LONG)
        engine = Engine(bench.means(), {"fake": bench.platform}, owner="me", concurrency=3)
        running = asyncio.create_task(engine.run())
        for number in range(10):
            await engine.accept(prompt("hi", thread=f"t{number}"))
        await asyncio.sleep(200)
        assert bench.api.most_open == 3
        assert len(bench.api.requests) == 10
        await engine.accept(prompt("hi", thread="later"))
        await asyncio.sleep(60)
        assert len(bench.api.requests) == 11, "places that found nothing to do are free again"
        await engine.stop(0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    run(main())
