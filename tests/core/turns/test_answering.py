"""One turn from prompt to outcome, in virtual time: failures, verdicts, history, notices."""

import asyncio
from dataclasses import replace

import pytest

from core.errors import CompletionError, Failure, Undeliverable
from core.turns import notices
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
