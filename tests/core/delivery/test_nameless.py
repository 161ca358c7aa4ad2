"""Posts whose id was lost and whose key finds them no more: told by what nobody else knows."""

import asyncio
from collections import deque

from core.delivery.writer import QUIESCENCE
from core.errors import Unreachable
from core.ports import Posted
from core.types import PartId
from tests.core.delivery.session import Session
from tests.fakes.clock import now, run
from tests.fakes.thread import Fault, ForgetfulThread

LOST = (Posted(0, None),)


def thread_with(*texts: str) -> ForgetfulThread:
    """A thread in which so much of ours stands that no key finds: m0, m1, ..."""
    thread = ForgetfulThread()
    for number, text in enumerate(texts):
        thread.land(PartId(f"m{number}"), f"old:{number}", text)
        thread.forgotten.add(PartId(f"m{number}"))
    return thread


def test_a_post_that_no_key_finds_is_told_by_what_is_known_of_the_others() -> None:
    async def main() -> None:
        session = Session(thread_with("an answer", "the beg"), LOST)
        session.journal.known = {PartId("m0")}
        await session.stream(["the beginning"])
        assert session.thread.visible == ["an answer", "the beginning"]
        assert (0, "m1") in session.journal.entries

    run(main())


def test_one_of_several_that_nobody_knows_is_not_guessed() -> None:
    """Taking the wrong one would put an answer over somebody else's."""

    async def main() -> None:
        session = Session(thread_with("who", "knows"), LOST)
        await session.stream(["the beginning"])
        assert session.thread.visible == ["who", "knows", "the beginning"]

    run(main())


def test_where_all_of_them_are_this_answers_one_is_written_on_and_the_others_go() -> None:
    async def main() -> None:
        thread = thread_with("the", "the beg")
        thread.exclusive = True
        await Session(thread, LOST).stream(["the beginning"])
        assert thread.visible == ["the beginning"]

    run(main())


def test_what_stood_there_before_the_first_try_is_somebody_elses() -> None:
    async def main() -> None:
        thread = thread_with("left behind by another answer")
        await asyncio.sleep(60.0)
        thread.faults = deque([Fault(Unreachable("no answer"))])
        session = Session(thread)
        await session.stream(["the beginning"])
        assert thread.visible == ["left behind by another answer", "the beginning"]

    run(main())


def test_a_post_that_its_key_still_finds_is_taken() -> None:
    async def main() -> None:
        thread = thread_with("a stranger")
        thread.land(PartId("m1"), "turn:0", "the beg")
        session = Session(thread, LOST)
        await session.stream(["the beginning"])
        assert thread.visible == ["a stranger", "the beginning"]

    run(main())


def test_it_is_removed_when_the_question_was_deleted() -> None:
    async def main() -> None:
        session = Session(thread_with("an answer", "the beg"), LOST)
        session.journal.known = {PartId("m0")}
        session.writer.withdraw()
        await session.writer.run()
        assert session.thread.visible == ["an answer"]

    run(main())


def test_where_a_repeated_post_finds_the_first_nothing_is_waited_for() -> None:
    """A process that lives for less than the wait would never get beyond it."""

    class Repeats(ForgetfulThread):
        async def retract(self, key: str) -> None:
            raise AssertionError("nothing is to be taken back")

    async def main() -> None:
        thread = Repeats()
        began = now()
        await Session(thread, LOST).stream(["the beginning"])
        assert thread.calls[0].at - began < QUIESCENCE

    run(main())
