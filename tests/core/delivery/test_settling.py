"""Calls that were cut off and land late: the final text stands all the same, once."""

import asyncio

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
