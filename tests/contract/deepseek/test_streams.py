"""Awkward streams over a real socket: every case of the edge matrix, with the outcome we want."""

import asyncio
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from core.errors import Failure
from core.types import Usage
from tests.contract.deepseek.raw import STREAM, ask, chunked, saying, text, whole

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = STREAM + b"Transfer-Encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def event(text: Any = None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    found = json.dumps({"choices": [choice], **more}, ensure_ascii=False)
    return f"data: {found}\n\n".encode()


END = event("", "stop") + DONE
GOOD = {
    "no space": event("a").replace(b"data: ", b"data:") + END,
    "CRLF": (event("a") + END).replace(b"\n", b"\r\n"),
    "CR": (event("a") + END).replace(b"\n", b"\r"),
    "byte-order mark": b"\xef\xbb\xbf" + event("a") + END,
    "retry and id records": b"retry: 3000\n\nid: 1\n\n" + event("a") + b"id: 2\n\n" + END,
    "comments": b": keep-alive\n\n" + event("a") + b": keep-alive\n\n" + END,
    "50 blank lines": b"\n" * 50 + event("a") + END,
    "no blank lines": (event("a") + END).replace(b"\n\n", b"\n"),
    "last event without a line end": event("a") + event("", "stop").rstrip(),
    "no [DONE]": event("a") + event("", "stop"),
    "no finish, but [DONE]": event("a") + DONE,
    "usage with empty choices": event("a") + b'data: {"choices":[],"usage":{}}\n\n' + END,
    "null choices": event("a") + b'data: {"choices":null}\n\n' + END,
    "missing choices": event("a") + b'data: {"usage":{}}\n\n' + END,
    "null delta": b'data: {"choices":[{"delta":null}]}\n\n' + event("a") + END,
    "null content first": event(None) + event("") + event("a") + END,
    "empty content in the middle": event("") + event("a") + event("") + END,
    "unknown event name": b"event: delta\n" + event("a") + END,
    "whole completion": b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}',
    "whole completion in an event": b'data: {"choices":[{"message":{"content":"a"}}]}\n\n' + DONE,
    "blank lines before a completion": b"\n\n\n" + b'{"choices":[{"message":{"content":"a"}}]}',
    "<think>": event("<thi") + event("nk>secret</th") + event("ink>\n\na") + END,
    "lone </think>": event("</think>\n\n") + event("a") + END,
    "a finish of another name": event("a") + event("", "eos") + DONE,
    "second choice cut": event("b", index=1) + event("a", "stop"),
    "second choice failed": event("b", "insufficient_system_resource", index=1) + event("a") + END,
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
async def test_good_answers(case: str) -> None:
    chunks, failure = await ask(saying(whole(GOOD[case])), n=2 if "choice" in case else None)
    assert failure is None
    assert text(chunks) == "a"
    assert chunks[-1].done


BAD: dict[str, tuple[bytes, str, Failure]] = {
    "end without a finish": (event("a"), "a", Failure.TRUNCATED),
    "empty body": (b"", "", Failure.TRUNCATED),
    "only comments": (b": keep-alive\n\n" * 3, "", Failure.TRUNCATED),
    "half an event": (event("a") + event("b")[:40], "a", Failure.TRUNCATED),
    "error object": (event("a") + b'data: {"error":{"message":"x"}}\n\n', "a", Failure.SERVER),
    "error text": (b'data: {"error":"Rate limit reached"}\n\n', "", Failure.BUSY),
    "error with a code": (b'data: {"error":{"code":400,"message":"x"}}\n\n', "", Failure.REFUSED),
    "event: error": (b'event: error\ndata: {"message":"x"}\n\n', "", Failure.SERVER),
    "event: error in words": (event("a") + b"event: error\ndata: oh\n\n", "a", Failure.SERVER),
    "capacity": (event("a", "insufficient_system_resource") + DONE, "a", Failure.SERVER),
    "unknown finish": (event("a") + event("", "error") + DONE, "a", Failure.TRUNCATED),
    "unknown finish and no word": (event("", "martian") + DONE, "", Failure.TRUNCATED),
    "first choice cut": (event("a") + event("b", "stop", index=1), "a", Failure.TRUNCATED),
    "JSON error": (b'{"error":{"code":"used_up","message":"x"}}', "", Failure.BALANCE),
    "JSON error without error": (b'{"success":false,"message":"x"}', "", Failure.SERVER),
    "HTML": (b"<html><title>oh</title></html>", "", Failure.SERVER),
    "a line over the cap": (event("a") + event("x" * 1_100_000), "a", Failure.SERVER),
}


@pytest.mark.parametrize("case", BAD)
async def test_bad_answers(case: str) -> None:
    body, came, expected = BAD[case]
    chunks, failure = await ask(saying(whole(body)), n=2 if "choice" in case else None)
    assert failure is not None
    assert (text(chunks), failure.failure) == (came, expected)
    assert not any(chunk.done for chunk in chunks)


