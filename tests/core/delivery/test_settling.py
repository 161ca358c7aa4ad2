"""Calls that were cut off and land late: the final text stands all the same, once."""

import asyncio

import pytest

from core.delivery.writer import SETTLING
from core.errors import Unreachable
from core.ports import Posted
from core.types import PartId
from tests.core.delivery.session import Session
from tests.fakes.clock import now, run
from tests.fakes.thread import AbleThread, Fault

LOST = Fault(Unreachable("no answer"))


def lands(thread: AbleThread, part: str, text: str, key: str = "turn:0") -> None:
    """A call that was given up takes effect now."""
    thread.made.setdefault(PartId(part), key)
    thread.states.setdefault(PartId(part), []).append((now(), text))


def test_an_edit_that_lands_after_the_final_text_is_put_right() -> None:
    thread = AbleThread(faults=(None, LOST))

    async def main() -> None:
        asyncio.get_running_loop().call_later(12.0, lands, thread, "m0", "a")
        await Session(thread).stream(["a ", "b ", "c"], pause=1.5)

    run(main())
    assert thread.visible == ["a b c"]
    assert [text for _, text in thread.states[PartId("m0")]][-2:] == ["a", "a b c"]


def test_a_post_that_lands_after_its_repetition_is_removed() -> None:
    thread = AbleThread(faults=(LOST,))

    async def main() -> None:
        asyncio.get_running_loop().call_later(12.0, lands, thread, "twin", "a")
        await Session(thread).stream(["a ", "b"], pause=1.0)

    run(main())
    assert thread.visible == ["a b"]
    assert thread.gone == {PartId("twin")}


def test_what_a_dead_process_sent_last_is_put_right() -> None:
    thread = AbleThread()

    async def main() -> None:
        lands(thread, "old", "half of")
        asyncio.get_running_loop().call_later(9.0, lands, thread, "old", "half of it")
        await Session(thread, (Posted(0, PartId("old")),)).stream(["all ", "of it"])

    run(main())
    assert thread.visible == ["all of it"]


def test_a_withdrawn_reply_goes_while_a_call_is_under_way_and_is_not_cut_off() -> None:
    thread = AbleThread(latency=lambda: 1.0)

    async def main() -> None:
        session = Session(thread)
        session.reply.add("some words")
        writing = asyncio.create_task(session.writer.run())
        await asyncio.sleep(0.5)
        session.writer.withdraw()
        await writing
        assert now() < 4.0, "nothing is in doubt"
        session.writer.withdraw()
        await session.writer.run()
        assert now() < 4.0

    run(main())
    assert [call.name for call in thread.calls] == ["post"]
    assert thread.gone == {PartId("m0")}


def test_a_withdrawn_reply_goes_although_its_writer_was_stopped_in_a_call() -> None:
    thread = AbleThread()

    async def main() -> None:
        session = Session(thread)
        session.reply.add("some words")
        writing = asyncio.create_task(session.writer.run())
        await asyncio.sleep(0.1)
        writing.cancel()
        await asyncio.wait({writing})
        asyncio.get_running_loop().call_later(9.0, lands, thread, "late", "some words")
        session.writer.withdraw()
        await session.writer.run()

    run(main())
    assert thread.visible == []
    assert thread.gone == {PartId("late")}


def test_nothing_is_sent_again_when_nothing_was_cut_off() -> None:
    thread = AbleThread()

    async def main() -> None:
        await Session(thread).stream(["a ", "b"], pause=2.0)
        assert now() < 5.0

    run(main())
    assert [call.name for call in thread.calls] == ["post", "edit"]


def test_the_end_of_the_text_ends_the_pause_after_an_outage() -> None:
    thread = AbleThread(faults=(None, *[LOST] * 8))

    async def main() -> None:
        session = Session(thread)
        await session.stream([f"w{number} " for number in range(45)], pause=1.0)

    run(main())
    whole = "".join(f"w{number} " for number in range(45))
    first = next(at for at, text in thread.states[PartId("m0")] if text == whole)
    assert first < 46.0


def test_the_end_of_the_wait_is_stored_once_all_is_shown() -> None:
    thread = AbleThread(faults=(None, LOST))

    async def main() -> None:
        session = Session(thread)
        await session.stream(["a ", "b ", "c"], pause=1.5)
        (wait,) = session.journal.waits
        assert SETTLING - 8.0 < wait < SETTLING
        assert thread.states[PartId("m0")][-1][0] - now() < 0.5

    run(main())


def test_without_doubt_no_wait_is_stored() -> None:
    async def main() -> None:
        session = Session(AbleThread())
        await session.stream(["a ", "b"], pause=2.0)
        assert session.journal.waits == []

    run(main())


