"""The hourglass on a message that waits, against the stand-in."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from adapters.discord.calls import Api
from adapters.discord.ids import Address, Bot, guild_of, identity, personal_key, thread_key
from adapters.discord.posts import Posts
from adapters.discord.thread import DiscordThread
from core import ports
from core.types import Prompt, ThreadKey
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_record import Call
from tests.emulators.discord_rules import ADD_REACTIONS, BOT, GUILD

_SIGN = "/channels/{channel}/messages/{message}/reactions/{emoji}/@me"


TROUBLES = [
    Fault(f"DELETE {_SIGN}", status=503),
    Fault(f"DELETE {_SIGN}", cut="before"),
    Fault(f"DELETE {_SIGN}", retry_after=0.2),
]


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    async with DiscordServer() as server:
        yield server


@pytest.fixture
async def api(discord: DiscordServer) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as session:
        yield Api(discord.app.token, discord.api_url, session)


def thread(discord: DiscordServer, api: Api, text: str = "hi", token: str = "") -> DiscordThread:
    """The handle for a message in #general, or for a command."""
    channel = discord.world.channel("general").id
    message = discord.world.say("alice", "general", text)
    prompt = Prompt(
        platform="discord",
        thread=ThreadKey(f"{thread_key(GUILD, channel)}#{identity(message)}"),
        identity=identity(message),
        sequence=message,
        author="alice",
        text=text,
        asked_at=0.0,
        address=Address(channel=channel, before=message, message=message, token=token).encode(),
    )
    bot = Bot(BOT, BOT)
    return DiscordThread(api, bot, prompt, lambda work: asyncio.create_task(work), Posts())


def signs(discord: DiscordServer, method: str) -> list[Call]:
    """The calls that put a sign or took it away."""
    return discord.record.called_with(f"{method} {_SIGN}")


async def test_the_sign_comes_and_goes(discord: DiscordServer, api: Api) -> None:
    handle = thread(discord, api)
    assert isinstance(handle, ports.ShowsQueued)
    await handle.queued(2)
    await handle.queued(0)
    asked = discord.world.history(discord.world.channel("general").id)[-1].id
    calls = signs(discord, "PUT") + signs(discord, "DELETE")
    assert [call.status for call in calls] == [204, 204]
    assert [call.names["emoji"] for call in calls] == ["⏳", "⏳"]
    assert [call.names["message"] for call in calls] == [asked, asked]


async def test_nine_at_once_get_theirs_however_slow_discord_takes_them(
    discord: DiscordServer, api: Api
) -> None:
    handles = [thread(discord, api, f"p{number}") for number in range(9)]
    await asyncio.gather(*(handle.queued(1) for handle in handles))
    landed = [call.names["message"] for call in signs(discord, "PUT") if call.ok]
    assert len(set(landed)) == len(landed) == 9


async def test_without_the_permission_it_is_silent_and_asked_once(
    discord: DiscordServer, api: Api
) -> None:
    discord.world.deny("general", ADD_REACTIONS)
    for _ in range(3):
        await thread(discord, api).queued(1)
    assert [call.error for call in signs(discord, "PUT")] == [50013]


async def test_a_sign_goes_whatever_became_of_the_permission(
    discord: DiscordServer, api: Api
) -> None:
    handle = thread(discord, api)
    await handle.queued(1)
    discord.world.deny("general", ADD_REACTIONS)
    await thread(discord, api).queued(1)
    await handle.queued(0)
    assert [call.status for call in signs(discord, "DELETE")] == [204]


@pytest.mark.parametrize("fault", TROUBLES, ids=["503", "cut", "429"])
async def test_what_gets_lost_is_tried_again(
    fault: Fault, discord: DiscordServer, api: Api
) -> None:
    discord.faults.add(replace(fault))
    await thread(discord, api).queued(0)
    assert len(signs(discord, "DELETE")) == 2
    assert signs(discord, "DELETE")[-1].ok


async def test_of_a_message_that_is_gone_nothing_is_said(discord: DiscordServer, api: Api) -> None:
    handle = thread(discord, api)
    discord.world.delete(discord.world.history(discord.world.channel("general").id)[-1].id)
    await handle.queued(1)
    assert [call.error for call in signs(discord, "PUT")] == [10008]


async def test_a_command_shows_it_by_itself(discord: DiscordServer, api: Api) -> None:
    await thread(discord, api, token="aW50ZXJhY3Rpb24").queued(1)
    assert not discord.record.calls


def test_the_server_of_a_conversation() -> None:
    assert guild_of(thread_key("10", "20")) == "10"
    assert guild_of(ThreadKey(f"{thread_key('10', '20')}#{identity('30')}")) == "10"
    assert guild_of(thread_key("", "20")) == "@me"
    assert guild_of(personal_key("5", "20")) == "@5"
