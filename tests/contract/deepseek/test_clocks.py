"""The four clocks: what feeds them, what does not, the error when one ends."""

import asyncio
import json
import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from core.deepseek import client
from core.deepseek.client import DeepSeek
from core.errors import Clock, Failure
from tests.contract.deepseek.raw import (
    HELLO,
    STREAM,
    ask,
    chunked,
    collect,
    options,
    saying,
    serving,
    text,
    whole,
)

HEAD = STREAM + b"Transfer-Encoding: chunked\r\n\r\n"
SLOW = {"first_token_timeout": 5.0, "progress_timeout": 5.0, "idle_timeout": 5.0}


def event(finish: str | None = None, **delta: str) -> bytes:
    found = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return chunked(f"data: {json.dumps(found)}\n\n".encode())


COMMENT = chunked(b": keep-alive\n\n")
EMPTY = event(content="")


def repeating(*first: bytes, again: bytes = b"", every: float = 0.02) -> Any:
    """Say the first pieces, then the same again and again, or nothing."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in first:
            writer.write(piece)
        while True:
            await asyncio.sleep(every)
            writer.write(again)
            await writer.drain()

    return answer


@pytest.mark.parametrize(
    ("first", "again", "limits", "word", "clock"),
    [
        ((), b"", {"idle_timeout": 0.1}, "Not a byte", Clock.IDLE),
        ((HEAD,), b"", {"idle_timeout": 0.1}, "Not a byte", Clock.IDLE),
        ((HEAD, event(content="a")), b"", {"idle_timeout": 0.1}, "Not a byte", Clock.IDLE),
        ((), b"", {"first_token_timeout": 0.1}, "No word", Clock.FIRST),
        ((HEAD,), b"", {"first_token_timeout": 0.1}, "No word", Clock.FIRST),
        ((HEAD,), COMMENT, {"first_token_timeout": 0.1}, "No word", Clock.FIRST),
        ((HEAD,), EMPTY, {"first_token_timeout": 0.1}, "No word", Clock.FIRST),
        (
            (HEAD, event(content="a")),
            b"",
            {"progress_timeout": 0.1},
            "No further word",
            Clock.PROGRESS,
        ),
        (
            (HEAD, event(content="a")),
            COMMENT,
            {"progress_timeout": 0.1},
            "No further word",
            Clock.PROGRESS,
        ),
        (
            (HEAD, event(content="a")),
            EMPTY,
            {"progress_timeout": 0.1},
            "No further word",
            Clock.PROGRESS,
        ),
        (
            (HEAD, event(content="a")),
            chunked(b"nonsense\r\n"),
            {"progress_timeout": 0.1},
            "No further word",
            Clock.PROGRESS,
        ),
        (
            (HEAD, event(content="a")),
            event(content="b"),
            {"turn_timeout": 0.2},
            "not finished",
            Clock.TURN,
        ),
        ((HEAD,), b"", {"turn_timeout": 0.1}, "not finished", Clock.TURN),
    ],
)
async def test_a_stall_ends_by_the_clock(
    first: tuple[bytes, ...], again: bytes, limits: dict[str, float], word: str, clock: Clock
) -> None:
    began = time.monotonic()
    chunks, failure = await ask(repeating(*first, again=again), **{**SLOW, **limits})
    assert time.monotonic() - began < 2
    assert failure is not None
    assert failure.failure is Failure.STALLED
    assert word in failure.message
    assert failure.own
    assert failure.clock is clock
    assert text(chunks)[:1] == ("a" if len(first) > 1 else "")


@pytest.mark.parametrize("stream", [True, False])
async def test_an_attempt_takes_no_longer_than_its_request_leaves_it(stream: bool) -> None:
    """A drip feeds every other clock, and a whole answer has none."""
    drip = repeating(HEAD, event(content="a"), again=event(content="b"))
    began = time.monotonic()
    limits = {**SLOW, "turn_timeout": 3.0}
    async with serving(drip) as raw, DeepSeek(options(raw, **limits, stream=stream)) as client:
        _, failure = await collect(client, replace(HELLO, seconds=0.2))
    assert time.monotonic() - began < 2
    assert failure is not None
    assert failure.failure is Failure.STALLED
    assert "not finished" in failure.message


async def test_the_time_of_an_attempt_begins_when_it_has_its_place() -> None:
    done = asyncio.Event()

    async def held(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.write(HEAD + event(content="a", finish="stop") + b"0\r\n\r\n")

    begun: list[int] = []
    one, two = (
        replace(HELLO, seconds=seconds, begun=partial(begun.append, number))
        for number, seconds in enumerate((30.0, 0.5), 1)
    )
    async with serving(held) as raw, DeepSeek(options(raw, concurrency=1)) as client:
        first = asyncio.create_task(collect(client, one))
        await raw.asked.wait()
        second = asyncio.create_task(collect(client, two))
        await asyncio.sleep(0.7)
        assert begun == [1]
        done.set()
        for chunks, failure in await asyncio.gather(first, second):
            assert failure is None
            assert text(chunks) == "a"
    assert begun == [1, 2]


async def test_what_was_held_back_comes_out_at_a_stall() -> None:
    chunks, failure = await ask(
        repeating(HEAD, event(content="<thi")), **{**SLOW, "progress_timeout": 0.1}
    )
    assert failure is not None
    assert text(chunks) == "<thi"


async def test_reasoning_feeds_the_progress_clock() -> None:
    async def think(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for _ in range(8):
            await asyncio.sleep(0.05)
            writer.write(event(reasoning_content="hm"))
        writer.write(event(content="a", finish="stop") + b"0\r\n\r\n")

    limits = {**SLOW, "first_token_timeout": 0.2, "progress_timeout": 0.2}
    chunks, failure = await ask(think, **limits)
    assert failure is None
    assert text(chunks) == "a"


async def test_comments_feed_the_idle_clock() -> None:
    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for _ in range(8):
            await asyncio.sleep(0.05)
            writer.write(COMMENT)
        writer.write(event(content="a", finish="stop") + b"0\r\n\r\n")

    _, failure = await ask(wait, **{**SLOW, "idle_timeout": 0.2})
    assert failure is None


async def test_a_slow_consumer_is_not_a_stall() -> None:
    body = event(content="a"), event(content="b"), event(finish="stop") + b"0\r\n\r\n"
    async with (
        serving(saying(HEAD, *body)) as raw,
        DeepSeek(options(raw, progress_timeout=0.1, first_token_timeout=0.1)) as deepseek,
    ):
        text = ""
        async for chunk in deepseek.stream(HELLO):
            text += chunk.text
            await asyncio.sleep(0.15)
    assert text == "ab"


async def test_a_whole_answer_may_be_silent_for_longer() -> None:
    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.3)
        writer.write(whole(b'{"choices":[{"message":{"content":"a"}}]}'))

    limits = {"idle_timeout": 0.1, "first_token_timeout": 0.1, "progress_timeout": 0.1}
    chunks, failure = await ask(late, stream=False, **limits)
    assert failure is None
    assert text(chunks) == "a"
    _, failure = await ask(late, stream=False, turn_timeout=0.1)
    assert failure is not None
    assert (failure.failure, failure.clock) == (Failure.STALLED, Clock.TURN)


async def test_a_stream_that_stays_open_behind_its_finish_is_complete() -> None:
    chunks, failure = await ask(repeating(HEAD, event(content="a", finish="stop")))
    assert failure is None
    assert chunks[-1].done


@pytest.mark.parametrize("again", [COMMENT, event(content="b")])
async def test_what_goes_on_behind_the_finish_is_not_waited_for(
    again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LINGER", 0.2)
    began = time.monotonic()
    endless = repeating(HEAD, event(content="a", finish="stop"), again=again)
    chunks, failure = await ask(endless, **SLOW)
    assert time.monotonic() - began < 2
    assert failure is None
    assert chunks[-1].done


SECOND = {"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": None}]}


@pytest.mark.parametrize("second", [b"", chunked(f"data: {json.dumps(SECOND)}\n\n".encode())])
@pytest.mark.parametrize("again", [b"", COMMENT])
async def test_a_choice_that_comes_no_further_is_not_waited_for_long(
    second: bytes, again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "OTHERS", 0.2)
    began = time.monotonic()
    lazy = repeating(HEAD, second, event(content="a", finish="stop"), again=again)
    chunks, failure = await ask(lazy, n=2, **SLOW)
    assert 0.2 < time.monotonic() - began < 2
    assert failure is None
    assert (text(chunks), text(chunks, 1)) == ("a", "b" if second else "")


async def test_a_choice_that_is_longer_than_the_first_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def long(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + event(content="a", finish="stop"))
        for _ in range(8):
            await asyncio.sleep(0.05)
            writer.write(chunked(f"data: {json.dumps(SECOND)}\n\n".encode()))
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(client, "OTHERS", 0.2)
    chunks, failure = await ask(long, n=2, **SLOW)
    assert failure is None
    assert (text(chunks), text(chunks, 1)) == ("a", "b" * 8)


async def test_nothing_listens_or_nothing_answers_the_connection() -> None:
    async with serving(saying()) as raw:
        pass
    async with DeepSeek(options(raw)) as deepseek:
        _, failure = await collect(deepseek)
    assert failure is not None
    assert failure.failure is Failure.TRANSPORT
