"""A stream that is said piece by piece, and what is read of it."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from core.deepseek.client import DeepSeek
from core.errors import CompletionError
from core.types import CompletionRequest, Message, Role
from tests.contract.deepseek.raw import STREAM, chunked, options, serving

HEAD = STREAM + b"Transfer-Encoding: chunked\r\n\r\n"
END = chunked(b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n')
DONE = chunked(b"data: [DONE]\n\n")
LAST = b"0\r\n\r\n"
NEVER = 10**9
COMMENT = chunked(b": keep-alive\n\n")


def word(text: str) -> bytes:
    found = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
    return chunked(f"data: {json.dumps(found)}\n\n".encode())


class Asked:
    """A request whose text is collected as it is handed out. came: how often some was told of."""

    def __init__(self, client: DeepSeek) -> None:
        self.client = client
        self.request = CompletionRequest(messages=(Message(Role.USER, "Hello"),))
        self.text = ""
        self.failure: CompletionError | None = None
        self.came = 0
        self.request.arrivals.coming = self._coming
        self.task = asyncio.ensure_future(self._read(client))

    def _coming(self) -> None:
        self.came += 1

    async def _read(self, client: DeepSeek) -> None:
        try:
            async with aclosing(client.stream(self.request)) as chunks:
                async for chunk in chunks:
                    self.text += chunk.text
        except CompletionError as error:
            self.failure = error

    async def has(self, text: str) -> None:
        async with asyncio.timeout(3):
            while self.text != text:  # noqa: ASYNC110 whatever brings it
                await asyncio.sleep(0.001)

    async def ends(self) -> None:
        await asyncio.wait_for(self.task, 3)


class Scripted:
    """A server that says what it is told, when it is told."""

    def __init__(self) -> None:
        self._writer: asyncio.Future[asyncio.StreamWriter] | None = None

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ready().set_result(writer)
        await asyncio.get_running_loop().create_future()

    def _ready(self) -> "asyncio.Future[asyncio.StreamWriter]":
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_future()
        return self._writer

    async def writer(self) -> asyncio.StreamWriter:
        return await asyncio.wait_for(self._ready(), 3)

    async def say(self, *pieces: bytes) -> None:
        writer = await self.writer()
        writer.write(b"".join(pieces))
        await writer.drain()
        await asyncio.sleep(0.02)  # until the kernel has it on the other side

    async def die(self, *, rudely: bool) -> None:
        writer = await self._ready()
        if rudely:
            inner = writer.get_extra_info("socket")
            inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            writer.transport.abort()
        else:
            writer.close()


class Crowd:
    """A server that says the same on each of its connections."""

    def __init__(self) -> None:
        self._writers: list[asyncio.StreamWriter] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        await asyncio.get_running_loop().create_future()

    async def say(self, connections: int, *pieces: bytes) -> None:
        async with asyncio.timeout(3):
            while len(self._writers) < connections:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        for writer in self._writers:
            writer.write(b"".join(pieces))


def patient(raw: Any, **more: Any) -> Any:
    """Options under which the clocks say nothing about what is looked at here."""
    return options(raw, **{"idle_timeout": 2.0 * NEVER, "progress_timeout": 2.0 * NEVER, **more})


@asynccontextmanager
async def begun(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Scripted, Asked]]:
    """A server whose stream has said "a", and a patient request that has it."""
    server = Scripted()
    async with serving(server.answer, tls) as raw, DeepSeek(patient(raw)) as client:
        asked = Asked(client)
        await server.say(HEAD, word("a"))
        await asked.has("a")
        yield server, asked
        asked.task.cancel()