@pytest.mark.parametrize("left", [7.0, 0.0, -900.0])
def test_who_goes_on_waits_for_what_is_left_and_makes_sure(left: float) -> None:
    thread = AbleThread()

    async def main() -> None:
        lands(thread, "old", "all of it")
        asyncio.get_running_loop().call_later(left - 0.5, lands, thread, "old", "all o")
        asyncio.get_running_loop().call_later(left - 0.5, lands, thread, "twin", "all o")
        session = Session(thread, (Posted(0, PartId("old")),), settles_in=left)
        await session.stream(["all ", "of it"])
        assert max(left, 0.0) <= now() < max(left, 0.0) + 1.0
        assert session.journal.waits == []

    run(main())
    assert thread.visible == ["all of it"]
    assert thread.gone == {PartId("twin")}
    assert [call.name for call in thread.calls] == ["edit"]


def test_what_two_messages_said_is_whole_in_one_before_the_other_goes() -> None:
    """A part that is known is no post that landed late."""

    class Watched(AbleThread):
        said: list[str]

        async def remove(self, part: PartId) -> None:
            self.said = self.visible
            await super().remove(part)

    thread = Watched()

    async def main() -> None:
        lands(thread, "m0", "all ", "turn:0")
        lands(thread, "m1", "of it", "turn:1")
        parts = (Posted(0, PartId("m0")), Posted(1, PartId("m1")))
        await Session(thread, parts, settles_in=7.0).stream(["all ", "of it"])

    run(main())
    assert thread.said == ["all of it", "of it"]
    assert thread.visible == ["all of it"]


def test_an_hour_that_is_left_by_a_clock_set_back_is_cut() -> None:
    thread = AbleThread()

    async def main() -> None:
        lands(thread, "old", "all of it")
        await Session(thread, (Posted(0, PartId("old")),), settles_in=3600.0).stream(["all of it"])
        assert SETTLING <= now() < SETTLING + 2.0

    run(main())


def test_a_call_cut_off_while_making_sure_is_waited_for_anew() -> None:
    thread = AbleThread(faults=(LOST,))

    async def main() -> None:
        lands(thread, "old", "all of it")
        asyncio.get_running_loop().call_later(20.0, lands, thread, "old", "all")
        session = Session(thread, (Posted(0, PartId("old")),), settles_in=5.0)
        await session.stream(["all of it"])
        assert SETTLING + 5.0 <= now() < SETTLING + 8.0
        (wait,) = session.journal.waits
        assert SETTLING - 2.0 < wait <= SETTLING

    run(main())
    assert thread.visible == ["all of it"]


def test_who_goes_on_and_has_more_to_post_waits_from_the_beginning() -> None:
    """Other limits than in the process before: the answer takes a part more."""
    thread = AbleThread()

    async def main() -> None:
        lands(thread, "old", "x" * 500)
        session = Session(thread, (Posted(0, PartId("old")),), settles_in=0.0)
        await session.stream(["x" * 500 + "\n\n" + "y" * 900])
        assert [round(wait) for wait in session.journal.waits] == [SETTLING]
        assert now() > SETTLING

    run(main())
    assert len(thread.visible) == 2
    assert [sum(text.count(letter) for text in thread.visible) for letter in "xy"] == [500, 900]


@pytest.mark.parametrize("more", ["", "z" * 800], ids=["one message more", "as many messages"])
def test_where_the_former_process_may_have_split_the_text_elsewhere_its_last_call_is_waited_for(
    more: str,
) -> None:
    """It left a message behind, which it makes sure of once more, and that lands late."""
    thread = AbleThread()
    text = ["x" * 300, "y" * 400 + "\n\n" + more]

    async def main() -> None:
        lands(thread, "m0", text[0])
        lands(thread, "m1", text[1])
        asyncio.get_running_loop().call_later(4.0, lands, thread, "m0", text[0])
        parts = (Posted(0, PartId("m0")), Posted(1, PartId("m1")))
        session = Session(thread, parts, settles_in=2.0)
        await session.stream(text)
        assert [round(wait) for wait in session.journal.waits] == [SETTLING]

    run(main())
    assert "".join("".join(thread.visible).split()) == "".join("".join(text).split())


def test_withdrawn_while_the_wait_goes_on_it_goes_at_once() -> None:
    thread = AbleThread()

    async def main() -> None:
        lands(thread, "old", "all of it")
        session = Session(thread, (Posted(0, PartId("old")),), settles_in=20.0)
        writing = asyncio.create_task(session.stream(["all of it"]))
        await asyncio.sleep(2.0)
        session.writer.withdraw()
        await asyncio.sleep(1.0)
        assert thread.visible == []
        await writing
        assert now() < 21.0

    run(main())


def test_a_farewell_waits_for_nothing() -> None:
    thread = AbleThread(faults=(None, LOST))

    async def main() -> None:
        session = Session(thread)
        session.reply.add("a ")
        writing = asyncio.create_task(session.writer.run())
        await asyncio.sleep(1.0)
        session.reply.add("b")
        session.writer.wake()
        await asyncio.sleep(1.0)
        session.reply.finish("back soon")
        session.writer.leave()
        await writing
        assert now() < 4.0
        assert session.journal.waits == []

    run(main())
    assert thread.visible == ["a b\n\nback soon"]
