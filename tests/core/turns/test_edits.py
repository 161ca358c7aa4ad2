"""Prompts edited or deleted at every moment: what people see, what is asked, what is stored."""

import asyncio

import pytest
from sqlalchemy import Connection, select

from core.delivery.writer import SETTLING
from core.errors import CompletionError, Failure, Undeliverable, Unreachable
from core.lifecycle import State
from core.store.edits import MARK
from core.store.schema import message, turn
from core.turns.engine import Engine
from core.turns.retrying import MOST_ATTEMPTS
from core.types import PartId
from tests.fakes.clock import now, run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, Screen, prompt
from tests.fakes.thread import Fault

ASKED = prompt("what is it?")
ME = ASKED.identity
LONG = words(*["word "] * 100)  # ten seconds


def _states(conn: Connection) -> list[tuple[str, str]]:
    return [tuple(row) for row in conn.execute(select(turn.c.text, turn.c.state).order_by("id"))]


def _history(conn: Connection) -> list[str]:
    return list(conn.execute(select(message.c.content).order_by(message.c.position)).scalars())


@pytest.mark.parametrize("after", [0.0, 0.05, 0.12, 0.2, 0.27, 0.35, 0.5, 1.2, 3.0, 9.9, 10.08])
def test_deleted_while_it_is_answered(after: float) -> None:
    """Before the first post, while it is on its way, while it is edited: nothing stays."""

    async def scenario() -> None:
        bench = Bench(LONG)
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(after)
            before = now()
            await engine.withdraw(ME)
            await asyncio.sleep(0.4)
            assert bench.api.open == 0
            assert screen.visible == []
            calls = len(screen.calls)
        assert now() - before < 3.0, "the next prompt of the thread would wait"
        assert len(screen.calls) == calls
        assert await bench.database.read(_states) == [(MARK, State.CANCELLED)]
        assert "what is it?" not in await bench.database.read(_history)

    run(scenario())


def test_deleted_in_the_moment_in_which_the_platform_refuses_its_thread() -> None:
    """A refusal for good is not asked for twice: one line of status is taken away, by one call."""

    async def scenario() -> None:
        bench = Bench(LONG)
        screen = bench.platform.screens[ASKED.thread] = _Deleting(bench)
        screen.faults.append(Fault(Undeliverable("not in the channel")))
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(3.0)
        assert [text for _, text in screen.statuses if not text] == [""]
        assert await bench.database.read(_states) == [(MARK, State.CANCELLED)]

    run(scenario())


class _Deleting(Screen):
    """While the line of status is taken away, another replica hears that the prompt was deleted."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self._bench = bench

    async def status(self, text: str) -> None:
        await super().status(text)
        if not text:
            await self._bench.turns.withdraw(ME)


def test_the_stream_is_closed_at_once() -> None:
    async def scenario() -> None:
        bench = Bench(LONG)
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(2.0)
            assert bench.api.open == 1
            await engine.withdraw(ME)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert (bench.api.open, bench.api.closed) == (0, 1)

    run(scenario())


def test_all_parts_of_a_long_answer_go() -> None:
    async def scenario() -> None:
        bench = Bench(words(*["word " * 60] * 20))
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(1.9)
            assert len(screen.visible) > 2
            await engine.withdraw(ME)
        assert screen.visible == []

    run(scenario())


def test_the_next_prompt_is_answered_without_the_deleted_one() -> None:
    async def scenario() -> None:
        bench = Bench(LONG, words("Fine."))
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await engine.accept(prompt("and now?", 2))
            await asyncio.sleep(2.0)
            await engine.withdraw(ME)
        assert screen.visible == ["Fine."]
        assert (await bench.sent())[-1][-1] == ("user", "and now?")

    run(scenario())


def test_deleted_while_it_waits_is_never_asked() -> None:
    async def scenario() -> None:
        bench = Bench(words("One."))
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await engine.accept(prompt("two?", 2))
            await engine.withdraw(prompt("", 2).identity)
        assert len(bench.api.requests) == 1
        assert bench.platform.screen().visible == ["One."]

    run(scenario())


def test_a_post_that_lands_late_is_found_and_removed() -> None:
    """Its answer was lost, the question is deleted, and then it shows up."""

    async def scenario() -> None:
        bench = Bench(LONG)
        screen = bench.platform.screen()
        screen.faults.append(Fault(Unreachable("cut off")))
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(0.35)
            assert len(screen.calls) == 1
            await engine.withdraw(ME)
            await asyncio.sleep(8.0)
            screen.land(PartId("late"), f"{ME}:0", "late words")
            assert screen.visible == ["late words"]
            late = now()
        assert screen.visible == []
        assert now() - late < SETTLING
        assert await bench.database.read(_states) == [(MARK, State.CANCELLED)]

    run(scenario())


def test_a_process_that_died_leaves_nothing_to_a_deleted_question() -> None:
    """Deleted while nobody works on it: whoever claims it next only cleans up."""

    async def scenario() -> None:
        bench = Bench(LONG)
        screen = bench.platform.screen()
        await bench.killed_after(2.0, ASKED)
        assert len(screen.visible) == 1
        assert await bench.turns.withdraw(ME)
        async with bench.process():
            await asyncio.sleep(0.5)
            assert screen.visible == []
        assert len(bench.api.requests) == 1
        assert await bench.database.read(_states) == [(MARK, State.CANCELLED)]

    run(scenario())


@pytest.mark.parametrize("died_after", [0.0, 0.05, 0.1, 0.2, 1.0])
def test_a_process_that_dies_while_it_takes_back(died_after: float) -> None:
    async def scenario() -> None:
        bench = Bench(LONG)
        screen = bench.platform.screen()
        await bench.killed_after(1.0, ASKED)
        await bench.turns.withdraw(ME)
        await bench.turns.take_over(["fake"])
        await bench.killed_after(died_after)
        async with bench.process():
            pass
        assert screen.visible == []
        assert await bench.database.read(_states) == [(MARK, State.CANCELLED)]

    run(scenario())


@pytest.mark.parametrize("after", [0.15, 0.5, 3.0])
def test_another_replica_notices_by_itself(after: float) -> None:
    """The event went to a process that doesn't answer this turn."""

    async def scenario() -> None:
        bench = Bench(words(*["word "] * 600))  # a minute
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(after)
            await bench.turns.withdraw(ME)
            await asyncio.sleep(bench.means().lease / 3 + 1.0)
            assert bench.api.open == 0
            assert screen.visible == []
        assert await bench.database.read(_states) == [(MARK, State.CANCELLED)]

    run(scenario())


