"""Errors over a real socket, and the key in none of them, their causes, contexts or logs."""

import asyncio
import json
import ssl
import time
import traceback
from typing import Any

import pytest
import trustme
from structlog.testing import capture_logs

from core.deepseek import client as module
from core.deepseek.client import DeepSeek, Options
from core.errors import CompletionError, Failure
from tests.contract.deepseek.raw import KEY, STREAM, ask, collect, options, saying, serving, whole


def refusal(status: int, body: Any, *headers: str) -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = "".join(f"{header}\r\n" for header in headers)
    return whole(raw, f"HTTP/1.1 {status} No\r\n{lines}".encode())


def envelope(code: str, message: str) -> dict[str, Any]:
    error = {"code": code, "message": message}
    return {"success": False, "error": error, "trace_id": "2cf86e86"}


CONTEXT = "This model's maximum context length is 4096 tokens, you requested 5000"
CASES: list[tuple[bytes, Failure]] = [
    (refusal(400, envelope("bad_request", CONTEXT)), Failure.TOO_LONG),
    (refusal(401, envelope("invalid_token", f"wrong: {KEY}")), Failure.CREDENTIALS),
    (refusal(402, envelope("x", "Insufficient Balance")), Failure.BALANCE),
    (refusal(413, b"", "X-Request-Id: 2cf86e86"), Failure.TOO_BIG),
    (refusal(429, envelope("too_many_requests", "x"), "Retry-After: 2"), Failure.BUSY),
    (refusal(500, envelope("api_error", "fetch failed")), Failure.SERVER),
    (refusal(502, b"<html>Bad Gateway</html>", "x-deepseek-request-id: 2cf86e86"), Failure.SERVER),
]


@pytest.mark.parametrize(("raw", "failure"), CASES, ids=[case[1].value for case in CASES])
async def test_an_error_response(raw: bytes, failure: Failure) -> None:
    chunks, error = await ask(saying(raw))
    assert chunks == []
    assert error is not None
    assert (error.failure, error.trace_id) == (failure, "2cf86e86")


async def test_an_error_response_leaves_the_connection_usable() -> None:
    async with serving(saying(CASES[5][0])) as raw, DeepSeek(options(raw)) as client:
        for _ in range(3):
            await collect(client)
        assert raw.connections == 1


async def test_a_huge_error_body_is_read_in_part_only() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 999999999\r\n\r\n")
        nonlocal sent
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()
            sent += 1

    _, error = await ask(flood)
    assert error is not None
    assert error.failure is Failure.SERVER
    assert len(error.message) <= 300
    assert sent < 200


async def test_an_error_body_that_breaks_off_still_says_what_came() -> None:
    head = b"HTTP/1.1 500 No\r\nContent-Length: 999\r\n\r\n"
    _, error = await ask(saying(head + b"oh dear", close=True))
    assert error is not None
    assert (error.failure, error.message) == (Failure.SERVER, "oh dear")


@pytest.mark.parametrize("stream", [True, False])
async def test_an_error_body_that_never_ends_is_not_waited_for_long(
    stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ERROR_WAIT", 0.1)
    head = b"HTTP/1.1 429 Busy\r\nRetry-After: 7\r\nContent-Length: 999\r\n\r\n"
    limits = {"idle_timeout": 3.0, "turn_timeout": 3.0}
    began = time.monotonic()
    _, error = await ask(saying(head + b"slow down"), stream=stream, **limits)
    assert time.monotonic() - began < 2
    assert error is not None
    assert (error.failure, error.message) == (Failure.BUSY, "slow down")
    assert error.retry_after == 7


async def test_a_status_that_came_in_time_is_told_though_its_body_is_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(b"HTTP/1.1 429 Busy\r\nContent-Length: 999\r\n\r\nslow down")
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(module, "ERROR_WAIT", 0.6)
    _, error = await ask(refusing, idle_timeout=0.5, first_token_timeout=0.5)
    assert error is not None
    assert (error.failure, error.message) == (Failure.BUSY, "slow down")


async def test_a_certificate_that_nobody_trusts_is_named() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with serving(saying(), context) as raw, DeepSeek(options(raw)) as deepseek:
        _, error = await collect(deepseek)
    assert error is not None
    assert error.failure is Failure.TRANSPORT
    assert "certificate verify failed" in error.message


LEAKS = [
    saying(refusal(400, envelope("x", f"Your api key: {KEY}"))),
    saying(refusal(401, envelope(KEY, f"Bearer {KEY}"))),
    saying(refusal(500, f"echo: Authorization: Bearer {KEY}".encode(), f"x-request-id: {KEY}")),
    saying(whole(b'data: {"error":"%s"}\n\n' % KEY.encode())),
    saying(whole(b'{"error":{"message":"%s"}}' % KEY.encode())),
    saying(whole(b"<title>%s</title>" % KEY.encode())),
    saying(b"HTTP/1.1 nonsense %s\r\n\r\n" % KEY.encode(), close=True),
    saying(close=True),
    saying(STREAM + b"Content-Length: 99\r\n\r\n", close=True),
    saying(STREAM + b"Transfer-Encoding: chunked\r\n\r\n%s\r\n" % KEY.encode(), close=True),
]


def everything(error: BaseException | None) -> str:
    """All that a log or a traceback could show of an error."""
    told = ""
    while error is not None:
        told += repr(error) + str(error) + repr(vars(error)) + repr(error.args)
        told += "".join(traceback.format_exception(error))
        error = error.__cause__ or error.__context__
    return told


@pytest.mark.parametrize("answer", LEAKS)
async def test_the_key_is_in_no_error_and_no_log(answer: Any) -> None:
    with capture_logs() as logs:
        _, error = await ask(answer, first_token_timeout=0.2)
    assert error is not None
    assert "canary" not in everything(error) + repr(logs)
    assert logs[-1]["event"] == "completion.failed"


def test_the_key_is_in_no_repr() -> None:
    given = Options(base_url="http://api", api_key=KEY)
    assert "canary" not in repr(given) + str(given) + repr(DeepSeek(given))


@pytest.mark.parametrize(
    ("url", "failure"),
    [
        ("http://127.0.0.1:1", Failure.TRANSPORT),
        ("nonsense", Failure.CONFIGURATION),
        ("ftp://127.0.0.1", Failure.CONFIGURATION),
    ],
)
async def test_what_can_not_even_be_sent(url: str, failure: Failure) -> None:
    async with DeepSeek(Options(base_url=url, api_key=KEY)) as client:
        _, error = await collect(client)
    assert isinstance(error, CompletionError)
    assert error.failure is failure
    assert "canary" not in everything(error)


async def test_a_key_that_is_no_header() -> None:
    async with serving(saying()) as raw:
        given = Options(base_url=raw.url, api_key=f"{KEY}\nX: y")
        async with DeepSeek(given) as client:
            _, error = await collect(client)
    assert error is not None
    assert error.failure is Failure.CONFIGURATION
    assert "canary" not in everything(error)
    assert raw.requests == []


async def test_a_client_that_was_not_entered_says_so() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await collect(DeepSeek(Options(base_url="http://api")))
