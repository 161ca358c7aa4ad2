"""The API is away for ten minutes: calm sentences in order, no storm, and the threads go on."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from core.errors import CompletionError, Failure
from core.turns.retrying import MOST_ATTEMPTS
from core.types import Chunk, CompletionRequest
from tests.fakes.clock import now, run
from tests.fakes.completions import ScriptedCompletions
from tests.fakes.platform import Bench, prompt

AWAY = 600.0  # seconds
EVERY = 30.0  # seconds between two prompts of a thread
THREADS = ("a", "b", "c")
CALM = "DeepSeek can't be reached right now. Please try again in a moment."


class AwayForTenMinutes(ScriptedCompletions):
    """Unreachable at first, which is noticed after `hang` seconds; then answers what was asked."""

    def __init__(self, hang: float) -> None:
        super().__init__([])
        self._hang = hang
        self.times: dict[str, list[float]] = {}

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        """Fail while away, else answer."""
        self.requests.append(request)
        asked = request.messages[-1].content.splitlines()[-1]  # what failed before stands above it
        self.times.setdefault(asked, []).append(now())
        if now() < AWAY:
            await asyncio.sleep(self._hang)
            raise CompletionError(Failure.TRANSPORT, trace_id=f"t{len(self.requests)}")
        yield Chunk(text=f"About {asked}.")
        yield Chunk(finish_reason="stop")
        yield Chunk(done=True)


async def ten_minutes(bench: Bench) -> None:
    """Everybody asks every half minute, then one in the last second; later they try again."""
    async with bench.process() as engine:
        for number in range(1, int(AWAY / EVERY)):
            for thread in THREADS:
                await engine.accept(prompt(f"{thread}{number}", number, thread))
            await asyncio.sleep(EVERY)
        await asyncio.sleep(AWAY - 1.0 - now())
        await engine.accept(prompt("last second", 1, "d"))
        await asyncio.sleep(60.0)
        for thread in THREADS:
            await engine.accept(prompt(f"try {thread} again", 99, thread))


@pytest.mark.parametrize("hang", [0.0, 8.0], ids=["refused at once", "noticed late"])
def test_ten_minutes_without_the_api(hang: float) -> None:
    api = AwayForTenMinutes(hang)

    async def main() -> Bench:
        bench = Bench([])
        bench.api = api
        await ten_minutes(bench)
        return bench

    bench = run(main())
    count = int(AWAY / EVERY) - 1
    for thread in THREADS:
        *failed, again = bench.platform.screen(thread).visible
        assert len(failed) == count, "one sentence for each prompt"
        assert again == f"About try {thread} again."
        attempts = [api.times[f"{thread}{number}"] for number in range(1, count + 1)]
        assert [len(times) for times in attempts] == [MOST_ATTEMPTS] * count
        for said in failed:
            assert CALM in said
            assert "\n" not in said
        references = [int(said.removesuffix(")").rpartition("(trace t")[2]) for said in failed]
        assert references == sorted(references), "in the order in which they were asked"
    assert bench.platform.screen("d").visible == ["About last second."]
    assert len(api.requests) <= (count * len(THREADS)) * MOST_ATTEMPTS + MOST_ATTEMPTS + 3


def test_trying_again_needs_no_second_telling() -> None:
    """The failed questions are in the request, so "try again" means something to the model."""
    api = AwayForTenMinutes(0.0)

    async def main() -> None:
        bench = Bench([])
        bench.api = api
        async with bench.process() as engine:
            await engine.accept(prompt("why is the sky blue?", 1))
            await asyncio.sleep(AWAY + 5.0)
            await engine.accept(prompt("try again", 2))

    run(main())
    assert api.requests[-1].messages[-1].content == "why is the sky blue?\n\ntry again"
