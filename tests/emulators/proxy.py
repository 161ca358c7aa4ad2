"""An HTTP proxy on the loopback, and behind it far ends with names and certificates of their own.

Names in `.test` are known to no resolver (RFC 6761): who reaches one came through the proxy. TLS
ends behind it, so it sees only which host was asked for.
"""

import asyncio
import base64
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import trustme

_Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class ProxyServer:
    """far: the address of the plain server on the loopback that each name stands for.

    user: `name:password` that it wants, none when empty. refusing: the status that is given for
    every name, or for those in `closed`. mute: it says nothing at all.
    asked: the host and port of every request, let through or not. tunnels: how many were opened.
    """

    def __init__(self, far: Mapping[str, str], user: str = "") -> None:
        self.user = user
        self.refusing = 0
        self.closed: set[str] = set()
        self.mute = False
        self.asked: list[str] = []
        self.tunnels = 0
        self._plain = {name: urlsplit(url).port or 0 for name, url in far.items()}
        self._secure: dict[str, int] = {}
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.authority = trustme.CA()
        self._port = 0

    @property
    def url(self) -> str:
        """Its address, with the user where it wants one."""
        return f"http://{self.user}{'@' if self.user else ''}{self.place}"

    @property
    def place(self) -> str:
        """Its host and port."""
        return f"127.0.0.1:{self._port}"

    @property
    def hosts(self) -> set[str]:
        """All that were asked for."""
        return {place.partition(":")[0] for place in self.asked}

    def trust(self, folder: Path) -> str:
        """A file for SSL_CERT_FILE: whoever reads it trusts the far ends."""
        path = folder / "authority.pem"
        self.authority.cert_pem.write_to_path(str(path))
        return str(path)

    async def __aenter__(self) -> Self:
        for name, port in self._plain.items():
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self.authority.issue_cert(name).configure_cert(context)
            self._secure[name] = await self._serve(_Pipe(port), context)
        self._port = await self._serve(self._connection)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # until the loop has let go of what was cut off

    async def _serve(self, handler: _Handler, tls: ssl.SSLContext | None = None) -> int:
        async def kept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                await handler(reader, writer)
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                self._tasks.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(kept, "127.0.0.1", 0, ssl=tls)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if self.mute:
            await reader.read()
        method, target, _ = head.decode().split(" ", 2)
        tunnel = method == "CONNECT"
        place = target if tunnel else urlsplit(target).netloc
        self.asked.append(place)
        name = place.partition(":")[0]
        port = (self._secure if tunnel else self._plain).get(name)
        status = 407 if not self._admits(head) else 0 if port else 502
        if self.refusing and (not self.closed or name in self.closed):
            status = self.refusing
        if status or port is None:
            wanted = 'Proxy-Authenticate: Basic realm="x"\r\n' if status == 407 else ""
            writer.write(f"HTTP/1.1 {status} No\r\n{wanted}Content-Length: 0\r\n\r\n".encode())
            await writer.drain()
            return
        if tunnel:
            self.tunnels += 1
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await _Pipe(port, b"" if tunnel else head)(reader, writer)

    def _admits(self, head: bytes) -> bool:
        told = f"proxy-authorization: basic {base64.b64encode(self.user.encode()).decode()}\r\n"
        return not self.user or told.lower() in head.decode().lower()


class _Pipe:
    """Hands everything on to a port of the loopback, and back. first: what was read already."""

    def __init__(self, port: int, first: bytes = b"") -> None:
        self._port = port
        self._first = first

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until one of the two ends."""
        inner, outer = await asyncio.open_connection("127.0.0.1", self._port)
        outer.write(self._first)
        ways = [
            asyncio.create_task(_copy(reader, outer)),
            asyncio.create_task(_copy(inner, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            outer.transport.abort()
            await asyncio.gather(*ways, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
