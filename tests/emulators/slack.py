"""A Slack on the loopback: `async with SlackServer() as slack`, then point the real SDK at it.

`slack.api_url` is the SDK's `base_url`. People act through `slack.workspace` and `slack.events`,
trouble is in `slack.faults`, what happened is in `slack.record` and `slack.deliverer`.
"""

from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.emulators.faults import Faults
from tests.emulators.slack_app import App
from tests.emulators.slack_delivery import Deliverer, Delivery, SocketMode
from tests.emulators.slack_events import Events
from tests.emulators.slack_faults import Fault
from tests.emulators.slack_http_events import HttpEvents
from tests.emulators.slack_limits import Limits
from tests.emulators.slack_methods import World
from tests.emulators.slack_record import Record
from tests.emulators.slack_web_api import WebApi
from tests.emulators.slack_workspace import BOT_USER, Workspace

STATUS_LIFE, STREAM_LIFE = 120.0, 300.0


class SlackServer:
    """One workspace with one installed app, served on 127.0.0.1.

    scale: of every long wait: redelivery after 1 and 5 minutes, the 2 minutes of a status, the 5 of
    a stream, the minute of a rate budget. ack_timeout: real seconds (Slack's 3). limits: the rate
    budgets, a token bucket by default; unlimited switches them off. seed: of all chance.
    stream_life: real seconds after which Slack ends a stream, instead of the 5 minutes.
    """

    def __init__(
        self,
        app: App | None = None,
        *,
        scale: float = 1.0,
        ack_timeout: float = 3.0,
        limits: Limits | None = None,
        unlimited: bool = False,
        seed: int = 0,
        stream_life: float | None = None,
    ) -> None:
        self.app = app or App()
        self.workspace = Workspace()
        self.record = Record(self.workspace, STATUS_LIFE * scale)
        self.faults = Faults(Fault, seed)
        self.limits = None if unlimited else limits or Limits(scale=scale)
        self.sockets = SocketMode(ack_timeout, seed, self.record.ring)
        self.http = HttpEvents(self.app, ack_timeout)
        self.deliverer = Deliverer(self, scale, self.record.ring)
        self.events = Events(self.workspace, self.app, self.deliverer.send, seed)
        self.wait_for = self.record.wait_for
        self._stream_life = STREAM_LIFE * scale if stream_life is None else stream_life
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._port = 0

    @property
    def mention(self) -> str:
        """How a person mentions the bot in a text."""
        return f"<@{BOT_USER}>"

    @property
    def url(self) -> str:
        """http://127.0.0.1:PORT"""
        return f"http://127.0.0.1:{self._port}"

    @property
    def api_url(self) -> str:
        """The base of the Web API, with the slash at the end."""
        return f"{self.url}/api/"

    async def attempt(self, delivery: Delivery, reason: str) -> None:
        """Deliver over HTTP once a request address is known, by Socket Mode before."""
        await (self.http if self.http.url else self.sockets).attempt(delivery, reason)

    async def subscribe(self, url: str) -> bool:
        """Save the app's request address, as on Slack's settings page: events go there from now on.

        False when the address did not answer the challenge.
        """
        return await self.http.verify(url)

    def payload(self, **event: Any) -> dict[str, Any]:
        """A whole event payload around these fields, for forged or odd deliveries."""
        return self.events.payload(event)

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=2**24)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        application.router.add_get("/link/", self.sockets.connect)
        application.router.add_route("*", "/api/{method}", self._api)
        await self._runner.setup()
        await self.come_back()
        world = World(
            app=self.app,
            workspace=self.workspace,
            record=self.record,
            new_socket=self.sockets.ticket,
            address=self.url,
            stream_life=self._stream_life,
        )
        self.api = WebApi(world, self.limits, self.faults)
        self.sockets.address = f"ws://127.0.0.1:{self._port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.deliverer.close()
        await self.sockets.close()
        await self.http.close()
        self.record.close()
        if self._runner:
            await self._runner.cleanup()

    async def _api(self, request: web.Request) -> web.StreamResponse:
        return await self.api.handle(request)

    async def go_away(self) -> None:
        """Slack is down: every connection is cut, new ones are refused. People may write on."""
        assert self._site is not None and self._runner is not None
        await self._site.stop()
        self._site = None
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            if connection.transport is not None:
                connection.transport.abort()

    async def come_back(self) -> None:
        """Slack is up again, on the same port."""
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await self._site.start()
        self._port = self._runner.addresses[0][1]
