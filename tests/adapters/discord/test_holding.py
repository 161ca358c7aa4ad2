"""Reading back while a server is down or a place can't be read: nothing else waits for it."""

import asyncio

import pytest

from adapters.discord import incoming, missed
from tests.adapters.discord.conftest import Inbox, Log, Make, until
from tests.adapters.discord.test_gateway import READ, ask, conversation, lines
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_rules import GUILD

OTHER = str(int(GUILD) + 1_000_000)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missed, "GATHERING", 0.2)
    monkeypatch.setattr(missed, "NAMING", 0.6)
    monkeypatch.setattr(missed, "ORDERED", 0.2)


@pytest.mark.parametrize("told", [True, False], ids=["told that it is down", "not told"])
async def test_a_server_that_comes_late_is_read_back_then(
    discord: DiscordServer, make: Make, inbox: Inbox, log: Log, *, told: bool
) -> None:
    world = discord.world
    world.add_guild("other", OTHER)
    first = make()
    await first.connect()
    asked = world.say("bob", "other", f"{discord.mention} one")
    await inbox.holds("one")
    thread = world.open_thread("bob", asked, "One")
    await first.close()
    world.say("bob", thread, "a follow-up")
    world.say("alice", "other", f"{discord.mention} a question")
    discord.gateway.down.add(OTHER)
    await make().connect()
    ask(discord, "elsewhere")
    await inbox.holds("one", "elsewhere")
    await until(lambda: lines(log, "discord.servers_down"))
    if told:
        discord.gateway.send_raw("GUILD_DELETE", {"id": OTHER, "unavailable": True})
    discord.gateway.come_up(OTHER)
    world.say("bob", thread, "live")
    await inbox.holds("one", "elsewhere", "a question", "a follow-up", "live")
    assert [line["servers"] for line in lines(log, "discord.servers_down")] == [1]
    assert [line["server"] for line in lines(log, "discord.server_late")] == [OTHER]


@pytest.mark.parametrize("named", [False, True], ids=["gone", "named as down"])
async def test_a_server_that_goes_down_in_mid_session_is_read_back_when_it_comes(
    discord: DiscordServer,
    make: Make,
    inbox: Inbox,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
    *,
    named: bool,
) -> None:
    """From the time at which it went down on, whatever was asked elsewhere since."""
    monkeypatch.setattr(missed, "MARGIN", 0.0)
    world = discord.world
    world.add_guild("other", OTHER)
    await make().connect()
    ask(discord, "first")
    asked = world.say("bob", "other", f"{discord.mention} one")
    await inbox.holds("first", "one")
    thread = world.open_thread("bob", asked, "One")
    discord.gateway.go_down(OTHER)
    if named:
        discord.gateway.send_raw("GUILD_CREATE", {"id": OTHER, "unavailable": True})
    await asyncio.sleep(0.1)
    world.say("alice", "other", f"{discord.mention} a question")
    world.say("bob", thread, "a follow-up")
    await asyncio.sleep(0.1)  # ids tell the millisecond
    ask(discord, "elsewhere")
    await inbox.holds("first", "one", "elsewhere")
    discord.gateway.come_up(OTHER)
    world.say("bob", thread, "live")
    everything = ("first", "one", "elsewhere", "a question", "a follow-up", "live")
    await inbox.holds(*everything)
    assert [line["server"] for line in lines(log, "discord.server_late")] == [OTHER]
    discord.gateway.go_down(OTHER)
    discord.gateway.come_up(OTHER)
    world.say("bob", thread, "again")
    await inbox.holds(*everything, "again")


