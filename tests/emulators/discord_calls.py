"""How the tests of the Discord stand-in call it: the real client signed in, and raw calls."""

from typing import Any

import aiohttp
import discord
from discord.http import Route

from tests.emulators.discord import DiscordServer

AGENT = "DiscordBot (https://example.invalid, 1.0)"
WRITE = "POST /channels/{general}/messages"


class signed_in:  # noqa: N801 -- reads as a phrase where it is used
    """The real client, logged in at a server, without a gateway."""

    def __init__(self, server: DiscordServer) -> None:
        self._server, self._base = server, Route.BASE
        self._client = discord.Client(intents=discord.Intents.default())

    async def __aenter__(self) -> discord.Client:
        Route.BASE = self._server.api_url
        await self._client.login(self._server.app.token)
        return self._client

    async def __aexit__(self, *_: object) -> None:
        Route.BASE = self._base
        await self._client.close()


async def text_channel(client: discord.Client, server: DiscordServer, name: str) -> Any:
    return await client.fetch_channel(int(server.world.channel(name).id))


async def call(
    server: DiscordServer, route: str, body: Any = None, **headers: str
) -> tuple[int, Any, Any]:
    """A raw call; `{name}` in the path is the id of a channel. Status, body, headers."""
    method, path = route.split(" ")
    ids = {c.name.replace("-", "_"): c.id for c in server.world.channels.values() if c.name}
    sent = {"User-Agent": AGENT, "Authorization": f"Bot {server.app.token}"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    url = server.api_url + path.format(**ids)
    kwargs: Any = {"data": body} if isinstance(body, (str, bytes)) else {"json": body}
    if body is None:
        kwargs = {}
    skip = [name for name, value in sent.items() if not value]
    sent = {name: value for name, value in sent.items() if value}
    async with (
        aiohttp.ClientSession(skip_auto_headers=skip) as session,
        session.request(method, url, headers=sent, **kwargs) as answer,
    ):
        is_json = answer.content_type == "application/json"
        return answer.status, await (answer.json() if is_json else answer.text()), answer.headers
