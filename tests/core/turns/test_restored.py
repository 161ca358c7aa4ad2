"""Answers that a restored database doesn't know of."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest

from core.delivery.finding import post_key
from core.errors import RateLimited, Undeliverable, Unreachable
from core.lifecycle import State
from core.ports import Posted, Turn
from core.turns.restored import answered_before
from core.types import PartId
from tests.fakes.clock import now, run
from tests.fakes.platform import Screen, prompt

BEGAN = 1_000.0
ASKED = replace(prompt("hi"), asked_at=BEGAN - 1.0)
TURN = Turn(id=1, prompt=ASKED, state=State.CLAIMED, attempts=0, fence=1, parts=())


class Finding(Screen):
    """A thread in which posts can be found; errors are raised first. takes: seconds, each look."""

    def __init__(self, *errors: Exception, there: bool = True, takes: float = 0.0) -> None:
        super().__init__()
        self.errors = list(errors)
        self.there = there
        self.takes = takes
        self.looked: list[tuple[float, str]] = []

    async def find(self, key: str, known: Collection[PartId] | None = None) -> Sequence[PartId]:
        """The post, if it is there."""
        self.looked.append((now(), key))
        await asyncio.sleep(self.takes)
        if self.errors:
            raise self.errors.pop(0)
        return (PartId("p"),) if self.there else ()


class Recalling(Finding):
    """One that tells so of several prompts by one look."""

    async def stood(self, key: str) -> bool:
        """The same."""
        self.looked.append((now(), f"recalled {key}"))
        return self.there


@pytest.mark.parametrize("there", [True, False])
def test_what_was_read_before_will_do(there: bool) -> None:
    async def main() -> None:
        thread = Recalling(there=there)
        assert await answered_before(TURN, thread, BEGAN, now) is there
        assert [key for _, key in thread.looked] == [f"recalled {post_key(ASKED.identity, 0)}"]

    run(main())


@pytest.mark.parametrize("there", [True, False])
def test_its_first_part_is_looked_for(there: bool) -> None:
    async def main() -> None:
        thread = Finding(there=there)
        assert await answered_before(TURN, thread, BEGAN, now) is there
        assert [key for _, key in thread.looked] == [post_key(ASKED.identity, 0)]

    run(main())


@pytest.mark.parametrize(
    "turn",
    [
        replace(TURN, attempts=1),
        replace(TURN, parts=(Posted(0, None),)),
        replace(TURN, prompt=replace(ASKED, asked_at=BEGAN)),
    ],
    ids=["asked for", "announced", "new"],
)
def test_usually_no_call_is_made(turn: Turn) -> None:
    async def main() -> None:
        thread = Finding()
        assert not await answered_before(turn, thread, BEGAN, now)
        assert not thread.looked
        assert not await answered_before(TURN, Screen(), BEGAN, now), "posts can't be found there"

    run(main())


def test_trouble_is_waited_out_for_a_while() -> None:
    async def main() -> None:
        began = now()
        assert await answered_before(TURN, Finding(Unreachable("x"), RateLimited(9.0)), BEGAN, now)
        assert now() - began == pytest.approx(1.0 + 9.0)
        assert not await answered_before(TURN, Finding(*[Unreachable("x")] * 3), BEGAN, now)
        assert not await answered_before(TURN, Finding(Undeliverable("x")), BEGAN, now)

    run(main())


@pytest.mark.parametrize(
    ("errors", "takes", "seconds"),
    [((900.0,), 0.0, 0.0), ((20.0, 20.0), 0.0, 20.0), ((), 110.0, 30.0), ((9.0,), 20.0, 30.0)],
)
def test_nobody_waits_for_long(errors: Sequence[float], takes: float, seconds: float) -> None:
    """Who asked sees nothing meanwhile; and usually there is no answer."""

    async def main() -> None:
        began = now()
        refused = Finding(*map(RateLimited, errors), takes=takes)
        assert not await answered_before(TURN, refused, BEGAN, now)
        assert now() - began == pytest.approx(seconds)

    run(main())
