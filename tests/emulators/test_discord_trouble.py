"""The Discord stand-in in trouble: rate limits, faults, outages, what the client makes of them."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import discord
import pytest

from tests.emulators.discord import DiscordServer
from tests.emulators.discord_calls import AGENT, WRITE, call, signed_in, text_channel
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_limits import Budget, Limits
from tests.emulators.faults import Tail

POST, EDIT = "POST /channels/{channel}/messages", "PATCH /channels/{channel}/messages/{message}"


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer(unlimited=True, scale=0.001) as running:
        yield running


@pytest.fixture
async def client(server: DiscordServer) -> AsyncIterator[discord.Client]:
    async with signed_in(server) as ready:
        yield ready


async def test_every_answer_tells_its_bucket_and_the_sixth_post_must_wait() -> None:
    async with DiscordServer() as server:
        answers = [await call(server, WRITE, {"content": "x"}) for _ in range(6)]
        left = [headers["X-RateLimit-Remaining"] for _, _, headers in answers]
        assert left == ["4", "3", "2", "1", "0", "0"]
        assert {headers["X-RateLimit-Limit"] for _, _, headers in answers} == {"5"}
        status, body, headers = answers[-1]
        assert status == 429 and body["message"] == "You are being rate limited."
        assert 4 < body["retry_after"] <= 5 and body["global"] is False
        assert headers["Retry-After"] == "5" and headers["Via"]
        assert float(headers["X-RateLimit-Reset"]) == pytest.approx(time.time() + 5, abs=1)
        other = await call(server, "POST /channels/{random}/messages", {"content": "x"})
        assert other[0] == 200 and len(server.record.too_fast) == server.record.invalid == 1
        assert other[2]["X-RateLimit-Bucket"] == headers["X-RateLimit-Bucket"]
        assert len(server.record.visible("general")) == 5


async def test_the_global_limit_spares_nobody_but_interactions() -> None:
    limits = Limits(everything=Budget(2, 60.0))
    async with DiscordServer(limits=limits) as server:
        paths = ["GET /users/@me", "GET /channels/{general}", "GET /channels/{random}"]
        answers = [await call(server, path) for path in paths]
        assert [status for status, _, _ in answers] == [200, 200, 429]
        assert answers[2][1]["global"] and answers[2][2]["X-RateLimit-Global"] == "true"
        free = replace(server.rest._routes[0][2], counted=False)
        server.rest.join({"GET /free": replace(free, run=lambda _: {}, auth=False)})
        assert (await call(server, "GET /free"))[0] == 200


async def test_the_client_keeps_to_the_buckets_by_itself() -> None:
    async with DiscordServer(scale=0.1) as server, signed_in(server) as client:
        channel = await text_channel(client, server, "general")
        began = time.monotonic()
        for number in range(6):
            await channel.send(str(number))
        assert 0.4 < time.monotonic() - began < 3
        assert server.record.too_fast == [] and len(server.record.visible("general")) == 6


async def test_messages_older_than_an_hour_take_few_edits() -> None:
    limits = Limits(old_edits=Budget(1, 60.0))
    async with DiscordServer(limits=limits) as server:
        _, message, _ = await call(server, WRITE, {"content": "x"})
        server.world.age(message["id"], 3700)
        path = "PATCH /channels/{general}/messages/" + message["id"]
        assert (await call(server, path, {"content": "y"}))[0] == 200
        status, body, headers = await call(server, path, {"content": "z"})
        assert (status, body["code"]) == (429, 30046) and body["retry_after"] > 50
        assert headers["Via"] and server.record.visible("general") == ["y"]


async def test_trouble_comes_as_planned(server: DiscordServer, client: discord.Client) -> None:
    channel = await text_channel(client, server, "general")
    server.faults.add(Fault(POST, retry_after=0.05))
    await channel.send("patient")
    server.faults.add(Fault(POST, retry_after=0.05, via=False))
    with pytest.raises(discord.HTTPException) as caught:
        await channel.send("banned")
    assert caught.value.status == 429 and len(server.record.too_fast) == 2
    server.faults.add(Fault(POST, code=50013))
    with pytest.raises(discord.Forbidden):
        await channel.send("no")
    server.faults.add(Fault(POST, status=503))
    with pytest.raises(discord.DiscordServerError):
        await channel.send("broken")
    assert server.record.visible("general") == ["patient"]
    for cut, seen in (("before", ["patient"]), ("after", ["patient", "cut"])):
        server.faults.add(Fault(POST, cut=cut))  # type: ignore[arg-type]
        with pytest.raises(aiohttp.ClientError):
            await call(server, WRITE, {"content": "cut"})
        assert server.record.visible("general") == seen and server.record.calls[-1].status == 0
    server.faults.add(Fault(EDIT, delay=0.15))
    server.faults.tails.append(Tail("GET /users/@me", 1.0, 0.1, 0.1))
    began = time.monotonic()
    await call(server, "GET /users/@me")
    assert time.monotonic() - began > 0.09
    id_ = server.record.bot_messages()[0]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await call(server, f"PATCH /channels/{{general}}/messages/{id_}", {"content": "late"})
    await server.wait_for(lambda: "late" in server.record.visible("general"))
    server.faults.add(Fault(POST, times=9, status=502))
    server.faults.clear()
    assert (await call(server, WRITE, {"content": "calm"}))[0] == 200


async def test_discord_goes_away_and_comes_back_on_the_same_port(server: DiscordServer) -> None:
    before = server.api_url
    await server.go_away()
    with pytest.raises(aiohttp.ClientError):
        await call(server, "GET /users/@me")
    await server.come_back()
    assert server.api_url == before and (await call(server, "GET /users/@me"))[0] == 200
    for version in ("/api/v9", "/api", "/api/v10"):
        async with (
            aiohttp.ClientSession(headers={"User-Agent": AGENT}) as session,
            session.get(f"{server.url}{version}/users/@me") as answer,
        ):
            assert answer.status == 401
            assert await answer.json() == {"message": "401: Unauthorized", "code": 0}


async def test_typing_is_seen_and_waiting_ends(
    server: DiscordServer, client: discord.Client
) -> None:
    channel = await text_channel(client, server, "general")
    async with channel.typing():
        await server.wait_for(lambda: server.record.typings("general"))
    assert len(server.record.typings("general")) == 1
    with pytest.raises(AssertionError, match="typing"):
        await server.wait_for(lambda: False, timeout=0.05)
