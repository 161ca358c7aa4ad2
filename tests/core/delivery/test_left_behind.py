"""A message that the platform won't have touched for long stays as it is; a new one goes on."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from core.delivery.sharing import OwnBudget
from core.errors import Held, RateLimited, Unreachable
from core.ports import Posted
from core.types import Kind, Left, PartId
from tests.core.delivery.session import Session, words
from tests.fakes.clock import now, run
from tests.fakes.thread import AbleThread, Call, FakeThread, Fault, StreamingThread


class Refusing(StreamingThread):
    """Refuses calls of these names from `since` until then, as a spent minute does."""

    error: type[RateLimited] = RateLimited

    def __init__(self, since: float, **until: float) -> None:
        super().__init__()
        self.since, self.until = since, until

    def _effect(self, name: str, part: PartId | None, text: str, land: Callable[[], None]) -> None:
        left = self.until.get(name, 0.0) - now()
        if now() >= self.since and left > 0:
            self.calls.append(Call(name, now(), part, text, ok=False))
            raise self.error(left)
        super()._effect(name, part, text, land)


class Editing(Refusing):
    """The same without streams."""

    start = append = stop = None  # type: ignore[assignment]


def written(thread: FakeThread, pieces: list[str], pause: float, notice: str = "") -> Session:
    sessions: list[Session] = []

    async def main() -> None:
        sessions.append(Session(thread))
        await sessions[0].stream(pieces, pause=pause, notice=notice)

    run(main())
    return sessions[0]


def crowded(thread: FakeThread) -> OwnBudget:
    """A budget whose edits thirty other answers share."""
    budget = OwnBudget(now)
    for _ in range(30):
        budget.join(thread.limits.edit)
    return budget


def ok(thread: FakeThread, name: str) -> list[Call]:
    return [call for call in thread.calls if call.name == name and call.ok]


def test_a_last_text_that_would_wait_comes_in_a_message_of_its_own() -> None:
    thread = Editing(since=3.0, edit=40.0)
    session = written(thread, words(60), pause=0.1, notice="_That was all._")
    _, second = ok(thread, "post")
    assert second.at < 6.5, "the text ends after six seconds"
    assert "".join(thread.visible).replace("\n\n_That was all._", "") == "".join(words(60))
    assert thread.visible[1].endswith("\n\n_That was all._")
    assert not [call for call in ok(thread, "edit") if call.at > 3.1]
    assert session.journal.entries[-2:] == [(1, None), (1, "m1")]


def test_it_waits_for_seconds_where_hardly_anything_is_missing() -> None:
    thread = Editing(since=1.0, edit=7.5)
    written(thread, ["word " * 20, "end"], pause=3.0)
    assert ok(thread, "edit")[-1].at >= 7.5
    assert thread.visible == ["word " * 20 + "end"]


def test_a_refusal_for_seconds_is_waited_for() -> None:
    thread = Editing(since=3.0, edit=7.5)
    written(thread, words(60), pause=0.1)
    assert thread.visible == ["".join(words(60))]
    assert ok(thread, "edit")[-1].at >= 7.5


def test_not_even_a_word_waits_for_long() -> None:
    thread = Editing(since=1.0, edit=20.0)
    written(thread, ["word " * 20, "end"], pause=3.0)
    assert thread.visible == ["word " * 20, "end"]
    assert ok(thread, "post")[-1].at < 7.0


def test_what_says_nothing_by_itself_does() -> None:
    thread = Editing(since=1.0, edit=20.0)
    written(thread, ["word " * 20 + "end", "."], pause=3.0)
    assert thread.visible == ["word " * 20 + "end."]
    assert ok(thread, "edit")[-1].at >= 20.0


@pytest.mark.parametrize(("posts", "count"), [(0.0, 2), (9.5, 1)])
def test_it_waits_where_a_post_would_come_no_sooner(posts: float, count: int) -> None:
    thread = Editing(since=1.0, edit=12.0)

    async def main() -> None:
        budget = OwnBudget(now)
        writing = asyncio.create_task(Session(thread, budget=budget).stream(words(20), pause=0.2))
        await asyncio.sleep(1.0)
        if posts:
            await budget.refused(thread.limits.post, posts)
        await writing

    run(main())
    assert len(ok(thread, "post")) == count
    assert "".join(thread.visible) == "".join(words(20))


def test_it_waits_where_posts_are_found_to_be_counted_as_edits() -> None:
    """As it turns out while the answer is written: who may post by one token may not by another."""
    thread = Editing(since=2.0, edit=12.0, post=12.0)

    async def main() -> None:
        writing = asyncio.create_task(Session(thread).stream(words(40), pause=0.1))
        await asyncio.sleep(1.0)
        thread._limits = replace(thread.limits, post=thread.limits.edit)
        await writing

    run(main())
    assert thread.visible == ["".join(words(40))]
    assert [call.name for call in thread.calls if call.name == "post"] == ["post"]


def test_code_goes_on_as_code() -> None:
    thread = Editing(since=2.0, edit=60.0)
    written(thread, ["```py\n", *[f"    value = {number}\n" for number in range(40)], "```"], 0.1)
    first, second = thread.visible
    assert first.startswith("```py\n    value = 0\n")
    assert first.endswith("\n```")
    assert second.startswith("```py\n    value = ")
    assert second.endswith("value = 39\n```")
    lines = [line for text in thread.visible for line in text.split("\n") if "```" not in line]
    assert lines == [f"    value = {number}" for number in range(40)]


def test_where_appends_and_edits_are_refused_posts_go_on() -> None:
    thread = Refusing(since=4.0, append=60.0, edit=60.0)
    written(thread, words(400), pause=0.1)
    (stop,) = ok(thread, "stop")
    assert stop.at < 5.0, "what was there when the append was refused is shown by the end"
    posts = ok(thread, "post")
    assert len(posts) >= 4
    assert all(b.at - a.at >= 3.0 for a, b in pairwise(posts[:-1])), "not a message for each word"
    assert posts[-1].at < 40.5
    assert "".join("".join(thread.visible).split()) == "".join(words(400)).replace(" ", "")
    assert not thread.open


def test_where_edits_are_too_few_for_all_a_post_goes_on() -> None:
    thread = Refusing(since=4.0, append=60.0)

    async def main() -> None:
        await Session(thread, budget=crowded(thread)).stream(words(200), pause=0.1)

    run(main())
    (refused,) = [call for call in thread.calls if not call.ok]
    (stop,) = ok(thread, "stop")
    assert stop.text.startswith(refused.text + " "), (
        "the call that ends the stream says what the append would have, and what came meanwhile"
    )
    assert ok(thread, "post")[0].at < 10.0
    assert "m0" not in {call.part for call in ok(thread, "edit")}
    assert "".join("".join(thread.visible).split()) == "".join(words(200)).replace(" ", "")


def test_the_end_of_a_stream_does_not_wait_for_appends() -> None:
    thread = Refusing(since=2.0, append=60.0)

    async def main() -> None:
        budget = crowded(thread)
        stream = thread.limits.stream
        assert stream is not None
        writing = asyncio.create_task(Session(thread, budget=budget).stream(words(30), pause=0.1))
        await asyncio.sleep(1.9)
        for _ in range(5):
            assert await budget.take(stream.stop, Kind.FINAL) == 0.0
        await writing

    run(main())
    (stop,) = ok(thread, "stop")
    assert 4.0 < stop.at < 7.0, "a call that ends a stream is free again after three seconds"
    assert thread.visible == ["".join(words(30))]


@pytest.mark.parametrize(("many", "posts"), [(False, 2), (True, 1)])
def test_what_headers_forbid_is_not_waited_for_unless_many_share_the_thread(
    many: bool, posts: int
) -> None:
    thread = Editing(since=1.0, edit=9.0)
    thread.error = Held

    async def main() -> None:
        budget = OwnBudget(now)
        writing = asyncio.create_task(Session(thread, budget=budget).stream(words(60), pause=0.1))
        await asyncio.sleep(0.9)
        for _ in range(30 * many):
            budget.join(thread.limits.edit)
        await writing

    run(main())
    assert len(ok(thread, "post")) == posts
    assert "".join(thread.visible) == "".join(words(60))


def test_what_was_left_behind_is_made_sure_of_like_any_part() -> None:
    faults = (None, None, Fault(RateLimited(60.0)), Fault(Unreachable("no answer")))
    thread = AbleThread(faults=faults)
    session = written(thread, words(40), pause=0.1)
    assert "".join(thread.visible) == "".join(words(40))
    assert len(thread.visible) == 2
    assert len(ok(thread, "post")) == 2
    assert session.journal.waits, "the post that was cut off might have landed later"


def test_whoever_goes_on_after_a_crash_makes_one_message_of_it() -> None:
    thread = AbleThread()

    async def main() -> None:
        for key, text in (("turn:0", "word0 wo"), ("turn:1", "rd1 ")):
            thread.land(PartId(f"m{len(thread.states)}"), key, text)
        parts = (Posted(0, PartId("m0")), Posted(1, PartId("m1")))
        await Session(thread, posted=parts).stream(words(2))

    run(main())
    assert thread.visible == ["".join(words(2))]


def test_no_stream_begins_while_appends_are_refused() -> None:
    thread = StreamingThread()

    async def main() -> None:
        budget, stream = crowded(thread), thread.limits.stream
        assert stream is not None
        await budget.refused(stream.append, 60.0)
        await Session(thread, budget=budget).stream(words(60), pause=0.1)

    run(main())
    assert [call.name for call in thread.calls] == ["post"], "its end is kept for another stream"
    assert thread.visible == ["".join(words(60))]


class Telling(Editing):
    """Says after each call what is left, as Discord's headers do; no call that it forbids is made.

    Five in five seconds; the first edit since then spends all that there are for long.
    """

    error = Held

    def __init__(self, last: float, **until: float) -> None:
        super().__init__(since=float("inf"), **until)
        self._last = last
        self._limits = replace(self._limits, size=9000)

    def _effect(self, name: str, part: PartId | None, text: str, land: Callable[[], None]) -> None:
        super()._effect(name, part, text, land)
        if name == "edit" and now() >= self._last:
            self.since = min(self.since, now())

    def left(self, part: PartId) -> Left | None:
        told = self.until["edit"] - now()
        return Left(0, told, 0.1) if now() >= self.since and told > 0 else Left(5, 5.0, 0.1)


@pytest.mark.parametrize("until", [34.0, 63.0, 600.0])
def test_a_long_wait_that_is_told_in_time_is_like_a_refusal(until: float) -> None:
    thread = Telling(last=3.0, edit=until)
    written(thread, words(300), pause=0.1)
    assert all(call.ok for call in thread.calls), "nothing was tried"
    posts = ok(thread, "post")
    assert posts[1].at < 9.0
    between = [b.at - a.at for a, b in pairwise(posts[1:-1])]
    assert all(3.0 <= pause <= 6.0 for pause in between), "not a message for each word"
    assert posts[-1].at < 31.0
    assert "".join("".join(thread.visible).split()) == "".join(words(300)).replace(" ", "")


def test_all_that_share_the_edits_go_on_though_one_of_them_was_told() -> None:
    threads = [Telling(last=3.0, edit=60.0) for _ in range(2)]

    async def main() -> None:
        budget = OwnBudget(now)
        async with asyncio.TaskGroup() as group:
            for thread in threads:
                group.create_task(Session(thread, budget=budget).stream(words(200), pause=0.1))

    run(main())
    for thread in threads:
        assert len(ok(thread, "post")) >= 3
        assert "".join("".join(thread.visible).split()) == "".join(words(200)).replace(" ", "")


def test_edits_go_on_once_the_told_wait_is_over() -> None:
    thread = Telling(last=3.0, edit=20.0)
    written(thread, words(400), pause=0.1)
    assert not [call for call in ok(thread, "edit") if thread.since + 0.1 < call.at < 20.0]
    between = [call.at for call in ok(thread, "post") if thread.since + 0.1 < call.at < 20.0]
    after = [call.at for call in ok(thread, "edit") if call.at > 20.0]
    assert len(between) >= 3
    assert after[0] < 25.5
    assert len(after) > 10
    assert "".join("".join(thread.visible).split()) == "".join(words(400)).replace(" ", "")


def test_a_wait_of_seconds_that_is_told_is_waited_for() -> None:
    thread = Telling(last=3.0, edit=7.5)
    written(thread, words(100), pause=0.1)
    assert thread.visible == ["".join(words(100))]
