"""One reader of many streams, in a process of its own: prints what it cost as JSON.

`python -m benchmarks.streams.reader KIND URL STREAMS SECONDS`; KIND is one of READERS. Only the
time between warm-up and end counts. For the lag of the loop a task asks every 10 ms how late it is.
"""

import argparse
import asyncio
import json
import os
import resource
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog

from bots.vitals import spared
from core.deepseek.client import DeepSeek, Options
from core.types import Arrivals, CompletionRequest, Message, Role

_LAG = 0.01  # seconds between two questions how late the loop is
_MANY = 1_000  # streams from which on the lag is asked for: with few, that is a fifth of the cost
_POLL = 0.1  # seconds between two looks of the floor


class Tally:
    """Events read: each of the server's brings one word. arrivals: what draws those that wait."""

    def __init__(self) -> None:
        self.words = 0
        self.arrivals: list[Arrivals] = []

    async def count(self) -> int:
        """Events that have come so far, once all are read that wait."""
        for each in self.arrivals:
            if each.draw():
                await asyncio.sleep(0)  # for its reader
        return self.words


async def ours(url: str, streams: int, tally: Tally) -> None:
    """The client of this project."""

    async def one(client: DeepSeek) -> None:
        request = CompletionRequest(messages=(Message(Role.USER, "Hello"),))
        tally.arrivals.append(request.arrivals)
        async with aclosing(client.stream(request)) as chunks:
            async for chunk in chunks:
                tally.words += chunk.text.count(" ")

    async with DeepSeek(Options(base_url=url, concurrency=streams, turn_timeout=3600.0)) as client:
        await _all(streams, partial(one, client))


async def openai(url: str, streams: int, tally: Tally) -> None:
    """OpenAI's own client."""
    from openai import AsyncOpenAI

    async def one() -> None:
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hello"}], stream=True
        )
        async for chunk in stream:
            tally.words += bool(chunk.choices[0].delta.content)

    async with AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:
        await _all(streams, one)


async def httpx_sse(url: str, streams: int, tally: Tally) -> None:
    """httpx with an SSE decoder."""
    import httpx
    from httpx_sse import aconnect_sse

    async def one() -> None:
        post = aconnect_sse(client, "POST", f"{url}/chat/completions", json={})
        async with post as source:
            async for event in source.aiter_sse():
                tally.words += bool(json.loads(event.data)["choices"][0]["delta"]["content"])

    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=60) as client:
        await _all(streams, one)


async def litellm(url: str, streams: int, tally: Tally) -> None:
    """litellm, for a server that speaks as OpenAI's."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the internet
    import litellm as library

    library.telemetry = False

    async def one() -> None:
        stream = await library.acompletion(
            model="openai/m",
            api_base=url,
            api_key="none",
            messages=[{"role": "user", "content": "Hello"}],
            stream=True,
        )
        async for chunk in stream:
            tally.words += bool(chunk.choices[0].delta.content)

    await _all(streams, one)


async def asyncio_reader(url: str, streams: int, tally: Tally) -> None:
    """The floor for who reads event by event: a bare protocol, lines, typed JSON."""
    port = int(url.rpartition(":")[2])
    decode = _decoder()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(_REQUEST)
        while line := await reader.readline():
            if line.startswith(b"data: {"):
                tally.words += bool(decode(line[6:]))
        writer.close()

    await _all(streams, one)


async def polled(url: str, streams: int, tally: Tally) -> None:
    """The floor for who reads in batches: bare sockets, asked ten times a second."""
    port = int(url.rpartition(":")[2])
    decode = _decoder()
    sockets = []
    for _ in range(streams):
        one = socket.create_connection(("127.0.0.1", port))
        one.sendall(_REQUEST)
        one.setblocking(False)
        sockets.append(one)
        await asyncio.sleep(0)
    while True:
        await asyncio.sleep(_POLL)
        for one in sockets:
            try:
                data = one.recv(256 * 1024)
            except BlockingIOError:
                continue
            for line in data.split(b"\n"):
                if line.startswith(b"data: {"):
                    tally.words += bool(decode(line[6:]))


_REQUEST = b"POST /chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Length: 2\r\n\r\n{}"

READERS: dict[str, Callable[[str, int, Tally], Awaitable[None]]] = {
    "ours": ours,
    "openai": openai,
    "httpx-sse": httpx_sse,
    "litellm": litellm,
    "asyncio": asyncio_reader,
    "polled": polled,
}


def _decoder() -> Callable[[bytes], str]:
    decoder = msgspec.json.Decoder()

    def decode(data: bytes) -> str:
        found: str = decoder.decode(data)["choices"][0]["delta"]["content"]
        return found

    return decode


async def _all(streams: int, one: Callable[[], Awaitable[None]]) -> None:
    """All of them, begun a few at a time: nobody measures the handshakes."""
    tasks = []
    for number in range(streams):
        tasks.append(asyncio.ensure_future(one()))
        if number % 20 == 19:
            await asyncio.sleep(0.01)
    await asyncio.gather(*tasks)


def memory() -> int:
    """Bytes of this process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


async def measure(kind: str, url: str, streams: int, seconds: float) -> dict[str, Any]:
    """What reading costs, once all streams speak."""
    tally, lags = Tally(), []
    await READERS[kind]("http://127.0.0.1:9", 0, tally) if kind != "polled" else None
    empty = memory()
    reading = asyncio.ensure_future(READERS[kind](url, streams, tally))
    warm_up = 1.0 + streams / 600 * (2 if url.startswith("https") else 1)
    await asyncio.wait([reading], timeout=warm_up)
    words = await tally.count()
    cpu, wall = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    if streams < _MANY:
        await asyncio.wait([reading], timeout=seconds)
    while (now := time.monotonic()) < wall + seconds and not reading.done():
        await asyncio.sleep(_LAG)
        lags.append(time.monotonic() - now - _LAG)
    weight = memory() - empty
    words = await tally.count() - words
    after, wall = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - wall
    spent = after.ru_utime + after.ru_stime - cpu.ru_utime - cpu.ru_stime
    if reading.done():
        reading.result()
    return {
        "words": words,
        "rate": words / wall,
        "cpu": spent / max(1, words),
        "core": spent / wall,
        "lag_p99": sorted(lags)[int(len(lags) * 0.99)] if lags else 0.0,
        "memory": weight / streams,
    }


def main() -> None:
    """Measure once."""
    options = argparse.ArgumentParser(prog="benchmarks.streams.reader")
    options.add_argument("kind", choices=sorted(READERS))
    options.add_argument("url")
    options.add_argument("streams", type=int)
    options.add_argument("seconds", type=float)
    options.add_argument("--uvloop", action="store_true")
    chosen = options.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None
    if chosen.uvloop:
        import uvloop

        loop = uvloop.new_event_loop
    with spared(), asyncio.Runner(loop_factory=loop) as runner:
        found = runner.run(measure(chosen.kind, chosen.url, chosen.streams, chosen.seconds))
        print(json.dumps(found), flush=True)
        os._exit(0)  # closing thousands of streams is not what is measured


if __name__ == "__main__":
    main()
