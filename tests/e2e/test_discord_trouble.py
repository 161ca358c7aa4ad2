"""When things go wrong in Discord around the shipped command: a clear result, nothing lost."""

import asyncio
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.e2e.seen import until
from tests.e2e.seen_discord import answers, calm, edits, last_answer
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_limits import Limits
from tests.emulators.discord_rules import (
    ANNOUNCEMENT_THREAD,
    BOT,
    CREATE_THREADS,
    PLAIN,
    SEND,
    SEND_IN_THREADS,
    VIEW,
)

LONG = tuple(f"word{number} " for number in range(400))
POST = "POST /channels/{channel}/messages"
EDIT = "PATCH /channels/{channel}/messages/{message}"
ORIGINAL = "PATCH /webhooks/{app}/{token}/messages/@original"
CALLBACK = "POST /interactions/{interaction}/{token}/callback"
OPEN = "POST /channels/{channel}/messages/{message}/threads"


def written(discord: DiscordServer, channel: str) -> list[str]:
    """Ids of the bot's own words in a place, oldest first."""
    shown = discord.world.history(channel) if channel in discord.world.channels else []
    return [m.id for m in shown if m.author == BOT and not m.system and m.content]


def refused(discord: DiscordServer, code: int) -> int:
    """How often Discord answered with this error code."""
    return len([call for call in discord.record.calls if call.error == code])


async def test_where_no_thread_can_be_opened_the_answer_is_a_reply_and_replies_go_on(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    world = discord.world
    world.deny("general", CREATE_THREADS)
    async with running(tmp_path, discord_settings) as service:
        for place in ("general", "voice"):
            channel = world.channel(place).id
            asked = world.say("alice", place, f"{discord.mention} my name is Alice")
            await last_answer(discord, channel, "Question 1 was: my name is Alice")
            first = written(discord, channel)[-1]
            assert world.messages[first].reply_to == (channel, asked)
            world.say("bob", channel, "and what is it?", reply_to=first)
            await discord.wait_for(lambda: len(answers(discord, channel)) == 2, 10)  # noqa: B023
            said = [m["content"] for m in api.calls[-1].body["messages"][1:]]
            assert said[0] == "my name is Alice"
            assert "Question 1" in said[1]
            assert said[2] == "bob: and what is it?"
        lines = [line for line in service.err.splitlines() if "discord.no_thread" in line]
        assert len(lines) == 4
        assert "50013" in lines[0] and "Create Public Threads" in lines[0]
        news = world.say("alice", "news", f"{discord.mention} hello")
        await discord.wait_for(lambda: answers(discord, news), 10)
        assert world.channels[news].type == ANNOUNCEMENT_THREAD
    assert not discord.record.pings
    assert not answers(discord, world.channel("news").id)


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        (SEND_IN_THREADS, "Send Messages in Threads"),
        (SEND | CREATE_THREADS, "Send Messages"),
        (VIEW, "View Channels"),
    ],
)
async def test_a_missing_permission_ends_the_turn_with_the_fix_for_the_operator(
    missing: int,
    named: str,
    tmp_path: Path,
    api: DeepSeekServer,
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    api.script("count", Reply(pieces=LONG[:40], delay=0.02, first_delay=0.3))
    async with running(tmp_path, discord_settings) as service:
        discord.world.say("alice", "general", f"{discord.mention} count")
        discord.world.deny("general", missing)
        line = await service.printed("turn.abandoned")
        assert named in line
        before = len(discord.record.calls)
        other = discord.world.say("alice", "random", f"{discord.mention} hello")
        await discord.wait_for(lambda: answers(discord, other), 10)
    about = [call for call in discord.record.calls if call.names.get("channel") != other]
    assert discord.record.invalid <= 4, "no storm of retries"
    assert len(about) < before + 8
    assert not answers(discord, discord.world.channel("general").id)


async def test_a_thread_that_is_archived_while_answering_is_opened_again(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    world, text = discord.world, "".join(LONG[:70]).strip()
    api.script("count", Reply(pieces=LONG[:70], delay=0.04))
    async with running(tmp_path, discord_settings):
        one = world.say("alice", "general", f"{discord.mention} count")
        root = world.say("bob", "random", "a thread of people")
        two = world.open_thread("bob", root, "People")
        asked = discord.interactions.slash("bob", two, "ask", prompt="count")
        for place in (one, two):
            await discord.wait_for(lambda: written(discord, place), 10)  # noqa: B023
            world.archive(place)
        await last_answer(discord, one, text)
        await discord.wait_for(lambda: asked.text() == text, 10)
    for place in (one, two):
        (message,) = written(discord, place)
        assert not discord.record.went_back(message)
        assert not world.channels[place].archived
    assert len(api.calls) == 2


async def test_places_that_vanish_while_answering_end_the_answer_and_nothing_else(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    world = discord.world
    api.script("count", Reply(pieces=LONG, delay=0.04))
    async with running(tmp_path, discord_settings) as service:
        gone, deleted, locked = (
            world.say("alice", "general", f"{discord.mention} count {word}") for word in "abc"
        )
        asked = discord.interactions.slash("bob", "random", "ask", prompt="count d")
        for place in (gone, deleted, locked):
            await discord.wait_for(lambda: written(discord, place), 15)  # noqa: B023
        await discord.wait_for(asked.text, 10)
        messages = [written(discord, place)[0] for place in (gone, deleted)]
        world.delete_channel(gone)
        world.delete(messages[1])
        world.archive(locked, lock=True)
        world.delete(asked.message_id)
        await until(lambda: all(call.hung_up for call in api.calls))
        await until(lambda: service.err.count("turn.abandoned") == 2)
        await until(lambda: service.err.count("turn.cancelled") == 2)
        assert "the channel or thread was deleted" in service.err
        assert "locked" in service.err
        calls = len(discord.record.calls)
        world.say("alice", deleted, "go on")
        await discord.wait_for(lambda: answers(discord, deleted), 10)
    assert len(answers(discord, deleted)) == 1
    assert all(discord.record.history(m)[-1].text is None for m in (messages[1], asked.message_id))
    assert [c for c in discord.record.calls[calls:] if c.names.get("channel") != deleted] == []
    assert refused(discord, 10003) == 1
    assert refused(discord, 10008) == 2
    assert discord.record.invalid == 0


async def test_a_question_deleted_before_its_thread_was_open_and_a_bot_that_is_kicked(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    world = discord.world
    api.script("count", Reply(pieces=LONG, delay=0.04))
    discord.faults.add(Fault(OPEN, delay=0.5))
    async with running(tmp_path, discord_settings) as service:
        deleted = world.say("alice", "general", f"{discord.mention} hello")
        await discord.wait_for(lambda: api.calls, 10)
        world.delete(deleted)
        line = await service.printed("turn.abandoned")
        assert "the question was deleted" in line
        asked = world.say("alice", "general", f"{discord.mention} count")
        await discord.wait_for(lambda: written(discord, asked), 10)
        world.kick_bot()
        await until(lambda: api.calls[1].hung_up)
        await until(lambda: "View Channels" in service.err)
        direct = world.direct("bob")
        world.say("bob", direct, "still here?")
        await discord.wait_for(lambda: answers(discord, direct), 10)
    assert not answers(discord, deleted)
    assert discord.record.invalid == 1
    assert len(answers(discord, world.channel("general").id)) == 0
