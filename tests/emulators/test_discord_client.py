"""The real discord.py at the stand-in's gateway: what it hears, survives and refuses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import discord
import pytest
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from tests.emulators import discord_rules as rules
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_rules import BOT, GUILD


class Bot(discord.Client):
    """Keeps what it hears. counts: how often each gateway happening came."""

    def __init__(self, server: DiscordServer, **options: Any) -> None:
        super().__init__(
            intents=options.pop("intents", None) or usual(), guild_ready_timeout=0.05, **options
        )
        self.server, self.heard = server, list[discord.Message]()
        self.texts: list[str] = []
        self.counts: dict[str, int] = {}
        self.tree = discord.app_commands.CommandTree(self)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """No pause before a second identify: the stand-in's clock is fast."""

    async def on_message(self, message: discord.Message) -> None:
        self.heard.append(message)
        self.texts.append(message.content)
        self.server.record.ring()

    async def on_socket_event_type(self, name: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
        self.server.record.ring()

    async def hears(self, *texts: str) -> None:
        await self.server.wait_for(lambda: len(self.heard) >= len(texts), 5)
        assert self.texts == list(texts)

    async def sees(self, name: str, times: int = 1) -> None:
        await self.server.wait_for(lambda: self.counts.get(name, 0) >= times, 10)


def usual() -> discord.Intents:
    intents = discord.Intents.default()
    intents.message_content = True
    return intents


@asynccontextmanager
async def pointed_at(server: DiscordServer) -> AsyncIterator[None]:
    base, gateway = Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY
    Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = server.api_url, yarl.URL(server.gateway_url)
    try:
        yield
    finally:
        Route.BASE, DiscordWebSocket.DEFAULT_GATEWAY = base, gateway


@asynccontextmanager
async def running(
    server: DiscordServer, kind: type[Bot] = Bot, **options: Any
) -> AsyncIterator[Bot]:
    async with pointed_at(server), kind(server, **options) as bot:
        task = asyncio.create_task(bot.start(server.app.token))
        await bot.sees("GUILD_CREATE")
        await bot.wait_until_ready()
        try:
            yield bot
        finally:
            await bot.close()
            await task


@pytest.fixture
async def server() -> AsyncIterator[DiscordServer]:
    async with DiscordServer(unlimited=True, scale=0.001) as server:
        yield server


async def test_it_signs_in_and_knows_its_guild(server: DiscordServer) -> None:
    thread = server.world.open_thread("alice", server.world.say("alice", "general", "hi"), "talk")
    async with running(server) as bot:
        guild = bot.get_guild(int(GUILD))
        assert guild is not None and bot.user is not None and str(bot.user.id) == BOT
        assert bot.application_id == int(server.app.id)
        assert guild.get_thread(int(thread)) is not None
        assert {channel.name for channel in guild.text_channels} == {"general", "random", "news"}
        assert guild.self_role is not None and guild.self_role.is_bot_managed()
        assert guild.me.joined_at is not None
        general = guild.get_channel(int(server.world.channel("general").id))
        assert isinstance(general, discord.TextChannel) and general.last_message_id == int(thread)


async def test_it_hears_of_messages_threads_and_direct_ones(server: DiscordServer) -> None:
    world = server.world
    async with running(server) as bot:
        first = world.say("alice", "general", "one")
        thread = world.open_thread("alice", first, "talk")
        world.say("bob", thread, "two")
        world.say("alice", world.direct("alice"), "three")
        # The empty one is the thread's first, which shows the message it is about.
        await bot.hears("one", "", "two", "three")
        world.edit(first, "one!")
        await server.wait_for(lambda: bot.heard[0].content == "one!", 5)
        world.delete(first)
        await bot.sees("MESSAGE_DELETE")
        assert isinstance(bot.heard[-1].channel, discord.DMChannel)
        assert bot.counts["THREAD_CREATE"] == 1


async def test_content_needs_the_intent_unless_it_is_meant_for_the_bot(
    server: DiscordServer,
) -> None:
    world = server.world
    async with running(server, intents=discord.Intents.default()) as bot:
        world.say("alice", "general", "secret", files=["a.png"])
        world.say("alice", "general", f"{server.mention} open")
        world.say("alice", world.direct("alice"), "private")
        assert bot.user is not None
        general = bot.get_partial_messageable(int(world.channel("general").id))
        own = await general.send("own")
        world.say("bob", "general", "pinging reply", reply_to=str(own.id))
        world.say("bob", "general", "silent reply", reply_to=str(own.id), ping=False)
        await bot.hears("", f"<@{BOT}> open", "private", "own", "pinging reply", "")
        assert bot.heard[0].attachments == []


async def test_without_an_intent_nothing_of_it_comes(server: DiscordServer) -> None:
    world = server.world
    intents = discord.Intents(guilds=True, guild_messages=True, message_content=True)
    async with running(server, intents=intents) as bot:
        world.say("alice", world.direct("alice"), "direct")
        world.type("alice", "general")
        world.deny("random", rules.VIEW)
        world.say("alice", "random", "hidden")
        world.say("alice", "general", "heard")
        await bot.hears("heard")
        assert "TYPING_START" not in bot.counts and "CHANNEL_UPDATE" in bot.counts


async def test_no_event_of_a_guild_without_the_guilds_intent(server: DiscordServer) -> None:
    async with pointed_at(server), Bot(server, intents=discord.Intents(dm_messages=True)) as bot:
        task = asyncio.create_task(bot.start(server.app.token))
        await bot.sees("READY")
        server.world.say("alice", "general", "guild")
        server.world.open_thread("alice", "general", "talk")
        server.world.say("alice", server.world.direct("alice"), "direct")
        await bot.hears("direct")
        assert set(bot.counts) == {"READY", "MESSAGE_CREATE"}
        await bot.close()
        await task


async def test_after_a_drop_nothing_is_lost_and_nothing_comes_twice(
    server: DiscordServer,
) -> None:
    async with running(server) as bot:
        server.world.say("alice", "general", "1")
        await bot.hears("1")
        await server.gateway.drop()
        server.world.say("alice", "general", "2")
        await bot.sees("RESUMED")
        await server.gateway.reconnect()
        server.world.say("alice", "general", "3")
        await bot.sees("RESUMED", 2)
        await server.gateway.drop(4000)
        await bot.sees("RESUMED", 3)
        server.world.say("alice", "general", "4")
        await bot.hears("1", "2", "3", "4")
        assert (server.gateway.identified, server.gateway.resumed) == (1, 3)


async def test_what_is_said_while_discord_is_away_is_replayed(server: DiscordServer) -> None:
    async with running(server) as bot:
        await server.go_away()
        await server.wait_for(lambda: server.gateway.connected == 0, 5)
        server.world.say("alice", "general", "while away")
        await server.come_back()
        await bot.hears("while away")
        assert server.gateway.identified == 1


async def test_what_is_said_without_a_session_is_lost(server: DiscordServer) -> None:
    async with running(server) as bot:
        await server.go_away()
        await server.wait_for(lambda: server.gateway.connected == 0, 5)
        server.gateway.forget()
        server.world.say("alice", "general", "lost")
        await server.come_back()
        await bot.sees("READY", 2)
        server.world.say("alice", "general", "heard")
        await bot.hears("heard")
        assert server.gateway.identified == 2


@pytest.mark.parametrize(("resumable", "came"), [(True, "RESUMED"), (False, "READY")])
async def test_an_invalid_session(server: DiscordServer, resumable: bool, came: str) -> None:
    async with running(server) as bot:
        before = bot.counts.get(came, 0)
        await server.gateway.invalidate(resumable=resumable)
        await bot.sees(came, before + 1)
        server.world.say("alice", "general", "on")
        await bot.hears("on")


async def test_heartbeats_that_nobody_answers_end_in_a_resume(server: DiscordServer) -> None:
    server.gateway.heartbeat = 0.2
    async with running(server, heartbeat_timeout=0.5) as bot:
        server.gateway.acking = False
        await bot.sees("RESUMED")
        assert server.gateway.identified == 1


async def test_a_revoked_token_ends_the_client(server: DiscordServer) -> None:
    async with pointed_at(server), Bot(server) as bot:
        await bot.login(server.app.token)
        server.app.token = "another"
        with pytest.raises(discord.ConnectionClosed) as closed:
            await bot.connect()
        assert closed.value.code == 4004


async def test_an_intent_that_the_portal_does_not_grant_ends_the_client(
    server: DiscordServer,
) -> None:
    server.app.intents = 0
    async with pointed_at(server), Bot(server) as bot:
        with pytest.raises(discord.PrivilegedIntentsRequired):
            await bot.start(server.app.token)


async def test_an_odd_event_ends_the_client(server: DiscordServer) -> None:
    async with pointed_at(server), Bot(server) as bot:
        task = asyncio.create_task(bot.start(server.app.token))
        await bot.sees("GUILD_CREATE")
        server.gateway.send_raw("MESSAGE_CREATE", {"id": "1"})
        with pytest.raises(KeyError):
            await task


async def test_a_bot_that_is_kicked_hears_no_more(server: DiscordServer) -> None:
    async with running(server) as bot:
        server.world.kick_bot()
        server.world.say("alice", "general", "gone")
        server.world.add_channel("new")
        server.world.say("alice", server.world.direct("alice"), "direct")
        await bot.hears("direct")
        assert len(bot.guilds) == 0 and "CHANNEL_CREATE" not in bot.counts
