"""A budget whose database is away asks it now and then, and not at every call."""

from collections.abc import Callable
from typing import Any, cast

from core.delivery.pacing import Level
from core.errors import StoreBusy
from core.store.budgets import AWAY, SharedBudget
from core.store.opening import Transactions
from core.types import Allowance, Kind
from tests.fakes.clock import run

SLACK = Allowance("edit", 5, 0.75, shared=True)


class Away:
    """A database that is not there until it is `back`, and grants everything then."""

    def __init__(self) -> None:
        self.asked = 0
        self.back = False

    async def write(
        self, fn: Callable[..., Any], *args: Any, patience: float
    ) -> tuple[float, Level]:
        self.asked += 1
        if not self.back:
            raise StoreBusy("not there")
        return 0.0, Level(SLACK.burst, 0.0, SLACK.rate, SLACK.burst, 0.0)


def test_it_is_asked_again_after_a_while_and_not_before() -> None:
    async def main() -> None:
        at, database = 0.0, Away()
        budget = SharedBudget(cast(Transactions, database), lambda: at)
        granted = 0
        while at < 10 * AWAY:
            granted += await budget.take(SLACK, Kind.FINAL) == 0
            await budget.refused(Allowance("post", 5, 1.0, shared=True), 0.0)
            at += 0.1
        assert 9 <= database.asked <= 11
        assert 8 <= granted <= 11, "a quarter of the rate, and one to begin with"
        database.back, at = True, at + AWAY
        calls = [await budget.take(SLACK, Kind.FINAL) for _ in range(20)]
        assert calls == [0.0] * 20
        assert database.asked >= 29

    run(main())
