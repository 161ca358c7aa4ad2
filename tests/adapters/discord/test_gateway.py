"""The connection to the gateway: how it ends, and that it comes back."""

import asyncio
import threading
from typing import Any

import pytest

from adapters.discord.app import DiscordPlatform
from adapters.discord.gateway import Gateway
from core.errors import Unreachable
from tests.adapters.discord.conftest import Inbox, Log, Make, until
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_rules import BOT


def lines(log: Log, event: str) -> list[dict[str, Any]]:
    return [line for line in log if line["event"] == event]


def threads() -> list[str]:
    """The heartbeats that are going on."""
    return [t.name for t in threading.enumerate() if t.name.startswith("keep-alive")]


def conversation(discord: DiscordServer, text: str) -> str:
    """A question in a channel and a thread on it, in which the conversation goes on."""
    asked = ask(discord, text)
    world = discord.world
    world.start_thread(world.channel("general"), BOT, text, message=world.messages[asked])
    return asked


def ask(discord: DiscordServer, text: str) -> str:
    return discord.world.say("alice", "general", f"{discord.mention} {text}")


def causes(log: Log) -> list[str]:
    """What ended the connections."""
    return [line["cause"] for line in lines(log, "discord.gateway_down")]


@pytest.mark.parametrize("code", [None, 1000, 1001, 4000, 4008])
async def test_a_socket_that_ends_is_resumed_and_nothing_is_asked_twice(
    code: int | None, discord: DiscordServer, platform: DiscordPlatform, inbox: Inbox, log: Log
) -> None:
    ask(discord, "before")
    await inbox.holds("before")
    await discord.gateway.drop(code)
    ask(discord, "meanwhile")
    await inbox.holds("before", "meanwhile")
    ask(discord, "after")
    await inbox.holds("before", "meanwhile", "after")
    assert discord.gateway.resumed == 1
    assert discord.gateway.identified == 1
    assert len(inbox.offered) == 3
    await until(lambda: not platform.problem())
    assert causes(log) == [f"closed ({code or 1006})"]


async def test_discord_asks_for_a_new_connection(
    discord: DiscordServer, platform: DiscordPlatform, inbox: Inbox, log: Log
) -> None:
    await discord.gateway.reconnect()
    ask(discord, "meanwhile")
    await inbox.holds("meanwhile")
    await discord.gateway.invalidate(resumable=True)
    ask(discord, "again")
    await inbox.holds("meanwhile", "again")
    assert (discord.gateway.resumed, discord.gateway.identified) == (2, 1)
    assert len(inbox.offered) == 2
    assert causes(log) == ["asked to"] * 2


READ = "GET /channels/{channel}/messages"


async def test_a_session_that_ends_while_it_is_read_back_is_not_taken_for_read(
    discord: DiscordServer, platform: DiscordPlatform, inbox: Inbox
) -> None:
    thread = conversation(discord, "one")
    await inbox.holds("one")
    await discord.gateway.invalidate()
    discord.world.say("alice", thread, "two")
    discord.world.say("bob", thread, "three")
    slow = discord.faults.add(Fault(READ, times=2, delay=30.0))
    await until(lambda: not slow.times)  # the channel and the thread are being read
    assert discord.gateway.identified == 2
    await discord.gateway.invalidate()
    discord.faults.latency[READ] = 0.3
    await discord.wait_for(lambda: discord.gateway.identified == 3, 8)
    discord.world.say("alice", thread, "four")
    await inbox.holds("one", "two", "three", "four")
    assert not [call for call in discord.record.calls if not call.ok]
    first, second, third = discord.gateway.identifies
    assert second - first >= 5
    assert third - second >= 5


