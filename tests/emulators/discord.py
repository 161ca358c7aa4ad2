"""A Discord on the loopback: `async with DiscordServer() as discord`, then point the client at it.

`api_url` is the client's `Route.BASE`, `gateway_url` its `DEFAULT_GATEWAY`. People act through
`world` and `interactions`, trouble is in `faults` and `gateway`, what happened is in `record`.
"""

from types import TracebackType
from typing import Self

from aiohttp import web

from tests.emulators import discord_commands, discord_responses
from tests.emulators.discord_app import App
from tests.emulators.discord_events import Events
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_gateway import Gateway
from tests.emulators.discord_interactions import Interactions
from tests.emulators.discord_limits import Limits
from tests.emulators.discord_record import Record
from tests.emulators.discord_rest import Rest
from tests.emulators.discord_routes import Context
from tests.emulators.discord_rules import BOT
from tests.emulators.discord_world import World
from tests.emulators.faults import Faults

TOKEN_LIFE, NONCE_LIFE = 900.0, 300.0


class DiscordServer:
    """One guild with one installed app, served on 127.0.0.1.

    scale: of every long wait: windows of rate limits, the 15 minutes of an interaction's token, the
    minutes that nonces are remembered. ack_timeout: real seconds to answer an interaction
    (Discord's 3). limits: the rate limits; unlimited switches them off. seed: of all chance.
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
    ) -> None:
        self.app = app or App()
        self.world = World()
        self.record = Record(self.world)
        self.faults = Faults(Fault, seed)
        self.limits = None if unlimited else limits or Limits(scale=scale)
        self.context = Context(
            app=self.app,
            world=self.world,
            record=self.record,
            limits=self.limits,
            ack_timeout=ack_timeout,
            token_life=TOKEN_LIFE * scale,
            nonce_life=NONCE_LIFE * scale,
        )
        scene = Events(self.world, self.app)
        self.gateway = Gateway(self.app, scene, scale=scale, changed=self.record.ring)
        scene.connect(self.gateway)
        self.context.gateway = self.gateway
        self.interactions = Interactions(self.context)
        self.rest = Rest(self.context, self.faults)
        self.rest.join(discord_commands.ROUTES)
        self.rest.join(discord_responses.ROUTES)
        self.wait_for = self.record.wait_for
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._port = 0

    @property
    def mention(self) -> str:
        """How a person mentions the bot in a text."""
        return f"<@{BOT}>"

    @property
    def url(self) -> str:
        """http://127.0.0.1:PORT"""
        return f"http://127.0.0.1:{self._port}"

    @property
    def api_url(self) -> str:
        """The base of the REST API, without a slash at the end."""
        return f"{self.url}/api/v10"

    @property
    def gateway_url(self) -> str:
        """Where the client's websocket connects."""
        return f"ws://127.0.0.1:{self._port}/gateway/"

    @property
    def nonces_readable(self) -> bool:
        """Whether reading messages tells their nonces, which Discord doesn't promise."""
        return self.context.nonces_readable

    @nonces_readable.setter
    def nonces_readable(self, value: bool) -> None:
        self.context.nonces_readable = value

    @property
    def tells_answers(self) -> bool:
        """Whether a callback names the message that it made, where that is asked for."""
        return self.context.tells_answers

    @tells_answers.setter
    def tells_answers(self, value: bool) -> None:
        self.context.tells_answers = value

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=25 * 2**20)
        application.router.add_route("*", "/api{rest:.*}", self._rest)
        application.router.add_get("/gateway/", self.gateway.connect)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await self.come_back()
        self.gateway.address = f"ws://127.0.0.1:{self._port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.gateway.close()
        if self._runner:
            await self._runner.cleanup()

    async def _rest(self, request: web.Request) -> web.StreamResponse:
        return await self.rest.handle(request)

    async def go_away(self) -> None:
        """Discord is down: every connection is cut, new ones are refused. People may write on."""
        assert self._site is not None and self._runner is not None
        await self._site.stop()
        self._site = None
        for connection in list(self._runner.server.connections if self._runner.server else ()):
            if connection.transport is not None:
                connection.transport.abort()

    async def come_back(self) -> None:
        """Discord is up again, on the same port."""
        assert self._runner is not None
        self._site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await self._site.start()
        self._port = self._runner.addresses[0][1]
