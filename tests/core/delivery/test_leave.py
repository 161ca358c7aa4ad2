"""The writer while it asks for leave: nothing is slept through, and no granted call is lost."""

import asyncio
from collections.abc import Sequence

from core.types import NOTHING, Allowance, Kind, Left, Unseen
from tests.core.delivery.session import Session
from tests.fakes.clock import now, run
from tests.fakes.thread import FakeThread


class SlowBudget:
    """Thinks before each answer. waits: the answers, the last one for ever."""

    def __init__(self, thinking: float, waits: Sequence[float] = (0.0,)) -> None:
        self.thinking = thinking
        self.waits = list(waits)
        self.asked: list[tuple[str, Kind]] = []
        self.granted = 0
        self.successes = 0

    async def take(self, allowance: Allowance, kind: Kind, unseen: Unseen = NOTHING) -> float:
        self.asked.append((allowance.key, kind))
        await asyncio.sleep(self.thinking)
        wait = self.waits.pop(0) if len(self.waits) > 1 else self.waits[0]
        self.granted += wait == 0
        return wait

    def share(self, allowance: Allowance) -> float:
        return 100.0

    def soonest(self, allowance: Allowance, *, spare: bool = False) -> float:
        return 0.0

    def pace(self, allowance: Allowance, left: Left) -> None:
        pass

    def join(self, allowance: Allowance, *, final: bool = True) -> None:
        pass

    def leave(self, allowance: Allowance, *, final: bool = True) -> None:
        pass

    async def refused(self, allowance: Allowance, retry_after: float) -> None:
        raise AssertionError("nothing is refused here")

    async def succeeded(self, allowance: Allowance) -> None:
        self.successes += 1


def test_the_end_that_comes_while_the_budget_thinks_is_not_slept_through() -> None:
    thread = FakeThread()
    budget = SlowBudget(0.2, [60.0, 0.0])

    async def main() -> None:
        session = Session(thread, budget=budget)
        async with asyncio.TaskGroup() as group:
            group.create_task(session.writer.run())
            session.reply.add("a beginning")
            session.writer.wake()
            await asyncio.sleep(0.1)
            session.reply.finish()
            session.writer.wake()
        assert now() < 1.0

    run(main())
    assert [kind for _, kind in budget.asked] == [Kind.FIRST, Kind.FINAL]
    assert thread.visible == ["a beginning"]


def test_a_withdrawal_while_the_budget_thinks_is_not_slept_through() -> None:
    thread = FakeThread()
    budget = SlowBudget(0.2, [60.0])

    async def main() -> None:
        session = Session(thread, budget=budget)
        async with asyncio.TaskGroup() as group:
            group.create_task(session.writer.run())
            session.reply.add("a beginning")
            session.reply.finish()
            session.writer.wake()
            await asyncio.sleep(0.1)
            session.writer.withdraw()
        assert now() < 1.0

    run(main())
    assert thread.calls == []


def test_text_that_comes_while_the_budget_thinks_costs_no_second_token() -> None:
    thread = FakeThread()
    budget = SlowBudget(0.03)
    words = [f"word{number} " for number in range(300)]

    async def main() -> None:
        await Session(thread, budget=budget).stream(words, pause=0.05)

    run(main())
    assert "".join(thread.visible) == "".join(words)
    assert budget.granted == len(thread.calls) == budget.successes
    assert len(budget.asked) == len(thread.calls)
    assert {key for key, _ in budget.asked[:2]} == {"post", "edit"}
