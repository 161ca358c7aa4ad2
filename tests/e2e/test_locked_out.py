"""A platform that refuses our token while turns run: they wait, the other platform goes on."""

import asyncio
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.seen import answers, until
from tests.e2e.seen_discord import answers as discord_answers
from tests.e2e.service import Service, running, start
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.discord import DiscordServer
from tests.emulators.slack import SlackServer
from tests.emulators.slack_faults import Fault

LONG = tuple(f"word{number} " for number in range(60))
WATCHED = 30.0
"""Seconds in which a platform that refuses us may be called three times."""
MOST_CALLS = 3


async def parts(service: Service) -> dict[str, str]:
    """What /readyz says."""
    async with (
        aiohttp.ClientSession(service.address) as session,
        session.get("/readyz") as ready,
    ):
        found: dict[str, Any] = (await ready.json())["parts"]
    return found


def states(folder: Path, platform: str) -> Counter[str]:
    """The turns of a platform, by state."""
    with sqlite3.connect(folder / "threadseek.db") as connection:
        rows = connection.execute(
            "SELECT state FROM turn JOIN conversation c ON c.id = conversation_id"
            " WHERE platform = ?",
            (platform,),
        )
        return Counter(state for (state,) in rows)


async def test_slack_refuses_our_token(
    tmp_path: Path,
    api: DeepSeekServer,
    slack: SlackServer,
    settings: dict[str, str],
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    channel = slack.workspace.channel("general").id
    api.script("count", *[Reply(pieces=LONG, delay=0.05)] * 6)
    everything = settings | discord_settings
    async with running(tmp_path, everything) as service:
        asked = [
            slack.workspace.say("alice", "general", f"{slack.mention} count {n}") for n in range(3)
        ]
        await slack.wait_for(lambda: len(slack.record.called_with("chat.appendStream")) >= 3, 15)
        slack.app.token_error = "token_revoked"
        await service.printed("platform.locked_out")
        before = len(slack.record.calls)
        more = [
            slack.workspace.say("bob", "general", f"{slack.mention} and {n}?") for n in range(4)
        ]
        there = discord.world.say("alice", "general", f"{discord.mention} are you there?")
        await discord.wait_for(lambda: discord_answers(discord, there), 15)
        await asyncio.sleep(WATCHED)
        assert len(slack.record.calls) - before <= MOST_CALLS
        found = await parts(service)
        assert "token_revoked" in found["slack"]
        assert "SLACK_BOT_TOKEN and restart" in found["slack"]
        assert found["discord"] == "ok"
        waiting = states(tmp_path, "slack")  # of what is asked now Slack doesn't even tell us
        assert waiting.total() == 3
        assert set(waiting) <= {"received", "answered", "delivered"}
        assert states(tmp_path, "discord") == {"settled": 1}
        await service.end()
    slack.app.token_error = ""
    async with running(tmp_path, everything):
        for root in asked:
            await until(lambda: "word59" in "".join(answers(slack, channel, root)), 40)  # noqa: B023
        for root in more:
            await slack.wait_for(lambda: answers(slack, channel, root), 40)  # noqa: B023
        await until(lambda: states(tmp_path, "slack") == {"settled": 7}, 40)
    assert all(len(answers(slack, channel, root)) == 1 for root in asked)


async def test_discord_refuses_our_token(
    tmp_path: Path,
    api: DeepSeekServer,
    slack: SlackServer,
    settings: dict[str, str],
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    channel = slack.workspace.channel("general").id
    api.script("count", *[Reply(pieces=LONG, delay=0.05)] * 6)
    everything = settings | discord_settings
    async with running(tmp_path, everything) as service:
        asked = [
            discord.world.say("alice", "general", f"{discord.mention} count {n}") for n in range(3)
        ]
        for thread in asked:
            await discord.wait_for(lambda: discord_answers(discord, thread), 15)  # noqa: B023
        discord.app.token = "another.bot.token"
        await service.printed("platform.locked_out")
        before = len(discord.record.calls)
        more = [
            discord.world.say("bob", "general", f"{discord.mention} and {n}?") for n in range(4)
        ]
        root = slack.workspace.say("alice", "general", f"{slack.mention} are you there?")
        await slack.wait_for(lambda: answers(slack, channel, root), 15)
        await asyncio.sleep(WATCHED)
        assert len(discord.record.calls) - before <= MOST_CALLS
        found = await parts(service)
        assert "401" in found["discord"]
        assert "DISCORD_BOT_TOKEN and restart" in found["discord"]
        assert found["slack"] == "ok"
        assert states(tmp_path, "discord") == {"received": 7}
        assert states(tmp_path, "slack") == {"settled": 1}
        await service.end()
    everything["DISCORD_BOT_TOKEN"] = discord.app.token
    async with running(tmp_path, everything):
        for thread in asked:
            await until(lambda: "word59" in "".join(discord_answers(discord, thread)), 40)  # noqa: B023
        for thread in more:
            await discord.wait_for(lambda: discord_answers(discord, thread), 40)  # noqa: B023
        await until(lambda: states(tmp_path, "discord") == {"settled": 7}, 40)
    assert all(len(discord_answers(discord, thread)) == 1 for thread in asked)


async def test_discord_does_not_wait_for_a_slack_that_is_silent(
    tmp_path: Path,
    slack: SlackServer,
    settings: dict[str, str],
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    slack.faults.add(Fault("auth.test", reply_delay=6))
    service = await start(tmp_path, settings | discord_settings)
    await service.printed("Discord        connected")
    assert "Slack          connected" not in service.out
    there = discord.world.say("alice", "general", f"{discord.mention} are you there?")
    await discord.wait_for(lambda: discord_answers(discord, there), 15)
    await service.printed("Slack          connected")
    assert await service.end() == 0