async def test_the_reason_of_the_end_is_logged() -> None:
    with capture_logs() as logs:
        await ask(saying(whole(event("a") + event("", "max_tokens") + DONE)))
        await ask(saying(whole(event("a") + event("", "martian") + DONE)))
    assert [line.get("finish") for line in logs] == ["length", None]
    assert [line.get("code") for line in logs] == [None, "martian"]


async def test_the_log_says_how_long_the_first_word_took() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in (CHUNKED, chunked(event("") + event("a")), chunked(END) + b"0\r\n\r\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.3)

    with capture_logs() as logs:
        await ask(slow)
    (told,) = [line for line in logs if line["event"] == "completion.done"]
    assert 250 <= told["first_ms"] <= told["ms"] - 250


async def test_separators_of_unicode_are_text() -> None:
    chunks, _ = await ask(saying(whole(event("a\u2028b\u2029c\u0085d") + END)))
    assert text(chunks) == "a\u2028b\u2029c\u0085d"


async def test_a_line_of_700_kib() -> None:
    long = "x" * (700 * 1024)
    chunks, failure = await ask(saying(whole(event(long) + END)))
    assert failure is None
    assert text(chunks) == long


async def test_content_may_look_like_the_end() -> None:
    chunks, _ = await ask(saying(whole(event("data: [DONE]") + END)))
    assert text(chunks) == "data: [DONE]"


async def test_characters_cut_into_single_bytes() -> None:
    pieces = [chunked(bytes([byte])) for byte in event("é😊漢") + END]
    chunks, failure = await ask(saying(CHUNKED, *pieces, b"0\r\n\r\n"))
    assert failure is None
    assert text(chunks) == "é😊漢"


@pytest.mark.parametrize("rest", [b"", b"5\r\nab", chunked(event("b")[:30])], ids=str)
async def test_a_chunked_body_that_breaks(rest: bytes) -> None:
    chunks, failure = await ask(saying(CHUNKED, chunked(event("a")), rest, close=True))
    assert failure is not None
    assert (text(chunks), failure.failure) == ("a", Failure.TRUNCATED)


async def test_a_body_shorter_than_promised() -> None:
    head = STREAM + b"Content-Length: 9999\r\n\r\n"
    chunks, failure = await ask(saying(head + event("a"), close=True))
    assert failure is not None
    assert (text(chunks), failure.failure) == ("a", Failure.TRUNCATED)


async def test_a_break_behind_the_finish_is_no_failure() -> None:
    body = chunked(event("a") + event("", "stop"))
    chunks, failure = await ask(saying(CHUNKED, body, close=True))
    assert failure is None
    assert chunks[-1].done


async def test_interleaved_candidates() -> None:
    parts = [event(letter, index=at % 2) for at, letter in enumerate("a1b2c3")]
    body = b"".join(parts) + event("", "stop", 1) + event("", "length", 0) + DONE
    chunks, failure = await ask(saying(whole(body)), n=2)
    assert failure is None
    assert [text(chunks, index) for index in (0, 1)] == ["abc", "123"]
    finishes = {chunk.index: chunk.finish_reason for chunk in chunks if chunk.finish_reason}
    assert finishes == {0: "length", 1: "stop"}


async def test_a_host_that_gives_fewer_candidates() -> None:
    chunks, failure = await ask(saying(whole(event("a", "stop"))), n=2)
    assert failure is None
    assert chunks[-1].done


async def test_reasoning_stays_apart() -> None:
    first = b'data: {"choices":[{"delta":{"reasoning_content":"hm","content":null}}]}\n\n'
    both = b'data: {"choices":[{"delta":{"reasoning_content":"!","content":"a"}}]}\n\n'
    chunks, _ = await ask(saying(whole(first + both + END)))
    assert text(chunks) == "a"
    assert "".join(chunk.reasoning for chunk in chunks) == "hm!"


async def test_usage_of_the_last_chunk() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    chunks, _ = await ask(saying(whole(event("a") + event("", "stop", usage=usage) + DONE)))
    assert [chunk.usage for chunk in chunks if chunk.usage] == [Usage(3, 1, 4)]


async def test_a_whole_completion_that_was_asked_for() -> None:
    body = b'\n\n{"choices":[{"message":{"content":"<think>b</think>a"},"finish_reason":"length"}]}'
    chunks, failure = await ask(saying(whole(body, JSON)), stream=False)
    assert failure is None
    assert [chunk.finish_reason for chunk in chunks] == ["length", None]
    assert (text(chunks), chunks[0].reasoning, chunks[-1].done) == ("a", "b", True)


async def test_a_stream_that_was_not_asked_for() -> None:
    chunks, failure = await ask(saying(whole(event("a") + END)), stream=False)
    assert failure is None
    assert text(chunks) == "a"