async def test_nobody_waits_for_a_server_that_does_not_come(
    discord: DiscordServer, make: Make, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(missed, "NAMING", 30.0)
    discord.world.add_guild("other", OTHER)
    made = make()
    await made.connect()
    ask(discord, "one")
    await inbox.holds("one")
    discord.gateway.down.add(OTHER)
    await discord.gateway.invalidate()
    await discord.wait_for(lambda: discord.gateway.identified == 2, 12)
    ask(discord, "two")
    await inbox.holds("one", "two", within=5)


async def test_a_server_that_we_left_while_it_was_down_is_not_read_back(
    discord: DiscordServer, make: Make, inbox: Inbox, log: Log
) -> None:
    discord.world.add_guild("other", OTHER)
    first = make()
    await first.connect()
    ask(discord, "one")
    await inbox.holds("one")
    await first.close()
    discord.world.say("alice", "other", f"{discord.mention} missed")
    discord.gateway.down.add(OTHER)
    await make().connect()
    discord.gateway.send_raw("GUILD_DELETE", {"id": OTHER})
    discord.gateway.come_up(OTHER)
    discord.world.say("alice", "other", f"{discord.mention} live")
    await inbox.holds("one", "live")
    assert not lines(log, "discord.server_late")


async def missed_in_two_channels(discord: DiscordServer, make: Make, inbox: Inbox) -> str:
    """Something was missed in #general, its thread and #random; the thread's id."""
    first = make()
    await first.connect()
    thread = conversation(discord, "one")
    await inbox.holds("one")
    await first.close()
    ask(discord, "two")
    discord.world.say("alice", "random", f"{discord.mention} three")
    discord.world.say("alice", thread, "four")
    return thread


async def test_only_what_is_new_in_a_place_waits_for_what_was_missed_there(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    thread = await missed_in_two_channels(discord, make, inbox)
    discord.faults.add(Fault(READ, delay=4.0))  # of #general, which is read first
    await make().connect()
    waits = ask(discord, "new in general")
    discord.world.edit(waits, f"{discord.mention} edited in general")
    discord.world.say("alice", "random", f"{discord.mention} new in random")
    discord.world.say("alice", thread, "new in the thread")
    await until(lambda: len(inbox.taken) == 5, 3)
    order = inbox.texts.index
    assert order("three") < order("new in random")
    assert order("four") < order("new in the thread")
    assert not inbox.changed
    await until(lambda: len(inbox.taken) == 7)
    assert inbox.texts[5:] == ["two", "edited in general"], "as it reads when it is read"
    await until(lambda: inbox.changed)


async def test_what_is_new_does_not_wait_for_long(
    discord: DiscordServer, make: Make, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incoming, "HELD", 0.5)
    await missed_in_two_channels(discord, make, inbox)
    discord.faults.add(Fault(READ, delay=3.0))
    await make().connect()
    ask(discord, "new")
    await until(lambda: "new" in inbox.texts, 2)
    assert "two" not in inbox.texts
    await until(lambda: "two" in inbox.texts)


async def test_what_waits_when_a_session_ends_is_taken_in_the_next_one(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    await missed_in_two_channels(discord, make, inbox)
    slow = discord.faults.add(Fault(READ, delay=30.0))
    await make().connect()
    gone = ask(discord, "new")
    discord.world.edit(gone, f"{discord.mention} edited")
    await until(lambda: not slow.times)
    await asyncio.sleep(0.3)
    assert not inbox.changed
    await discord.gateway.invalidate()
    await until(lambda: inbox.changed, 15)
    assert inbox.texts.index("two") < inbox.texts.index("edited")


async def test_what_waits_is_taken_also_when_the_next_session_can_not_look(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    await missed_in_two_channels(discord, make, inbox)
    slow = discord.faults.add(Fault(READ, delay=30.0))
    await make().connect()
    ask(discord, "new")
    await until(lambda: not slow.times)
    await asyncio.sleep(0.3)
    assert "new" not in inbox.texts
    inbox.blind.append(ValueError("a row that can't be read"))
    await discord.gateway.invalidate()
    await until(lambda: "new" in inbox.texts, 15)
    ask(discord, "newer")
    await until(lambda: "newer" in inbox.texts)