async def test_a_gateway_that_closes_at_once_is_not_hammered_and_what_was_asked_is_found(
    discord: DiscordServer, platform: DiscordPlatform, inbox: Inbox, log: Log
) -> None:
    thread = conversation(discord, "one")
    await inbox.holds("one")
    discord.gateway.mood = "curt"
    await discord.gateway.drop()
    await discord.wait_for(lambda: len(discord.gateway.dialled) > 1, 3)
    assert "gateway is down" in platform.problem()
    discord.world.say("alice", thread, "two")
    direct = discord.world.direct("bob")
    discord.world.say("bob", direct, "nobody knows of this place")
    discord.world.say("bob", "general", f"{discord.mention} three")
    await asyncio.sleep(4)
    assert 4 <= len(discord.gateway.dialled) <= 6, "backs off, doesn't give up"
    discord.gateway.forget()
    discord.gateway.mood = ""
    # Channels first, so that a thread's root comes before what follows in it.
    await inbox.holds("one", "three", "two", within=20)
    assert discord.gateway.identified == 2
    assert lines(log, "discord.gateway_down")
    assert not platform.problem()


async def test_the_query_of_a_gateway_s_address_gives_way_to_our_own(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    await make(gateway_url=f"{discord.gateway_url}?v=6&encoding=etf").connect()
    ask(discord, "there?")
    await inbox.holds("there?")
    assert not discord.gateway.close_codes


async def test_a_gateway_that_is_not_there_at_the_start(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    made = make()
    discord.gateway.mood = "away"
    for _ in range(2):
        with pytest.raises(Unreachable):
            await made.connect()
    assert "down" in made.problem()
    discord.gateway.mood = ""
    await made.connect()
    ask(discord, "there?")
    await inbox.holds("there?")
    assert len(discord.gateway.dialled) == 3


async def test_a_connection_in_silence_is_resumed(
    discord: DiscordServer, make: Make, inbox: Inbox, log: Log
) -> None:
    discord.gateway.heartbeat = 0.2
    heard: list[str] = []
    await make().connect()  # points discord.py at the stand-in

    def names() -> list[str]:
        return [name for name in heard if name in ("READY", "RESUMED")]

    client = Gateway(
        content=True,
        address=discord.gateway_url,
        on_event=lambda name, _: heard.append(name),
        silence=0.5,
    )
    await client.login(discord.app.token)
    staying = asyncio.create_task(client.stay())
    try:
        await until(lambda: names() == ["READY"])
        await asyncio.sleep(1.0)
        assert names() == ["READY"], "acknowledged heartbeats are no silence"
        discord.gateway.acking = False
        await until(lambda: discord.gateway.resumed)
        discord.gateway.acking = True
        await until(lambda: client.up)
        discord.gateway.mood = "mute"
        await until(lambda: not client.up, 5)
        assert causes(log) == ["silence"] * 2
    finally:
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)
        await client.close()


async def test_closing_leaves_nothing_behind(discord: DiscordServer, make: Make) -> None:
    before = asyncio.all_tasks()
    made = make()
    await made.connect()
    assert len(threads()) == 1
    await discord.gateway.drop()
    await discord.wait_for(lambda: discord.gateway.resumed)
    await made.close()
    await until(lambda: not threads())
    await discord.wait_for(lambda: not discord.gateway.connected)
    assert not discord.gateway.sessions, "closed for good: nothing is kept for us"
    ours = {task for task in asyncio.all_tasks() - before if "emulators" not in repr(task)}
    ours = {task for task in ours if "RequestHandler" not in repr(task)}
    assert not ours


async def test_closing_does_not_wait_for_a_gateway_that_says_nothing(
    discord: DiscordServer, make: Make
) -> None:
    discord.gateway.heartbeat = 0.1
    made = make()
    await made.connect()
    discord.gateway.mood = "mute"
    await asyncio.sleep(0.3)
    begun = asyncio.get_running_loop().time()
    await made.close()
    assert asyncio.get_running_loop().time() - begun < 1
    await until(lambda: not threads())


async def test_a_connection_that_never_says_hello_is_let_go(
    discord: DiscordServer, make: Make
) -> None:
    await make().connect()  # points discord.py at the stand-in
    discord.gateway.mood = "mute"
    client = Gateway(content=True, address=discord.gateway_url, on_event=lambda *_: None)
    await client.login(discord.app.token)
    staying = asyncio.create_task(client.stay())
    try:
        await until(lambda: discord.gateway.sockets == 2)
        await asyncio.sleep(0.1)  # it waits for the hello
        staying.cancel()
        await asyncio.gather(staying, return_exceptions=True)
        await until(lambda: discord.gateway.sockets == 1, 2)
    finally:
        await client.close()
    assert not discord.gateway.identifies[1:]
