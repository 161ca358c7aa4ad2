"""A bare asyncio server that says exactly the bytes it is told, and the client pointed at it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from core.deepseek.client import DeepSeek, Options
from core.errors import CompletionError
from core.types import Chunk, CompletionRequest, Message, Role

KEY = "canary-1234567890abcdef"
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
HELLO = CompletionRequest(messages=(Message(Role.USER, "Hello"),))


@dataclass
class Raw:
    """What the server saw. asked: set by a request. gone: set when a client closed its end."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Raw]:
    """Serve on a free port: `answer` once a request, on a connection that stays open."""
    raw = Raw()
    tasks: set[asyncio.Task[Any]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                raw.requests.append(head + await reader.readexactly(length))
                raw.asked.set()
                await answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            raw.gone.set()
        except asyncio.CancelledError:
            pass
        finally:
            writer.transport.abort()
            tasks.discard(task)

    server = await asyncio.start_server(connection, "127.0.0.1", 0, ssl=tls)
    raw.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield raw
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def chunked(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def whole(body: bytes, head: bytes = STREAM) -> bytes:
    """A response whose length is known."""
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def saying(*pieces: bytes, close: bool = False) -> Answer:
    """An answer of these bytes, each sent by itself; close: and then the connection ends."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if close:
            writer.close()
            raise ConnectionError

    return answer


def options(raw: Raw, **more: Any) -> Options:
    """Options for this server with the canary key."""
    return Options(base_url=raw.url, api_key=KEY, **more)


async def collect(
    client: DeepSeek, request: CompletionRequest = HELLO
) -> tuple[list[Chunk], CompletionError | None]:
    """Everything one attempt gave, and how it failed."""
    chunks: list[Chunk] = []
    try:
        async with aclosing(client.stream(request)) as stream:
            async for chunk in stream:
                chunks.append(chunk)  # noqa: PERF401 what came before a failure counts
    except CompletionError as error:
        return chunks, error
    return chunks, None


async def ask(answer: Answer, **more: Any) -> tuple[list[Chunk], CompletionError | None]:
    """One attempt against a server that answers like this."""
    async with serving(answer) as raw, DeepSeek(options(raw, **more)) as client:
        return await collect(client)


def text(chunks: list[Chunk], index: int = 0) -> str:
    """The visible text of one choice."""
    return "".join(chunk.text for chunk in chunks if chunk.index == index)
