"""Text that was not read yet: it is drawn before any is bound, and counts from when it came."""

import asyncio
from dataclasses import replace

import pytest

from core.delivery.lanes import CALM
from core.delivery.markup import Splitter
from core.delivery.reply import Reply
from core.delivery.sharing import OwnBudget
from core.delivery.waiting import DRAWN, PATIENCE, QUIET
from core.types import NOTHING, Allowance, Kind, Unseen
from tests.core.delivery.session import Session, words
from tests.fakes.clock import now, run
from tests.fakes.thread import FakeThread, StreamingThread, limits


class Unread:
    """What has come for a session; like the client, it is decoded in the loop's next turn."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._waiting: list[str] = []
        session.writer.arrivals.draw = self.draw

    def come(self, text: str, *, noticed: bool = True) -> None:
        self._waiting.append(text)
        if noticed:
            self._session.writer.arrivals.coming()

    def draw(self) -> bool:
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._decode)
        return bool(self._waiting)

    def _decode(self) -> None:
        for text in self._waiting:
            self._session.reply.add(text)
        self._waiting.clear()
        self._session.writer.wake()


def test_text_nobody_has_read_is_shown_as_soon_as_if_it_had_been() -> None:
    thread = FakeThread(latency=lambda: 0.0)

    async def main() -> None:
        session = Session(thread)
        unread = Unread(session)
        writing = asyncio.create_task(session.writer.run())
        await asyncio.sleep(1.0)
        unread.come("a ")
        await asyncio.sleep(0.02)
        unread.come("b ")
        await asyncio.sleep(0.5)
        (call,) = thread.calls
        assert call.text == "a b "
        assert call.at == pytest.approx(1.02 + CALM)
        session.reply.finish()
        session.writer.wake()
        await writing

    run(main())
    assert thread.visible == ["a b "]


def test_what_came_while_leave_was_asked_for_is_bound_too() -> None:
    thread = FakeThread(latency=lambda: 0.3)

    async def main() -> None:
        session = Session(thread)
        unread = Unread(session)
        writing = asyncio.create_task(session.writer.run())
        unread.come("a ")
        await asyncio.sleep(0.5)
        came = []
        for number in range(26):  # all through the gap, and none of it is read for its own sake
            unread.come(f"{number} ", noticed=number == 0)
            came.append(now())
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.6)
        last = thread.calls[1]
        assert came[-1] < last.at
        assert last.text == "a " + "".join(f"{number} " for number in range(26))
        assert last.at <= thread.calls[0].at + limits().gap + QUIET
        session.reply.finish()
        session.writer.wake()
        await writing
        assert now() < 3.0

    run(main())


class Slow(OwnBudget):
    """Grants everything, but takes its time."""

    async def take(self, allowance: Allowance, kind: Kind, unseen: Unseen = NOTHING) -> float:
        await asyncio.sleep(0.3)
        return 0.0


def test_what_came_while_a_call_was_granted_is_in_it() -> None:
    thread = FakeThread(latency=lambda: 0.0)

    async def main() -> None:
        session = Session(thread, budget=Slow(now))
        unread = Unread(session)
        writing = asyncio.create_task(session.writer.run())
        unread.come("a ")
        await asyncio.sleep(0.2)
        unread.come("b ")
        await asyncio.sleep(0.2)
        assert [call.text for call in thread.calls] == ["a b "]
        session.reply.finish()
        session.writer.wake()
        await writing

    run(main())


def test_text_that_was_announced_keeps_the_time_it_came() -> None:
    reply = Reply(limits())
    reply.waiting.coming(1.0)
    reply.add("a")
    reply.heard(1.01)
    assert reply.wait(1.01) == pytest.approx(QUIET - 0.01)
    reply.waiting.coming(1.03)
    reply.add("b")
    reply.add("c")
    reply.heard(1.2)
    assert reply.unseen(1.2).characters == 3
    assert reply.unseen(1.2).area == pytest.approx(0.01 / 2 + 0.19 + 2 * 0.17 / 2)
    delivery = reply.due(1.0 + PATIENCE)
    assert delivery is not None
    assert (delivery.text, delivery.kind) == ("abc", Kind.FIRST)


def test_what_came_and_was_no_text_is_forgotten() -> None:
    reply = Reply(limits())
    reply.waiting.coming(1.0)
    assert reply.due(2.0) is None
    reply.add("a")
    reply.heard(3.0)
    assert reply.wait(3.0) == pytest.approx(QUIET)
    assert reply.unseen(4.0).area == pytest.approx(1.0)


class Stingy(OwnBudget):
    """Grants nothing until it is told to; counts how often it was asked."""

    asked = 0
    until = float("inf")

    async def take(self, allowance: Allowance, kind: Kind, unseen: Unseen = NOTHING) -> float:
        self.asked += 1
        if now() < self.until:
            return 0.02
        return await super().take(allowance, kind, unseen)


def test_while_no_call_is_granted_nobody_works_out_its_text() -> None:
    measured: list[int] = []

    def measure(text: str) -> int:
        measured.append(len(text))
        return len(text)

    thread = FakeThread(replace(limits(), measure=measure), latency=lambda: 0.0)

    async def main() -> None:
        budget = Stingy(now)
        budget.until = 0.0
        session = Session(thread, budget=budget)
        writing = asyncio.create_task(session.writer.run())
        session.reply.add("a ")
        session.writer.wake()
        await asyncio.sleep(0.5)
        assert [call.text for call in thread.calls] == ["a "]
        budget.until = now() + 10.0
        budget.asked = 0
        await asyncio.sleep(2.0)
        measured.clear()
        for _ in range(100):
            session.reply.add("b ")
            session.writer.wake()
            await asyncio.sleep(0.08)
        assert len(measured) <= 1  # the first of it showed that there is something to see
        assert budget.asked <= 8.0 / 0.02 + 1, "asked when it says"
        await asyncio.sleep(2.0)
        assert thread.calls[-1].text.rstrip() == "a" + " b" * 100
        session.reply.finish()
        session.writer.wake()
        await writing

    run(main())


def test_text_is_drawn_twice_a_second_while_no_call_is_granted_and_before_one_is_made() -> None:
    thread = FakeThread(latency=lambda: 0.0)

    async def main() -> None:
        budget = Stingy(now)
        session = Session(thread, budget=budget)
        unread = Unread(session)
        draw, drawn = session.writer.arrivals.draw, []

        def counted() -> bool:
            drawn.append(now())
            return draw()

        session.writer.arrivals.draw = counted
        writing = asyncio.create_task(session.writer.run())
        for number in range(200):
            unread.come(f"{number} ")
            await asyncio.sleep(0.02)
        debounced = PATIENCE / 0.02
        assert 3 <= len(drawn) <= 4.0 / DRAWN + debounced
        budget.until = now()
        unread.come("last ")
        await asyncio.sleep(0.2)
        (call,) = thread.calls
        assert call.text.endswith("199 last ")
        session.reply.finish()
        session.writer.wake()
        await writing

    run(main())


def test_a_stream_is_asked_for_before_its_text_is_worked_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual, worked_out = Splitter.growing, []

    def growing(splitter: Splitter) -> str:
        worked_out.append(now())
        return usual(splitter)

    monkeypatch.setattr(Splitter, "growing", growing)
    threads = [StreamingThread() for _ in range(3)]

    async def main() -> None:
        budget = OwnBudget(now)
        sessions = [Session(thread, budget=budget) for thread in threads]
        await asyncio.gather(*(one.stream(words(500), pause=0.02) for one in sessions))

    run(main())
    calls = sum(len(thread.calls) for thread in threads)
    assert calls > 50
    assert len(worked_out) < calls, "each waits to be asked for, and some are ends"
