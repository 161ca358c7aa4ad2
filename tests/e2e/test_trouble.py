"""When things go wrong around the shipped command: a clear result, nothing lost."""

import asyncio
import json
import signal
import socket
import sqlite3
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.conftest import KEY
from tests.e2e.disks import becomes
from tests.e2e.seen import answers, calm, until
from tests.e2e.service import command, running, start
from tests.emulators.deepseek import DeepSeekServer, Reply, error_reply
from tests.emulators.slack import SlackServer
from tests.emulators.slack_faults import Fault

LONG = tuple(f"word{number} " for number in range(400))


async def refused(folder: Path, settings: dict[str, str]) -> str:
    """Start it where it can't start; what it says to the operator."""
    code, _, err = await command(folder, {"HTTP_PORT": "0", **settings}, "run")
    assert code == 1
    assert "Traceback" not in err
    return err


async def test_no_key_no_token_and_the_offline_server_answers(tmp_path: Path) -> None:
    async with running(tmp_path, {}) as service:
        assert "offline server" in service.out
        assert "Slack          off: set SLACK_BOT_TOKEN and SLACK_APP_TOKEN" in service.out
        assert str(tmp_path / "threadseek.db") in service.out
        async with aiohttp.ClientSession(service.address) as session:
            async with session.get("/") as page:
                assert "offline server" in await page.text()
            async with session.get("/readyz") as ready:
                assert ready.status == 200
            body = json.dumps({"id": "a", "text": "hello there"})
            async with (
                session.get("api/threads/t") as stream,
                session.post(
                    "api/threads/t", data=body, headers={"Content-Type": "application/json"}
                ) as post,
            ):
                assert post.status == 202
                text = ""
                async with asyncio.timeout(20):
                    while "hello there" not in text or '"status", "text": ""' not in text:
                        text = (await stream.content.readline()).decode() + text
        assert "offline server" in text
    assert (tmp_path / "threadseek.db").stat().st_mode & 0o077 == 0


