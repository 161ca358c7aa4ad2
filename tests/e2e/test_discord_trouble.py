"""When things go wrong in Discord around the shipped command: a clear result, nothing lost."""

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.turns.notices import LATE
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


@asynccontextmanager
async def standing_in(
    settings: dict[str, str], scale: float = 0.1, ack_timeout: float = 3.0
) -> AsyncIterator[DiscordServer]:
    """A Discord whose long waits are short (of them a token's life, the pause between two logins),
    but whose rate limits are the usual ones; the settings lead to it."""
    async with DiscordServer(scale=scale, limits=Limits(), ack_timeout=ack_timeout) as discord:
        settings["DISCORD_API_URL"] = discord.api_url
        settings["DISCORD_GATEWAY_URL"] = discord.gateway_url
        yield discord


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
        assert "warning" in line
        before = len(discord.record.calls)
        other = discord.world.say("alice", "random", f"{discord.mention} hello")
        await discord.wait_for(lambda: answers(discord, other), 10)
    about = [call for call in discord.record.calls if call.names.get("channel") != other]
    assert discord.record.invalid <= 4, "no storm of retries"
    assert len(about) < before + 8
    assert not answers(discord, discord.world.channel("general").id)


async def test_a_refusal_in_one_thread_is_none_of_the_others_business(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    world = discord.world
    api.script("count", Reply(pieces=LONG, delay=0.04))
    fault = discord.faults.add(Fault(EDIT, retry_after=30))
    async with running(tmp_path, discord_settings):
        one = world.say("alice", "general", f"{discord.mention} count")
        await discord.wait_for(lambda: written(discord, one), 10)
        await until(lambda: not fault.times)
        shown = len(discord.record.history(written(discord, one)[0]))
        two = world.say("bob", "random", f"{discord.mention} hello")
        await last_answer(discord, two, "Question 1 was: hello")
        assert len(discord.record.history(written(discord, one)[0])) == shown, "it waits"


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
        await discord.wait_for(lambda: asked.message_id in world.channels, 10)  # its thread
        messages = [written(discord, place)[0] for place in (gone, deleted)]
        world.delete_channel(gone)
        world.delete(messages[1])
        world.archive(locked, lock=True)
        world.delete(asked.message_id)
        await until(lambda: all(call.hung_up for call in api.calls))
        ends = ("turn.abandoned", "turn.cancelled")
        await until(lambda: sum(service.err.count(end) for end in ends) == 4)
        # That a thread is gone is told twice: as an event, and by the refusal of an edit.
        assert service.err.count("turn.cancelled") in (2, 3)
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
    discord.faults.add(Fault(OPEN, times=9, delay=0.5))
    async with running(tmp_path, discord_settings) as service:
        deleted = world.say("alice", "general", f"{discord.mention} hello")
        await until(lambda: api.calls)
        world.delete(deleted)
        line = await service.printed("turn.cancelled")
        discord.faults.clear()
        assert "deleted" in line
        # The call that was under way lands late.
        await discord.wait_for(lambda: discord.record.called_with(OPEN), 5)
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_answers_cut_by_the_end_of_the_process_go_on_in_the_same_messages(
    number: signal.Signals, tmp_path: Path, api: DeepSeekServer, discord_settings: dict[str, str]
) -> None:
    whole = Reply(pieces=("all ", "of it"))
    api.script("count", *[Reply(pieces=LONG, delay=0.05)] * 2, whole, whole)
    async with standing_in(discord_settings) as discord:
        async with running(tmp_path, {**discord_settings, "SHUTDOWN_GRACE": "0.3"}) as service:
            place = discord.world.say("alice", "general", f"{discord.mention} count")
            asked = discord.interactions.slash("bob", "random", "ask", prompt="count")
            await discord.wait_for(lambda: asked.text() and answers(discord, place), 10)
            await service.end(number)
        shown = [*answers(discord, place), asked.text() or ""]
        assert len(shown) == 2
        assert all(("restarted" in text) is (number is signal.SIGTERM) for text in shown)
        assert all(text.startswith("word0") for text in shown)
        async with running(tmp_path, discord_settings):
            await last_answer(discord, place, "all of it", 8)
            await discord.wait_for(lambda: asked.text() == "all of it", 10)
            await discord.wait_for(lambda: asked.message_id in discord.world.channels, 5)
        assert len(written(discord, place)) == len(asked.messages) == 1
        assert len(answers(discord, discord.world.channel("random").id)) == 1
        assert len(api.calls) == 4
        errors = {(call.method, call.error) for call in discord.record.calls if call.error}
        # A thread that was open already, and one that wasn't yet when it was read back.
        assert errors <= {("POST", 160004), ("GET", 10003)}
        assert not discord.record.too_fast


async def test_a_token_that_dies_while_answering_is_followed_by_the_bots_own(
    tmp_path: Path, api: DeepSeekServer, discord_settings: dict[str, str]
) -> None:
    text = "".join(LONG[:60]).strip()
    api.script("count", Reply(pieces=LONG[:60], delay=0.05))
    api.script("think", Reply(pieces=("at ", "last"), first_delay=2.0))
    api.script("again", Reply(pieces=LONG, delay=0.05), Reply(pieces=("after ", "it")))
    async with standing_in(discord_settings, 0.002) as discord:  # a token lives for 1.8 s
        people = discord.interactions
        async with running(tmp_path, {**discord_settings, "SHUTDOWN_GRACE": "0"}) as service:
            long = people.slash("alice", "general", "ask", prompt="count")
            late = people.slash("alice", "random", "ask", prompt="think")
            # The bot's own token is not let near a message that still waits.
            random = discord.world.channel("random").id
            await discord.wait_for(lambda: "at last" in answers(discord, random), 10)
            await discord.wait_for(lambda: long.text() == text, 20)
            cut = people.slash("alice", "random", "ask", prompt="again")
            await discord.wait_for(cut.text, 10)
            await service.end(signal.SIGKILL)
        await asyncio.sleep(max(0.0, 1.9 - cut.age))
        async with running(tmp_path, discord_settings):
            await discord.wait_for(lambda: cut.text() == "after it", 15)
            await discord.wait_for(lambda: cut.message_id in discord.world.channels, 5)
        for asked in (long, late, cut):
            assert len(asked.messages) == 1
            assert asked.message_id in discord.world.channels
            assert not discord.record.went_back(asked.message_id)
        assert all(text.startswith(state) for state in edits(discord, long.message_id))
        assert refused(discord, 50027) == 3, "each dead token is tried once"
        assert not discord.record.too_fast


async def test_the_callback_too_late_lost_and_without_a_message(
    tmp_path: Path, api: DeepSeekServer, discord_settings: dict[str, str]
) -> None:
    async with standing_in(discord_settings, ack_timeout=0.5) as discord:
        people = discord.interactions
        async with running(tmp_path, discord_settings) as service:
            discord.faults.add(Fault(CALLBACK, delay=0.7))
            late = people.slash("alice", "general", "ask", prompt="too late")
            line = await service.printed("discord.command_failed")
            assert "10062" in line
            assert "the person was told so" in line
            discord.faults.add(Fault(CALLBACK, cut="after"))
            lost = people.slash("alice", "general", "ask", prompt="lost")
            await discord.wait_for(lambda: lost.text() == "Question 1 was: lost", 10)
            await discord.wait_for(lambda: lost.message_id in discord.world.channels, 5)
            discord.tells_answers = False
            mute = people.slash("alice", "general", "ask", prompt="mute")
            await discord.wait_for(lambda: mute.text() == "Question 1 was: mute", 10)
            await discord.wait_for(lambda: mute.message_id in discord.world.channels, 5)
        assert not late.messages
        assert len(lost.messages) == len(mute.messages) == 1
        assert refused(discord, 40060) == 1
        assert len(answers(discord, discord.world.channel("general").id)) == 2
        assert [call.last for call in api.calls] == ["lost", "mute"]


async def test_a_locked_database_delays_an_answer_but_not_the_callback(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    async with running(tmp_path, discord_settings):
        other = sqlite3.connect(tmp_path / "threadseek.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        asked = discord.interactions.slash("alice", "general", "ask", prompt="hello")
        await discord.wait_for(lambda: asked.thinking, 3)
        assert asked.acked_after is not None and asked.acked_after < 1
        await asyncio.sleep(5)
        assert asked.thinking and not api.calls
        other.execute("ROLLBACK")
        other.close()
        await discord.wait_for(lambda: asked.text() == "Question 1 was: hello", 15)
    assert len(asked.messages) == len(api.calls) == 1
    calm(discord)


async def test_a_command_that_died_with_the_process_is_not_left_without_a_word(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    world = discord.world
    async with running(tmp_path, discord_settings) as service:
        known = world.say("alice", "general", f"{discord.mention} hello")
        await service.printed("turn.settled")
        other = sqlite3.connect(tmp_path / "threadseek.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        asked = discord.interactions.slash("alice", "general", "ask", prompt="lost")
        await discord.wait_for(lambda: asked.thinking, 3)
        await service.end(signal.SIGKILL)
        other.execute("ROLLBACK")
        other.close()
    async with running(tmp_path, discord_settings):
        channel = world.channel("general").id
        await discord.wait_for(lambda: any(answers(discord, channel)), 15)
        await asyncio.sleep(0.5)
    assert [text for text in answers(discord, channel) if text] == [LATE]
    assert len(answers(discord, known)) == 1
    assert len(api.calls) == 1
