"""A platform that refuses our token: its turns wait, nothing is lost, the others go on."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Connection, select

from core.errors import LockedOut, Unreachable
from core.lifecycle import State
from core.placing import Readmits
from core.ports import Threads
from core.store.schema import turn
from core.turns.engine import Engine
from core.types import PartId, Prompt, Remembered, ThreadKey
from tests.fakes.clock import now, run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, FakePlatform, Screen, named, prompt


class Shut(Screen):
    """A thread of a platform that may refuse us."""

    def __init__(self, gate: "Gate") -> None:
        super().__init__()
        self.gate = gate

    async def post(self, text: str, key: str) -> PartId:
        self.gate.check()
        return await super().post(text, key)

    async def edit(self, part: PartId, text: str) -> None:
        self.gate.check()
        await super().edit(part, text)

    async def remove(self, part: PartId) -> None:
        self.gate.check()
        await super().remove(part)

    async def earlier(self) -> Sequence[Remembered]:
        self.gate.check()
        return await super().earlier()


class Gate(FakePlatform):
    """The platform. refusing: our token. calls: made while it did; asked: whether it still does.

    trouble: what becomes of that question.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refusing = False
        self.trouble: Exception | None = None
        self.calls: list[float] = []
        self.asked: list[float] = []

    def check(self) -> None:
        if self.refusing:
            self.calls.append(now())
            raise LockedOut("token_revoked: put a fresh one into TOKEN and restart")

    async def readmitted(self) -> bool:
        self.asked.append(now())
        if self.trouble:
            raise self.trouble
        return not self.refusing

    def screen(self, thread: str = "a") -> Screen:
        key = ThreadKey(f"fake:{thread}")
        return self.screens.setdefault(key, Shut(self))

    def open(self, asked: Prompt) -> Screen:
        return self.screen(asked.address.removeprefix("fake:"))


_readmits: Readmits = Gate()


def _states(conn: Connection) -> list[State]:
    return [State(state) for state in conn.execute(select(turn.c.state).order_by("id")).scalars()]


def elsewhere(text: str, number: int) -> Prompt:
    """A prompt on the platform that takes us."""
    asked = prompt(text, number, "far")
    return replace(asked, platform="other")


@asynccontextmanager
async def both(bench: Bench, gate: Gate, other: FakePlatform) -> AsyncIterator[Engine]:
    """An engine on two platforms."""
    platforms: dict[str, Threads] = {"fake": gate, "other": other}
    await bench.turns.take_over(list(platforms))
    engine = Engine(bench.means(), platforms, owner="me")
    running = asyncio.create_task(engine.run())
    try:
        yield engine
        await engine.stop(0)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def test_its_turns_wait_and_the_other_platform_goes_on() -> None:
    async def main() -> None:
        bench, gate, other = Bench(*[words("an ", "answer")] * 30), Gate(), FakePlatform()
        gate.refusing = True
        async with both(bench, gate, other) as engine:
            for number in range(4):
                await engine.accept(prompt("hi", number, f"t{number}"))
            await asyncio.sleep(5.0)
            before = len(gate.calls)
            for number in range(4, 9):
                await engine.accept(prompt("hi", number, f"t{number}"))
            await engine.accept(elsewhere("and here?", 1))
            await asyncio.sleep(30.0)
            assert len(gate.calls) == before, "what comes later makes no call"
            assert other.screen("far").visible == ["an answer"]
            states = await bench.database.read(_states)
            assert states == [State.RECEIVED] * 9 + [State.SETTLED]
            assert gate.asked == []
            requests = len(bench.api.requests)
            await asyncio.sleep(600.0)
            assert 8 <= len(gate.asked) <= 11, "about once a minute"
            assert len(bench.api.requests) == requests, "the API isn't asked in vain"
            gate.refusing = False
            await asyncio.sleep(90.0)
            assert await bench.database.read(_states) == [State.SETTLED] * 10
        assert all(gate.screen(f"t{n}").visible == ["an answer"] for n in range(9))

    run(main())


def test_locked_out_in_the_middle_of_an_answer_and_after_it() -> None:
    """One is received again, one stays answered; a restart with a good token goes on with both."""

    async def main() -> None:
        long = words(*["word "] * 60)
        bench, gate = Bench(words("short ", pause=3.0), long, long), Gate()
        async with both(bench, gate, FakePlatform()) as engine:
            await engine.accept(prompt("one", 1, "short"))
            await asyncio.sleep(1.0)
            await engine.accept(prompt("two", 1, "long"))
            await asyncio.sleep(1.9)
            gate.refusing = True
            await asyncio.sleep(20.0)
            assert await bench.database.read(_states) == [State.ANSWERED, State.RECEIVED]
        gate.refusing = False
        bench.platform = gate
        async with bench.process():
            pass
        assert gate.screen("short").visible == ["short "]
        assert gate.screen("long").visible == ["word " * 60]
        assert len(bench.api.requests) == 3
        assert await bench.database.read(_states) == [State.SETTLED] * 2

    run(main())


def test_waiting_for_a_token_is_no_crash_and_what_was_said_before_is_still_read() -> None:
    async def main() -> None:
        bench, gate = Bench(*[words("an ", "answer")] * 3), Gate()
        gate.screen().before = [named("Ann", "earlier words", "x1")]
        gate.refusing = True
        bench.platform = gate
        for _ in range(6):
            async with bench.process(grace=1.0) as engine:
                await engine.accept(prompt("hi"))
                await asyncio.sleep(5.0)
        assert bench.api.requests == [], "it isn't asked without what was said before"
        gate.refusing = False
        async with bench.process():
            pass
        assert gate.screen().visible == ["an answer"]
        assert "earlier words" in (await bench.sent())[0][1][1]

    run(main())


@pytest.mark.parametrize("trouble", [Unreachable("no answer"), ValueError("no JSON")])
def test_a_deleted_prompt_is_taken_back_once_the_token_is_good(trouble: Exception) -> None:
    """Also when it could not be asked for meanwhile, whatever was the matter."""

    async def main() -> None:
        bench, gate = Bench(words(*["word "] * 100)), Gate()
        bench.platform = gate
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(3.0)
            gate.refusing = True
            await engine.withdraw(prompt("hi").identity)
            await asyncio.sleep(30.0)
            assert len(gate.screen().visible) == 1
            gate.trouble = trouble
            await asyncio.sleep(120.0)
            gate.refusing, gate.trouble = False, None
        assert gate.screen().visible == []
        assert await bench.database.read(_states) == [State.CANCELLED]

    run(main())
