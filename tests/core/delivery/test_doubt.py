"""A message that can't be touched any more, and may say what a call carried that got no answer."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from core.errors import DeliveryError, RateLimited, Undeliverable, Unreachable, Untouchable
from core.placing import ReadsPart
from core.ports import Posted
from core.types import PartId
from tests.core.delivery.session import Session, words
from tests.core.delivery.test_untouchable import TEXT, Sealing, squeezed, written
from tests.fakes.clock import now, run
from tests.fakes.thread import Fault

LANDS, NEVER = 0.0, float("inf")


class Losing(Sealing):
    """Loses the answer to one change of a message, the `number`th, and has none touched from then
    on. lands: seconds after which that change takes effect.
    """

    def __init__(self, number: int, lands: float, *, streams: bool = False) -> None:
        super().__init__(since=float("inf"))
        self.streams, self.stops = streams, False
        self.number, self.lands = number, lands
        self.changes = 0

    async def edit(self, part: PartId, text: str) -> None:
        if now() >= self.since:  # a stream stays open
            raise Untouchable("it can't be ended")
        await super().edit(part, text)

    def _effect(self, name: str, part: PartId | None, text: str, land: Callable[[], None]) -> None:
        if part is not None and now() < self.since:
            self.changes += 1
            if self.changes == self.number:
                self.since = now() + 0.001
                self.faults.append(Fault(Unreachable("reset"), landed=self.lands == LANDS))
                if LANDS < self.lands < NEVER:
                    asyncio.get_running_loop().call_later(self.lands, land)
        super()._effect(name, part, text, land)


class Telling(Losing):
    """And tells what a message says. refusals: what it says instead, one after the other."""

    refusals: Sequence[DeliveryError] = ()

    def __init__(self, number: int, lands: float, *, streams: bool = False) -> None:
        super().__init__(number, lands, streams=streams)
        self.reads: list[float] = []

    async def says(self, part: PartId, texts: Sequence[str]) -> str | None:
        await asyncio.sleep(self._latency())
        self.reads.append(now())
        if len(self.reads) <= len(self.refusals):
            raise self.refusals[len(self.reads) - 1]
        says = self.states[part][-1][1].rstrip()
        return next((text for text in texts if text.rstrip() == says), None)


@pytest.mark.parametrize("streams", [False, True], ids=["edit", "append"])
@pytest.mark.parametrize("lands", [LANDS, 2.0, 20.0, NEVER])
@pytest.mark.parametrize("number", [1, 3])
def test_nothing_is_said_twice_nor_left_out(number: int, lands: float, streams: bool) -> None:
    thread = Telling(number, lands, streams=streams)
    written(thread, words(60))
    assert len(thread.visible) == 2
    assert squeezed("".join(thread.visible)) == squeezed(TEXT)
    assert len(thread.reads) == (1 if lands == LANDS else 2), "what landed isn't waited for"


def _typed(thread: Telling) -> ReadsPart:
    """The fake satisfies the port: checked by the type checker."""
    return thread


def test_code_goes_on_as_code_where_nobody_heard_of_its_last_lines() -> None:
    thread = Telling(3, LANDS, streams=True)
    lines = [f"value = {number}" for number in range(40)]
    written(thread, ["see:\n\n```py\n", *[f"{line}\n" for line in lines], "```"])
    first, second = thread.visible
    assert first.split("\n")[3:] + second.split("\n")[1:-1] == lines


@pytest.mark.parametrize("lands", [LANDS, NEVER])
@pytest.mark.parametrize("streams", [False, True], ids=["edit", "append"])
def test_where_nobody_can_tell_all_of_it_follows(lands: float, streams: bool) -> None:
    thread = Losing(2, lands, streams=streams)
    written(thread, words(60))
    first, second = thread.visible
    assert TEXT.startswith(first)
    assert second == TEXT


def test_where_the_message_cant_be_read_all_of_it_follows() -> None:
    thread = Telling(2, LANDS)
    thread.refusals = [Undeliverable("missing_scope")]
    written(thread, words(60))
    assert thread.visible[1:] == [TEXT]


def test_a_read_that_fails_for_now_is_made_again() -> None:
    thread = Telling(2, LANDS)
    thread.refusals = [RateLimited(30.0), Unreachable("away"), RateLimited(5.0)]
    written(thread, words(60))
    assert len(thread.reads) == 4
    assert squeezed("".join(thread.visible)) == squeezed(TEXT)


def test_a_read_that_fails_for_long_is_given_up() -> None:
    thread = Telling(2, LANDS)
    thread.refusals = [RateLimited(50.0)] * 10
    written(thread, words(60))
    assert thread.visible[1:] == [TEXT]
    assert len(thread.reads) == 3


def test_a_message_that_a_dead_process_wrote_is_known_once_it_says_what_was_sent() -> None:
    thread = Telling(1, LANDS)

    async def main() -> None:
        thread.land(PartId("m0"), "turn:0", "word0 wo")
        await Session(thread, posted=(Posted(0, PartId("m0")),)).stream(words(60))

    run(main())
    assert thread.visible == [TEXT]


@pytest.mark.parametrize("count", [60, 400], ids=["one message", "several"])
def test_an_older_state_that_lands_on_the_final_text_is_seen_when_that_is_made_sure_of(
    count: int,
) -> None:
    """The edit that was cut off lands behind the last one, just before messages are sealed."""
    thread = Telling(1, 20.0)

    async def main() -> None:
        writing = asyncio.create_task(Session(thread).stream(words(count), pause=6 / count))
        while not thread.changes:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        thread.since = now() + 22.0
        await writing

    run(main())
    first, *stayed, rest = thread.visible
    said = squeezed("".join(words(count)))
    assert len(thread.reads) == 1
    assert said.startswith(squeezed(first))
    assert squeezed(first + rest) == said if not stayed else said.endswith(squeezed(rest))


def test_the_question_is_deleted_while_the_message_is_read() -> None:
    thread = Telling(2, LANDS)
    thread.refusals = [RateLimited(10.0)] * 20

    async def main() -> None:
        session = Session(thread)
        writing = asyncio.create_task(session.stream(words(60), pause=0.1))
        await asyncio.sleep(8)
        assert thread.reads
        session.writer.withdraw()
        await writing

    run(main())
    assert thread.visible == []