async def test_every_configuration_problem_at_once(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DEEPSEEK_TEMPERATURE=3\nSLACK_BOT_TOKEN=xapp-1\n")
    said = await refused(tmp_path, {"DEEPSEEK_N": "none"})
    for name in ("DEEPSEEK_TEMPERATURE", "SLACK_BOT_TOKEN", "DEEPSEEK_N"):
        assert f"{name}: " in said
    assert "xapp-1" not in said


async def test_a_wrong_key_is_one_calm_sentence_and_a_fix_for_the_operator(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    channel = slack.workspace.channel("general").id
    wrong = "sk-wrong-canary-99"
    async with running(tmp_path, {**settings, "DEEPSEEK_API_KEY": wrong}) as service:
        root = slack.workspace.say("alice", "general", f"{slack.mention} hello")
        await slack.wait_for(lambda: answers(slack, channel, root), 10)
        await service.end()
        logs = service.out + service.err
    (said,) = answers(slack, channel, root)
    (call,) = api.calls
    assert call.trace_id in said
    assert "\n" not in said
    assert call.trace_id in logs
    assert "check DEEPSEEK_API_KEY" in logs
    assert wrong not in logs + said
    calm(slack)


async def test_a_wrong_slack_token_leaves_the_rest_running(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    settings["SLACK_BOT_TOKEN"] = "xoxb-not-the-one"
    async with running(tmp_path, settings) as service:
        line = await service.printed("Slack          off:")
        assert "SLACK_BOT_TOKEN" in line
        assert "invalid_auth" in line
        async with aiohttp.ClientSession(service.address) as session:
            async with session.get("/healthz") as alive:
                assert alive.status == 200
            async with session.get("/readyz") as ready:
                assert ready.status == 503
                assert "invalid_auth" in (await ready.json())["parts"]["slack"]


async def test_slack_away_at_the_start_comes_back(
    tmp_path: Path, slack: SlackServer, settings: dict[str, str]
) -> None:
    channel = slack.workspace.channel("general").id
    await slack.go_away()
    async with running(tmp_path, settings) as service:
        await service.printed("Slack          not connected yet")
        await slack.come_back()
        await service.printed("Slack          connected as")
        root = slack.workspace.say("alice", "general", f"{slack.mention} hello")
        await slack.wait_for(lambda: answers(slack, channel, root), 15)
    assert len(answers(slack, channel, root)) == 1


async def test_slack_away_for_a_while_is_seen_and_what_was_asked_is_answered(
    tmp_path: Path, slack: SlackServer, settings: dict[str, str]
) -> None:
    channel = slack.workspace.channel("general").id

    async def becomes(session: aiohttp.ClientSession, wanted: int) -> None:
        status = 0
        async with asyncio.timeout(20):
            while status != wanted:
                async with session.get("/readyz") as answer:
                    status = answer.status
                await asyncio.sleep(0.1)

    async with running(tmp_path, settings) as service:
        async with aiohttp.ClientSession(service.address) as session:
            await becomes(session, 200)
            await slack.go_away()
            root = slack.workspace.say("alice", "general", f"{slack.mention} hello")
            await becomes(session, 503)
            await slack.come_back()
            await becomes(session, 200)
        slack.deliverer.again(slack.deliverer.of(root)[0].event_id)
        await slack.wait_for(lambda: answers(slack, channel, root), 15)
    assert len(answers(slack, channel, root)) == 1


async def test_http_events_without_a_secret_are_never_served(
    tmp_path: Path, slack: SlackServer, settings: dict[str, str]
) -> None:
    del settings["SLACK_APP_TOKEN"]
    async with running(tmp_path, settings) as service:
        await service.printed("Slack          off: set SLACK_APP_TOKEN (Socket Mode)")
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                service.address + "slack/events", json={"type": "url_verification"}
            ) as answer,
        ):
            assert answer.status == 404


async def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = await refused(tmp_path, {"HTTP_PORT": str(port)})
    assert f"HTTP_PORT: 127.0.0.1:{port}" in said


async def test_databases_that_can_not_be_used(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    assert "is a directory" in await refused(tmp_path, {"DATABASE_URL": "sqlite:///folder.db"})
    nowhere = await refused(tmp_path, {"DATABASE_URL": "sqlite:///no/such/folder/x.db"})
    assert "no directory" in nowhere
    (tmp_path / "text.db").write_text("this is not a database, it is a text file\n" * 50)
    assert "text.db" in await refused(tmp_path, {"DATABASE_URL": "sqlite:///text.db"})
    async with running(tmp_path, {}):
        said = await refused(tmp_path, {})
        assert "in use by process" in said
    with sqlite3.connect(tmp_path / "threadseek.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "9999" in await refused(tmp_path, {})


async def test_sigterm_lets_an_answer_finish_within_the_grace(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    api.script(None, Reply(pieces=LONG[:60], delay=0.05))
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings) as service:
        root = slack.workspace.say("alice", "general", f"{slack.mention} count")
        await slack.wait_for(lambda: answers(slack, channel, root), 10)
        assert await service.end(signal.SIGTERM) == 0
    assert [said.rstrip() for said in answers(slack, channel, root)] == [
        "".join(LONG[:60]).rstrip()
    ]
    calm(slack)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_an_answer_cut_by_the_end_of_the_process_goes_on_in_the_same_message(
    number: signal.Signals,
    tmp_path: Path,
    api: DeepSeekServer,
    slack: SlackServer,
    settings: dict[str, str],
) -> None:
    api.script(None, Reply(pieces=LONG, delay=0.05), Reply(pieces=("the ", "whole ", "answer")))
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, {**settings, "SHUTDOWN_GRACE": "0.5"}) as service:
        root = slack.workspace.say("alice", "general", f"{slack.mention} count")
        await slack.wait_for(lambda: answers(slack, channel, root), 10)
        await service.end(number)
    (left,) = answers(slack, channel, root)
    assert ("restarted" in left) is (number is signal.SIGTERM)
    async with running(tmp_path, settings):
        await slack.wait_for(lambda: answers(slack, channel, root) == ["the whole answer"], 20)
    assert len(api.calls) == 2


async def test_our_message_deleted_while_answering_stops_the_answer(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    api.script("count", Reply(pieces=LONG, delay=0.05))
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings):
        root = slack.workspace.say("alice", "general", f"{slack.mention} count")
        await slack.wait_for(lambda: answers(slack, channel, root), 10)
        (post,) = slack.record.thread(channel, root)[1:]
        slack.workspace.delete(post.ts)
        await until(lambda: api.calls[0].hung_up)
        slack.workspace.say("alice", "general", "go on", thread_ts=root)
        await slack.wait_for(lambda: answers(slack, channel, root), 10)
    assert len(answers(slack, channel, root)) == 1
    assert len(api.calls) == 2


async def test_removed_from_the_channel_while_answering_stops_the_answer(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    api.script("count", Reply(pieces=LONG, delay=0.05))
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings) as service:
        root = slack.workspace.say("alice", "general", f"{slack.mention} count")
        await slack.wait_for(lambda: answers(slack, channel, root), 10)
        for method in ("update", "appendStream", "stopStream"):
            slack.faults.add(Fault(f"chat.{method}", times=99, error="not_in_channel"))
        await until(lambda: api.calls[0].hung_up)
        calls = len(slack.record.calls)
        slack.faults.clear()
        direct = slack.workspace.direct("bob")
        there = slack.workspace.say("bob", direct, "still here?")
        await slack.wait_for(lambda: answers(slack, direct, there), 10)
        await service.end()
    refused_calls = [call for call in slack.record.calls[:calls] if call.error == "not_in_channel"]
    assert len(refused_calls) == 1
    assert "turn.abandoned" in service.err


async def test_the_api_down_is_retried_and_then_said(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    channel = slack.workspace.channel("general").id
    down = error_reply(500, "api_error", "fetch failed")
    api.script("first", down, Reply(pieces=("fine",)))
    api.script("second", down)
    async with running(tmp_path, settings):
        one = slack.workspace.say("alice", "general", f"{slack.mention} first")
        two = slack.workspace.say("bob", "general", f"{slack.mention} second")
        await slack.wait_for(lambda: answers(slack, channel, one) == ["fine"], 15)
        await slack.wait_for(lambda: answers(slack, channel, two), 15)
    tries = [call for call in api.calls if call.last == "second"]
    assert len(tries) == 3
    (said,) = answers(slack, channel, two)
    assert tries[-1].trace_id in said
    assert "fetch failed" not in said


async def test_a_huge_answer_in_order_and_whole(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    lines = [f"print({number}, 'some line of code in a very long block')" for number in range(600)]
    text = "Look:\n\n```python\n" + "\n".join(lines) + "\n```\n\nThat is all."
    api.script(
        None,
        Reply(pieces=tuple(text[at : at + 500] for at in range(0, len(text), 500)), delay=0.02),
    )
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings):
        root = slack.workspace.say("alice", "general", f"{slack.mention} code")
        await slack.wait_for(lambda: "That is all." in "".join(answers(slack, channel, root)), 30)
        await asyncio.sleep(1.5)
    shown = answers(slack, channel, root)
    assert len(shown) >= 3
    assert all(part.count("```") % 2 == 0 for part in shown)
    assert all(part.startswith("```python\n") for part in shown[1:])
    found = [line for part in shown for line in part.splitlines() if line.startswith("print(")]
    assert found == lines
    calm(slack)


@pytest.mark.parametrize(
    ("first", "grown", "last"),
    [("postMessage", "update", "update"), ("", "appendStream", "stopStream")],
    ids=["posted", "streamed"],
)
async def test_refusals_of_slack_never_reach_the_text(
    tmp_path: Path,
    api: DeepSeekServer,
    slack: SlackServer,
    settings: dict[str, str],
    first: str,
    grown: str,
    last: str,
) -> None:
    pieces = (*LONG[:120], "end")
    api.script(None, Reply(pieces=pieces, delay=0.03))
    slack.app.no_streams = "unknown_method" if first else ""
    faults = [
        Fault(f"chat.{grown}", times=2, retry_after=1),
        Fault(f"chat.{last}", status=503),
        *([Fault(f"chat.{first}", retry_after=1)] if first else []),
    ]
    for fault in faults:
        slack.faults.add(fault)
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings):
        root = slack.workspace.say("alice", "general", f"{slack.mention} count")
        whole = "".join(pieces)
        await slack.wait_for(lambda: answers(slack, channel, root) == [whole], 40)
        await until(lambda: not any(fault.times for fault in faults))
    assert KEY not in json.dumps([call.args for call in slack.record.calls])
    calm(slack)


async def test_a_duplicate_that_slack_does_not_find_is_looked_up_and_tried_again(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    slack.app.no_streams = "unknown_method"
    channel = slack.workspace.channel("general").id
    slack.faults.add(Fault("chat.postMessage", cut="before"))
    slack.faults.add(Fault("chat.postMessage", error="duplicate_message_not_found"))
    async with running(tmp_path, settings):
        root = slack.workspace.say("alice", "general", f"{slack.mention} hello")
        await slack.wait_for(lambda: answers(slack, channel, root) == ["Question 1 was: hello"], 30)
    assert len(slack.record.called_with("conversations.replies")) >= 2


async def test_a_database_locked_by_another_program_delays_and_loses_nothing(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    async with SlackServer(scale=0.02) as slack:
        settings["SLACK_API_URL"] = slack.api_url
        channel = slack.workspace.channel("general").id
        async with running(tmp_path, settings) as service:
            other = sqlite3.connect(tmp_path / "threadseek.db", isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            root = slack.workspace.say("alice", "general", f"{slack.mention} hello")
            await slack.wait_for(lambda: len(slack.deliverer.of(root)) >= 3, 20)
            assert slack.deliverer.unacked()
            sentence = "close what else has the file open"
            assert sentence in await service.printed("slack.not_accepted")
            await becomes(service, "database", sentence)
            other.execute("ROLLBACK")
            other.close()
            await becomes(service, "database", "ok")
            await slack.wait_for(lambda: answers(slack, channel, root), 20)
        assert len(answers(slack, channel, root)) == 1


async def test_the_service_starts_only_with_a_known_command(tmp_path: Path) -> None:
    code, out, _ = await command(tmp_path, {}, "--version")
    assert (code, out.split()[0]) == (0, "threadseek")
    service = await start(tmp_path, {"LOG_FORMAT": "json"})
    try:
        await service.printed('"Ready')
    finally:
        assert await service.end() == 0
    for line in service.err.splitlines():
        json.loads(line)
