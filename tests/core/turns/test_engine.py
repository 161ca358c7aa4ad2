"""The engine from accept to settled, in virtual time, on the real statements."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from core.errors import CompletionError, Failure, PartGone, StoreUnusable, Undeliverable
from core.types import Chunk, Outcome, Verdict
from tests.fakes.clock import now, run
from tests.fakes.completions import words
from tests.fakes.platform import POLICY, Bench, named, prompt, with_json
from tests.fakes.thread import Fault

LONG = words(*(f"w{number} " for number in range(100)))
LONG_TEXT = "".join(f"w{number} " for number in range(100))


def test_a_prompt_is_answered_in_one_message_and_remembered() -> None:
    async def main() -> None:
        bench = Bench(words("Hello ", "you."), words("You said hi."))
        async with bench.process() as engine:
            assert await engine.accept(prompt("hi"))
            assert not await engine.accept(prompt("hi")), "a second copy gives no turn"
            await asyncio.sleep(10)
            assert await engine.accept(prompt("what did I say?", 2))
            await asyncio.sleep(10)
        assert bench.platform.screen().visible == ["Hello you.", "You said hi."]
        first, second = await bench.sent()
        assert first == [("system", "Be kind."), ("user", "hi")]
        assert second == [*first, ("assistant", "Hello you."), ("user", "what did I say?")]

    run(main())


def test_a_follow_up_counts_only_in_a_conversation_the_bot_has() -> None:
    async def main() -> None:
        bench = Bench(words("yes"))
        async with bench.process() as engine:
            follow_up = replace(prompt("and?", 2), follow_up=True)
            assert not await engine.accept(follow_up)
            await engine.accept(prompt("hi"))
            assert await engine.accept(follow_up)
        assert len(bench.api.requests) == 2

    run(main())


def test_one_conversation_in_order_one_at_a_time_and_others_beside_it() -> None:
    async def main() -> None:
        bench = Bench(LONG)
        async with bench.process() as engine:
            for number in (3, 1, 2):
                await engine.accept(prompt(f"p{number}", number))
            for number in range(5):
                await engine.accept(prompt("other", thread=f"t{number}"))
            await asyncio.sleep(5)
            assert bench.api.most_open == 6, "five others beside the one of thread a"
        mine = [r.messages[-1].content for r in bench.api.requests if "p" in r.messages[-1].content]
        assert mine == ["p1", "p2", "p3"]

    run(main())


def test_the_outcome_is_committed_before_the_last_edit() -> None:
    async def main() -> None:
        bench = Bench(LONG)
        seen: list[bool] = []
        screen = bench.platform.screen()
        plain = screen.edit

        async def edit(part: str, text: str) -> None:
            if text == LONG_TEXT:
                conversation = await bench.history.load(prompt("").thread)
                seen.append(len(conversation.messages) == 2)
            await plain(part, text)  # type: ignore[arg-type]

        screen.edit = edit  # type: ignore[method-assign]
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
        assert seen == [True]

    run(main())


@pytest.mark.parametrize("seconds", [0.01, 0.3, 2.0, 5.0, 9.9, 10.05, 10.2])
def test_a_process_that_dies_is_continued_in_the_same_message(seconds: float) -> None:
    async def main() -> None:
        bench = Bench(LONG)
        await bench.killed_after(seconds, prompt("hi"))
        async with bench.process():
            await asyncio.sleep(60)
        assert bench.platform.screen().visible == [LONG_TEXT]
        assert len(bench.api.requests) <= 2
        assert len((await bench.history.load(prompt("").thread)).messages) == 2

    run(main())


def test_an_answer_that_was_committed_is_never_asked_for_again() -> None:
    async def main() -> None:
        bench = Bench(LONG)
        screen = bench.platform.screen()
        await bench.killed_after(10.11, prompt("hi"))
        assert len((await bench.history.load(prompt("").thread)).messages) == 2
        async with bench.process():
            await asyncio.sleep(30)
        assert screen.visible == [LONG_TEXT]
        assert len(bench.api.requests) == 1

    run(main())


def test_three_attempts_are_the_most_across_restarts() -> None:
    async def main() -> None:
        bench = Bench(LONG)
        for _ in range(3):
            await bench.killed_after(4.0, *([prompt("hi")] if not bench.api.requests else []))
            await bench.turns.take_over(["fake"])
        async with bench.process():
            await asyncio.sleep(60)
        (shown,) = bench.platform.screen().visible
        assert "interrupted 3 times" in shown
        assert "turn-1" in shown
        assert len(bench.api.requests) == 3

    run(main())


def test_a_graceful_stop_lets_answers_end_and_then_says_so() -> None:
    async def main() -> None:
        bench = Bench(LONG, words("the whole answer"))
        async with bench.process(grace=2.0) as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(3)
        (left,) = bench.platform.screen().visible
        assert left.startswith("w0 w1 ")
        assert left.endswith("_I am being restarted; this answer goes on as soon as I am back._")
        assert bench.api.closed == 1, "the upstream connection was closed"
        async with bench.process():
            await asyncio.sleep(5)
        assert bench.platform.screen().visible == ["the whole answer"]

    run(main())


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


def test_our_message_deleted_is_a_wish_to_stop() -> None:
    async def main() -> None:
        bench = Bench(LONG, words("next"))
        screen = bench.platform.screen()
        screen.faults.extend([None, Fault(PartGone())])
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(5)
            assert bench.api.closed == 1
            await engine.accept(prompt("more", 2))
        assert screen.visible[-1] == "next"
        assert len(screen.calls) == 3

    run(main())


def test_undeliverable_stops_the_stream_and_frees_the_thread() -> None:
    async def main() -> None:
        bench = Bench(LONG, words("next"))
        bench.platform.screen().faults.append(Fault(Undeliverable("removed")))
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(5)
            assert bench.api.closed == 1
            assert len(bench.platform.screen().calls) == 1
            await engine.accept(prompt("more", 2))
        assert bench.platform.screen().visible == ["next"]

    run(main())


def test_a_full_disk_at_the_end_delays_the_commit_and_not_the_answer() -> None:
    async def main() -> None:
        bench = Bench([*LONG[:-2], Chunk(finish_reason="length"), Chunk(done=True)])
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(5)
            bench.database.broken = StoreUnusable("full")
            await asyncio.sleep(8)
            (shown,) = bench.platform.screen().visible
            assert shown.startswith(LONG_TEXT.rstrip())
            assert "length limit" in shown
            with pytest.raises(StoreUnusable):
                await engine.accept(prompt("more", 2))
            bench.database.broken = None
        assert len((await bench.history.load(prompt("").thread)).messages) == 2
        assert len(bench.api.requests) == 1

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


def test_a_turn_longer_than_its_lease_is_answered_once() -> None:
    async def main() -> None:
        bench = Bench([*words(*(f"w{number} " for number in range(40)), pause=5.0)])
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
        assert now() > 3 * 60
        assert len(bench.api.requests) == 1
        assert len(bench.platform.screen().visible) == 1

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


def test_nothing_is_left_when_everything_is_answered() -> None:
    async def main() -> None:
        bench = Bench(words("a", "b"))
        async with bench.process() as engine:
            for number in range(40):
                await engine.accept(prompt("x", number, thread=f"t{number % 8}"))
            await asyncio.sleep(300)
            beside = asyncio.all_tasks() - {asyncio.current_task()}
            assert len(beside) == 1, "only the claiming loop"
            assert not bench.api.open
        assert now() < 400

    run(main())
