"""Prompts whose handling breaks off again and again: given up after three times, and said so."""

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Connection, select

from core.errors import Unreachable
from core.lifecycle import State
from core.ports import Turn
from core.store.schema import message, turn
from core.types import PartId, Prompt
from tests.fakes.clock import now, run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, FakePlatform, Screen, prompt
from tests.fakes.thread import Fault

STOPPED = (
    "I was interrupted 3 times while answering this and stopped trying. Please ask again. "
    "(trace turn-1)"
)
LONG = words(*["word "] * 100)  # ten seconds


def _ends(conn: Connection) -> list[tuple[str, str]]:
    return [tuple(row) for row in conn.execute(select(turn.c.state, turn.c.reason).order_by("id"))]


def _history(conn: Connection) -> list[str]:
    return list(conn.execute(select(message.c.content).order_by(message.c.position)).scalars())


def parked() -> float:
    """What /metrics says."""
    return REGISTRY.get_sample_value("threadseek_turns_parked_total", {"platform": "fake"}) or 0.0


class Touchy(Screen):
    """A thread whose adapter has a mistake: it can't show what contains the word."""

    def __init__(self, word: str) -> None:
        super().__init__()
        self.word = word
        self.raised = 0

    def _check(self, text: str) -> None:
        if self.word in text:
            self.raised += 1
            raise ValueError("a mistake of ours")

    async def post(self, text: str, key: str) -> PartId:
        self._check(text)
        return await super().post(text, key)

    async def edit(self, part: PartId, text: str) -> None:
        self._check(text)
        await super().edit(part, text)


class Picky(FakePlatform):
    """A platform that can't even open some threads."""

    def open(self, asked: Prompt) -> Screen:
        if "poison" in asked.text:
            raise KeyError("a mistake of ours")
        return super().open(asked)


@pytest.fixture
def bench() -> Bench:
    """An API that gives the same short answer each time."""
    return Bench(*[words("an ", "answer")] * 20)


def touchy(bench: Bench, word: str) -> Touchy:
    """The thread "a" of the bench."""
    made = Touchy(word)
    bench.platform.screens[prompt("").thread] = made
    return made


@pytest.mark.parametrize("after", [0.02, 3.0])
def test_a_prompt_that_kills_the_process_is_given_up(after: float) -> None:
    """Before the first attempt is counted, and in the middle of the answer."""

    async def main() -> None:
        before = parked()
        bench = Bench(LONG, LONG, LONG, words("never"))
        await bench.killed_after(after, prompt("hi"))
        for _ in range(2):
            await bench.turns.take_over(["fake"])
            await bench.killed_after(after)
        asked = len(bench.api.requests)
        async with bench.process() as engine:
            await engine.accept(prompt("and you?", 2, "b"))
        assert bench.platform.screen().visible == [STOPPED]
        assert bench.platform.screen("b").visible == ["never"]
        assert len(bench.api.requests) == asked + 1, "the second thread's alone"
        assert [state for state, _ in await bench.database.read(_ends)] == [State.SETTLED] * 2
        assert parked() == before + 1
        assert "hi" not in await bench.database.read(_history)

    run(main())


def test_stops_are_no_crashes(bench: Bench) -> None:
    """Restarted again and again while the platform is out, since that looks like it would help."""

    async def main() -> None:
        screen = bench.platform.screen()
        screen.faults.extend([Fault(Unreachable("no answer"))] * 10_000)
        async with bench.process(grace=1.0) as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(5.0)
        for _ in range(5):
            async with bench.process(grace=1.0):
                await asyncio.sleep(5.0)
        screen.faults.clear()
        async with bench.process():
            pass
        assert screen.visible == ["an answer"]
        assert len(bench.api.requests) == 1

    run(main())


