"""What the model has room for: the context, and the answer in it."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from core.errors import CompletionError, Failure
from core.turns.tokens import estimate
from tests.fakes.clock import run
from tests.fakes.completions import words
from tests.fakes.platform import POLICY, Bench, prompt


def test_the_largest_max_tokens_that_a_model_takes_is_remembered() -> None:
    async def main() -> None:
        refused = [CompletionError(Failure.MAX_TOKENS, limit=8_192)]
        bench = Bench(refused, words("one"), words("two"), [refused[0]], words("three"))
        with capture_logs() as logs:
            async with bench.process() as engine:
                for number in range(3):
                    await engine.accept(prompt("hi", number))
                    await asyncio.sleep(10)
        asked = [request.max_tokens for request in bench.api.requests]
        assert asked == [None, 8_192, 8_192, 8_192, 8_192]
        (told,) = [each for each in logs if each["event"] == "completion.max_tokens_lowered"]
        assert "DEEPSEEK_MAX_TOKENS to 8192" in told["fix"]
        assert bench.platform.screen().visible == ["one", "two", "three"]

    run(main())


def test_what_one_question_leaves_of_the_context_is_asked_for_in_it_alone() -> None:
    async def main() -> None:
        first, second = (
            [CompletionError(Failure.NO_ROOM, limit=left)] for left in (65_482, 64_000)
        )
        bench = Bench(first, words("one"), second, words("two"))
        with capture_logs() as logs:
            async with bench.process() as engine:
                for number in range(2):
                    await engine.accept(prompt("hi", number))
                    await asyncio.sleep(10)
        asked = [request.max_tokens for request in bench.api.requests]
        assert asked == [None, 65_482, None, 64_000]
        told = [each for each in logs if each["event"] == "turn.max_tokens_lowered"]
        assert [each["tokens"] for each in told] == [65_482, 64_000]
        assert "DEEPSEEK_MAX_TOKENS" in told[0]["fix"]
        assert bench.platform.screen().visible == ["one", "two"]

    run(main())


def test_too_long_for_the_model_is_trimmed_once_and_said_once() -> None:
    async def main() -> None:
        too_long = [CompletionError(Failure.TOO_LONG, limit=4_000)]
        bench = Bench(*[words("y" * 200)] * 20, too_long, words("short"), words("shorter"))
        async with bench.process() as engine:
            for number in range(22):
                await engine.accept(prompt("x" * 200, number))
                await asyncio.sleep(10)
        sizes = [len(request.messages) for request in bench.api.requests]
        assert sizes[20] == 42
        assert sizes[21] < 30
        *_, told, after = bench.platform.screen().visible
        assert told.startswith("short\n\n_")
        assert "beginning" in told
        assert after == "shorter", "the person is told once"

    run(main())


def test_the_limit_that_the_api_names_is_what_is_trimmed_to() -> None:
    async def main() -> None:
        too_long = [CompletionError(Failure.TOO_LONG, limit=2_000)]
        bench = Bench(*[words("y" * 200)] * 20, too_long, words("short"))
        async with bench.process() as engine:
            for number in range(21):
                await engine.accept(prompt("x" * 200, number))
                await asyncio.sleep(10)
        room = 2_000 - POLICY.room.answer
        before, after = (
            sum(estimate(message.content) for message in request.messages)
            for request in bench.api.requests[-2:]
        )
        assert before > room
        assert after <= room / 2, "half of it, since trimming goes in big steps"

    run(main())


def test_the_estimate_is_corrected_by_what_the_api_counted() -> None:
    async def main() -> None:
        bench = Bench(words("yes", tokens=5_000))
        async with bench.process() as engine:
            await engine.accept(prompt("word " * 1_000))
        (request,) = bench.api.requests
        estimated = sum(estimate(message.content) for message in request.messages)
        memory = (await bench.history.load(prompt("").thread)).memory
        assert memory.ratio == pytest.approx((1 + 5_000 / estimated) / 2, rel=0.05)

    run(main())


def test_a_long_conversation_is_trimmed_in_big_steps_and_said_once() -> None:
    async def main() -> None:
        policy = replace(POLICY, room=replace(POLICY.room, context=2_000))
        bench = Bench(words("y" * 400), policy=policy)
        async with bench.process() as engine:
            for number in range(30):
                await engine.accept(prompt("x" * 400, number))
                await asyncio.sleep(20)
        told = [text for text in bench.platform.screen().visible if "beginning" in text]
        assert len(told) == 1
        sizes = [len(request.messages) for request in bench.api.requests]
        drops = [a - b for a, b in pairwise(sizes) if b < a]
        assert len(drops) >= 2
        assert min(drops) >= 2

    run(main())
