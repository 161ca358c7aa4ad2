"""A backup of the database is restored: what was answered since is not answered again."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.e2e import seen_discord
from tests.e2e.seen import answers, calm
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer
from tests.emulators.discord import DiscordServer
from tests.emulators.slack import SlackServer

FILE = "threadseek.db"


def backed_up(folder: Path) -> Path:
    """A copy of the database of a process that has ended."""
    return Path(shutil.copy(folder / FILE, folder.with_name("backup.db")))


async def test_slack_goes_on_with_an_older_database(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    folder = tmp_path / "service"
    folder.mkdir()
    general = slack.workspace.channel("general").id
    say = slack.workspace.say
    async with running(folder, settings) as service:
        root = say("alice", "general", f"{slack.mention} one")
        await slack.wait_for(lambda: answers(slack, general, root), 15)
        await service.printed("turn.settled")
        assert await service.end(signal.SIGTERM) == 0
    backup = backed_up(folder)
    async with running(folder, settings) as service:
        other = say("bob", "general", f"{slack.mention} two")
        await slack.wait_for(lambda: answers(slack, general, other), 15)
        say("alice", "general", "three", thread_ts=root)
        await slack.wait_for(lambda: len(answers(slack, general, root)) == 2, 15)
        assert await service.end(signal.SIGTERM) == 0
    shown, asked = (answers(slack, general, root), answers(slack, general, other)), len(api.calls)
    shutil.copy(backup, folder / FILE)
    unanswered = say("bob", "general", "four", thread_ts=root)
    async with running(folder, settings) as service:
        for _ in range(2):
            await service.printed("turn.abandoned", 30)
        await slack.wait_for(lambda: len(answers(slack, general, root)) == 3, 15)
        assert "it is answered already" in service.err
    assert unanswered in slack.workspace.posts
    assert (answers(slack, general, root)[:2], answers(slack, general, other)) == shown
    assert [call.last.split(": ")[-1] for call in api.calls[asked:]] == ["four"]
    calm(slack)


@pytest.mark.parametrize("told", [False, True], ids=["nonces not told", "nonces told"])
async def test_discord_goes_on_with_an_older_database(
    told: bool,
    tmp_path: Path,
    api: DeepSeekServer,
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    """What begins a thread is known by its thread; a follow-up only where nonces can be read."""
    discord.nonces_readable = told
    world = discord.world
    folder = tmp_path / "service"
    folder.mkdir()
    async with running(folder, discord_settings) as service:
        first = world.say("alice", "general", f"{discord.mention} one")
        await seen_discord.last_answer(discord, first, "Question 1 was: one")
        await service.printed("turn.settled")
        assert await service.end(signal.SIGTERM) == 0
    backup = backed_up(folder)
    async with running(folder, discord_settings) as service:
        second = world.say("bob", "general", f"{discord.mention} two")
        await seen_discord.last_answer(discord, second, "Question 1 was: two")
        if told:
            world.say("alice", first, "three")
            await seen_discord.last_answer(discord, first, "Question 2 was: three")
        assert await service.end(signal.SIGTERM) == 0
    places = (first, second)
    shown = [seen_discord.answers(discord, place) for place in places]
    asked = len(api.calls)
    shutil.copy(backup, folder / FILE)
    async with running(folder, discord_settings) as service:
        await service.printed("discord.read_back", 20)
        third = world.say("bob", "general", f"{discord.mention} four")
        await seen_discord.last_answer(discord, third, "Question 1 was: four")
        if told:
            await service.printed("turn.abandoned")
    assert [seen_discord.answers(discord, place) for place in places] == shown
    assert [call.last for call in api.calls[asked:]] == ["four"]
