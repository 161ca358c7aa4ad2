"""Slack's events over a WebSocket that we open: Socket Mode, kept alive.

docs.slack.dev/apis/events-api/using-socket-mode. An envelope is acknowledged by the SDK after the
dispatch answered 200, and not at all otherwise: then Slack delivers it again.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import structlog
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest

from core.errors import ConfigurationError, RateLimited, Unreachable
from core.proxies import Proxies

log = structlog.get_logger()

PING = 5.0
"""Seconds between pings; a connection without an answer for four of them is replaced."""

CONNECT = 3
"""Pings that dialling may take."""

REFUSED = 6
"""Pings until an address is asked for again that Slack has refused."""

DRAIN = 5.0
"""Seconds at the end for envelopes in work to be committed and acknowledged."""


Ask = Callable[[], Awaitable[str]]
"""apps.connections.open: a new address, good for one connection."""

Linked = Callable[[bool], None]


class _Client(SocketModeClient):
    """The SDK's client, with four gaps closed (slack_sdk 3.47 socket_mode).

    It holds on to the task of every frame; else one could be collected before it ends, and none
    could be awaited at the end. It asks for addresses and dials them within limits of time; else
    both could hang for five minutes, about as long as Slack keeps an event. And each address is
    dialled through the proxy that it should be; else all are through the first that the environment
    names.
    """

    def __init__(
        self, app: AsyncApp, app_token: str, ask: Ask, ping: float, proxies: Proxies
    ) -> None:
        super().__init__(app_token, app.logger, app.client, ping_interval=ping)
        self._ask = ask
        self._proxies = proxies
        self.refused = ""  # why Slack gives no address
        self._asked_at = float("-inf")
        self.running: set[asyncio.Task[None]] = set()

    async def issue_new_wss_url(self) -> str:
        """A new address; it is not asked for again before Slack says that it may be, nor within a
        ping: Slack may take each new connection back at once (`too_many_websockets`).
        """
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._asked_at + self.ping_interval - clock())
            self._asked_at = clock()
            try:
                url = await self._ask()
            except RateLimited as limited:
                log.warning("slack.socket_waits", seconds=limited.retry_after)
                await asyncio.sleep(limited.retry_after)
            except ConfigurationError as refused:  # Socket Mode was switched off, say
                self.refused, pause = str(refused), REFUSED * self.ping_interval
                log.error("slack.socket_refused", fix=self.refused, again_in=pause)
                await asyncio.sleep(pause)
            else:
                self.refused = ""
                self.dial(url)
                return url

    def dial(self, url: str) -> None:
        """The next connection is opened to this address."""
        self.wss_uri, self.proxy = url, self._proxies.of(url)

    async def limit_dialling(self) -> None:
        """Dial with a limit of time; it doesn't touch a connection that is open."""
        await self.aiohttp_client_session.close()
        limit = aiohttp.ClientTimeout(total=CONNECT * self.ping_interval)
        self.aiohttp_client_session = aiohttp.ClientSession(timeout=limit)

    async def process_message(self) -> None:
        """Take the next frame and work on it beside the others."""
        raw: str = await self.message_queue.get()
        message = json.loads(raw) if raw.startswith("{") else {}
        task = asyncio.create_task(self.run_message_listeners(message, raw))
        self.running.add(task)
        task.add_done_callback(self.running.discard)

    @property
    def loops(self) -> list["asyncio.Future[Any]"]:
        """The tasks that live as long as the connection."""
        tasks = (self.message_receiver, self.message_processor, self.current_session_monitor)
        return [task for task in tasks if task is not None]


class _Handler(AsyncSocketModeHandler):
    """Bolt's handler over our client. working: the tasks that dispatch and acknowledge."""

    client: _Client

    def __init__(
        self, app: AsyncApp, app_token: str, ask: Ask, ping: float, proxies: Proxies
    ) -> None:
        self.app = app
        self.app_token = app_token
        self.client = _Client(app, app_token, ask, ping, proxies)
        self.working: set[asyncio.Task[Any]] = set()
        self.client.socket_mode_request_listeners.append(self.handle)  # type: ignore[arg-type]

    async def handle(self, client: SocketModeClient, req: SocketModeRequest) -> None:  # type: ignore[override]
        """Dispatch one envelope and acknowledge it if that succeeded."""
        if task := asyncio.current_task():
            self.working.add(task)
            task.add_done_callback(self.working.discard)
        await super().handle(client, req)


class Socket:
    """One connection, replaced by the SDK when Slack refreshes it or it dies, and watched here.

    linked: told False when it was lost or replaced, and True when one is there again.
    up: whether it was connected when last looked at, at most a ping ago.
    """

    def __init__(
        self,
        app: AsyncApp,
        app_token: str,
        ask: Ask,
        linked: Linked,
        proxies: Proxies,
        ping: float = PING,
    ) -> None:
        self._handler = _Handler(app, app_token, ask, ping, proxies)
        self._proxies = proxies
        self._linked = linked
        self._ping = ping
        self._watch: asyncio.Task[None] | None = None
        self.up = False

    def problem(self) -> str:
        """Why no events come; empty while they do."""
        if self.up:
            return ""
        return f"the socket is down; {self._handler.client.refused or 'redialling'}"

    async def open(self, url: str) -> None:
        """Connect to the first address. Raises: Unreachable."""
        client = self._handler.client
        self._watch = asyncio.create_task(self._keep())
        try:
            client.dial(url)
            await client.limit_dialling()
            async with asyncio.timeout(CONNECT * self._ping):
                await self._handler.connect_async()  # type: ignore[no-untyped-call]
            self.up = True
        except BaseException as error:
            await self.close()
            if not isinstance(error, TimeoutError):
                raise
            why = self._proxies.trouble(url, error) or "is wss:// let through?"
            raise Unreachable(f"Slack's socket can't be opened; {why}") from error

    async def close(self) -> None:
        """Take no more, finish and acknowledge what is in work, disconnect. No task is left."""
        client = self._handler.client
        client.auto_reconnect_enabled = False
        taking = [task for task in (self._watch, *client.loops) if task is not None]
        for task in taking:
            task.cancel()
        if self._handler.working:
            await asyncio.wait(self._handler.working, timeout=DRAIN)
        left = list(client.running)
        for task in left:
            task.cancel()
        try:
            async with asyncio.timeout(DRAIN):
                await self._handler.close_async()  # type: ignore[no-untyped-call]
        except TimeoutError:
            await client.aiohttp_client_session.close()
        await asyncio.gather(*taking, *left, *client.loops, return_exceptions=True)

    async def _keep(self) -> None:
        """Notice losses, and help the SDK out of dialling one address for ever.

        An address is good for one connection, for a short time; when dialling fails, the SDK dials
        the same one again (slack_sdk 3.47 socket_mode/aiohttp, connect). Without one it asks.
        """
        client = self._handler.client
        session = None
        while True:
            await asyncio.sleep(self._ping)
            connected = await client.is_connected()
            if session not in (None, client.current_session) or not connected:
                self._linked(False)  # nobody knows for how long there was none
            if connected:
                session = client.current_session
                self._linked(True)
            if not connected:
                client.wss_uri = None
            if connected != self.up:
                log.info("slack.socket_up") if connected else log.warning("slack.socket_down")
            self.up = connected
