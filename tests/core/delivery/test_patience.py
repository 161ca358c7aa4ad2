"""Looking for lost posts, and removing what is left over, goes on for no longer than the rest."""

import asyncio
from collections.abc import Callable, Collection, Sequence

import pytest

from core.errors import DeliveryError, RateLimited, Undeliverable, Unreachable
from core.ports import Posted
from core.types import PartId
from tests.core.delivery.session import Session, raised, words
from tests.fakes.clock import now
from tests.fakes.thread import AbleThread, Fault

MOST = 200  # calls in a quarter of an hour
ERRORS = pytest.mark.parametrize("error", [Unreachable("reset"), RateLimited(1e5)])


class Deaf(AbleThread):
    """Loses the answer to its first call, which lands twice; from the tenth second on it refuses
    the calls of one name.
    """

    def __init__(self, name: str, error: DeliveryError) -> None:
        super().__init__(faults=(Fault(Unreachable("reset")),))
        self.name, self.error = name, error
        self.refused = 0

    def _effect(self, name: str, part: PartId | None, text: str, land: Callable[[], None]) -> None:
        if not self.calls:
            loop = asyncio.get_running_loop()
            loop.call_later(20.0, self.land, PartId("late"), "turn:0", text)
        super()._effect(name, part, text, land)

    async def find(self, key: str, known: Collection[PartId] | None = None) -> Sequence[PartId]:
        self._heard("find")
        return await super().find(key)

    async def remove(self, part: PartId) -> None:
        self._heard("remove")
        await super().remove(part)

    async def retract(self, key: str) -> None:
        self._heard("retract")

    def _heard(self, name: str) -> None:
        if name == self.name and now() >= 10.0:
            self.refused += 1
            assert self.refused < MOST, "without a pause"
            raise self.error


def given_up(thread: Deaf, pieces: Sequence[str], posted: tuple[Posted, ...] = ()) -> None:
    """After a quarter of an hour. Without a text it is withdrawn."""

    async def main() -> None:
        session = Session(thread, posted)
        if not pieces:
            session.writer.withdraw()
        try:
            await session.stream(pieces)
        finally:
            assert 900 <= now() <= 935

    assert isinstance(raised(main()), Undeliverable)


@ERRORS
@pytest.mark.parametrize("name", ["find", "remove"])
def test_what_may_have_landed_late_is_looked_for_and_removed(
    name: str, error: DeliveryError
) -> None:
    thread = Deaf(name, error)
    given_up(thread, words(20))
    assert thread.visible[0] == "".join(words(20))


@ERRORS
def test_what_can_not_be_found_is_taken_back(error: DeliveryError) -> None:
    given_up(Deaf("retract", error), [], (Posted(0, None),))