def test_what_can_not_be_shown_is_given_up_and_the_notice_too(bench: Bench) -> None:
    """Nothing at all can be shown: three times for the answer, three times for the notice."""

    async def main() -> None:
        screen = touchy(bench, "")
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await engine.accept(prompt("other", 1, "b"))
            await engine.accept(prompt("next", 2))
            await asyncio.sleep(5.0)
            assert bench.platform.screen("b").visible == ["an answer"]
            await asyncio.sleep(420.0)
            screen.word = "no more"
        (first, reason), *others = await bench.database.read(_ends)
        assert first == State.ABANDONED
        assert reason == "showing it failed again and again: ValueError('a mistake of ours')"
        assert [state for state, _ in others] == [State.SETTLED] * 2
        assert screen.visible == ["an answer"], "the thread goes on"
        assert len(bench.api.requests) <= 3 + 2

    run(main())


def test_an_answer_that_can_not_be_shown_is_replaced_and_forgotten() -> None:
    async def main() -> None:
        bench = Bench(words("a ", "fine ", "word", pause=2.0), words("more"))
        screen = touchy(bench, "word")
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(300.0)
            await engine.accept(prompt("and?", 2))
        assert screen.visible == [STOPPED, "more"]
        assert screen.raised == 3, "not given up too early, not tried for ever"
        assert len(bench.api.requests) == 2
        assert await bench.database.read(_history) == ["hi", "and?", "more"]
        assert [state for state, _ in await bench.database.read(_ends)] == [State.SETTLED] * 2

    run(main())


@pytest.mark.parametrize(("ends", "shown"), [(9, "an answer"), (10, STOPPED)])
def test_a_committed_answer_outlives_many_ends_of_its_process(
    bench: Bench, ends: int, shown: str
) -> None:
    """Nothing says that its text is what they died of; for ever it is not tried all the same."""

    async def main() -> None:
        screen = bench.platform.screen()
        screen.faults.extend([Fault(Unreachable("no answer"))] * 10_000)
        await bench.killed_after(2.0, prompt("hi"))
        for _ in range(ends - 1):
            await bench.turns.take_over(["fake"])
            await bench.killed_after(2.0)
        screen.faults.clear()
        await bench.turns.take_over(["fake"])
        async with bench.process():
            pass
        assert screen.visible == [shown]
        assert len(bench.api.requests) == 1

    run(main())


def test_a_mistake_in_claiming_is_told_and_does_not_end_the_engine(bench: Bench) -> None:
    async def main() -> None:
        claims = iter([ValueError("a row from nowhere")] * 3)
        usual = bench.turns.claim

        async def claim(*what: Any) -> Turn | None:
            for error in claims:
                raise error
            return await usual(*what)

        bench.turns.claim = claim  # type: ignore[method-assign, assignment]
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(0.5)
            assert "a row from nowhere" in await engine.problem()
            await asyncio.sleep(5.0)
            assert await engine.problem() == ""
        assert bench.platform.screen().visible == ["an answer"]

    run(main())


def test_a_thread_that_can_not_be_opened_is_given_up_and_harms_no_other(bench: Bench) -> None:
    async def main() -> None:
        before = parked()
        bench.platform = Picky()
        async with bench.process() as engine:
            assert await engine.accept(prompt("poison"))
            await engine.accept(prompt("hi", 1, "b"))
            await asyncio.sleep(5.0)
            assert bench.platform.screen("b").visible == ["an answer"]
        assert 180.0 < now() < 300.0
        (first, reason), second = await bench.database.read(_ends)
        assert first == State.ABANDONED
        assert reason.startswith("can't be opened: KeyError")
        assert second[0] == State.SETTLED
        assert parked() == before + 1

    run(main())


def test_a_mistake_after_all_was_shown_does_not_hold_the_thread(bench: Bench) -> None:
    async def main() -> None:
        screen = touchy(bench, "never said")
        await bench.killed_after(0.4, prompt("hi"))
        await bench.turns.take_over(["fake"])
        await bench.killed_after(3.0)
        assert screen.visible == ["an answer"]
        screen.word = "answer"
        async with bench.process() as engine:
            await asyncio.sleep(40.0)
            assert await bench.database.read(_ends) == [(State.SETTLED, "")]
            screen.word = "never said"
            await engine.accept(prompt("more", 2))
        assert screen.raised == 1
        assert [state for state, _ in await bench.database.read(_ends)] == [State.SETTLED] * 2
        assert screen.visible == ["an answer"] * 2

    run(main())
