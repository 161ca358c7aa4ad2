"""The way to the server, which a test can cut, stall, or break at a certain word."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path


class Gateway:
    """Forwards a loopback port to a server.

    cut_at: connections break when the client says this, which does not reach the server.
    stall_at: nothing goes on from when the client says this, which does not reach the server.
    cut_behind: they break when the client said this, before it learns the answer.
    answer: what the client is told in the server's place for what it says; empty: it goes on.
    """

    def __init__(self, directory: Path) -> None:
        self.lead_to(directory)
        self._tasks: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self.port = 0
        self.open = True
        self.cut_at = b""
        self.stall_at = b""
        self.cut_behind = b""
        self.answer: Callable[[bytes], bytes] = lambda said: b""

    def lead_to(self, directory: Path) -> None:
        """Forward new connections to the server whose socket is there; those that are stay."""
        self._target = directory / ".s.PGSQL.5432"

    def cut(self) -> None:
        """Break every connection; new ones break at once too."""
        self.open = False
        for task in self._tasks:
            task.cancel()

    def mend(self) -> None:
        """Let new connections through, and go on with what was stalled."""
        self.open = True
        self.cut_at = self.stall_at = self.cut_behind = b""
        self._flowing.set()

    def stall(self) -> None:
        """Forward nothing more, and say nothing of it."""
        self._flowing.clear()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._join(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there: asyncio.StreamWriter | None = None
        try:
            with suppress(OSError, asyncio.CancelledError):
                if not self.open:
                    return
                back, there = await asyncio.open_unix_connection(self._target)
                ways = [
                    asyncio.ensure_future(self._forward(reader, there, writer)),
                    asyncio.ensure_future(self._forward(back, writer)),
                ]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
        finally:
            for end in (writer, there):
                if end:
                    end.transport.abort()

    async def _forward(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        asked: asyncio.StreamWriter | None = None,
    ) -> None:
        """asked: the way back to the client, where this is the one from it."""
        while data := await source.read(65536):
            if asked and (answer := self.answer(data)):
                asked.write(answer)
                continue
            if asked and self.stall_at and self.stall_at in data:
                self.stall()
            await self._flowing.wait()
            if asked and self.cut_at and self.cut_at in data:
                return
            last = asked and self.cut_behind and self.cut_behind in data
            if last:
                self._flowing.clear()
            target.write(data)
            await target.drain()
            if last:
                await asyncio.sleep(0.2)  # long enough for the server to do it
                return

    async def close(self) -> None:
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def gateway(directory: Path) -> AsyncGenerator[Gateway, None]:
    """A gateway to the server whose socket is in the directory."""
    way = Gateway(directory)
    server = await asyncio.start_server(way.accept, "127.0.0.1", 0)
    way.port = server.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        server.close()
        await way.close()
