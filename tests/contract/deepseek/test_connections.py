"""Connections: one for many turns, closed at once when nobody wants the rest, none to elsewhere."""

import asyncio
import json
import time
from contextlib import aclosing

import pytest

from core.deepseek import client as module
from core.deepseek.client import DeepSeek
from core.errors import CompletionError, Failure
from tests.contract.deepseek.raw import (
    HELLO,
    KEY,
    STREAM,
    chunked,
    collect,
    options,
    saying,
    serving,
    whole,
)

HEAD = STREAM + b"Transfer-Encoding: chunked\r\n\r\n"
WORD = chunked(b'data: {"choices":[{"index":0,"delta":{"content":"a"}}]}\n\n')
END = chunked(b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')
DONE = chunked(b"data: [DONE]\n\n")
LAST = b"0\r\n\r\n"


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Words until the client goes."""
    writer.write(HEAD)
    while not reader.at_eof():
        writer.write(WORD)
        await writer.drain()
        await asyncio.sleep(0.01)
    raise ConnectionError


async def test_twenty_answers_use_one_connection_though_the_end_comes_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for limit in ("DRAIN", "DRAIN_WAIT"):  # which a busy machine would take for late otherwise
        monkeypatch.setattr(module, limit, 10.0)

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + WORD + END + DONE)
        await asyncio.sleep(0.02)
        writer.write(LAST)

    async with serving(late) as raw, DeepSeek(options(raw)) as client:
        for _ in range(20):
            assert (await collect(client))[1] is None
        assert raw.connections == 1
        assert len(raw.requests) == 20


async def test_a_connection_that_never_ends_is_not_waited_for_long() -> None:
    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + WORD + END + DONE)
        await reader.read()
        raise ConnectionError

    async with serving(stuck) as raw, DeepSeek(options(raw)) as client:
        began = time.monotonic()
        for _ in range(3):
            assert (await collect(client))[1] is None
        assert time.monotonic() - began < 0.6
        assert raw.connections == 3
        await asyncio.wait_for(raw.gone.wait(), 3)


async def test_closing_the_stream_closes_the_connection() -> None:
    async with serving(endless) as raw, DeepSeek(options(raw)) as client:
        async with aclosing(client.stream(HELLO)) as stream:
            await anext(stream)
        assert await asyncio.wait_for(raw.gone.wait(), 0.5)


@pytest.mark.parametrize("silent", [False, True])
async def test_cancelling_the_task_closes_the_connection(silent: bool) -> None:
    async def quiet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        raise ConnectionError

    async with serving(quiet if silent else endless) as raw, DeepSeek(options(raw)) as client:
        task = asyncio.create_task(collect(client))
        await asyncio.wait_for(raw.asked.wait(), 1)
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await asyncio.wait_for(raw.gone.wait(), 0.5)


async def test_a_consumer_that_stops_at_the_finish_leaves_the_connection_usable() -> None:
    async with (
        serving(saying(HEAD, WORD, END, DONE, LAST)) as raw,
        DeepSeek(options(raw)) as client,
    ):
        for _ in range(5):
            async with aclosing(client.stream(HELLO)) as stream:
                async for chunk in stream:
                    if chunk.finish_reason:
                        break
        assert raw.connections == 1


async def test_a_stale_connection_is_a_transport_failure_and_no_second_request() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(raw.requests) == 2:
            raise ConnectionError
        writer.write(HEAD + WORD + END + DONE + LAST)

    async with serving(once) as raw, DeepSeek(options(raw)) as client:
        assert (await collect(client))[1] is None
        _, failure = await collect(client)
        assert failure is not None
        assert failure.failure is Failure.TRANSPORT
        assert len(raw.requests) == 2
        assert (await collect(client))[1] is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_no_redirect_is_followed(status: int) -> None:
    async with serving(saying(whole(b"{}"))) as elsewhere:
        head = f"HTTP/1.1 {status} Moved\r\nLocation: {elsewhere.url}/\r\n".encode()
        async with serving(saying(whole(b"", head))) as raw, DeepSeek(options(raw)) as client:
            _, failure = await collect(client)
    assert failure is not None
    assert failure.failure is Failure.CONFIGURATION
    assert "DEEPSEEK_BASE_URL" in failure.message
    assert elsewhere.requests == []


async def test_what_is_sent() -> None:
    good = saying(HEAD, WORD, END, DONE, LAST)
    async with serving(good) as raw, DeepSeek(options(raw, model="m", n=1)) as client:
        await collect(client)
    head, _, body = raw.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /chat/completions http/1.1"
    assert f"authorization: bearer {KEY}" in lines
    assert "accept: text/event-stream, application/json" in lines
    assert "accept-encoding: identity" in lines
    assert "content-type: application/json" in lines
    assert json.loads(body) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "n": 1,
    }


async def test_without_a_key_no_authorization_is_sent() -> None:
    good = saying(HEAD, WORD, END, DONE, LAST)
    async with serving(good) as raw:
        from_url = raw.url + "/"
        async with DeepSeek(type(options(raw))(base_url=from_url)) as client:
            assert (await collect(client))[1] is None
    assert b"authorization" not in raw.requests[0].lower()
    assert raw.requests[0].startswith(b"POST /chat/completions ")


async def test_no_more_attempts_at_once_than_allowed() -> None:
    most = 0
    under_way = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal most, under_way
        under_way += 1
        most = max(most, under_way)
        writer.write(HEAD + WORD)
        await asyncio.sleep(0.01)
        under_way -= 1
        writer.write(END + DONE + LAST)

    async with serving(count) as raw, DeepSeek(options(raw, concurrency=3)) as client:
        found = await asyncio.gather(*(collect(client) for _ in range(12)))
    assert [failure for _, failure in found] == [None] * 12
    assert most == 3


async def test_a_429_halves_what_is_under_way_and_answers_widen_it_again() -> None:
    sizes: list[int] = []
    under_way = 0
    refusing = True

    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way
        under_way += 1
        sizes.append(under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        head = b"HTTP/1.1 429 Busy\r\nRetry-After: 3\r\n"
        writer.write(whole(b"{}", head) if refusing else HEAD + WORD + END + DONE + LAST)

    async with serving(busy) as raw, DeepSeek(options(raw, concurrency=8)) as client:
        found = await asyncio.gather(*(collect(client) for _ in range(8)))
        for _, failure in found:
            assert isinstance(failure, CompletionError)
            assert (failure.failure, failure.retry_after) == (Failure.BUSY, 3.0)
        assert max(sizes) == 8
        refusing = False
        sizes.clear()
        await asyncio.gather(*(collect(client) for _ in range(8)))
        assert max(sizes) < 8
        for _ in range(8):
            await asyncio.gather(*(collect(client) for _ in range(8)))
        sizes.clear()
        await asyncio.gather(*(collect(client) for _ in range(8)))
        assert max(sizes) == 8


async def test_a_429_of_one_prompt_alone_holds_up_nobody_else() -> None:
    under_way = most = 0

    async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        if len(raw.requests) == 1:
            writer.write(whole(b"{}", b"HTTP/1.1 429 Busy\r\n"))
            return
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        writer.write(HEAD + WORD + END + DONE + LAST)

    async with serving(busy) as raw, DeepSeek(options(raw, concurrency=8)) as client:
        _, failure = await collect(client)
        assert failure is not None
        assert failure.failure is Failure.BUSY
        found = await asyncio.gather(*(collect(client) for _ in range(8)))
    assert [failure for _, failure in found] == [None] * 8
    assert most == 8
