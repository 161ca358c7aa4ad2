"""What comes in the middle of an answer isn't HTTP: a proxy's own page, a broken chunk."""

import asyncio
import gc
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any

import pytest

from core.deepseek.client import DeepSeek
from core.errors import CompletionError, Failure
from core.types import Chunk
from tests.contract.deepseek.conftest import Scenario
from tests.contract.deepseek.raw import Answer, collect, options, serving, text
from tests.contract.deepseek.scripted import DONE, END, HEAD, LAST, word

WHOLE = b'{"choices":[{"index":0,"message":{"content":"Half'
NONSENSE = {
    "a proxy's page": b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
    "a bad size": b"zzz\r\nnonsense\r\n",
}
SOON = 5.0
"""Seconds: a small part of the clocks that would end the waiting else."""


def slowly(*pieces: bytes, stays: bool) -> Answer:
    """An answer of these bytes, each a moment later. stays: the peer does not close."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.1)
        if stays:
            await reader.read()
        raise ConnectionError

    return answer


async def attempt(
    answer: Answer, tls: ssl.SSLContext | None, attempts: int = 1, **more: Any
) -> tuple[list[Chunk], CompletionError | None]:
    """The last of some attempts; nothing that went wrong on their way is left to the loop."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, found: complaints.append(found))
    async with serving(answer, tls) as raw, DeepSeek(options(raw, **more)) as client:
        for _ in range(attempts):
            async with asyncio.timeout(SOON):
                found = await collect(client)
            await asyncio.sleep(0.2)
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
    return found


@pytest.mark.parametrize("stays", [False, True], ids=["closes", "stays"])
@pytest.mark.parametrize("nonsense", NONSENSE)
def test_it_ends_the_answer_at_once(
    play: Callable[[Scenario], None], nonsense: str, stays: bool
) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        for words in ([], [word("a")], [word("a"), word("b"), word("c")]):
            chunks, failure = await attempt(
                slowly(HEAD, *words, NONSENSE[nonsense], stays=stays), tls
            )
            assert failure is not None
            assert failure.failure is Failure.TRUNCATED
            assert text(chunks) == "abc"[: len(words)]

    play(scenario)


def test_words_that_came_with_it_are_not_lost(play: Callable[[Scenario], None]) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        nonsense = NONSENSE["a bad size"]
        chunks, failure = await attempt(slowly(HEAD, word("a") + nonsense, stays=False), tls)
        assert failure is not None
        assert failure.failure is Failure.TRUNCATED
        assert text(chunks) == "a"

    play(scenario)


def test_it_ends_a_whole_answer_at_once(play: Callable[[Scenario], None]) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        begun = b"%x\r\n%s\r\n" % (len(WHOLE), WHOLE)
        for nonsense in NONSENSE.values():
            pieces = (HEAD.replace(b"text/event-stream", b"application/json"), begun, nonsense)
            chunks, failure = await attempt(slowly(*pieces, stays=False), tls, stream=False)
            assert failure is not None
            assert failure.failure is Failure.TRUNCATED
            assert chunks == []

    play(scenario)


def test_behind_the_end_of_an_answer_it_is_nothing(play: Callable[[Scenario], None]) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        nonsense = NONSENSE["a bad size"]
        for pieces in (
            [HEAD, word("a") + END + DONE + nonsense],
            [HEAD, word("a"), END + DONE, nonsense],
            [HEAD, word("a"), END, nonsense],
            [HEAD, word("a"), END, DONE + LAST + nonsense],
        ):
            chunks, failure = await attempt(slowly(*pieces, stays=False), tls)
            assert failure is None
            assert text(chunks) == "a"
            assert chunks[-1].done

    play(scenario)


def test_in_a_refusal_what_came_before_it_says_enough(play: Callable[[Scenario], None]) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        head = HEAD.replace(b"200 OK", b"500 Oh")
        begun = b"8\r\nsorry: a\r\n"
        nonsense = NONSENSE["a bad size"]
        for pieces in ([head, begun, nonsense], [head, begun + nonsense]):
            _, failure = await attempt(slowly(*pieces, stays=False), tls)
            assert failure is not None
            assert (failure.failure, failure.message) == (Failure.SERVER, "sorry: a")

    play(scenario)


def test_nobody_complains_of_a_connection_that_breaks_in_the_pool(
    play: Callable[[Scenario], None],
) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(HEAD + word("a"))
            await asyncio.sleep(0.05)
            writer.write(END + DONE + LAST)
            await asyncio.sleep(0.05)
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            raise ConnectionError

        _, failure = await attempt(answer, tls, attempts=2)
        assert failure is None

    play(scenario)
