"""An answer that never ends doesn't fill the memory."""

import aiohttp
import pytest
from aiohttp import web

from adapters.discord import calls
from adapters.discord.calls import Api
from bots.server import Health, serve
from core.errors import Unreachable


async def test_an_answer_that_never_ends_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.bodies.MOST", 1_000)
    size = 900

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"id": "1" * size})

    async with (
        serve("127.0.0.1", 0, [web.get("/users/@me", answer)], Health()) as port,
        aiohttp.ClientSession() as session,
    ):
        api = Api("token", f"http://127.0.0.1:{port}", session)
        assert (await api.call(calls.ME, {})).body == {"id": "1" * 900}
        size = 1_100
        with pytest.raises(Unreachable):
            await api.call(calls.ME, {})
