"""Bad days of the machine: disk, clock, file. What people see, what the operator sees."""

import json
import resource
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.e2e.conftest import MANIFEST
from tests.e2e.disks import becomes, breakable_disk, fill, small_disk, turn_read_only
from tests.e2e.seen import answers, calm, until
from tests.e2e.service import Service, command, running, start
from tests.emulators.deepseek import DeepSeekServer, Reply, error_reply
from tests.emulators.slack import SlackServer
from tests.emulators.slack_app import App

LONG = tuple(f"word{number} " for number in range(120))
WITHIN = 60.0  # seconds; it takes a few, on a machine with nothing else to do
SHORT_WAITS = 0.05  # Slack comes again after 0, 3 and 15 seconds


@asynccontextmanager
async def workspace(settings: dict[str, str]) -> AsyncIterator[SlackServer]:
    """A workspace that delivers again soon; the settings lead to it."""
    app = App.from_manifest(json.loads(MANIFEST.read_text()))
    async with SlackServer(app, scale=SHORT_WAITS) as slack:
        settings |= {
            "SLACK_API_URL": slack.api_url,
            "SLACK_BOT_TOKEN": slack.app.bot_token,
            "SLACK_APP_TOKEN": slack.app.app_token,
        }
        yield slack


async def over_http(slack: SlackServer, service: Service) -> None:
    assert await slack.subscribe(service.address + "slack/events")


def http(settings: dict[str, str], slack: SlackServer) -> dict[str, str]:
    """The settings for events over HTTP."""
    rest = {name: value for name, value in settings.items() if name != "SLACK_APP_TOKEN"}
    return rest | {"SLACK_SIGNING_SECRET": slack.app.signing_secret}


def sound(path: Path) -> bool:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def refusals(slack: SlackServer, ts: str) -> list[int]:
    """The HTTP status of every delivery of a message that was not acknowledged."""
    return [delivery.status for delivery in slack.deliverer.of(ts) if delivery.failure]


async def test_a_full_disk(tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]) -> None:
    api.script("count", Reply(pieces=LONG, delay=0.08, finish="length"))
    with small_disk(tmp_path / "disk", 20) as folder:
        async with workspace(settings) as slack, running(folder, http(settings, slack)) as service:
            await over_http(slack, service)
            general = slack.workspace.channel("general").id
            say = slack.workspace.say
            await becomes(service, "database", "ok")

            filling = fill(folder, leave=8 * 2**20)
            await becomes(service, "database", "nearly full")
            early = say("alice", "general", f"{slack.mention} early")
            await slack.wait_for(lambda: answers(slack, general, early), WITHIN)
            await service.printed("turn.settled", WITHIN)

            running_one = say("bob", "general", f"{slack.mention} count")
            await slack.wait_for(lambda: answers(slack, general, running_one), WITHIN)
            fill(folder)
            await becomes(service, "database", "the disk is full: free some space")
            asked = [say("alice", "general", f"{slack.mention} while full {n}") for n in range(3)]
            await slack.wait_for(lambda: all(refusals(slack, ts) for ts in asked), WITHIN)
            assert {status for ts in asked for status in refusals(slack, ts)} == {500}
            # What comes after the last word is added once the answer is over.
            end = f"{LONG[-1]}\n\n_The answer reached its length limit."
            await slack.wait_for(lambda: end in answers(slack, general, running_one)[0], WITHIN)
            assert not any(answers(slack, general, ts) for ts in asked)
            line = await service.printed("slack.not_accepted")
            assert "the disk is full: free some space" in line

            filling.unlink()
            await becomes(service, "database", "ok")
            await slack.wait_for(lambda: all(answers(slack, general, ts) for ts in asked), WITHIN)
            await until(lambda: service.err.count("turn.settled") == 5, WITHIN)
            shown = [answers(slack, general, ts) for ts in (early, running_one, *asked)]
            assert [len(found) for found in shown] == [1] * 5
            assert len(api.calls) == 5
            assert await service.end() == 0
        assert sound(folder / "threadseek.db")
    calm(slack)


@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
async def test_a_start_on_a_full_disk_says_what_to_do(tmp_path: Path, again: bool) -> None:
    with small_disk(tmp_path / "disk", 2) as folder:
        if again:
            async with running(folder, {}) as service:
                assert await service.end() == 0
        filling = fill(folder)
        code, _, said = await command(folder, {"HTTP_PORT": "0"}, "run")
        assert (code, "Traceback" in said) == (1, False)
        assert "the disk is full: free some space" in said
        filling.unlink()
        async with running(folder, {}) as service:
            await becomes(service, "database", "nearly full")
            assert await service.end() == 0
        assert sound(folder / "threadseek.db")


async def refused_and_kept(
    service: Service, slack: SlackServer, thread: str, reason: str, problem: str
) -> str:
    """Ask while nothing can be stored: refused, and both logs and readiness say why."""
    general = slack.workspace.channel("general").id
    await becomes(service, "database", problem)
    asked = slack.workspace.say("alice", "general", f"{slack.mention} {thread}")
    await slack.wait_for(lambda: [d for d in slack.deliverer.of(asked) if d.failure], WITHIN)
    assert reason in await service.printed("slack.not_accepted")
    assert not answers(slack, general, asked)
    assert not any(delivery.acked for delivery in slack.deliverer.of(asked))
    return asked


