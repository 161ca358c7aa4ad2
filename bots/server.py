"""The one HTTP server of the service: whatever adapters mount, and the operator's three pages."""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager

import prometheus_client
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from core.errors import ConfigurationError

_LARGEST_BODY = 2 * 1024 * 1024  # bytes
_FINE = frozenset({"ok", "standby"})
_CLOSING = 1.0  # seconds that open streams get when the service ends
_IDLE = 75.0
"""Seconds that a connection is kept between requests, and that the head of one may take. What
stands in front commonly keeps its own for 60."""


class Health:
    """Whether the service is alive, and whether it can do its work.

    Every part that must work for the service to be ready has a line: "" when it does, "standby"
    when another process does it, else what is wrong.
    """

    def __init__(self) -> None:
        self._parts: dict[str, Callable[[], Awaitable[str]]] = {}

    def part(self, name: str, problem: Callable[[], Awaitable[str]]) -> None:
        """Watch a part; `problem` says what is wrong with it now, "" for nothing."""
        self._parts[name] = problem

    async def report(self) -> dict[str, str]:
        """Every part and its state."""
        parts = list(self._parts.items())  # a platform may come meanwhile
        return {name: await problem() or "ok" for name, problem in parts}

    async def alive(self, _request: web.Request) -> web.Response:
        """GET /healthz: the process runs and its loop turns."""
        return web.json_response({"status": "ok"})

    async def ready(self, _request: web.Request) -> web.Response:
        """GET /readyz: 200 when every part works, else 503; names what does not."""
        report = await self.report()
        fine = _FINE.issuperset(report.values())
        body = {"status": "ready" if fine else "not ready", "parts": report}
        return web.json_response(body, status=200 if fine else 503)

    async def metrics(self, _request: web.Request) -> web.Response:
        """GET /metrics: Prometheus's text format."""
        body = prometheus_client.generate_latest()
        return web.Response(
            body=body, headers={"Content-Type": prometheus_client.CONTENT_TYPE_LATEST}
        )


def _ours(record: logging.LogRecord) -> bool:
    """Whether it tells of an error of ours, and not of what somebody sent that is no HTTP: anybody
    can send that, as often as they like, and the line would repeat some of it.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


@asynccontextmanager
async def serve(
    host: str, port: int, routes: Iterable[web.RouteDef], health: Health
) -> AsyncIterator[int]:
    """Serve until the context is left; yields the port. Raises: ConfigurationError.

    Bodies come as they were sent: 400 KB of compressed nothing would be 400 MB to unpack, also
    behind a refusal, and who has to send here compresses nothing.
    """
    logging.getLogger("aiohttp.server").addFilter(_ours)
    app = web.Application(client_max_size=_LARGEST_BODY)
    app.add_routes(routes)
    app.add_routes(
        [
            web.get("/healthz", health.alive),
            web.get("/readyz", health.ready),
            web.get("/metrics", health.metrics),
        ]
    )
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=_CLOSING,
        handler_cancellation=True,
        keepalive_timeout=_IDLE,
        auto_decompress=False,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except (OSError, UnicodeError) as error:  # the latter: what is no name of a host
            raise ConfigurationError([_unavailable(host, port, error)]) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _unavailable(host: str, port: int, error: OSError | UnicodeError) -> str:
    reason = (error.strerror if isinstance(error, OSError) else None) or error
    fix = {
        errno.EADDRINUSE: "stop the program that has it, or set HTTP_PORT to another port (0 takes "
        "a free one)",
        errno.EACCES: "a port below 1024 needs a right that this process doesn't have: set "
        "HTTP_PORT to 1024 or more",
    }.get(getattr(error, "errno", None) or 0)
    if fix:
        return f"HTTP_PORT: {host}:{port} can't be used ({reason}): {fix}"
    return (
        f"HTTP_HOST: {host} can't be listened on ({reason}): "
        "set HTTP_HOST to 127.0.0.1 for this machine alone, to 0.0.0.0 for all addresses, or to "
        "one that this machine has, without http://, brackets and port"
    )


async def fetch_health(host: str, port: int, within: float) -> bool:
    """Whether a service answers on /healthz within so many seconds. Never raises."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    try:
        async with asyncio.timeout(within):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(f"GET /healthz HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            status = await reader.readline()
            writer.close()
    except (OSError, TimeoutError):
        return False
    return b" 200 " in status
