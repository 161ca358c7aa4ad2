"""What becomes of the command when its output can't take what it writes."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.service import COMMAND, command, environment
from tests.e2e.terminal import terminal
from tests.emulators.deepseek import DeepSeekServer, Reply

NARROW = (
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)
SMILES = Reply(pieces=("Hello \U0001f60a", " there"))
COMMANDS = (("--help",), ("--version",), ("config",), ("chat", "--help"), ("chat", "hi"))


async def ended(
    folder: Path, shell: str, *arguments: str, settings: dict[str, str] | None = None
) -> tuple[int, str]:
    """Run the command in a line of the shell, where it is "$@": exit code and standard error."""
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", shell, "sh", COMMAND, *arguments),
        cwd=folder,
        env=environment(settings or {}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(40):
        _, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, err.decode()


async def into_a_closed_pipe(
    folder: Path, settings: dict[str, str], arguments: Sequence[str], stdin: bytes = b""
) -> tuple[int, str]:
    """Run the command with standard output into a pipe that nobody reads any more, from the first
    words on where something is typed; standard input stays open then.
    """
    reading, writing = os.pipe()
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        cwd=folder,
        env=environment(settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=writing,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(writing)
    assert process.stdin is not None
    assert process.stderr is not None
    try:
        with closing(os.fdopen(reading, "rb", buffering=0)) as pipe:
            if stdin:
                await asyncio.to_thread(pipe.read, 1)
        process.stdin.write(stdin)
        if not stdin:
            process.stdin.close()
        async with asyncio.timeout(30):
            err = await process.stderr.read()
            return await process.wait(), err.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("narrow", NARROW)
async def test_what_a_conversation_can_not_show_is_replaced(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str], narrow: dict[str, str]
) -> None:
    api.script(None, SMILES)
    code, out, err = await command(tmp_path, {**settings, **narrow}, "chat", stdin="hi\n")
    assert (code, err) == (0, "")
    assert "Hello ? there\n" in out
    assert len(api.calls) == 1


async def test_what_a_terminal_can_not_show_is_replaced(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    api.script(None, SMILES)
    async with terminal(tmp_path, {**settings, **NARROW[0]}, "chat", "hi") as person:
        assert await person.ended() == 0
    assert person.shown.endswith("Hello ? there\r\n")


async def test_a_conversation_ends_quietly_when_nobody_reads_it_any_more(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    api.script(None, Reply(pieces=("slow ",) * 100, delay=0.3))
    arguments = ("chat", "-t", "work")
    assert await into_a_closed_pipe(tmp_path, settings, arguments, b"hi\n") == (1, "")
    api.script(None, Reply(pieces=("quick",)))
    code, out, _ = await command(tmp_path, settings, "chat", "again", "-t", "work")
    assert (code, out) == (0, "quick\n")
    said = [message["content"] for message in api.calls[-1].body["messages"]]
    assert said[1:] == ["again"], "what nobody read is taken back"
    assert len(api.calls) == 2, "and not tried again"


@pytest.mark.parametrize("narrow", NARROW)
async def test_one_answer_is_printed_with_what_can_not_be_shown_replaced(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str], narrow: dict[str, str]
) -> None:
    api.script(None, SMILES)
    code, out, err = await command(tmp_path, {**settings, **narrow}, "chat", "hi")
    assert (code, out, err) == (0, "Hello ? there\n", "")


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
async def test_a_pipe_that_nobody_reads_ends_a_command_quietly(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert await into_a_closed_pipe(tmp_path, {}, arguments) == (1, "")


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
async def test_a_full_disk_is_told_in_one_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, err = await ended(tmp_path, '"$@" >/dev/full', *arguments)
    told = "The output can't be written: No space left on device. Write it to another place.\n"
    assert (code, err) == (1, told)
    assert await ended(tmp_path, '"$@" >/dev/full 2>&1', *arguments) == (1, "")


async def test_a_conversation_on_a_full_disk_is_told_the_same(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    code, err = await ended(tmp_path, 'echo hi | "$@" >/dev/full', "chat", settings=settings)
    assert (code, len(err.splitlines())) == (1, 1)


@pytest.mark.parametrize("arguments", [*COMMANDS, ("chat",)], ids=" ".join)
async def test_streams_that_are_closed_are_nothing_to_stumble_over(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    for closed in (">&-", "<&-", "2>&-", "<&- >&- 2>&-"):
        assert await ended(tmp_path, f'"$@" {closed}', *arguments) == (0, ""), closed


async def test_a_long_answer_cut_by_its_reader_ends_quietly(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    """It is more than a pipe holds."""
    api.script(None, Reply(pieces=("word " * 40_000,)))
    assert await into_a_closed_pipe(tmp_path, settings, ("chat", "hi")) == (1, "")