async def test_a_quota_or_a_disk_that_fails_after_the_start(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    """The system refuses every write to files of the process, which needs no disk of its own."""
    api.script("count", Reply(pieces=LONG, delay=0.08))
    async with workspace(settings) as slack, running(tmp_path, settings) as service:
        general = slack.workspace.channel("general").id
        before = slack.workspace.say("bob", "general", f"{slack.mention} count")
        await slack.wait_for(lambda: answers(slack, general, before), WITHIN)
        number, most = service.process.pid, resource.RLIM_INFINITY
        resource.prlimit(number, resource.RLIMIT_FSIZE, (0, most))
        sentence = "the disk fails: check it"
        asked = await refused_and_kept(service, slack, "anybody there?", sentence, sentence)
        whole = "".join(LONG).strip()
        await slack.wait_for(lambda: answers(slack, general, before)[0].strip() == whole, WITHIN)
        resource.prlimit(number, resource.RLIMIT_FSIZE, (most, most))
        await becomes(service, "database", "ok")
        await slack.wait_for(lambda: answers(slack, general, asked), WITHIN)
        await until(lambda: service.err.count("turn.settled") == 2, WITHIN)
        assert [len(answers(slack, general, root)) for root in (before, asked)] == [1, 1]
        assert len(api.calls) == 2
        assert await service.end() == 0
    assert sound(tmp_path / "threadseek.db")


async def test_a_disk_that_turns_read_only(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    with breakable_disk(tmp_path / "disk") as folder:
        async with workspace(settings) as slack:
            general = slack.workspace.channel("general").id
            async with running(folder, settings) as service:
                turn_read_only(folder)
                sentence = "can't be "
                asked = await refused_and_kept(service, slack, "hello", sentence, sentence)
                assert await service.end() == 0
                kept = sound(folder / "threadseek.db")
            elsewhere = tmp_path / "mended"
            elsewhere.mkdir()
            slack.deliverer.again(slack.deliverer.of(asked)[0].event_id)
            async with running(elsewhere, settings):
                await slack.wait_for(lambda: answers(slack, general, asked), WITHIN)
            assert len(answers(slack, general, asked)) == 1
        assert kept


def delete_all(folder: Path) -> None:
    for file in folder.glob("threadseek.db*"):
        file.unlink()


async def test_a_database_deleted_while_it_is_in_use(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    """Without a refusal events would be stored in a file that nobody finds again."""
    api.script("count", Reply(pieces=LONG, delay=0.08))
    async with workspace(settings) as slack:
        general = slack.workspace.channel("general").id
        async with running(tmp_path, {**settings, "SHUTDOWN_GRACE": "1"}) as service:
            before = slack.workspace.say("bob", "general", f"{slack.mention} count")
            await slack.wait_for(lambda: answers(slack, general, before), WITHIN)
            delete_all(tmp_path)
            sentence = "was deleted or replaced while it was in use"
            asked = await refused_and_kept(service, slack, "hello", sentence, sentence)
            whole = "".join(LONG).strip()
            await slack.wait_for(
                lambda: answers(slack, general, before)[0].strip() == whole, WITHIN
            )
            assert await service.end() == 0
        slack.deliverer.again(slack.deliverer.of(asked)[0].event_id)
        async with running(tmp_path, settings):
            await slack.wait_for(lambda: answers(slack, general, asked), WITHIN)
        assert [len(answers(slack, general, root)) for root in (before, asked)] == [1, 1]


async def test_starts_that_are_killed_are_begun_anew(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    """Locks and half-made files of dead processes stand in nobody's way."""

    def appears(name: str) -> Callable[[Service], Awaitable[object]]:
        return lambda service: until(
            lambda: (tmp_path / name).exists() or service.process.returncode is not None, WITHIN
        )

    def says(text: str) -> Callable[[Service], Awaitable[object]]:
        return lambda service: service.printed(text, WITHIN)

    moments = [
        *(appears(f"threadseek.db{suffix}") for suffix in (".lock", "", "-wal")),
        *(says(text) for text in ("Database  ", "Playground  ", "Slack  ")),
    ]
    async with workspace(settings) as slack:
        for moment in moments:
            service = await start(tmp_path, settings)
            await moment(service)
            assert await service.end(signal.SIGKILL) == -signal.SIGKILL
        assert (tmp_path / "threadseek.db.lock").read_text().strip().isdecimal()
        general = slack.workspace.channel("general").id
        async with running(tmp_path, settings) as service:
            root = slack.workspace.say("alice", "general", f"{slack.mention} hello")
            await slack.wait_for(lambda: answers(slack, general, root), WITHIN)
            assert await service.end() == 0
        assert len(answers(slack, general, root)) == 1
    assert sound(tmp_path / "threadseek.db")


async def test_the_api_away_for_a_while_and_trying_again(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    """Ten minutes of it, in virtual time: tests/core/turns/test_api_away.py."""
    down = error_reply(503, "api_error", "upstream connect error")
    api.script(lambda call: "try again" not in call.last, down)
    async with workspace(settings) as slack, running(tmp_path, settings) as service:
        general = slack.workspace.channel("general").id
        root = slack.workspace.say("alice", "general", f"{slack.mention} the first")
        slack.workspace.say("bob", "general", "the second", thread_ts=root)
        await slack.wait_for(lambda: len(answers(slack, general, root)) == 2, WITHIN)
        slack.workspace.say("alice", "general", "try again", thread_ts=root)
        await slack.wait_for(lambda: len(answers(slack, general, root)) == 3, WITHIN)
        await service.printed("turn.failed")
    first, second, third = answers(slack, general, root)
    assert [call.trace_id for call in api.calls[:6]] == [f"trace-{n}" for n in range(1, 7)]
    assert "trace-3" in first
    assert "trace-6" in second
    assert len(api.calls) == 7, "three for each that failed"
    asked = api.calls[-1].last
    assert asked.index("the first") < asked.index("the second") < asked.index("try again")
    assert third
    calm(slack)
