"""How the service ends, and how it says that it can't begin."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.e2e.seen import answers, calm
from tests.e2e.service import COMMAND, command, environment, running, start
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.slack import SlackServer

WORDS = tuple(f"word{number} " for number in range(60))


async def asked(slack: SlackServer) -> tuple[str, str]:
    """A question whose answer has begun: its channel and its message."""
    channel = slack.workspace.channel("general").id
    root = slack.workspace.say("alice", "general", f"{slack.mention} count")
    await slack.wait_for(lambda: answers(slack, channel, root), 20)
    return channel, root


def whole(slack: SlackServer, where: tuple[str, str]) -> bool:
    """Whether the answer came to its end."""
    return [said.rstrip() for said in answers(slack, *where)] == ["".join(WORDS).rstrip()]


@contextmanager
def inheriting(closing: signal.Handlers) -> Iterator[None]:
    """What processes started here do when their terminal closes, unless they decide for themselves:
    they inherit it, and these tests may run under `nohup` themselves.
    """
    before = signal.signal(signal.SIGHUP, closing)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("times", [1, 2])
async def test_a_closed_terminal_lets_an_answer_finish_within_the_grace(
    times: int, tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    """Where the last lines can't be written any more. The shell may send a signal of its own."""
    api.script(None, Reply(pieces=WORDS, delay=0.05))
    ours, theirs = os.openpty()
    with inheriting(signal.SIG_DFL):
        process = await asyncio.create_subprocess_exec(
            COMMAND,
            "run",
            cwd=tmp_path,
            env=environment({"HTTP_PORT": "0", **settings}),
            stdin=theirs,
            stdout=theirs,
            stderr=asyncio.subprocess.PIPE,
        )
    try:
        os.close(theirs)
        screen = b""
        while b"Ready." not in screen:
            screen += await asyncio.to_thread(os.read, ours, 4096)
        where = await asked(slack)
        os.close(ours)
        for _ in range(times):
            process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.1)
        async with asyncio.timeout(20):
            _, said = await process.communicate()
        assert process.returncode in (0, 120), "120: Python can't write its last words"
        assert b"Traceback" not in said
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert whole(slack, where)
    calm(slack)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["sigterm", "ctrl-c"]
)
async def test_a_second_signal_ends_it_at_once_and_the_answer_goes_on_later(
    number: signal.Signals,
    code: int,
    tmp_path: Path,
    api: DeepSeekServer,
    slack: SlackServer,
    settings: dict[str, str],
) -> None:
    api.script(None, Reply(pieces=WORDS, delay=0.5), Reply(pieces=WORDS, delay=0.01))
    async with running(tmp_path, settings) as service:
        where = await asked(slack)
        service.process.send_signal(number)
        await service.printed("Stopping")
        assert await service.end(number, within=5) == code
    async with running(tmp_path, settings):
        await slack.wait_for(lambda: whole(slack, where), 40)
    calm(slack)


async def test_what_was_told_to_outlive_its_terminal_does(tmp_path: Path) -> None:
    """As `nohup` tells it: the signal is ignored from the beginning."""
    with inheriting(signal.SIG_IGN):
        async with running(tmp_path, {}) as service:
            service.process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.5)
            assert service.process.returncode is None
            assert "Stopping" not in service.out
            assert await service.end() == 0


@pytest.mark.parametrize(
    ("variables", "problems"),
    [
        ({"DEEPSEEK_N": "none", "HTTP_PORT": "x"}, ["DEEPSEEK_N", "HTTP_PORT"]),
        ({"DATABASE_URL": "sqlite:///no/such/folder/x.db"}, ["no directory"]),
        ({"HTTP_HOST": "203.0.113.1"}, ["HTTP_HOST"]),
    ],
)
async def test_a_collector_of_json_is_told_in_json_why_nothing_started(
    variables: dict[str, str], problems: list[str], tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("LOG_FORMAT=json\n")
    code, out, err = await command(tmp_path, {"HTTP_PORT": "0", **variables}, "run")
    events = [json.loads(line) for line in err.splitlines()]
    told = [event for event in events if event["event"] == "service.not_started"]
    assert [event["level"] for event in told] == ["error"] * len(problems)
    for event, problem in zip(told, problems, strict=True):
        assert problem in event["problem"]
    assert (code, out) == (1, "")


async def test_a_person_is_told_in_plain_words_whatever_the_logs_are(tmp_path: Path) -> None:
    wrong = {"LOG_FORMAT": "json", "DEEPSEEK_N": "none"}
    _, _, err = await command(tmp_path, wrong, "config")
    assert err.startswith("The configuration needs a change:\n  DEEPSEEK_N: ")


@asynccontextmanager
async def silent() -> AsyncGenerator[str, None]:
    """The address of a server that takes every connection and says nothing on it."""
    taken: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: taken.append(writer), "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in taken:
            writer.transport.abort()


@pytest.mark.parametrize("platform", ["slack", "discord"])
async def test_a_platform_that_is_silent_at_the_start_keeps_no_signal_waiting(
    platform: str, tmp_path: Path, settings: dict[str, str], discord_settings: dict[str, str]
) -> None:
    async with silent() as far:
        variables = {
            "slack": {**settings, "SLACK_API_URL": f"http://{far}/api/"},
            "discord": {**discord_settings, "DISCORD_API_URL": f"http://{far}/api/v10"},
        }[platform]
        service = await start(tmp_path, variables)
        try:
            await service.printed("Playground")
            await asyncio.sleep(0.5)
            assert await service.end(within=4) == 0
            assert "Stopped before all was ready." in service.out
            assert "Traceback" not in service.err
        finally:
            await service.end(signal.SIGKILL)


async def test_an_answer_that_began_before_all_was_ready_gets_the_grace_too(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    api.script(None, Reply(pieces=WORDS, delay=0.05))
    async with silent() as far:
        other = {"DISCORD_BOT_TOKEN": "x", "DISCORD_API_URL": f"http://{far}/api/v10"}
        service = await start(tmp_path, {**settings, **other})
        try:
            await service.printed("Slack          connected")
            where = await asked(slack)
            assert await service.end() == 0
            assert "Ready." not in service.out
        finally:
            await service.end(signal.SIGKILL)
    assert whole(slack, where)
