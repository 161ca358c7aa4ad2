"""A message that can't be touched any more stays as it is; what is missing follows in a new one."""

import asyncio
from collections.abc import Callable

import pytest

from core.errors import StreamOver, Unreachable, Untouchable
from core.ports import Posted
from core.types import PartId
from tests.core.delivery.session import Session, words
from tests.fakes.clock import now, run
from tests.fakes.thread import AbleThread, Call, Fault, StreamingThread

TEXT = "".join(words(60))
LOST = Fault(Unreachable("no answer"))
LANDED = Fault(Unreachable("the answer was lost"), landed=True)


class Sealing(StreamingThread):
    """Takes edits until `since`, of no message any more then. streams: such are to be had.

    stops: the last call of a stream is refused, too, and an edit can't end it.
    """

    streams = False
    stops = True

    def __init__(self, since: float) -> None:
        super().__init__()
        self.since = since

    def _effect(self, name: str, part: PartId | None, text: str, land: Callable[[], None]) -> None:
        if now() >= self.since and name == "edit":
            self.calls.append(Call(name, now(), part, text, ok=False))
            raise Untouchable("edit_window_closed")
        if name == "start" and not self.streams:
            raise StreamOver("no streams here")
        if name == "stop" and not self.stops:
            raise StreamOver("user_not_found")
        super()._effect(name, part, text, land)


def written(thread: AbleThread, pieces: list[str], notice: str = "") -> Session:
    sessions: list[Session] = []

    async def main() -> None:
        sessions.append(Session(thread))
        await sessions[0].stream(pieces, pause=0.1, notice=notice)

    run(main())
    return sessions[0]


def squeezed(text: str) -> str:
    return "".join(text.split())


def edits(thread: AbleThread, *, ok: bool) -> list[Call]:
    return [call for call in thread.calls if call.name == "edit" and call.ok is ok]


@pytest.mark.parametrize("since", [0.0, 3.0])
def test_what_is_missing_follows_in_one_message(since: float) -> None:
    thread = Sealing(since)
    session = written(thread, words(60), "_That was all._")
    assert len(edits(thread, ok=False)) == 1, "not asked again"
    first, second = thread.visible
    assert TEXT.startswith(first)
    assert squeezed(first + second) == squeezed(TEXT) + "_Thatwasall._"
    assert session.journal.entries[-2:] == [(1, None), (1, "m1")]


def test_a_long_answer_goes_on_in_full_messages() -> None:
    thread = Sealing(2.0)
    written(thread, words(400))
    assert len(thread.visible) == 5
    assert squeezed("".join(thread.visible)) == squeezed("".join(words(400)))
    assert len(edits(thread, ok=False)) == 1, "none of them was to be edited"


def test_code_goes_on_as_code() -> None:
    thread = Sealing(2.0)
    written(thread, ["```py\n", *[f"value = {number}\n" for number in range(40)], "```"])
    first, second = thread.visible
    assert first.endswith("\n```")
    assert second.startswith("```py\nvalue = ")
    lines = [line for text in thread.visible for line in text.split("\n") if "```" not in line]
    assert lines == [f"value = {number}" for number in range(40)]


def _ended_with(*pieces: str, notice: str = "", begun: str = "word end") -> list[str]:
    """What is visible of an answer that goes on so once its message can't be touched."""
    thread = Sealing(1.0)

    async def main() -> None:
        session = Session(thread)
        writing = asyncio.create_task(session.writer.run())
        session.reply.add(begun)
        for piece in pieces:
            session.writer.wake()
            await asyncio.sleep(1.5)
            session.reply.add(piece)
        session.reply.finish(notice)
        session.writer.wake()
        await writing

    run(main())
    return thread.visible


@pytest.mark.parametrize("end", [".", " !?", "….", '.")', "。", "**"])
@pytest.mark.parametrize("later", [False, True], ids=["at once", "an edit was refused before"])
def test_where_only_a_full_stop_is_missing_the_answer_is_over(end: str, later: bool) -> None:
    assert _ended_with(end, *[""] * later) == ["word end"]


def test_where_only_the_end_of_code_is_missing_the_answer_is_over() -> None:
    assert _ended_with("\n\n```\n", begun="```py\nx = 1") == ["```py\nx = 1\n```"]


DRAWING = "```\n+--+\n|  |\n+--+\n```"


@pytest.mark.parametrize(
    "said", ["👍", "√", "≈ 😀.", DRAWING], ids=["hand", "root", "face", "drawing"]
)
def test_what_has_no_letter_follows_all_the_same(said: str) -> None:
    assert _ended_with(f"\n\n{said}") == ["word end", said]


@pytest.mark.parametrize("said", ["👍", "...", DRAWING], ids=["hand", "dots", "drawing"])
def test_an_answer_without_letters_follows_what_nobody_knows_of(said: str) -> None:
    thread = Sealing(0.0)

    async def main() -> None:
        thread.land(PartId("m0"), "turn:0", "…")
        await Session(thread, posted=(Posted(0, PartId("m0")),)).stream([said])

    run(main())
    assert thread.visible == ["…", said]


def test_a_notice_alone_follows() -> None:
    assert _ended_with("", notice="_It broke off._") == ["word end", "_It broke off._"]


