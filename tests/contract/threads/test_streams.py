"""Where a platform has native streams, a message grows by what is new; whatever becomes of the
stream, an edit makes the text right. Where it has none, it says so."""

from math import inf

import pytest

from core import ports
from core.errors import PartGone, StreamOpen, StreamOver
from core.types import Limits
from tests.contract.threads.stage import Call, Stage, Trait
from tests.contract.threads.stages import STAGES, endings, on, refusal

STREAMING = pytest.mark.parametrize("stage", ["slack-channel", "slack-direct"], indirect=True)
WORDS = ("A fence", "A fence keeps", "A fence keeps **cows** in.\n\n```py\nx", "```")


def streams(thread: object) -> ports.Streams:
    assert isinstance(thread, ports.Streams)
    assert isinstance(thread, ports.FindsPost)
    return thread


@on()
async def test_who_has_streams_says_so(stage: Stage) -> None:
    thread = stage.open(await stage.ask())
    limits: Limits = thread.limits
    assert (limits.stream is not None) == isinstance(thread, ports.Streams)
    if limits.stream is None:
        return
    assert limits.stream.life > limits.stream.gap > 0
    for allowance in (limits.stream.start, limits.stream.append, limits.stream.stop):
        assert allowance.burst >= 1
        assert allowance.rate > 0
        assert allowance.key not in (limits.post.key, limits.edit.key)


def test_the_streaming_stages_are_all_of_them() -> None:
    ours = {name for name in STAGES if name.startswith("slack")}
    assert ours == {"slack-channel", "slack-direct"}


@STREAMING
async def test_a_stream_shows_each_text(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = streams(stage.open(prompt))
    first, second, third, closing = WORDS
    part = await thread.start(first, "1:0")
    await thread.append(part, first, second)
    await thread.append(part, second, third)
    await thread.stop(part, third, f"{third}\n{closing}")
    assert stage.states(part) == [first, second, third, f"{third}\n{closing}"]
    assert await stage.shown(prompt) == [f"{third}\n{closing}"]
    assert stage.harm() == []


@STREAMING
async def test_an_edit_takes_over_from_a_stream(stage: Stage) -> None:
    prompt = await stage.ask()
    part = await streams(stage.open(prompt)).start("one", "1:0")
    other = stage.open(prompt)
    with pytest.raises(StreamOpen):
        await other.edit(part, "two")
    assert await stage.shown(prompt) == ["one"]
    await other.edit(part, "two")
    assert await stage.shown(prompt) == ["two"]
    with pytest.raises(StreamOver):
        await streams(stage.open(prompt)).append(part, "two", "two and three")
    await stage.open(prompt).edit(part, "two and three")
    assert await stage.shown(prompt) == ["two and three"]


@STREAMING
async def test_streams_and_posts_stand_in_order(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    first = await streams(thread).start("first", "1:0")
    await streams(thread).stop(first, "first", "first.")
    second = await thread.post("second", "1:1")
    third = await streams(thread).start("third", "1:2")
    await thread.edit(second, "second.")
    await streams(thread).stop(third, "third", "third.")
    assert await stage.shown(prompt) == ["first.", "second.", "third."]


@STREAMING
async def test_a_stream_is_found_like_a_post_and_removed_like_one(stage: Stage) -> None:
    prompt = await stage.ask()
    part = await streams(stage.open(prompt)).start("one", "1:0")
    finder = stage.open(prompt)
    assert isinstance(finder, ports.FindsPost)
    assert isinstance(finder, ports.HasNameless)
    assert list(await finder.nameless("1:0", inf, None)) == [part]
    await streams(finder).stop(part, "one", "one.")
    assert list(await finder.find("1:0")) == [part]
    assert list(await finder.nameless("1:0", inf, None)) == []
    other = await streams(finder).start("two", "1:1")
    assert isinstance(finder, ports.RemovesPart)
    for each in (part, other):
        await finder.remove(each)
        await finder.remove(each)
    assert await stage.shown(prompt) == []


@STREAMING
async def test_a_stream_that_somebody_deleted_is_gone(stage: Stage) -> None:
    thread = streams(stage.open(await stage.ask()))
    part = await thread.start("one", "1:0")
    stage.delete(part)
    for call in (thread.append, thread.stop):
        with pytest.raises(PartGone):
            await call(part, "one", "one two")


@endings()
async def test_no_stream_after_the_end(stage: Stage, way: str) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    if not isinstance(thread, ports.Streams):
        assert thread.limits.stream is None
        return
    stage.end(prompt, way)
    with pytest.raises((refusal(way), StreamOver)) as caught:
        await thread.start("one", "1:0")
    if isinstance(caught.value, StreamOver):
        with pytest.raises(refusal(way)):
            await thread.post("one", "1:0")
    assert stage.calls(Call.EDIT) == 0
    assert await stage.shown(prompt) == []


@pytest.mark.parametrize("unit", ["x", "é", "\U0001f600", "<@1>", "`"])
@STREAMING
async def test_a_stream_of_the_allowed_size_is_taken(stage: Stage, unit: str) -> None:
    assert Trait.NETWORK in stage.traits
    prompt = await stage.ask()
    thread = stage.open(prompt)
    size = thread.limits.size // max(1, thread.limits.measure(unit * 100) // 100)
    text = unit * (size - 20)
    part = await streams(thread).start(text[: len(text) // 2], "1:0")
    await streams(thread).stop(part, text[: len(text) // 2], f"{text} END")
    (shown,) = await stage.shown(prompt)
    assert shown.endswith("END")