def test_our_message_and_the_question_deleted_together() -> None:
    async def scenario() -> None:
        bench = Bench(LONG)
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(2.0)
            screen.gone.update(screen.states)
            await bench.turns.withdraw(ME)
        assert screen.visible == []
        assert await bench.database.read(_states) == [(MARK, State.CANCELLED)]

    run(scenario())


def test_deleted_later_the_answer_stays() -> None:
    async def scenario() -> None:
        bench = Bench(words("Forty-two."))
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(ASKED)
        async with bench.process() as engine:
            await engine.withdraw(ME)
            await engine.accept(prompt("and?", 2))
        assert screen.visible == ["Forty-two.", "Forty-two."]
        assert (await bench.sent())[-1][1:3] == [("user", MARK), ("assistant", "Forty-two.")]

    run(scenario())


def test_deleted_while_a_cut_off_call_is_waited_out() -> None:
    """Everything is shown and only settling is left: the answer goes at once all the same."""

    async def scenario() -> None:
        bench = Bench(words("Forty-two."))
        screen = bench.platform.screen()
        screen.faults.append(Fault(Unreachable("cut off"), landed=True))
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(5.0)
            await engine.withdraw(ME)
            await asyncio.sleep(0.5)
            assert screen.visible == []
        assert await bench.database.read(_states) == [(MARK, State.CANCELLED)]
        assert await bench.database.read(_history) == [MARK, MARK]

    run(scenario())


def test_edited_before_the_first_words_the_new_text_is_answered_once() -> None:
    async def scenario() -> None:
        slow = [5.0, *words("Old.")]
        bench = Bench(slow, words("New."))
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(2.0)
            assert await engine.amend(ME, "what is she?")
            await asyncio.sleep(0.05)
            assert (bench.api.open, bench.api.closed) == (1, 1)
        assert screen.visible == ["New."]
        sent = await bench.sent()
        assert [request[-1] for request in sent] == [
            ("user", "what is it?"),
            ("user", "what is she?"),
        ]
        assert await bench.database.read(_history) == ["what is she?", "New."]

    run(scenario())


def test_edited_again_and_again_the_last_text_is_answered() -> None:
    """Nothing broke off: each text is a question of its own, and nothing but an edit asks anew."""

    async def scenario() -> None:
        bench = Bench(*[[5.0, *words("Never.")]] * 5, words("At last."))
        async with bench.process() as engine:
            await engine.accept(ASKED)
            for number in range(5):
                await asyncio.sleep(1.0)
                await engine.amend(ME, f"text {number}")
        assert len(bench.api.requests) == 6
        assert (await bench.sent())[-1][-1] == ("user", "text 4")
        assert bench.platform.screen().visible == ["At last."]

    run(scenario())


def test_of_an_edited_text_three_attempts_are_the_most() -> None:
    async def scenario() -> None:
        bench = Bench([5.0, *words("Never.")], [5.0, CompletionError(Failure.STALLED)])
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(1.0)
            await engine.amend(ME, "what is she?")
        asked = [request[-1][1] for request in await bench.sent()]
        assert asked == ["what is it?", *["what is she?"] * MOST_ATTEMPTS]

    run(scenario())


@pytest.mark.parametrize("after", [0.2, 0.5, 3.0, 10.08, 20.0])
def test_edited_once_words_are_on_their_way_nobody_is_answered_twice(after: float) -> None:
    async def scenario() -> None:
        bench = Bench(LONG)
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(after)
            assert await engine.amend(ME, "what is she?")
        assert len(bench.api.requests) == 1
        assert len(screen.visible) == 1
        assert (await bench.database.read(_history))[0] == "what is she?"
        assert await bench.database.read(_states) == [("what is she?", State.SETTLED)]

    run(scenario())


def test_edited_at_another_replica_the_old_claim_is_void() -> None:
    async def scenario() -> None:
        bench = Bench([5.0, *words("Old.")], words("New."))
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(2.0)
            await bench.turns.amend(ME, "what is she?")
        assert screen.visible == ["New."]
        assert await bench.database.read(_history) == ["what is she?", "New."]

    run(scenario())


def test_an_edited_stranger_is_no_prompt() -> None:
    async def scenario() -> None:
        bench = Bench(words("x"))
        engine = Engine(bench.means(), {"fake": bench.platform}, owner="me")
        assert not await engine.amend("nobody", "text")

    run(scenario())