def test_a_stream_that_cant_be_ended_goes_on_in_a_post() -> None:
    thread = Sealing(0.0)
    thread.streams, thread.stops = True, False
    written(thread, words(60))
    assert len(edits(thread, ok=False)) == 1
    assert len([call for call in thread.calls if call.name == "post"]) == 1
    assert squeezed("".join(thread.visible)) == squeezed(TEXT)


def test_code_in_a_stream_that_cant_be_ended_goes_on_as_code() -> None:
    """What a stream says may end in open code: nothing closes it there."""
    thread = Sealing(0.0)
    thread.streams, thread.stops = True, False
    lines = [f"value = {number}" for number in range(40)]
    written(thread, ["see:\n\n```py\n", *[f"{line}\n" for line in lines], "```"])
    first, second = thread.visible
    assert first.startswith("see:\n\n```py\nvalue = 0\n")
    assert second.startswith("```py\nvalue = ")
    assert second.endswith("\n```")
    shown = first.split("\n")[3:] + second.split("\n")[1:-1]
    assert shown == lines


def test_what_nobody_knows_of_follows_whole() -> None:
    thread = Sealing(0.0)

    async def main() -> None:
        thread.land(PartId("m0"), "turn:0", "word0 wo")
        await Session(thread, posted=(Posted(0, PartId("m0")),)).stream(words(60))

    run(main())
    assert thread.visible == ["word0 wo", TEXT]


@pytest.mark.parametrize(
    "messages", [[TEXT], [TEXT[:100], TEXT[100:]]], ids=["one", "an edit was refused before, too"]
)
def test_what_a_former_process_had_shown_whole_isnt_repeated(messages: list[str]) -> None:
    """All that was outstanding is the wait for what it had cut off."""
    thread = Sealing(0.0)

    async def main() -> None:
        for index, text in enumerate(messages):
            thread.land(PartId(f"m{index}"), f"turn:{index}", text)
        parts = tuple(Posted(index, PartId(f"m{index}")) for index in range(len(messages)))
        await Session(thread, posted=parts, settles_in=5.0).stream(words(60))

    run(main())
    assert thread.visible == messages
    assert [(call.name, call.ok) for call in thread.calls] == [("edit", False)], "made sure of"


def test_what_stays_whole_goes_when_the_question_is_deleted() -> None:
    thread = Sealing(0.0)

    async def main() -> None:
        thread.land(PartId("m0"), "turn:0", TEXT)
        session = Session(thread, posted=(Posted(0, PartId("m0")),), settles_in=5.0)
        await session.stream(words(60))
        session.writer.withdraw()
        await session.writer.run()

    run(main())
    assert thread.visible == []


def test_the_question_is_deleted_while_an_edit_is_refused() -> None:
    thread = Sealing(1.0)

    async def main() -> None:
        session = Session(thread)
        writing = asyncio.create_task(session.writer.run())
        session.reply.add("the answer begins")
        session.writer.wake()
        await asyncio.sleep(1.5)
        session.reply.add(" and goes on")
        session.writer.wake()
        while session.reply.wait(now()) is not None:  # noqa: ASYNC110 - until a call is under way
            await asyncio.sleep(0.01)
        session.writer.withdraw()
        await writing

    run(main())
    assert [(call.name, call.ok) for call in thread.calls] == [("post", True), ("edit", False)]
    assert thread.visible == []


@pytest.mark.parametrize("fault", [LOST, LANDED], ids=["lost", "landed"])
@pytest.mark.parametrize("streams", [False, True], ids=["post", "stream"])
def test_what_a_post_said_that_got_no_answer_is_known_when_it_is_found(
    fault: Fault, streams: bool
) -> None:
    thread = Sealing(0.0)
    thread.streams, thread.stops = streams, False
    thread.faults.append(fault)
    written(thread, words(60))
    assert squeezed("".join(thread.visible)) == squeezed(TEXT)


@pytest.mark.parametrize("former", [False, True], ids=["both ours", "one a former process's"])
def test_which_of_two_posts_is_there_nobody_knows(former: bool) -> None:
    """Neither was found; the first one lands late, and is found instead of the second."""
    thread = Sealing(0.0)
    thread.faults.extend([LOST] * (1 if former else 2))

    async def main() -> None:
        session = Session(thread, posted=(Posted(0, None),) if former else ())
        writing = asyncio.create_task(session.stream(words(60), pause=0.1))
        while thread.faults:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        text = "word0 wo" if former else thread.calls[0].text
        thread.land(PartId("late"), "turn:0", text)
        await writing

    run(main())
    first, *rest = thread.visible
    second = [call for call in thread.calls if call.name == "post"][-2]
    assert len(first) < len(second.text), "the texts differ"
    assert rest == [TEXT]


def test_a_message_that_shows_everything_isnt_repeated() -> None:
    """The edit that only makes sure is refused."""
    thread = AbleThread(faults=(Fault(Unreachable("late"), landed=True), None, None))
    untouchable = Fault(Untouchable("edit_window_closed"))

    async def main() -> None:
        session = Session(thread)
        session.reply.add("all of it")
        session.reply.finish()
        writing = asyncio.create_task(session.writer.run())
        await asyncio.sleep(20)
        thread.faults.clear()
        thread.faults.append(untouchable)
        await writing

    run(main())
    assert thread.visible == ["all of it"]
    assert not thread.faults, "it was made sure of"
