"""The client and the stand-in agree, and the stand-in refuses what the real API refuses."""

import asyncio
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest

from core.deepseek.client import DeepSeek, Options
from core.errors import CompletionError, Failure
from core.types import CompletionRequest, Message, Role
from tests.contract.deepseek.raw import HELLO, collect, text
from tests.emulators.deepseek import DeepSeekServer, Reply, error_reply


async def ask(
    server: DeepSeekServer, request: CompletionRequest = HELLO, **more: Any
) -> tuple[list[Any], CompletionError | None]:
    given = {"base_url": server.url, "api_key": "test-key", **more}
    async with DeepSeek(Options(**given)) as client:
        return await collect(client, request)


@pytest.mark.parametrize("stream", [True, False])
async def test_the_default_answer(stream: bool) -> None:
    async with DeepSeekServer() as server:
        chunks, failure = await ask(server, stream=stream)
    assert failure is None
    assert text(chunks) == "Question 1 was: Hello"
    assert [chunk.usage.total_tokens > 0 for chunk in chunks if chunk.usage] == [True]
    (call,) = server.calls
    assert (call.finished, call.hung_up, call.status) == (True, False, 200)
    assert call.headers["Authorization"] == "Bearer test-key"
    assert call.last == "Hello"


async def test_candidates_json_reasoning_and_packets() -> None:
    async with DeepSeekServer() as server:
        chunks, _ = await ask(server, n=2)
        assert text(chunks, 1) == "Question 1 was: Hello [2]"
        chunks, failure = await ask(server, response_format="json_object")
        assert failure is None
        assert text(chunks) == '{"questions": 1, "last": "Hello"}'
        server.script(None, Reply(pieces=("é😊", "b"), reasoning=("hm",), packet=1))
        chunks, _ = await ask(server)
        assert text(chunks) == "é😊b"
        assert "".join(chunk.reasoning for chunk in chunks) == "hm"


ENDINGS: list[tuple[Reply, str, Failure | None]] = [
    (Reply(pieces=("a", "b"), ending="finish"), "ab", None),
    (Reply(pieces=("a",), ending="end"), "a", Failure.TRUNCATED),
    (Reply(pieces=("a",), ending="cut"), "a", Failure.TRUNCATED),
    (Reply(pieces=("a",), ending="stall"), "a", Failure.STALLED),
    (Reply(pieces=("a",), ending="stall", keep_alive=0.02), "a", Failure.STALLED),
    (Reply(pieces=("a",), error={"message": "oh"}), "a", Failure.SERVER),
    (Reply(pieces=("a",), finish="insufficient_system_resource"), "a", Failure.SERVER),
    (Reply(pieces=("a",), whole=True), "a", None),
    (error_reply(429, "too_many_requests", "x", Retry_After="2"), "", Failure.BUSY),
    (Reply(status=502, body=b"<html>"), "", Failure.SERVER),
    (Reply(body={"error": {"code": "used_up", "message": "x"}}), "", Failure.BALANCE),
]


@pytest.mark.parametrize(("reply", "came", "failure"), ENDINGS)
async def test_a_scripted_ending(reply: Reply, came: str, failure: Failure | None) -> None:
    async with DeepSeekServer() as server:
        server.script(None, reply)
        chunks, error = await ask(server, progress_timeout=0.2)
    assert text(chunks) == came
    assert (error and error.failure) == failure


async def test_replies_are_chosen_by_what_was_asked() -> None:
    async with DeepSeekServer() as server:
        server.script("Hel", Reply(pieces=("1",)), Reply(pieces=("2",)))
        server.script(lambda call: call.body["model"] == "x", Reply(pieces=("x",)))
        server.script(None, Reply(pieces=("next",)))
        told = [text((await ask(server))[0]) for _ in range(3)]
        other = CompletionRequest(messages=(Message(Role.USER, "What?"),))
        told += [text((await ask(server, other, model=model))[0]) for model in ("x", "m", "m")]
    assert told == ["1", "2", "2", "x", "next", "Question 1 was: What?"]


async def test_it_sees_a_client_that_hangs_up() -> None:
    async with DeepSeekServer() as server:
        server.script(None, Reply(pieces=("a",) * 200, delay=0.01))
        async with DeepSeek(Options(base_url=server.url, api_key="test-key")) as client:
            async with aclosing(client.stream(HELLO)) as stream:
                await anext(stream)
            await asyncio.sleep(0.1)
            assert server.calls[0].hung_up
            assert server.calls[0].sent < 50


async def test_twenty_turns_one_connection() -> None:
    async with DeepSeekServer() as server:
        server.script("Hello", Reply(last_delay=0.02))
        async with DeepSeek(Options(base_url=server.url, api_key="test-key")) as client:
            for _ in range(20):
                assert (await collect(client))[1] is None
        assert (len(server.calls), server.connections) == (20, 1)


def good(**more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **more}


def messages(*entries: Any) -> dict[str, Any]:
    return good(messages=list(entries))


USER = {"role": "user", "content": "Hi"}


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ([], "object"),
        ({"messages": [USER]}, "model"),
        (good(messages=[]), "at least one"),
        (messages({"role": "tool", "content": "x"}), "unknown variant"),
        (messages({"role": "user", "content": None}), "string"),
        (messages({**USER, "name": "ann"}), "nothing else"),
        (messages(USER, {"role": "assistant", "content": "x"}), "last message"),
        (messages({"role": "user", "content": " "}), "empty"),
        (messages({"role": "user", "content": "\ud83d"}), "hex escape"),
        (messages({"role": "user", "content": "x" * 400_000}), "maximum context length is 64000"),
        (good(temperature=2.1), "temperature"),
        (good(n=0), "valid range of n"),
        (good(max_tokens=9000), "[1, 8192]"),
        (good(stream="yes"), "stream"),
        (good(response_format={"type": "json_schema"}), "unavailable"),
        (good(response_format={"type": "json_object"}), "'json'"),
    ],
)
async def test_it_refuses_what_the_api_refuses(body: Any, word: str) -> None:
    async with DeepSeekServer() as server, aiohttp.ClientSession() as session:
        headers = {"Authorization": "Bearer test-key"}
        url = f"{server.url}/chat/completions"
        async with session.post(url, json=body, headers=headers) as response:
            found = await response.json()
            assert response.status == 400
    assert found["error"]["code"] == "bad_request"
    assert word in found["error"]["message"]
    assert found["trace_id"] == "trace-1"


async def test_a_wrong_key_and_a_body_too_big() -> None:
    async with DeepSeekServer() as server:
        _, failure = await ask(server, api_key="wrong")
        assert failure is not None
        assert (failure.failure, failure.code, failure.trace_id) == (
            Failure.CREDENTIALS,
            "invalid_token",
            "trace-1",
        )
        big = CompletionRequest(messages=(Message(Role.USER, "x" * 5_000_000),))
        _, failure = await ask(server, big)
        assert failure is not None
        assert failure.failure is Failure.TOO_BIG
