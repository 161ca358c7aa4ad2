"""What was said before the prompt is read once; a moment's failure doesn't lose it."""

import asyncio
from collections.abc import Sequence

import pytest

from core.errors import DeliveryError, Held, RateLimited, Undeliverable, Unreachable
from core.types import Remembered, Role
from tests.fakes.clock import now, run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, Screen, named, prompt


class Failing(Screen):
    """Can't be read at first. tried: when it was asked."""

    def __init__(self, failures: Sequence[DeliveryError]) -> None:
        super().__init__()
        self.failures = list(failures)
        self.tried: list[float] = []
        self.before = [named("U1", "lunch at one", "i1")]

    async def earlier(self) -> Sequence[Remembered]:
        self.tried.append(now())
        if self.failures:
            raise self.failures.pop(0)
        return await super().earlier()


def asked(*failures: DeliveryError) -> tuple[Screen, list[float], bool]:
    """The screen, when it was read, and whether the model was told what it said."""
    screen = Failing(failures)

    async def main() -> bool:
        bench = Bench(words("yes"))
        bench.platform.screens[prompt("").thread] = screen
        async with bench.process() as engine:
            await engine.accept(prompt("when is it?"))
        (request,) = await bench.sent()
        return any("lunch at one" in content for _, content in request)

    told = run(main())
    return screen, [at - screen.tried[0] for at in screen.tried], told


@pytest.mark.parametrize(
    ("failures", "tries"),
    [
        ([Unreachable("cut")], [0, 1]),
        ([Unreachable("cut"), Unreachable("cut")], [0, 1, 4]),
        ([RateLimited(12.0)], [0, 12]),
        ([RateLimited(0.2)], [0, 1]),
        ([RateLimited(12.0), Unreachable("late")], [0, 12, 13]),
        ([RateLimited(6.0), Held(6.0)] * 2, [0, 6, 12, 18, 24]),
        ([Held(0.0), Unreachable("cut"), Held(0.1), Unreachable("cut")], [0, 1, 2, 3, 6]),
    ],
)
def test_what_fails_for_a_moment_is_read_again(
    failures: list[DeliveryError], tries: list[float]
) -> None:
    screen, at, told = asked(*failures)
    assert told
    assert at == pytest.approx(tries)
    assert screen.visible == ["yes"]


@pytest.mark.parametrize(
    ("failures", "tries"),
    [
        ([Unreachable("cut")] * 3, [0, 1, 4]),
        ([RateLimited(60.0)], [0]),
        ([RateLimited(20.0), RateLimited(20.0)], [0, 20]),
        ([RateLimited(7.0)] * 9, [0, 7, 14, 21, 28]),
        ([Undeliverable("no scope")], [0]),
    ],
)
def test_what_fails_for_longer_is_answered_without(
    failures: list[DeliveryError], tries: list[float]
) -> None:
    screen, at, told = asked(*failures)
    assert not told
    assert at == pytest.approx(tries)
    assert screen.visible == ["yes"]


def test_a_thread_that_begins_with_our_words_begins_with_the_question_for_the_model() -> None:
    """As in an answer to a command that somebody replies to."""
    ours = Remembered(Role.ASSISTANT, "A thread is\na conversation.", identity="i1")

    async def main() -> None:
        bench = Bench(words("yes"))
        bench.platform.screens.setdefault(prompt("").thread, Screen()).before = [ours]
        async with bench.process() as engine:
            await engine.accept(prompt("say more"))
            await asyncio.sleep(10)
            await engine.accept(prompt("and now?", 2))
        first, second = await bench.sent()
        asked = "You said before:\n> A thread is\n> a conversation.\n\nsay more"
        assert first == [("system", "Be kind."), ("user", asked)]
        assert second == [*first, ("assistant", "yes"), ("user", "and now?")]
        stored = (await bench.history.load(prompt("").thread)).messages
        assert stored[0] == ours, "the database keeps who said it"

    run(main())


def test_a_thread_deleted_while_it_is_read_leaves_nothing() -> None:
    """Another process was told of it."""

    class Slow(Screen):
        async def earlier(self) -> Sequence[Remembered]:
            await asyncio.sleep(5)
            return [named("U1", "lunch at one", "i1")]

    async def main() -> None:
        bench = Bench(words("yes"))
        screen = bench.platform.screens.setdefault(prompt("").thread, Slow())
        async with bench.process() as engine:
            await engine.accept(prompt("when is it?"))
            await asyncio.sleep(1)
            await bench.turns.withdraw_thread(prompt("").thread)
        assert (await bench.history.load(prompt("").thread)).messages == ()
        assert not bench.api.requests
        assert not screen.visible

    run(main())
