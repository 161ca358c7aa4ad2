"""The stand-in's shards: who hears what, what is refused, and when a session may be begun."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.emulators.discord import DiscordServer
from tests.emulators.discord_app import DIRECT_MESSAGES, GUILD_MESSAGES, GUILDS, MESSAGE_CONTENT
from tests.emulators.discord_calls import call
from tests.emulators.discord_rules import GUILD
from tests.emulators.test_discord_gateway import Place, Wire, identity, served

HEARING = GUILDS | GUILD_MESSAGES | DIRECT_MESSAGES | MESSAGE_CONTENT
OTHER = str((int(GUILD) >> 22) + 1 << 22)
"""A guild on the next shard."""
MINE = (int(GUILD) >> 22) % 2


async def identified(place: Place, shard: list[int]) -> Wire:
    wire = await place.wire()
    await wire.send(2, identity(place.app, shard=shard))
    return wire


@pytest.mark.parametrize("shard", [[2, 2], [-1, 2], [0, 0], [0], "0", [True, 2]])
async def test_an_invalid_shard_is_refused(shard: Any) -> None:
    async with served() as place:
        assert await (await identified(place, shard)).closed() == 4010


async def test_too_many_servers_a_shard_are_refused() -> None:
    async with served() as place:
        place.gateway.servers = 0
        assert await (await identified(place, [MINE, 2])).closed() == 4011
        other = await identified(place, [1 - MINE, 2])
        assert (await other.event())[0] == "READY", "none of its servers"


async def test_one_session_a_bucket_is_begun_in_five_seconds() -> None:
    async with served(scale=1.0) as place:
        place.gateway.buckets = 2
        for number in (0, 1):
            assert (await (await identified(place, [number, 4])).event())[0] == "READY"
        late = await identified(place, [2, 4])
        assert (await late.frame())["op"] == 9, "the bucket of shard 0"


async def test_servers_and_direct_messages_are_told_to_their_shard_alone() -> None:
    async with DiscordServer(scale=0.0) as discord, aiohttp.ClientSession() as session:
        discord.world.add_guild("other", OTHER)
        place = Place(discord.gateway, discord.app, session, asyncio.Event())
        wires = {number: await place.wire() for number in (0, 1)}
        for number, wire in wires.items():
            await wire.identify(discord.app, shard=[number, 2], intents=HEARING)
            ready = await wire.frame()
            assert ready["d"]["shard"] == [number, 2]
            mine = GUILD if number == MINE else OTHER
            assert [guild["id"] for guild in ready["d"]["guilds"]] == [mine]
        discord.world.say("alice", "general", "here")
        discord.world.say("alice", "other", "there")
        discord.world.say("alice", discord.world.direct("alice"), "between us")
        discord.world.say("alice", "general", "the end")
        discord.world.say("alice", "other", "the end")
        said = {number: await texts(wire) for number, wire in wires.items()}
        assert said[MINE] == ["here"]
        assert said[1 - MINE] == ["there", "between us"], "direct messages are shard 0's"


async def texts(wire: Wire) -> list[str]:
    """What was said until the end."""
    said: list[str] = []
    while "the end" not in said:
        frame = await wire.frame()
        if frame["t"] == "MESSAGE_CREATE":
            said.append(frame["d"]["content"])
    return said[:-1]


async def test_what_discord_advises() -> None:
    async with DiscordServer() as discord:
        discord.gateway.shards, discord.gateway.buckets = 3, 16
        status, body, _ = await call(discord, "GET /gateway/bot")
        assert status == 200
        assert body["shards"] == 3
        assert body["session_start_limit"]["max_concurrency"] == 16
        assert body["session_start_limit"]["remaining"] == 1000
