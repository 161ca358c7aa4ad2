"""The SDKs with an empty handler, as processes: `python -m benchmarks.acks.empty WAY`.

WAY is socket, http or discord. Addresses and tokens come by the service's own variables. They say
the port (0 without one) on the first line; for Discord a line for every message follows, with its
id and when it came.
"""

import asyncio
import os
import sys
import time

import discord
import yarl
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient


def _app() -> AsyncApp:
    client = AsyncWebClient(
        token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"]
    )
    app = AsyncApp(client=client, signing_secret=os.environ.get("SLACK_SIGNING_SECRET", "none"))

    @app.event("app_mention")
    async def _mentioned() -> None:
        pass

    return app


async def _socket() -> None:
    handler = AsyncSocketModeHandler(_app(), os.environ["SLACK_APP_TOKEN"])
    await handler.connect_async()  # type: ignore[no-untyped-call]
    print(0, flush=True)
    await asyncio.Event().wait()


async def _http() -> None:
    app = _app()

    async def received(request: web.Request) -> web.Response:
        return await to_aiohttp_response(await app.async_dispatch(await to_bolt_request(request)))

    application = web.Application()
    application.router.add_post("/slack/events", received)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


async def _discord() -> None:
    discord.http.Route.BASE = os.environ["DISCORD_API_URL"]
    gateway = yarl.URL(os.environ["DISCORD_GATEWAY_URL"])
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = gateway
    intents = discord.Intents.none()
    intents.guilds = intents.guild_messages = intents.message_content = True
    client = discord.Client(intents=intents, guild_ready_timeout=0, max_messages=None)

    @client.event
    async def on_ready() -> None:
        print(0, flush=True)

    @client.event
    async def on_message(message: discord.Message) -> None:
        print(message.id, time.time(), flush=True)

    @client.event
    async def on_interaction(interaction: discord.Interaction) -> None:
        await interaction.response.defer()

    await client.start(os.environ["DISCORD_BOT_TOKEN"])


if __name__ == "__main__":
    asyncio.run({"socket": _socket, "http": _http, "discord": _discord}[sys.argv[1]]())
