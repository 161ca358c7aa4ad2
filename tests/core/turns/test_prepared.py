"""A question edited or deleted while the place of its answer is still being made."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import Connection, func, select

from core.errors import DeliveryError, RateLimited, Undeliverable, Unreachable
from core.lifecycle import State
from core.store.edits import MARK
from core.store.schema import part
from core.turns.engine import Engine
from core.types import PartId
from tests.core.turns.test_edits import ASKED, ME, _history, _states
from tests.fakes.clock import now, run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, Screen


class Opening(Screen):
    """A thread that can be written in after some seconds.

    refusal: raised by who comes before that; None: they wait. asked: when somebody came.
    """

    def __init__(self, seconds: float, refusal: DeliveryError | None) -> None:
        super().__init__()
        self.open_at = now() + seconds
        self._refusal = refusal
        self.asked: list[float] = []

    async def prepare(self) -> None:
        """Wait until it is open, or say no."""
        self.asked.append(now())
        if now() < self.open_at and self._refusal:
            await asyncio.sleep(0.1)
            raise self._refusal
        await asyncio.sleep(max(0.0, self.open_at - now()))


REFUSALS = [None, RateLimited(4.0), Unreachable("503")]


def _announced(conn: Connection) -> int:
    return conn.execute(select(func.count()).select_from(part)).scalar_one()


def bench_on(screen: Screen) -> Bench:
    bench = Bench(words(*["old "] * 100), words("New."))  # ten seconds
    bench.platform.screens[ASKED.thread] = screen
    return bench


@asynccontextmanager
async def waiting(bench: Bench) -> AsyncGenerator[Engine, None]:
    """A process whose answer has waited for its place for a while."""
    async with bench.process() as engine:
        await engine.accept(ASKED)
        await asyncio.sleep(2.0)
        yield engine


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
def test_edited_meanwhile_the_new_text_is_answered(refusal: DeliveryError | None) -> None:
    async def scenario() -> None:
        screen = Opening(5.0, refusal)
        bench = bench_on(screen)
        async with waiting(bench) as engine:
            assert len(bench.api.requests) == 1
            assert await engine.amend(ME, "what is she?")
        assert screen.visible == ["New."]
        assert [request[-1][1] for request in await bench.sent()] == ["what is it?", "what is she?"]
        assert await bench.database.read(_history) == ["what is she?", "New."]
        assert min(call.at for call in screen.calls) >= screen.open_at

    run(scenario())


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
def test_deleted_meanwhile_nothing_is_ever_shown(refusal: DeliveryError | None) -> None:
    async def scenario() -> None:
        screen = Opening(5.0, refusal)
        bench = bench_on(screen)
        async with waiting(bench) as engine:
            await engine.withdraw(ME)
            withdrawn = now()
        assert not screen.states
        assert max(screen.asked) <= withdrawn, "no place is made for it any more"
        assert await bench.database.read(_states) == [(MARK, State.CANCELLED)]

    run(scenario())


@pytest.mark.parametrize("refusal", REFUSALS, ids=str)
def test_a_process_that_dies_meanwhile_leaves_nothing_to_look_for(
    refusal: DeliveryError | None,
) -> None:
    async def scenario() -> None:
        screen = Opening(5.0, refusal)
        bench = bench_on(screen)
        await bench.killed_after(2.0, ASKED)
        assert await bench.database.read(_announced) == 0
        assert await bench.turns.amend(ME, "what is she?")
        async with bench.process():
            pass
        assert screen.visible == ["New."]

    run(scenario())


def test_a_place_that_is_refused_for_good_ends_the_turn() -> None:
    async def scenario() -> None:
        screen = Opening(500.0, Undeliverable("the question was deleted"))
        bench = bench_on(screen)
        async with bench.process() as engine:
            await engine.accept(ASKED)
        assert not screen.states
        assert await bench.database.read(_states) == [(ASKED.text, State.ABANDONED)]

    run(scenario())


class Told(Screen):
    """Keeps which messages it was told of."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[list[PartId]] = []

    def continues(self, parts: Sequence[PartId]) -> None:
        """Keep them."""
        self.told.append(list(parts))


def test_who_goes_on_is_told_what_is_there() -> None:
    async def scenario() -> None:
        screen = Told()
        bench = Bench(words(*["word "] * 100))
        bench.platform.screens[ASKED.thread] = screen
        await bench.killed_after(2.0, ASKED)
        async with bench.process():
            pass
        assert screen.told == [[], list(screen.states)]

    run(scenario())


@pytest.mark.parametrize("life", ["the same", "another"])
def test_edited_while_a_complete_answer_waits_the_new_text_is_answered(life: str) -> None:
    async def scenario() -> None:
        screen = Opening(5.0, None)
        bench = Bench(words("Old."), words("New."))
        bench.platform.screens[ASKED.thread] = screen
        if life == "another":
            await bench.killed_after(2.0, ASKED)
            assert await bench.turns.amend(ME, "what is she?")
            async with bench.process():
                pass
        else:
            async with waiting(bench) as engine:
                assert await engine.amend(ME, "what is she?")
        assert screen.visible == ["New."]
        assert [request[-1][1] for request in await bench.sent()] == ["what is it?", "what is she?"]
        assert await bench.database.read(_history) == ["what is she?", "New."]
        assert await bench.database.read(_states) == [("what is she?", State.SETTLED)]

    run(scenario())


def test_a_complete_answer_that_waits_for_its_place_is_never_asked_for_again() -> None:
    async def scenario() -> None:
        screen = Opening(5.0, None)
        bench = Bench(words("Whole."))
        bench.platform.screens[ASKED.thread] = screen
        await bench.killed_after(2.0, ASKED)
        async with bench.process():
            pass
        assert screen.visible == ["Whole."]
        assert len(bench.api.requests) == 1

    run(scenario())
