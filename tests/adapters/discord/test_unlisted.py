"""Places that Discord didn't list: they are looked up, and no channel becomes a conversation."""

import pytest

from adapters.discord import commands, incoming
from adapters.discord.ids import QUESTION, Address, identity, sequence, thread_key, time_of
from core.types import Prompt
from tests.adapters.discord import payloads
from tests.adapters.discord.conftest import US, Inbox, Log, Make, until
from tests.adapters.discord.payloads import CHANNEL, interaction
from tests.adapters.discord.test_gateway import ask, lines
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_model import Channel
from tests.emulators.discord_rules import BOT, GUILD, PUBLIC_THREAD, TEXT

LOOKUP = "GET /channels/{channel}"
TROUBLE = [
    Fault(LOOKUP, times=99, status=503),
    Fault(LOOKUP, times=99, code=10003),
    Fault(LOOKUP, times=99, code=50001),
    Fault(LOOKUP, times=99, retry_after=60.0),
    Fault(LOOKUP, times=99, delay=60.0),
]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "HELD", 2.5)


def unlisted(discord: DiscordServer, type_: int = TEXT) -> str:
    """A channel, or a thread in #general, of which the gateway said nothing."""
    world = discord.world
    id_, parent = world.snowflake(), world.channel("general").id
    more = (parent, BOT) if type_ == PUBLIC_THREAD else ()
    world.channels[id_] = Channel(id_, type_, "new", GUILD, *more)
    return id_


def before(discord: DiscordServer, channel: str) -> Prompt:
    """A question whose conversation is the channel or thread itself."""
    id_ = discord.world.snowflake()
    address = Address(channel=channel, before=id_, message=id_).encode()
    return Prompt(
        platform="discord",
        thread=thread_key(GUILD, channel),
        identity=identity(id_),
        sequence=sequence(id_),
        author="alice",
        text="before",
        asked_at=time_of(id_),
        address=address,
    )


@pytest.mark.parametrize("trouble", TROUBLE, ids=["503", "404", "403", "429", "silence"])
async def test_where_the_place_stays_unknown_a_mention_is_answered_and_nothing_else(
    trouble: Fault, discord: DiscordServer, make: Make, inbox: Inbox, log: Log
) -> None:
    await make().connect()
    world, place = discord.world, unlisted(discord)
    discord.faults.add(trouble)
    asked = world.say("alice", place, f"{discord.mention} one")
    world.say("bob", place, "lunch?")
    await inbox.holds("one")
    assert inbox.taken[0].thread == thread_key(GUILD, asked), "not the channel"
    assert Address.decode(inbox.taken[0].address).opens == QUESTION
    assert lines(log, "discord.place_unknown")
    world.say("bob", place, "and coffee?")
    again = world.say("alice", place, f"{discord.mention} two")
    await inbox.holds("one", "two")
    assert inbox.taken[1].thread == thread_key(GUILD, again)
    assert [prompt.text for prompt in inbox.offered] == ["one", "two"]


@pytest.mark.parametrize("trouble", [None, Fault(LOOKUP, times=99, status=503)])
async def test_a_channel_that_is_a_conversation_from_before_falls_silent(
    trouble: Fault | None, discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    await make().connect()
    world, place = discord.world, unlisted(discord)
    inbox.taken.append(before(discord, place))
    if trouble:
        discord.faults.add(trouble)
    world.say("bob", place, "lunch?")
    asked = world.say("alice", place, f"{discord.mention} one")
    await inbox.holds("before", "one")
    assert inbox.taken[1].thread == thread_key(GUILD, asked)
    assert len(inbox.offered) == 1


@pytest.mark.parametrize("times", [0, 1], ids=["at once", "after a moment of trouble"])
async def test_in_a_thread_that_was_not_listed_the_conversation_goes_on(
    times: int, discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    await make().connect()
    world, thread = discord.world, unlisted(discord, PUBLIC_THREAD)
    inbox.taken.append(before(discord, thread))
    if times:
        discord.faults.add(Fault(LOOKUP, times=times, status=503))
    for text in ("one", "two", f"{discord.mention} three"):
        world.say("alice", thread, text)
    await inbox.holds("before", "one", "two", "three")
    assert {prompt.thread for prompt in inbox.taken} == {thread_key(GUILD, thread)}
    parents = [Address.decode(prompt.address).parent for prompt in inbox.taken[1:]]
    assert parents == [world.channel("general").id] * 3
    assert len(discord.record.called_with(LOOKUP)) == times + 1


async def test_nobody_else_waits_while_a_place_is_looked_up(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    await make().connect()
    place = unlisted(discord)
    slow = discord.faults.add(Fault(LOOKUP, delay=1.5))
    discord.world.say("alice", place, f"{discord.mention} there")
    await until(lambda: not slow.times)
    ask(discord, "here")
    await inbox.holds("here", "there")
    assert len(discord.record.called_with(LOOKUP)) == 1


async def test_what_is_for_nobody_in_any_place_is_not_looked_up(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    await make().connect()
    world, place = discord.world, unlisted(discord)
    world.say(BOT, place, "an answer")
    gone = world.say("bob", place, "")
    world.delete(gone)
    ask(discord, "here")
    await inbox.holds("here")
    assert not discord.record.called_with(LOOKUP)


async def test_an_edit_that_names_us_where_the_place_stays_unknown(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    await make().connect()
    world, place = discord.world, unlisted(discord)
    discord.faults.add(Fault(LOOKUP, times=99, code=10003))
    said = world.say("alice", place, "one")
    world.edit(said, "one, then")
    world.edit(said, f"{discord.mention} one")
    await inbox.holds("one")
    assert inbox.taken[0].thread == thread_key(GUILD, said)
    assert [text for _, text in inbox.changed] == ["one, then", "one"]


@pytest.mark.parametrize("channel", [None, {"id": CHANNEL}, {"id": CHANNEL, "type": "11"}])
def test_a_command_in_a_place_that_is_not_said_to_be_a_thread(channel: object) -> None:
    asked = commands.read(interaction(channel=channel), US)
    assert isinstance(asked, commands.Ask)
    assert asked.prompt("900").thread == thread_key(payloads.GUILD, "900")
    assert asked.prompt("").thread == thread_key(payloads.GUILD, asked.used.id)
    new = commands.read(interaction("new", channel=channel), US)
    assert isinstance(new, commands.New)
    assert new.thread is None


async def test_a_session_that_ends_meanwhile_loses_nothing(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    await make().connect()
    place = unlisted(discord)
    slow = discord.faults.add(Fault(LOOKUP, times=1, delay=60.0))
    asked = discord.world.say("alice", place, f"{discord.mention} one")
    await until(lambda: not slow.times)
    await discord.gateway.invalidate()
    await inbox.holds("one", within=20)
    assert inbox.taken[0].thread == thread_key(GUILD, asked)
