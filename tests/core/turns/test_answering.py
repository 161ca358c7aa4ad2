"""One turn from prompt to outcome, in virtual time: failures, verdicts, history, notices."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from core.errors import CompletionError, Failure, Undeliverable
from core.turns import notices
from core.turns.tokens import estimate
from core.types import Chunk, Outcome, PartId, Verdict
from tests.fakes.clock import now, run
from tests.fakes.completions import Step, words
from tests.fakes.platform import POLICY, Bench, named, prompt, with_json

LONG = words(*(f"w{number} " for number in range(100)))
LONG_TEXT = "".join(f"w{number} " for number in range(100))


@pytest.mark.parametrize(
    ("failures", "verdict", "asked"),
    [
        ([Failure.SERVER], Verdict.COMPLETE, 2),
        ([Failure.TRANSPORT, Failure.BUSY], Verdict.COMPLETE, 3),
        ([Failure.SERVER] * 3, Verdict.ERROR, 3),
        ([Failure.CREDENTIALS], Verdict.ERROR, 1),
        ([Failure.MODERATED], Verdict.FILTERED, 1),
        ([Failure.SHAPE], Verdict.COMPLETE, 2),
        ([Failure.SHAPE] * 2, Verdict.ERROR, 2),
        ([Failure.EMPTY] * 2, Verdict.EMPTY, 2),
        ([Failure.MAX_TOKENS], Verdict.COMPLETE, 2),
        ([Failure.NO_ROOM], Verdict.COMPLETE, 2),
        ([Failure.MAX_TOKENS, Failure.NO_ROOM], Verdict.COMPLETE, 3),
        ([Failure.NO_ROOM] * 2, Verdict.ERROR, 2),
    ],
)
def test_failures_before_the_first_word(
    failures: list[Failure], verdict: Verdict, asked: int
) -> None:
    async def main() -> Outcome:
        scripts = [[CompletionError(failure, trace_id="t-1", limit=50)] for failure in failures]
        bench = Bench(*scripts, words("fine"))
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
        assert len(bench.api.requests) == asked
        (shown,) = bench.platform.screen().visible
        (outcome,) = bench.platform.screen().outcomes
        assert shown == (outcome.text or outcome.notice)
        assert ("(trace t-1)" in shown) is (verdict is not Verdict.COMPLETE)
        if failures == [Failure.MAX_TOKENS]:
            assert bench.api.requests[1].max_tokens == 50
        return outcome

    assert run(main()).verdict is verdict


@pytest.mark.parametrize("queue", [0.0, 60.0], ids=["at once", "each waits for a place"])
@pytest.mark.parametrize(
    ("seconds", "left"), [(10.0, [10.0, 5.5, 0.5]), (9.0, [9.0, 4.5]), (4.0, [4.0])]
)
def test_all_attempts_together_have_the_time_of_one_turn(
    seconds: float, left: list[float], queue: float
) -> None:
    """Each stalls after four seconds; the pauses before the next ones take a half and a whole.
    What each waits for a place takes none of it.
    """

    async def main() -> None:
        stalls = [4.0, CompletionError(Failure.STALLED)]
        bench = Bench(stalls, policy=replace(POLICY, seconds=seconds))
        bench.api.queue = queue
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
        assert [request.seconds for request in bench.api.requests] == pytest.approx(left)
        (shown,) = bench.platform.screen().visible
        assert "stopped sending" in shown

    run(main())


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


def test_words_that_nobody_saw_are_dropped_with_their_attempt() -> None:
    async def main() -> None:
        broken = [0.5, Chunk(text="lost "), CompletionError(Failure.TRUNCATED)]
        bench = Bench(broken, words("fine"))
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
        assert bench.platform.screen().visible == ["fine"]

    run(main())


def test_nothing_is_tried_again_once_a_word_is_visible() -> None:
    async def main() -> None:
        broken = [*words("half an ", "answer")[:4], 1.0, CompletionError(Failure.TRUNCATED)]
        bench = Bench(broken, words("yes"))
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(10)
            await engine.accept(prompt("go on", 2))
        first, second = bench.platform.screen().visible
        assert first.startswith("half an answer\n\n_")
        assert "broke off" in first
        assert second == "yes"
        _, request = await bench.sent()
        assert request == [("system", "Be kind."), ("user", "hi\n\ngo on")], "not stored as ours"

    run(main())


def test_a_refused_prompt_is_forgotten_and_a_failed_one_is_not() -> None:
    async def main() -> None:
        bench = Bench(
            [CompletionError(Failure.MODERATED)],
            [CompletionError(Failure.CREDENTIALS)],
            words("yes"),
        )
        async with bench.process() as engine:
            for number, text in enumerate(["bad", "good", "now"], 1):
                await engine.accept(prompt(text, number))
                await asyncio.sleep(10)
        assert (await bench.sent())[-1] == [("system", "Be kind."), ("user", "good\n\nnow")]

    run(main())


@pytest.mark.parametrize(
    "script",
    [
        [CompletionError(Failure.REFUSED)],
        [CompletionError(Failure.TOO_LONG)],
        [CompletionError(Failure.TOO_BIG)],
        [CompletionError(Failure.SHAPE)],
        words("half an answer", finish="content_filter"),
    ],
    ids=["refused", "too long", "too big", "shape", "filtered"],
)
def test_what_would_be_refused_again_with_every_later_question_is_forgotten(
    script: list[Step],
) -> None:
    async def main() -> None:
        twice = [script] * 2 if "SHAPE" in repr(script) else [script]
        bench = Bench(*twice, words("yes"))
        async with bench.process() as engine:
            await engine.accept(prompt("bad"))
            await asyncio.sleep(10)
            await engine.accept(prompt("now", 2))
        assert (await bench.sent())[-1] == [("system", "Be kind."), ("user", "now")]

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


def test_help_and_attachments_need_no_model_and_enter_no_history() -> None:
    async def main() -> None:
        bench = Bench(words("yes"))
        async with bench.process() as engine:
            await engine.accept(prompt(" \n"))
            await engine.accept(prompt("", 2, files=("a.pdf",)))
            await engine.accept(prompt("look", 3, files=("b.png",)))
        shown = bench.platform.screen().visible
        assert "Mention me" in shown[0]
        assert "attachments" in shown[1]
        (request,) = await bench.sent()
        assert request == [
            ("system", "Be kind."),
            ("user", "look\n\n[Attached, but not readable for you: b.png]"),
        ]

    run(main())


@pytest.mark.parametrize("text", ["old question", ""])
@pytest.mark.parametrize("follow_up", [False, True])
def test_a_late_prompt_gets_one_line_and_enters_no_history(text: str, follow_up: bool) -> None:
    async def main() -> None:
        bench = Bench(words("yes"))
        async with bench.process() as engine:
            await engine.accept(prompt("first"))
            await asyncio.sleep(10)
            assert await engine.accept(prompt(text, 2, late=True, follow_up=follow_up))
            await asyncio.sleep(10)
            await engine.accept(prompt("now", 3))
        _, line, answer = bench.platform.screen().visible
        assert line == notices.LATE
        assert answer == "yes"
        first, second = await bench.sent()
        assert second == [*first, ("assistant", "yes"), ("user", "now")]

    run(main())


def test_after_a_restart_a_prompt_is_sent_alone_and_nobody_is_told_of_a_beginning() -> None:
    async def main() -> None:
        bench = Bench(words("yes"))
        screen = bench.platform.screen()
        screen.before = [named("U1", "lunch?", "i1"), named("U2", "when?", "i2")]
        async with bench.process() as engine:
            await engine.accept(prompt("well?", 3, author="U1"))
            await asyncio.sleep(30)
            assert await bench.history.restart(prompt("").thread)
            await engine.accept(prompt("afresh", 4, author="U2"))
            await asyncio.sleep(30)
            await engine.accept(prompt("and?", 5, author="U2"))
        _, second, third = await bench.sent()
        assert second == [("system", "Be kind."), ("user", "afresh")]
        assert third == [*second, ("assistant", "yes"), ("user", "and?")]
        assert screen.visible == ["yes"] * 3

    run(main())


def test_what_was_said_before_is_read_once_with_its_speakers() -> None:
    async def main() -> None:
        bench = Bench(words("noon"), words("sure"))
        screen = bench.platform.screen()
        screen.before = [named("U1", "lunch?", "i1"), named("U2", "when?", "i2")]
        async with bench.process() as engine:
            await engine.accept(prompt("well?", 3, author="U1"))
            await asyncio.sleep(10)
            screen.before = [named("U9", "never asked for", "i9")]
            await engine.accept(prompt("sure?", 4, author="U2"))
        first, second = await bench.sent()
        assert first[1] == ("user", "lunch?\n\nU2: when?\n\nU1: well?")
        assert second == [*first, ("assistant", "noon"), ("user", "U2: sure?")]

    run(main())


def test_thinking_is_shown_as_a_status_and_never_as_text() -> None:
    async def main() -> None:
        script = [5.0, Chunk(reasoning="hm"), 70.0, *words("42")]
        bench = Bench(script)
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
        screen = bench.platform.screen()
        assert screen.visible == ["42"]
        lines = [text for _, text in screen.statuses]
        assert lines[0] == "is thinking…"
        assert lines.count("is reasoning…") == 2, "refreshed, since platforms forget it"
        assert screen.outcomes[0].reasoning == "hm"

    run(main())


def test_a_bug_of_ours_is_a_visible_apology_and_the_thread_goes_on() -> None:
    async def main() -> None:
        bench = Bench([RuntimeError("a bug")], words("fine"))
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(5)
            await engine.accept(prompt("again", 2))
        first, second = bench.platform.screen().visible
        assert "went wrong on my side" in first
        assert "turn-1" in first
        assert "a bug" not in first
        assert second == "fine"

    run(main())


def test_json_is_framed_for_people_and_bare_in_the_store() -> None:
    async def main() -> None:
        bench = Bench(words('{"a":', " 1}"), words("[]"), policy=with_json(POLICY))
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(5)
            await engine.accept(prompt("again", 2))
        assert bench.platform.screen().visible[0] == '```json\n{"a": 1}\n```'
        assert ("assistant", '{"a": 1}') in (await bench.sent())[1]

    run(main())


def test_a_status_that_lands_after_the_first_words_is_taken_away() -> None:
    async def main() -> None:
        bench = Bench(words("quick ", "answer", pause=0.3))
        screen = bench.platform.screen()

        async def slow(text: str) -> None:
            await asyncio.sleep(1.0)
            screen.statuses.append((now(), text))

        screen.status = slow  # type: ignore[method-assign]
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(5)
        assert [text for _, text in screen.statuses] == ["is thinking…", ""]

    run(main())


def test_a_turn_that_can_not_be_delivered_does_not_go_on_thinking() -> None:
    async def main() -> None:
        bench = Bench(words("quick ", "answer", pause=0.3))
        screen = bench.platform.screen()

        async def locked(text: str, key: str) -> PartId:
            raise Undeliverable("the thread is locked")

        screen.post = locked  # type: ignore[method-assign]
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(5)
        assert [text for _, text in screen.statuses] == ["is thinking…", ""]

    run(main())
