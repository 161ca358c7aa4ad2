"""The offline server through the real client: honest, remembering, and DeepSeek's wire format."""

import json
import time
from typing import Any

import aiohttp
import pytest

from bots.offline import OfflineServer
from core.deepseek.client import DeepSeek, Options
from core.types import Chunk, CompletionRequest, Message, Role

FAST = 100_000.0  # tokens a second


async def ask(*questions: str, rate: float = FAST, **more: Any) -> list[Chunk]:
    messages = [Message(Role.USER, question) for question in questions]
    async with (
        OfflineServer(rate) as server,
        DeepSeek(Options(base_url=server.url, **more)) as client,
    ):
        request = CompletionRequest(messages=tuple(messages))
        return [chunk async for chunk in client.stream(request)]


def text(chunks: list[Chunk], index: int = 0) -> str:
    return "".join(chunk.text for chunk in chunks if chunk.index == index)


@pytest.mark.parametrize("stream", [True, False])
async def test_the_first_answer_says_what_it_is(stream: bool) -> None:
    chunks = await ask("What is a `list`?", stream=stream)
    told = text(chunks)
    assert "offline server**, not DeepSeek" in told
    assert "DEEPSEEK_API_KEY" in told
    assert "DeepSeek was not asked" in told
    assert "whoever runs Threadseek" in told, "people in a chat can't"
    for elsewhere in ("machine", "stayed", "```", "echo", ">>"):
        assert elsewhere not in told, "it is read in Slack and Discord, too"
    assert "“What is a list ?”" in told
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["stop"]
    assert chunks[-1].done
    (usage,) = [chunk.usage for chunk in chunks if chunk.usage]
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert {chunk.model for chunk in chunks if not chunk.done} == {"offline"}


async def test_it_remembers_the_thread() -> None:
    told = text(await ask("What is rain?", "And {snow}?", "x" * 500))
    assert "whoever runs Threadseek" in told
    assert "you asked 3 questions" in told
    assert "the first was “What is rain?”" in told
    assert f"the latest is “{'x' * 120}…”" in told


async def test_json_candidates_and_a_cap() -> None:
    chunks = await ask("Say \ud83d", response_format="json_object", n=2)
    for index in (0, 1):
        assert json.loads(text(chunks, index))["questions"] == 1
    chunks = await ask("Hello", max_tokens=3)
    assert text(chunks) == "Hello! This is"
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == ["length"]


async def test_it_types_at_a_readable_pace() -> None:
    began = time.monotonic()
    await ask("Hello", rate=40.0, max_tokens=8)
    assert 0.2 < time.monotonic() - began < 1.0


@pytest.mark.parametrize(
    "body", [b"nonsense", b"[]", b"{}", b'{"messages":[]}', b'{"messages":[{"role":"user"}]}']
)
async def test_what_it_can_not_answer_is_refused(body: bytes) -> None:
    async with OfflineServer() as server, aiohttp.ClientSession() as session:
        url = f"{server.url}/chat/completions"
        async with session.post(url, data=body) as response:
            assert response.status == 400
            found = await response.json()
    assert found["error"]["code"] == "bad_request"
    assert found["trace_id"]


async def test_a_reader_that_goes_does_no_harm() -> None:
    async with OfflineServer(20.0) as server:
        async with DeepSeek(Options(base_url=server.url)) as client:
            request = CompletionRequest(messages=(Message(Role.USER, "Hello"),))
            async for chunk in client.stream(request):
                assert chunk.text
                break
        assert server.url.startswith("http://127.0.0.1:")
