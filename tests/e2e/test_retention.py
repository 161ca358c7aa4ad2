"""RETENTION_DAYS with the shipped command: a database that has grown old, and who asks on in it."""

import asyncio
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from core.store.schema import turn
from tests.contract.store.serving import connected
from tests.e2e.seen import answers, calm
from tests.e2e.seen_discord import answers as shown
from tests.e2e.service import command, running
from tests.e2e.test_edits import holding
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.discord import DiscordServer
from tests.emulators.slack import SlackServer

FILE = "threadseek.db"
DAY = 86_400.0
SECRET = "what does the canary sing?"
COPIED = "what a backup holds"
SINGS = Reply(pieces=("The canary ", "sings."))
KEPT = {"RETENTION_DAYS": "30"}
TIMES = [column.name for column in turn.c if column.name.endswith("_at")]
_AGED = ", ".join(f"{name} = {name} - 31 * {DAY}" for name in TIMES if name != "settle_at")


def grow_old(folder: Path) -> None:
    """All that is stored happened 31 days earlier, and so did a migration that left a backup."""
    with closing(sqlite3.connect(folder / FILE)) as database, database:
        database.execute(f"UPDATE turn SET {_AGED}")
    for age, name in ((29, "0010"), (31, "0009")):
        backup = folder / f"{FILE}.{name}.backup"
        backup.write_text(COPIED)
        os.utime(backup, (0, time.time() - age * DAY))


def said(api: DeepSeekServer) -> list[str]:
    """What the API was sent last, but for the system prompt."""
    return [message["content"] for message in api.calls[-1].body["messages"][1:]]


async def test_slack_an_old_thread_leaves_the_files_and_goes_on(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    api.script("canary", SINGS)
    general, say = slack.workspace.channel("general").id, slack.workspace.say
    async with running(tmp_path, settings) as service:
        root = say("alice", "general", f"{slack.mention} {SECRET}")
        await slack.wait_for(lambda: answers(slack, general, root) == ["The canary sings."], 15)
        await service.printed("turn.settled")
        assert await service.end(signal.SIGTERM) == 0
    grow_old(tmp_path)
    async with running(tmp_path, settings) as service:  # unset: nothing is erased
        other = say("bob", "general", f"{slack.mention} and the wren?")
        await slack.wait_for(lambda: answers(slack, general, other), 15)
        await service.printed("turn.settled")
        assert await service.end(signal.SIGTERM) == 0
    assert holding(tmp_path, "canary") == [FILE]
    async with running(tmp_path, settings | KEPT) as service:
        line = await service.printed("retention.erased")
        assert ("turns=1" in line, "entries=2" in line, "backups=1" in line) == (True,) * 3, line
        assert holding(tmp_path, "canary") == [], "while it goes on"
        say("alice", "general", "why?", thread_ts=root)
        await slack.wait_for(lambda: len(answers(slack, general, root)) == 2, 15)
        assert said(api) == [SECRET, "The canary sings.", "why?"], "the thread was read again"
        say("bob", "general", "why not?", thread_ts=other)
        await slack.wait_for(lambda: len(answers(slack, general, other)) == 2, 15)
        assert said(api)[0] == "and the wren?"
        assert await service.end(signal.SIGTERM) == 0
        assert "canary" not in service.out + service.err
    assert len(api.calls) == 4
    assert holding(tmp_path, COPIED) == [f"{FILE}.0010.backup"]
    calm(slack)


async def test_discord_an_old_question_is_not_asked_again_when_it_is_edited(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    api.script("canary", SINGS)
    async with running(tmp_path, discord_settings) as service:
        question = discord.world.say("alice", "general", f"{discord.mention} {SECRET}")
        await discord.wait_for(lambda: shown(discord, question) == ["The canary sings."], 15)
        await service.printed("turn.settled")
        assert await service.end(signal.SIGTERM) == 0
    grow_old(tmp_path)
    async with running(tmp_path, discord_settings | KEPT) as service:
        await service.printed("retention.erased")
        assert holding(tmp_path, "canary") == []
        discord.world.edit(question, f"{discord.mention} what does the canary whistle?")
        discord.world.say("alice", question, "why?")
        await discord.wait_for(lambda: len(shown(discord, question)) == 2, 15)
        assert await service.end(signal.SIGTERM) == 0
    assert [call.last.rpartition(": ")[2] for call in api.calls] == [SECRET, "why?"]
    assert said(api)[-2:] == ["The canary sings.", "why?"], "the thread was read again"


async def test_postgres_words_leave_the_tables(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, shared: dict[str, str]
) -> None:
    """Two replicas do it at once."""
    api.script("canary", SINGS)
    general = slack.workspace.channel("general").id
    async with running(tmp_path, shared) as service:
        root = slack.workspace.say("alice", "general", f"{slack.mention} {SECRET}")
        await slack.wait_for(lambda: answers(slack, general, root) == ["The canary sings."], 15)
        await service.printed("turn.settled")
        assert await service.end(signal.SIGTERM) == 0
    async with connected(shared["DATABASE_URL"]) as other:
        await other.execute(f"UPDATE turn SET {_AGED}")
        async with running(tmp_path, shared | KEPT) as one, running(tmp_path, shared | KEPT) as two:
            slack.workspace.say("alice", "general", "why?", thread_ts=root)
            await slack.wait_for(lambda: len(answers(slack, general, root)) == 2, 15)
            query = "SELECT text, answer, author FROM turn ORDER BY id"
            async with asyncio.timeout(15):
                while tuple((await other.fetch(query))[0]) != ("", "", ""):  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            await asyncio.sleep(1)
            assert [row["text"] for row in await other.fetch(query)] == ["", "why?"]
            for service in (one, two):
                assert await service.end(signal.SIGTERM) == 0
        assert (one.err + two.err).count("retention.erased") == 1
        assert not any("canary" in service.out + service.err for service in (one, two))


async def test_a_number_of_days_that_is_none_is_refused(tmp_path: Path) -> None:
    code, _, told = await command(tmp_path, {"RETENTION_DAYS": "0"}, "run")
    assert code == 1
    assert "RETENTION_DAYS: must be greater than or equal to 1. (Days after which" in told
