"""Native streams: only what is new is sent, and whatever happens to one, the text stands once."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.delivery.sharing import OwnBudget
from core.errors import RateLimited, StreamOpen, StreamOver, TooLarge, Unreachable
from core.ports import Posted
from core.types import NOTHING, Allowance, Kind, Limits, PartId, Unseen
from tests.core.delivery.markdown import documents
from tests.core.delivery.session import Session, words
from tests.fakes.clock import now, run
from tests.fakes.thread import FakeThread, Fault, StreamingThread, limits, streaming

LOST = Fault(Unreachable("no answer"))
LANDED = Fault(Unreachable("the answer was lost"), landed=True)
OVER = Fault(StreamOver("message_not_in_streaming_state"))


def names(thread: FakeThread) -> list[str]:
    return [call.name for call in thread.calls]


def streamed(thread: StreamingThread, pieces: list[str], pause: float = 0.1) -> Session:
    sessions: list[Session] = []

    async def main() -> None:
        sessions.append(Session(thread))
        await sessions[0].stream(pieces, pause=pause)

    run(main())
    return sessions[0]


def test_an_answer_is_started_appended_to_and_stopped_with_its_last_text() -> None:
    thread = StreamingThread()
    session = streamed(thread, words(100))
    assert names(thread) == ["start", *["append"] * (len(thread.calls) - 2), "stop"]
    assert 20 < len(thread.calls) < 40, "paced, and more often than edits"
    assert all(b.at - a.at >= 0.24 for a, b in pairwise(thread.calls[:-1]))
    assert thread.visible == ["".join(words(100))]
    assert not thread.open
    assert session.journal.entries == [(0, None), (0, "m0")]
    assert not session.journal.waits, "nothing is in doubt"


def test_a_code_fence_is_closed_only_at_the_end() -> None:
    thread = StreamingThread()
    streamed(thread, ["```py\n", *[f"value = {number}\n" for number in range(30)]])
    assert names(thread)[-1] == "stop"
    states = [text for _, text in thread.states[PartId("m0")]]
    assert all("```" not in text[3:] for text in states[:-1])
    assert states[-1].endswith("value = 29\n```")


def test_a_stream_is_stopped_before_its_life_ends_and_the_message_is_edited_on() -> None:
    thread = StreamingThread(streaming(size=9000, life=20.0))
    thread.ends = 22.0
    streamed(thread, words(400))
    kinds = names(thread)
    (stop,) = [call for call in thread.calls if call.name == "stop"]
    assert 19.0 < stop.at < 21.0
    assert set(kinds[kinds.index("stop") + 1 :]) == {"edit"}
    assert thread.visible == ["".join(words(400))]


def test_a_silent_stream_is_stopped_before_its_life_ends() -> None:
    thread = StreamingThread(streaming(life=20.0))
    streamed(thread, ["some words", " and more"], pause=60.0)
    assert names(thread) == ["start", "stop", "edit"]
    assert thread.calls[1].at < 81.0
    assert thread.visible == ["some words and more"]


def test_a_stream_whose_life_ends_leaves_no_code_open() -> None:
    thread = StreamingThread(streaming(life=20.0))
    streamed(thread, ["see:\n\n```py\nx = 1\n", "y = 2\n```\n"], pause=60.0)
    assert names(thread)[:3] == ["start", "stop", "edit"]
    _, stopped, *edits = [text for _, text in thread.states[PartId("m0")]]
    assert stopped == "see:\n\n```py\nx = 1\n```"
    assert edits == ["see:\n\n```py\nx = 1\ny = 2\n```\n"]


def test_the_end_of_a_silent_stream_waits_for_its_turn() -> None:
    thread = StreamingThread(streaming(life=20.0), faults=(None, Fault(RateLimited(5.0))))
    streamed(thread, ["some words", " and more"], pause=60.0)
    assert names(thread) == ["start", "stop", "stop", "edit"]
    assert thread.calls[2].at == pytest.approx(thread.calls[1].at + 5.0, abs=0.2)
    assert thread.visible == ["some words and more"]


def test_a_part_that_is_full_is_stopped_and_the_next_one_begins() -> None:
    thread = StreamingThread(streaming(size=300))
    session = streamed(thread, words(100))
    assert "".join(thread.visible) == "".join(words(100))
    assert names(thread).count("start") == names(thread).count("stop") == len(thread.visible) > 2
    assert not thread.open
    texts = session.reply.texts
    for before, after in pairwise(thread.calls):
        assert after.name != "start" or (before.name == "stop" and before.text in texts)


def test_what_comes_after_a_silence_is_shown_at_once() -> None:
    thread = StreamingThread()
    streamed(thread, ["some ", "more ", "words"], pause=5.0)
    assert [call.at for call in thread.calls] == pytest.approx([5.1, 10.1, 15.1], abs=0.1)


@pytest.mark.parametrize(
    "fault",
    [OVER, LOST, LANDED, Fault(TooLarge("of the stream")), Fault(RateLimited(1.0))],
    ids=["over", "lost", "landed", "too large", "refused"],
)
@pytest.mark.parametrize("place", range(6))
def test_whatever_becomes_of_a_call_the_text_stands_once(fault: Fault, place: int) -> None:
    thread = StreamingThread(faults=(*[None] * place, fault))
    streamed(thread, words(12), pause=0.1)
    assert thread.visible == ["".join(words(12))]
    assert not thread.open


def test_after_the_end_of_a_stream_the_message_goes_on_by_edits() -> None:
    thread = StreamingThread(faults=(None, None, OVER))
    streamed(thread, words(100))
    kinds = names(thread)
    assert kinds[:3] == ["start", "append", "append"]
    assert set(kinds[3:]) == {"edit"}


@pytest.mark.parametrize("fault", [OVER, LOST], ids=["over", "lost"])
def test_what_is_edited_after_a_broken_stream_leaves_no_code_open(fault: Fault) -> None:
    thread = StreamingThread(faults=(None, None, None, fault))
    streamed(thread, ["```py\n", *[f"value = {number}\n" for number in range(60)]])
    edited = [call.text for call in thread.calls if call.name == "edit"]
    assert len(edited) > 3
    assert all(text.endswith("\n```") for text in edited)


class Asked(OwnBudget):
    """A budget that remembers what it granted."""

    def __init__(self) -> None:
        super().__init__(now)
        self.granted: list[Allowance] = []

    async def take(self, allowance: Allowance, kind: Kind, unseen: Unseen = NOTHING) -> float:
        wait = await super().take(allowance, kind, unseen)
        if wait == 0:
            self.granted.append(allowance)
        return wait


def test_an_edit_of_a_stream_is_counted_as_its_end_too_each_time_it_is_tried() -> None:
    thread = StreamingThread(faults=(None, None, LOST, LOST, LOST))
    budget = Asked()

    async def main() -> None:
        await Session(thread, budget=budget).stream(words(30), pause=0.1)

    run(main())
    assert names(thread)[:6] == ["start", "append", "append", "edit", "edit", "edit"]
    stream, edit = thread.limits.stream, thread.limits.edit
    assert stream
    ends = [each for each in budget.granted if each in (stream.stop, edit)]
    assert ends[:7] == [stream.stop, edit] * 3 + [edit]


def test_what_ends_a_stream_that_a_dead_process_left_open_is_counted() -> None:
    """The platform says that there is one when its message is edited, which counts, too."""
    thread = StreamingThread(faults=(Fault(StreamOpen("somebody's")), LOST))
    budget = Asked()

    async def main() -> None:
        thread.land(PartId("m0"), "turn:0", "the")
        parts = (Posted(0, PartId("m0")),)
        await Session(thread, parts, budget).stream(["the whole ", "answer"], pause=0.1)

    run(main())
    assert thread.visible == ["the whole answer"]
    stream, edit = thread.limits.stream, thread.limits.edit
    assert stream
    assert names(thread)[:3] == ["edit"] * 3
    assert budget.granted[:5] == [edit, *[stream.stop, edit] * 2]
    for allowance in (stream.append, stream.stop, edit):
        assert budget.desk(allowance).queue.active == 0


def test_where_no_stream_is_to_be_had_the_message_is_posted() -> None:
    thread = StreamingThread(faults=(OVER,))
    session = streamed(thread, words(30))
    assert names(thread)[:3] == ["start", "post", "edit"]
    assert session.journal.entries == [(0, None), (0, None), (0, "m0")]


def test_a_long_refusal_of_appends_is_not_waited_for() -> None:
    thread = StreamingThread(faults=(None, Fault(RateLimited(30.0))))
    streamed(thread, words(100))
    assert names(thread)[2] == "stop"
    assert set(names(thread)[3:]) == {"edit"}
    assert len(names(thread)) > 8


def test_the_last_text_does_not_wait_for_the_call_that_ends_the_stream() -> None:
    thread = StreamingThread()

    async def main() -> None:
        budget, stream = OwnBudget(now), thread.limits.stream
        assert stream is not None
        session = Session(thread, budget=budget)
        asyncio.get_running_loop().call_later(1.0, lambda: asyncio.ensure_future(drain()))

        async def drain() -> None:
            while await budget.take(stream.stop, Kind.FINAL) == 0:
                pass

        await session.stream(words(30), pause=0.1)

    run(main())
    assert names(thread)[-2:] == ["append", "stop"]
    seen = next(at for at, text in thread.states[PartId("m0")] if text == "".join(words(30)))
    assert seen < 3.3
    assert thread.calls[-1].at > 3.5


def test_streams_are_begun_while_their_start_and_end_are_in_sight_then_messages_are_edited() -> (
    None
):
    threads = [StreamingThread(streaming(starts=3)) for _ in range(6)]

    async def main() -> None:
        budget = OwnBudget(now)
        async with asyncio.TaskGroup() as group:
            for thread in threads:
                group.create_task(Session(thread, budget=budget).stream(words(60), pause=0.1))

    run(main())
    begun = [names(thread)[0] for thread in threads]
    assert (begun.count("start"), begun.count("post")) == (3, 3)
    assert all(thread.visible == ["".join(words(60))] for thread in threads)


def test_no_stream_is_begun_whose_end_is_not_in_sight() -> None:
    terms = streaming(starts=9)
    assert terms.stream is not None
    ends = replace(terms.stream, stop=Allowance("stop", 2, 0.1))
    threads = [StreamingThread(replace(terms, stream=ends)) for _ in range(9)]

    async def main() -> None:
        budget = OwnBudget(now)
        async with asyncio.TaskGroup() as group:
            for thread in threads:
                group.create_task(Session(thread, budget=budget).stream(words(60), pause=0.1))

    run(main())
    assert [names(thread)[0] for thread in threads].count("start") == 3


def test_when_the_last_edits_are_not_in_sight_the_text_is_posted_at_the_end() -> None:
    threads = [
        FakeThread(replace(limits(), post=Allowance(f"post {number}", 5, 1.0)))
        for number in range(30)
    ]

    async def main() -> None:
        budget = OwnBudget(now)
        async with asyncio.TaskGroup() as group:
            for thread in threads:
                group.create_task(Session(thread, budget=budget).stream(words(60), pause=0.1))

    run(main())
    at_once = [thread for thread in threads if names(thread) == ["post"]]
    assert 18 <= len(at_once) <= 24, "10 edits are there, and 8 come in ten seconds: two for nine"
    edited = [thread for thread in threads if thread not in at_once]
    assert any(len(thread.calls[0].text) > 100 for thread in edited), "few edits: begun late"
    assert all("".join(thread.visible) == "".join(words(60)) for thread in threads)


def test_budgets_are_left_when_an_answer_is_written_or_cut_off() -> None:
    async def main() -> None:
        budget = OwnBudget(now)
        thread = StreamingThread()
        stream = thread.limits.stream
        assert stream is not None
        await Session(thread, budget=budget).stream(words(30), pause=0.1)
        session = Session(StreamingThread(), budget=budget)
        writing = asyncio.create_task(session.writer.run())
        session.reply.add("words")
        session.writer.wake()
        await asyncio.sleep(1.0)
        desks = vars(budget)["_desks"]
        assert desks.of(stream.stop).queue.finals == 1
        assert desks.of(stream.append).queue.active == 1
        writing.cancel()
        await asyncio.wait({writing})
        for allowance in (stream.start, stream.append, stream.stop, thread.limits.edit):
            assert desks.of(allowance).queue.active == desks.of(allowance).queue.finals == 0

    run(main())


def test_a_former_process_s_stream_is_edited_not_appended_to() -> None:
    thread = StreamingThread()

    async def main() -> None:
        thread.land(PartId("old"), "turn:0", "half of")
        thread.open[PartId("old")] = now()
        await Session(thread, (Posted(0, PartId("old")),)).stream(["all ", "of it"], pause=1.0)

    run(main())
    assert set(names(thread)) == {"edit"}
    assert thread.visible == ["all of it"]
    assert not thread.open


def test_an_append_that_lands_after_it_was_given_up_is_put_right() -> None:
    thread = StreamingThread(faults=(None, LOST))

    async def main() -> None:
        def late() -> None:
            thread.states[PartId("m0")].append((now(), thread.visible[0] + "b "))

        asyncio.get_running_loop().call_later(12.0, late)
        await Session(thread).stream(["a ", "b ", "c"], pause=1.5)

    run(main())
    assert thread.visible == ["a b c"]


def test_a_withdrawn_stream_is_removed() -> None:
    thread = StreamingThread()

    async def main() -> None:
        session = Session(thread)
        writing = asyncio.create_task(session.writer.run())
        session.reply.add("some words")
        session.writer.wake()
        await asyncio.sleep(1.0)
        session.writer.withdraw()
        await writing

    run(main())
    assert names(thread) == ["start"]
    assert thread.gone == {PartId("m0")}


_FAULTS = st.sampled_from(
    [None, None, None, OVER, LOST, LANDED, Fault(RateLimited(1.0)), Fault(RateLimited(9.0))]
)


@given(
    st.lists(documents, max_size=8),
    st.lists(st.floats(0, 2), min_size=1, max_size=8),
    st.lists(_FAULTS, max_size=12),
    st.sampled_from([streaming(250), streaming(250, life=3.0), streaming(600, starts=1)]),
)
@settings(max_examples=150, deadline=None)
def test_nothing_is_lost_or_doubled(
    pieces: list[str], pauses: list[float], faults: list[Fault | None], terms: Limits
) -> None:
    thread = StreamingThread(terms, faults=tuple(faults))
    thread.ends = 3.2 if terms.stream and terms.stream.life == 3.0 else 300.0
    sessions: list[Session] = []

    async def main() -> None:
        session = Session(thread)
        sessions.append(session)

        async def read() -> None:
            for number, piece in enumerate(pieces):
                await asyncio.sleep(pauses[number % len(pauses)])
                session.reply.add(piece)
                session.writer.wake()
            session.reply.finish()
            session.writer.wake()

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            group.create_task(session.writer.run())

    run(main())
    assert tuple(thread.visible) == sessions[0].reply.texts
    assert not thread.open
