"""A thin DeepSeek: streams without an end, so many tokens a second each, over bare sockets.

A token is an event of its own in a chunk of its own, as the API sends them. The connections take
turns, so that tokens don't come all at once. A reader that is half a second behind gets no more
until it isn't: what would pile up in the kernel's buffers would be read for minutes.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

from benchmarks.far_ends.process import obey

SLICES = 25
LOOKING, BEHIND = 0.4, 0.5  # seconds: between two looks at what is unread, and how much may be
_TEXT = (
    "The sky is blue because air scatters short waves of light more than long ones , and so what "
    "reaches us from all over it is mostly blue ; at dusk the way is longer .\n\n Hence the red ."
)
_WORDS = _TEXT.split(" ")
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n"
)


def _event(text: str, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": finish}
    body: dict[str, Any] = {
        "id": "0b5d3f0e-6c2e-4a53-9d2c-1f7f8d2a9b11",
        "object": "chat.completion.chunk",
        "created": 1764000000,
        "model": "deepseek-v3",
        "choices": [choice],
    }
    body["system_fingerprint"] = "fp_bench"
    data = b"data: " + json.dumps(body).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


TOKENS = [_event(word if word == "\n\n" else f"{word} ") for word in _WORDS]
SIZE = sum(map(len, TOKENS)) / len(TOKENS)


class _Stream(asyncio.Protocol):
    """One connection: a request, then the answer that grows until the server is told to end it."""

    def __init__(self, server: "DeepSeek") -> None:
        self.transport: Any = None
        self.at = 0
        self.full = False
        self._server = server
        self._asked = bytearray()
        self._wanted = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._asked += data
        if self._wanted < 0:
            head, found, _ = bytes(self._asked).partition(b"\r\n\r\n")
            if not found:
                return
            length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
            self._wanted = len(head) + 4 + int(length or 0)
        if len(self._asked) >= self._wanted:
            self._asked.clear()
            self._wanted = -1
            self.transport.write(_HEAD)
            self._server.add(self)

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False

    def connection_lost(self, error: Exception | None) -> None:
        self._server.remove(self)


class DeepSeek:
    """rate: tokens a second and stream; 0: streams begin, but no token comes. sent: so far."""

    def __init__(self) -> None:
        self.rate = 0.0
        self.sent = 0
        self._port = 0
        self._slices: list[dict[_Stream, None]] = [{} for _ in range(SLICES)]

    def add(self, stream: _Stream) -> None:
        min(self._slices, key=len)[stream] = None

    def remove(self, stream: _Stream) -> None:
        for each in self._slices:
            each.pop(stream, None)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Stream(self), "127.0.0.1", 0, backlog=4096)
        self._port = server.sockets[0].getsockname()[1]
        writing = asyncio.create_task(self._write())
        await obey({"url": f"http://127.0.0.1:{self._port}"}, self._obey)
        writing.cancel()

    async def _obey(self, command: dict[str, Any]) -> Any:
        if command["do"] == "flow":
            self.rate = command["rate"]
        return {"streams": self._live(), "sent": self.sent, "unread": self._unread()}

    def _live(self) -> int:
        return sum(map(len, self._slices))

    def _unread(self) -> float:
        """Tokens that were sent and not read."""
        streams = (stream for each in self._slices for stream in each)
        waiting = sum(stream.transport.get_write_buffer_size() for stream in streams)
        return float(waiting + _unread(self._port)) / SIZE

    async def _write(self) -> None:
        """Each slice in its turn; one that is late is not made up for."""
        clock = asyncio.get_running_loop().time
        due = look = clock()
        behind = False
        while True:
            if clock() >= look:
                look = clock() + LOOKING
                behind = self._unread() > BEHIND * self.rate * self._live()
            for each in self._slices:
                round_ = 1 / (self.rate or 40.0)
                due = max(due + round_ / SLICES, clock() - round_)
                if (wait := due - clock()) > 0:
                    await asyncio.sleep(wait)
                if self.rate and not behind:
                    self._write_to(list(each))
            await asyncio.sleep(0)

    def _write_to(self, streams: list[_Stream]) -> None:
        for stream in streams:
            if not stream.full:
                stream.transport.write(TOKENS[stream.at % len(TOKENS)])
                stream.at += 1
                self.sent += 1


def _unread(port: int) -> int:
    """Bytes on their way from this port: not yet read by the other side, or not yet sent."""
    total = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(field.rpartition(":")[2], 16) for field in fields[1:3])
        sending, received = (int(part, 16) for part in fields[4].split(":"))
        total += received if remote == port else sending if local == port else 0
    return total


if __name__ == "__main__":
    asyncio.run(DeepSeek().run())
