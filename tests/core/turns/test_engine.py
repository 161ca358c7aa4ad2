"""The engine from accept to settled, in virtual time, on the real statements."""

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from core.errors import PartGone, StoreUnusable, Undeliverable, Unreachable
from core.lifecycle import State
from core.ports import Turn
from core.turns.engine import Engine
from core.types import Chunk
from tests.fakes.clock import now, run
from tests.fakes.completions import Step, words
from tests.fakes.platform import Bench, named, prompt
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
        screen = bench.platform.screen()
        assert screen.visible == [LONG_TEXT]
        for states in screen.states.values():
            texts = [text for _, text in states]
            assert all(b.startswith(a.rstrip()) for a, b in pairwise(texts)), "nothing went back"
        assert len(bench.api.requests) <= 2
        assert len((await bench.history.load(prompt("").thread)).messages) == 2

    run(main())


@pytest.mark.parametrize(("seconds", "shown"), [(5.0, ["is thinking…", ""]), (10.05, [])])
def test_a_status_is_taken_away_where_no_post_does_it(seconds: float, shown: list[str]) -> None:
    """What goes on in a message that stands; what is committed needs no thinking."""

    async def main() -> None:
        bench = Bench(LONG)
        await bench.killed_after(seconds, prompt("hi"))
        screen = bench.platform.screen()
        former, restarted = len(screen.statuses), now()
        async with bench.process():
            await asyncio.sleep(60)
        assert screen.visible == [LONG_TEXT]
        assert [text for _, text in screen.statuses[former:]] == shown
        (states,) = screen.states.values()
        whole = next(at for at, text in states if text == LONG_TEXT)
        assert not shown or restarted < screen.statuses[-1][0] <= whole + 1

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


def test_three_attempts_are_the_most_across_graceful_restarts() -> None:
    async def main() -> None:
        bench = Bench(LONG)
        for _ in range(3):
            async with bench.process(grace=0.0) as engine:
                await engine.accept(prompt("hi"))
                await asyncio.sleep(4.0)
        async with bench.process():
            await asyncio.sleep(1.0)
        (shown,) = bench.platform.screen().visible
        assert "interrupted 3 times" in shown
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


def test_a_question_deleted_while_its_answer_says_goodbye_leaves_nothing() -> None:
    async def main() -> None:
        bench = Bench(LONG)
        screen = bench.platform.screen()

        async def withdraw(engine: Engine) -> None:
            await asyncio.sleep(0.2)
            await engine.withdraw(prompt("hi").identity)

        async with bench.process(grace=0.1) as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(3)
            withdrawing = asyncio.create_task(withdraw(engine))
        await withdrawing
        assert "restarted" in screen.calls[-1].text
        assert screen.visible == []

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
        assert (await bench.sent())[1][1:] == [("user", "hi\n\nmore")]

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
        assert (await bench.sent())[1][1:] == [("user", "hi\n\nmore")]

    run(main())


@pytest.mark.parametrize(
    ("script", "kept"),
    [
        ([*LONG[:60], Chunk(finish_reason="content_filter"), 9.0], ""),
        (LONG, "Bob: hi\n\n"),
    ],
    ids=["filtered", "long"],
)
def test_what_is_remembered_of_a_question_whose_answer_was_deleted(
    script: list[Step], kept: str
) -> None:
    """As if the answer had broken off by itself: with its label; what would be refused, not."""

    async def main() -> None:
        bench = Bench(script, words("next"))
        screen = bench.platform.screen()
        screen.before = [named("Ann", "hello", "fake:a:0")]
        async with bench.process() as engine:
            await engine.accept(prompt("hi", author="Bob"))
            await asyncio.sleep(4)
            screen.gone.update(screen.states)
            await asyncio.sleep(12)
            await engine.accept(prompt("more", 2, author="Bob"))
        assert (await bench.sent())[1][1:] == [("user", f"hello\n\n{kept}Bob: more")]

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


def test_a_stop_does_not_wait_for_an_answer_to_settle() -> None:
    async def main() -> None:
        bench = Bench(LONG)
        await bench.killed_after(4.0, prompt("hi"))
        async with bench.process(grace=20.0):
            await asyncio.sleep(11.0)
            assert bench.platform.screen().visible == [LONG_TEXT]
            stopping = now()
        assert now() - stopping < 2.0
        async with bench.process():
            await asyncio.sleep(30.0)
        assert bench.platform.screen().visible == [LONG_TEXT]
        assert len(bench.api.requests) == 2

    run(main())


def test_a_stop_gives_back_what_only_settles_at_once() -> None:
    """Another replica settles it, and goes on with its conversation, while others are answered."""

    async def main() -> None:
        bench = Bench(words("short"), LONG)
        bench.platform.screen().faults.append(Fault(Unreachable("cut off"), landed=True))
        async with bench.process(grace=20.0) as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(6.0)
            await engine.accept(prompt("hi", thread="b"))
            await asyncio.sleep(1.0)
            other = asyncio.create_task(_claimed_by_another(bench, after=1.0))
        turn = await other
        assert turn is not None
        assert (turn.state, turn.prompt.identity) == (State.DELIVERED, prompt("hi").identity)
        assert bench.platform.screen("b").visible == [LONG_TEXT]

    run(main())


def test_a_stop_gives_back_what_is_just_being_claimed() -> None:
    """It is claimed in the database already, and nobody works on it yet."""

    async def main() -> None:
        bench = Bench(words("short"))
        plain, claimed = bench.turns.claim, asyncio.Event()

        async def claim(*what: Any) -> Turn | None:
            if turn := await plain(*what):
                claimed.set()
                await asyncio.sleep(0.05)
            return turn

        bench.turns.claim = claim  # type: ignore[method-assign, assignment]
        async with bench.process(grace=20.0) as engine:
            await engine.accept(prompt("hi"))
            await claimed.wait()
        turn = await plain("another", ["fake"], 60.0)
        assert turn is not None
        assert turn.crashes == 0
        assert bench.api.requests == []

    run(main())


async def _claimed_by_another(bench: Bench, after: float) -> Turn | None:
    await asyncio.sleep(after)
    return await bench.turns.claim("another", ["fake"], 60.0)


def test_a_turn_longer_than_its_lease_is_answered_once() -> None:
    async def main() -> None:
        bench = Bench([*words(*(f"w{number} " for number in range(40)), pause=5.0)])
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
        assert now() > 3 * 60
        assert len(bench.api.requests) == 1
        assert len(bench.platform.screen().visible) == 1

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
