"""The samples through a real socket, cut at every single position."""

import asyncio
from pathlib import Path

import pytest

from core.deepseek.client import DeepSeek
from core.errors import Failure
from tests.contract.deepseek.raw import STREAM, chunked, collect, options, serving, text

WIRE = Path(__file__).parents[2] / "fixtures" / "wire"
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("name", "head", "answer", "tokens"),
    [
        ("stream.sse", STREAM, "Hello! 😊 How can I assist you today?", 16),
        ("completion.json", JSON, "Hello! 😊 How can I help you today?", 19),
        ("multi_turn.json", JSON, "You just said:", 79),
        ("error.json", JSON, "", 0),
    ],
)
async def test_a_sample_cut_anywhere(name: str, head: bytes, answer: str, tokens: int) -> None:
    sample = (WIRE / name).read_bytes()
    positions = iter(range(1, len(sample)))

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        at = next(positions)
        writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(sample[:at]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        writer.write(chunked(sample[at:]) + b"0\r\n\r\n")

    async with serving(cut) as raw, DeepSeek(options(raw)) as client:
        for _ in range(1, len(sample)):
            chunks, failure = await collect(client)
            if name == "error.json":
                assert failure is not None
                assert (failure.failure, failure.code) == (Failure.SERVER, "api_error")
                assert failure.trace_id == "2cf86e86-22a4-46e1-ac2f-032c0f2a4e89"
                continue
            assert failure is None
            assert text(chunks).startswith(answer)
            assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [tokens]
            assert chunks[-1].done
        assert len(raw.requests) == len(sample) - 1
    assert next(positions, None) is None
