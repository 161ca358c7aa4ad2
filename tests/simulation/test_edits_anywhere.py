"""Edits and deletions at any moment, with cut-off posts that land late and processes that die."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import Connection, select

from core.errors import CompletionError, Failure, RateLimited, Unreachable
from core.lifecycle import State
from core.store.edits import MARK
from core.store.schema import message, turn
from core.turns.retrying import MOST_ATTEMPTS
from core.types import PartId
from tests.fakes.clock import now, run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, Screen, prompt
from tests.fakes.thread import Fault

ASKED = prompt("the canary?")
ME = ASKED.identity
LANDS_WITHIN = 12.0


class LateScreen(Screen):
    """A post that was cut off may land all the same, within twelve seconds. made_at: all posts.

    Now and then its place has to be made first, which takes a while.
    """

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng
        self._there_at = rng.choice((0.0, rng.uniform(0.0, 40.0)))
        self._latency = lambda: rng.uniform(0.02, 0.3)
        self._posts = 0
        kinds = (None, None, None, Fault(Unreachable("cut")), Fault(RateLimited(1.0)))
        landed = Fault(Unreachable("cut"), landed=True)
        self.faults.extend(rng.choice((*kinds, landed)) for _ in range(6))

    async def prepare(self) -> None:
        """Wait until its place is there."""
        await asyncio.sleep(max(0.0, self._there_at - now()))

    async def post(self, text: str, key: str) -> PartId:
        """With an id of its own, whatever became of the others."""
        self._posts += 1
        part = PartId(f"p{self._posts}")
        await self._call("post", key, None, text, lambda: self.land(part, key, text))
        return part

    async def _call(
        self, name: str, subject: str, part: PartId | None, text: str, land: Callable[[], None]
    ) -> None:
        landed = False

        def lands() -> None:
            nonlocal landed
            landed = True
            land()

        try:
            await super()._call(name, subject, part, text, lands)
        except (asyncio.CancelledError, Unreachable):
            if name == "post" and not landed and self._rng.random() < 0.7:
                loop = asyncio.get_running_loop()
                loop.call_later(self._rng.uniform(0.1, LANDS_WITHIN), land)
            raise


def _stored(conn: Connection) -> tuple[str, str, list[str]]:
    text, state = conn.execute(select(turn.c.text, turn.c.state)).one()
    said = conn.execute(select(message.c.content).order_by(message.c.position)).scalars()
    return text, state, list(said)


def _bench(rng: random.Random, *scripts: Sequence[object]) -> tuple[Bench, LateScreen]:
    pieces = ["word " * rng.randint(1, 90) for _ in range(rng.randint(1, 30))]
    bench = Bench(*(scripts or [words(*pieces, pause=rng.choice((0.05, 0.2, 1.0)))]))
    screen = LateScreen(rng)
    bench.platform.screens[ASKED.thread] = screen
    return bench, screen


async def _lives(bench: Bench, rng: random.Random, change: Callable[[], object]) -> None:
    """Some processes die, the last one works to the end; meanwhile somebody makes the change."""
    at = rng.choice((0.0, rng.uniform(0, 1), rng.uniform(0, 4), rng.uniform(0, 40)))

    async def person() -> None:
        await asyncio.sleep(at)
        await change()  # type: ignore[misc]

    changing = asyncio.create_task(person())
    for _ in range(rng.randint(0, 3)):
        await bench.turns.take_over(["fake"])
        await bench.killed_after(rng.uniform(0, 3), ASKED)
    async with bench.process() as engine:
        await engine.accept(ASKED)
        await changing
    await asyncio.sleep(LANDS_WITHIN)


@pytest.mark.parametrize("group", range(6))
def test_a_deleted_question_leaves_nothing_or_a_whole_answer(group: int) -> None:
    def play(seed: int) -> str:
        rng = random.Random(seed)

        async def scenario() -> str:
            bench, screen = _bench(rng)
            await bench.turns.accept(ASKED)
            await _lives(bench, rng, lambda: bench.turns.withdraw(ME))
            text, state, said = await bench.database.read(_stored)
            assert text == MARK
            assert not [entry for entry in said if "canary" in entry]
            if state == State.CANCELLED:
                assert screen.visible == []
            else:
                assert state == State.SETTLED
                assert screen.visible
            assert len(bench.api.requests) <= 3
            return state

        return run(scenario())

    ends = []
    for seed in range(group, 96, 6):
        try:
            ends.append(play(seed))
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
    assert State.CANCELLED in ends


@pytest.mark.parametrize("group", range(4))
def test_an_edited_question_is_answered_once(group: int) -> None:
    complete: list[bool] = []

    def play(seed: int) -> int:
        rng = random.Random(seed)
        voided: list[bool] = []

        async def scenario() -> int:
            bench, screen = _bench(rng)
            await bench.turns.accept(ASKED)

            async def edit() -> None:
                _, state, _ = await bench.database.read(_stored)
                fence = (await bench.turns.amend(ME, "the wren?")).fence
                voided.append(fence > 0)
                complete.append(fence > 0 and state == State.ANSWERED)

            await _lives(bench, rng, edit)
            text, state, said = await bench.database.read(_stored)
            assert (text, state) == ("the wren?", State.SETTLED)
            assert not [entry for entry in said if "canary" in entry]
            assert len(said) <= 2
            keys = [screen.made[part] for part in screen.made if part not in screen.gone]
            assert len(keys) == len(set(keys)), "a part is visible twice"
            sent = [request[-1][1] for request in await bench.sent()]
            assert max(Counter(sent).values()) <= MOST_ATTEMPTS, "of each text"
            assert sent[-1] == "the wren?" or not voided[0]
            return len(sent)

        return run(scenario())

    asked = []
    for seed in range(group, 96, 4):
        try:
            asked.append(play(seed))
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
    assert max(asked) > 1
    assert any(complete), "nobody edited while a complete answer waited for its place"


@pytest.mark.parametrize("group", range(4))
def test_a_question_edited_under_a_refusal_is_answered_once(group: int) -> None:
    def play(seed: int) -> str:
        rng = random.Random(seed)

        async def scenario() -> str:
            bench, screen = _bench(rng, [CompletionError(Failure.MODERATED)], words("It sings."))
            await bench.turns.accept(ASKED)
            before = ""

            async def edit() -> None:
                nonlocal before
                _, before, _ = await bench.database.read(_stored)
                await bench.turns.amend(ME, "the wren?")

            await _lives(bench, rng, edit)
            text, state, said = await bench.database.read(_stored)
            assert (text, state) == ("the wren?", State.SETTLED)
            sent = [request[-1][1] for request in await bench.sent()]
            if sent[0] == "the wren?" and len(sent) == 1:  # which is what was refused
                assert said == []
            else:
                assert sent[-1] == "the wren?"
                assert said == ["the wren?", "It sings."]
                assert screen.visible == ["It sings."]
            return before

        return run(scenario())

    edited_when = set()
    for seed in range(group, 96, 4):
        try:
            edited_when.add(play(seed))
        except BaseException as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
    assert State.SETTLED in edited_when
