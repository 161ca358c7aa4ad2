"""A channel that is deleted: Discord names none of its threads then."""

from adapters.discord.ids import thread_key
from core.types import ThreadKey
from tests.adapters.discord.commanded import app_with_commands, at_hand  # noqa: F401
from tests.adapters.discord.conftest import Inbox, Make, until
from tests.adapters.discord.test_gateway import ask
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_model import Channel
from tests.emulators.discord_rules import GUILD, PUBLIC_THREAD, TEXT


def keys(*channels: str) -> set[ThreadKey]:
    return {thread_key(GUILD, channel) for channel in channels}


async def deleted(discord: DiscordServer, inbox: Inbox, channel: str) -> set[ThreadKey]:
    """The conversations that go with it."""
    discord.world.delete_channel(channel)
    await until(lambda: inbox.changed)
    assert not any(text for _, text in inbox.changed)
    return {ThreadKey(key) for key, _ in inbox.changed}


async def test_all_that_was_asked_in_it_and_its_threads_goes(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    world, us = discord.world, discord.mention
    made = make()
    await made.connect()
    asked = ask(discord, "in the channel")
    theirs = world.open_thread("bob", "general", "Theirs", PUBLIC_THREAD)
    world.say("alice", theirs, f"{us} in a thread of Bob's")
    edited = world.say("alice", theirs, "what about this?")
    other = world.open_thread("bob", "random", "Other", PUBLIC_THREAD)
    world.say("alice", other, f"{us} elsewhere")
    await inbox.holds("in the channel", "in a thread of Bob's", "what about this?", "elsewhere")
    world.edit(edited, f"{us} edited")
    await until(lambda: inbox.changed)
    inbox.changed.clear()
    for thread in (asked, theirs):
        if thread in world.channels:
            world.archive(thread)
    assert await deleted(discord, inbox, "general") == keys(asked, theirs)


async def test_a_post_in_a_forum_goes_with_it(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    await make().connect()
    post = discord.world.forum_post("alice", "help", "Fences", f"{discord.mention} in a forum")
    await inbox.holds("in a forum")
    assert await deleted(discord, inbox, "help") == keys(post)


async def test_a_thread_that_nobody_told_us_of_goes_with_it(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    await make().connect()
    world = discord.world
    general = world.channel("general").id
    channel, thread = world.snowflake(), world.snowflake()
    world.channels[channel] = Channel(channel, TEXT, "new", GUILD)
    world.channels[thread] = Channel(thread, PUBLIC_THREAD, "old", GUILD, general)
    world.say("alice", channel, f"{discord.mention} in a channel")
    world.say("alice", thread, f"{discord.mention} in a thread")
    await inbox.holds("in a channel", "in a thread")
    assert await deleted(discord, inbox, "general") == keys(thread)


async def test_what_was_read_back_from_a_thread_goes_with_it(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    made = make()
    await made.connect()
    discord.world.say("alice", "random", f"{discord.mention} one")
    await inbox.holds("one")
    theirs = discord.world.open_thread("bob", "general", "Theirs", PUBLIC_THREAD)
    await made.close()
    discord.world.say("alice", theirs, f"{discord.mention} two")
    await make().connect()
    await inbox.holds("one", "two")
    assert await deleted(discord, inbox, "general") == keys(theirs)


async def test_what_was_asked_by_a_command_goes_with_it(
    discord: DiscordServer, make: Make, inbox: Inbox
) -> None:
    await make().connect()
    theirs = discord.world.open_thread("bob", "general", "Theirs", PUBLIC_THREAD)
    asked = [
        discord.interactions.slash("alice", where, "ask", prompt=where)
        for where in ("general", theirs, "random")
    ]
    await until(lambda: len(inbox.taken) == len(asked))
    assert await deleted(discord, inbox, "general") == keys(asked[0].message_id, theirs)
