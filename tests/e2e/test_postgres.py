"""The shipped command on PostgreSQL: a mention, a restart, and two replicas beside each other."""

import asyncio
import signal
from pathlib import Path

from core.store.postgres_migrate import LOCK
from tests.contract.store.serving import connected
from tests.e2e.conftest import PASSWORD
from tests.e2e.seen import answers
from tests.e2e.service import command, running, start
from tests.emulators.slack import SlackServer


def left_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def last_answer(slack: SlackServer, root: str, text: str, within: float = 15) -> None:
    channel = slack.workspace.channel("general").id
    await slack.wait_for(lambda: answers(slack, channel, root)[-1:] == [text], within)


async def test_a_follow_up_after_a_restart_still_knows_the_first(
    tmp_path: Path, slack: SlackServer, shared: dict[str, str]
) -> None:
    async with running(tmp_path, shared) as service:
        line = await service.printed("Database")
        assert line.startswith("Database       postgresql://postgres@")
        root = slack.workspace.say("alice", "general", f"{slack.mention} how do I add numbers?")
        await last_answer(slack, root, "Question 1 was: how do I add numbers?")
        assert await service.end(signal.SIGTERM) == 0
        printed = service.out + service.err
    async with running(tmp_path, shared) as service:
        slack.workspace.say("alice", "general", "and subtract?", thread_ts=root)
        await last_answer(slack, root, "Question 2 was: and subtract?")
        assert await service.end(signal.SIGTERM) == 0
        printed += service.out + service.err
    assert PASSWORD not in printed
    assert left_in(tmp_path) == [], "nothing is kept on this machine"


async def test_two_replicas_answer_once_and_one_goes_on_when_the_other_is_killed(
    tmp_path: Path, slack: SlackServer, shared: dict[str, str]
) -> None:
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, shared) as first, running(tmp_path, shared) as second:
        roots = {
            number: slack.workspace.say("alice", "general", f"{slack.mention} number {number}")
            for number in range(8)
        }
        for number, root in roots.items():
            await last_answer(slack, root, f"Question 1 was: number {number}")
        assert {len(answers(slack, channel, root)) for root in roots.values()} == {1}
        await first.end(signal.SIGKILL)
        root = slack.workspace.say("alice", "general", f"{slack.mention} still there?")
        await last_answer(slack, root, "Question 1 was: still there?", 30)
        async with connected(shared["DATABASE_URL"]) as other:
            states = {row["state"] for row in await other.fetch("SELECT state FROM turn")}
        assert states <= {"answered", "settled"}
        assert await second.end(signal.SIGTERM) == 0


async def test_the_terminal_continues_a_conversation_there(
    tmp_path: Path, shared: dict[str, str]
) -> None:
    variables = {**shared, "LOG_LEVEL": "error"}
    code, _, err = await command(tmp_path, variables, "chat", "--thread", "mine", "first")
    assert code == 0, err
    code, out, err = await command(tmp_path, variables, "chat", "--thread", "mine", "second")
    assert (code, out.strip()) == (0, "Question 2 was: second"), err
    code, out, _ = await command(tmp_path, variables, "config")
    assert code == 0
    assert PASSWORD not in out


async def test_two_terminals_on_one_conversation_are_refused(
    tmp_path: Path, shared: dict[str, str]
) -> None:
    code, _, _ = await command(tmp_path, shared, "chat", "--thread", "mine", "first")
    assert code == 0
    async with connected(shared["DATABASE_URL"]) as other:
        assert await other.fetchval("SELECT pg_try_advisory_lock(hashtextextended('mine', 0))")
        async with asyncio.timeout(20):
            code, _, err = await command(tmp_path, shared, "chat", "--thread", "mine", "second")
        assert code == 1
        assert "open in another terminal" in err


async def test_a_server_that_is_away_is_said_at_the_start(
    tmp_path: Path, shared: dict[str, str]
) -> None:
    nowhere = f"postgresql://ann:{PASSWORD}@/name?host={tmp_path}"
    code, out, err = await command(tmp_path, {**shared, "DATABASE_URL": nowhere}, "run")
    assert code == 1
    assert "not to be reached" in err
    assert PASSWORD not in out + err


async def test_a_replica_that_waits_for_another_to_migrate_can_be_stopped(
    tmp_path: Path, shared: dict[str, str]
) -> None:
    async with connected(shared["DATABASE_URL"]) as other, other.transaction():
        await other.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
        service = await start(tmp_path, shared)
        try:
            assert "another replica" in await service.printed("database.waiting")
            assert await service.end(within=4) == 0
            assert "Traceback" not in service.err
        finally:
            await service.end(signal.SIGKILL)
