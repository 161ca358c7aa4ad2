"""A chat-completion server of many steady streams: `python -m benchmarks.streams.server`.

Every request is answered with RATE events a second until MOST events or until its client goes.
Streams are spread over the period, so that their events don't come all at once. Prints its port.
"""

import argparse
import asyncio
import contextlib
import ssl
import sys
import time
from collections.abc import Callable
from typing import cast

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
EVENT = (
    'data: {{"id":"chatcmpl-7f3c9a1e-52b0-4c7e-9a57-0d6f","object":"chat.completion.chunk",'
    '"created":1764428400,"model":"deepseek-chat","system_fingerprint":"fp_ffc7281d48_prod0820",'
    '"choices":[{{"index":0,"delta":{{"content":{text}}},"logprobs":null,'
    '"finish_reason":{finish}}}]}}\n\n'
)
SLOTS = 20
"""Parts of the period between two events; each stream speaks in one of them."""


def chunked(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


PROSE = (
    "the way of a connection that nobody reads is short and what comes on it waits in the kernel "
    "until somebody wants to show it which costs far less than being woken for every single word "
    "since most of what a word costs is neither its bytes nor its meaning but the interruption"
)
WORDS = [chunked(EVENT.format(text=f'" {word}"', finish="null").encode()) for word in PROSE.split()]
"""Of as different lengths as a model's: readers may make use of what is alike, as ours does."""
END = (
    chunked(EVENT.format(text='""', finish='"stop"').encode())
    + chunked(b"data: [DONE]\n\n")
    + b"0\r\n\r\n"
)


class Stream(asyncio.Protocol):
    """One connection; one answer at a time."""

    def __init__(self, speakers: list[set["Stream"]], most: int) -> None:
        self._speakers = speakers
        self._most = most
        self._transport: asyncio.Transport | None = None
        self._request = b""
        self._said = 0
        self._slot = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._request += data
        head, found, body = self._request.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        if len(body) < int(length or 0):
            return
        self._request, self._said = b"", 0
        self._slot = min(range(SLOTS), key=lambda slot: len(self._speakers[slot]))
        self._speakers[self._slot].add(self)
        assert self._transport is not None
        self._transport.write(HEAD)

    def speak(self) -> None:
        """The next event, or the end."""
        assert self._transport is not None
        if self._said < self._most:
            self._transport.write(WORDS[self._said % len(WORDS)])
            self._said += 1
        else:
            self._transport.write(END)
            self._speakers[self._slot].discard(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._speakers[self._slot].discard(self)


async def serve(rate: float, most: int, context: ssl.SSLContext | None) -> None:
    """Serve until standard input ends."""
    loop = asyncio.get_running_loop()
    speakers: list[set[Stream]] = [set() for _ in range(SLOTS)]
    server = await loop.create_server(
        lambda: Stream(speakers, most), "127.0.0.1", 0, ssl=context, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    ended = loop.run_in_executor(None, sys.stdin.read)
    step, due, slot = 1 / rate / SLOTS, time.monotonic(), 0
    while not ended.done():
        due += step
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        for stream in list(speakers[slot]):
            stream.speak()
        slot = (slot + 1) % SLOTS
    server.close()


def runner() -> Callable[..., None]:
    """uvloop's where it is there: this side is not what is measured."""
    with contextlib.suppress(ImportError):
        import uvloop

        return uvloop.run
    return asyncio.run


def main() -> None:
    """Serve."""
    options = argparse.ArgumentParser(prog="benchmarks.streams.server")
    options.add_argument("--rate", type=float, default=50.0)
    options.add_argument("--most", type=int, default=1_000_000)
    options.add_argument("--tls", default="", help="a file with certificate and key")
    chosen = options.parse_args()
    context = None
    if chosen.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(chosen.tls)
    runner()(serve(chosen.rate, chosen.most, context))


if __name__ == "__main__":
    main()
