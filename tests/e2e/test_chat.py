"""`threadseek chat` as a process: one answer, a conversation, clear failures."""

import asyncio
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.service import COMMAND, command, environment, running
from tests.e2e.terminal import CTRL_C, CTRL_D, terminal
from tests.emulators.deepseek import DeepSeekServer, Reply


async def test_one_question_is_answered_on_standard_output(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    api.script(None, Reply(pieces=("**Hello", "**\n\n```py\nx\n```")))
    code, out, err = await command(tmp_path, settings, "chat", "say hello")
    assert (code, out, err) == (0, "**Hello**\n\n```py\nx\n```\n", "")


async def test_no_control_character_gets_out_that_a_terminal_behind_a_pipe_would_obey(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    api.script(None, Reply(pieces=("a\x1b]0;gone\x07", "\x1b[31mb\tc\x9b\r\n", "d")))
    code, out, err = await command(tmp_path, settings, "chat", "say hello")
    assert (code, out, err) == (0, "a]0;gone[31mb\tc\nd\n", "")


async def test_a_failure_is_one_clear_sentence_on_standard_error(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    wrong = {**settings, "DEEPSEEK_API_KEY": "sk-wrong-canary"}
    code, out, err = await command(tmp_path, wrong, "chat", "say hello")
    assert code == 1
    assert out == ""
    assert len(err.splitlines()) == 1
    assert "does not accept the request. Check DEEPSEEK_API_KEY (wrong," in err
    assert "canary" not in err
    unreachable = {**settings, "DEEPSEEK_BASE_URL": "http://127.0.0.1:9"}
    code, out, err = await command(tmp_path, unreachable, "chat", "say hello")
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert "can't be reached. Check the network and DEEPSEEK_BASE_URL" in err


async def test_an_answer_without_a_visible_word_writes_none(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    api.script(None, *(Reply(pieces=("  ", "\n\n")),) * 2)
    code, out, err = await command(tmp_path, settings, "chat", "say hello")
    assert (code, out) == (1, "")
    assert "finished without an answer" in err


async def test_a_question_that_is_refused_is_no_answer(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    narrow = {**settings, "CONTEXT_TOKENS": "1000"}
    code, out, err = await command(tmp_path, narrow, "chat", "word " * 9_000)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert "too long for me" in err
    assert not api.calls


async def test_a_cut_answer_is_printed_and_marked(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    api.script(None, Reply(pieces=("half ", "an answer"), ending="cut", delay=0.3))
    code, out, err = await command(tmp_path, settings, "chat", "go")
    assert (code, out) == (1, "half an answer\n")
    assert "broke off" in err.splitlines()[-1]


async def test_a_named_conversation_goes_on(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    for question in ("first", "second"):
        code, _, err = await command(tmp_path, settings, "chat", question, "--thread", "work")
        assert code == 0, err
    roles = [message["role"] for message in api.calls[1].body["messages"]]
    assert roles == ["system", "user", "assistant", "user"]
    await command(tmp_path, settings, "chat", "third", "--thread", "other")
    assert [message["role"] for message in api.calls[2].body["messages"]] == ["system", "user"]


async def test_what_is_piped_in_belongs_to_the_question(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    text = "first\r\n\n\tsecond 🙂\n"
    code, _, err = await command(tmp_path, settings, "chat", "What is this?", stdin=text)
    assert (code, err) == (0, "")
    assert api.calls[0].body["messages"][-1]["content"] == f"What is this?\n\n{text}".strip()
    await command(tmp_path, settings, "chat", "And nothing?", stdin=" \n")
    assert api.calls[1].body["messages"][-1]["content"] == "And nothing?"


async def test_more_than_a_model_takes_is_refused_while_it_still_comes(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", f'yes | "{COMMAND}" chat "What is this?"'),
        cwd=tmp_path,
        env=environment(settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(40):
        out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert b"too long for me" in err
    assert not api.calls


async def test_waiting_for_a_pipe_is_told(tmp_path: Path, settings: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "chat", "What is this?"),
        cwd=tmp_path,
        env=environment(settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async with asyncio.timeout(40):
        told = await process.stderr.readline()
        out, err = await process.communicate(b"")
    assert told == b"Waiting for the end of standard input, which belongs to the question " + (
        b"(</dev/null leaves it out).\n"
    )
    assert (process.returncode, err) == (0, b"")
    assert out


async def test_a_conversation_in_the_terminal(tmp_path: Path) -> None:
    code, out, err = await command(tmp_path, {}, "chat", stdin="hello\nand again\n")
    assert code == 0, err
    assert "offline server" in out
    assert "and again" in out
    assert "--thread" in out


async def test_an_empty_line_ends_no_conversation(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    code, _, err = await command(tmp_path, settings, "chat", stdin="\nhello\n\n \nand again")
    assert (code, err) == (0, "")
    said = [message["content"] for message in api.calls[1].body["messages"]]
    assert (said[1], said[3]) == ("hello", "and again")
    async with terminal(tmp_path, settings, "chat") as person:
        await person.shows("you> ")
        await person.types("\r")
        await person.shows("you> ", times=2)
        await person.types("hello\r")
        await person.shows("you> ", times=3)
        await person.types(CTRL_D)
        assert await person.ended() == 0
    assert len(api.calls) == 3


async def test_a_conversation_out_of_a_pipe_fails_if_an_answer_did(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    """On a terminal somebody saw it."""
    refused = Reply(status=400, body={"error": {"code": "bad_request", "message": "no"}})
    api.script(None, refused, Reply(pieces=("fine",)))
    code, out, _ = await command(tmp_path, settings, "chat", stdin="one\ntwo\n")
    assert code == 1
    assert "refused this request" in out
    assert "fine" in out
    api.script(None, refused)
    async with terminal(tmp_path, settings, "chat") as person:
        await person.shows("you> ")
        await person.types("one\r")
        await person.shows("you> ", times=2)
        await person.types(CTRL_D)
        assert await person.ended() == 0


async def test_the_whole_answer_stands_on_a_terminal(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    text = (
        "It is **really quite bold**, `some code`, a [link](https://a.example/b) and\n\n"
        "```py\nx = 1\n```\n\n| a | b |\n|---|---|\n| 1 | *2* |\n\nend"
    )
    pieces = tuple(text[start : start + 3] for start in range(0, len(text), 3))
    api.script(None, Reply(pieces=pieces, delay=0.03))
    async with terminal(tmp_path, settings, "chat", "show me") as person:
        assert await person.ended() == 0
    assert person.shown.rpartition("\x1b[K")[2].replace("\r\n", "\n") == f"{text}\n"


async def test_ctrl_c_at_the_prompt_ends_it_at_once(tmp_path: Path) -> None:
    async with terminal(tmp_path, {}, "chat", "-t", "work") as person:
        await person.shows("you> ")
        await person.types("hello\n")
        await person.shows("you> ", times=2)
        await person.types(CTRL_C)
        assert await person.ended() == 130
        assert "To go on later: threadseek chat --thread work" in person.shown
        assert "Traceback" not in person.shown


async def test_ctrl_c_in_the_one_answer_takes_the_question_back(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    api.script(None, Reply(pieces=("slow ",) * 100, delay=0.3))
    async with terminal(tmp_path, settings, "chat", "long", "-t", "work") as person:
        await person.shows("slow slow")
        await person.types(CTRL_C)
        assert await person.ended() == 130
    with closing(sqlite3.connect(tmp_path / "threadseek.db")) as file:
        left = file.execute("SELECT state, owner FROM turn JOIN conversation").fetchall()
    assert left == [("cancelled", None)], "who asks next doesn't wait for a lease to end"
    api.script(None, Reply(pieces=("quick",)))
    code, out, err = await command(tmp_path, settings, "chat", "short", "-t", "work")
    assert (code, out, err) == (0, "quick\n", "")
    assert [message["content"] for message in api.calls[-1].body["messages"]][1:] == ["short"]
    assert len(api.calls) == 2, "what nobody waits for is not asked again"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_command_that_is_ended_takes_the_question_back(
    number: signal.Signals, tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    """By timeout(1), or with its terminal."""
    api.script(None, Reply(pieces=("slow ",) * 100, delay=0.3))
    async with terminal(tmp_path, settings, "chat", "-t", "work") as person:
        await person.shows("you> ")
        await person.types("long\r")
        await person.shows("slow slow")
        person.process.send_signal(number)
        assert await person.ended() == 128 + number
    api.script(None, Reply(pieces=("quick",)))
    async with asyncio.timeout(10):
        code, out, err = await command(tmp_path, settings, "chat", "short", "-t", "work")
    assert (code, out, err) == (0, "quick\n", "")
    assert [message["content"] for message in api.calls[-1].body["messages"]][1:] == ["short"]
    assert len(api.calls) == 2, "what nobody waits for is not asked again"


async def test_a_command_that_is_told_to_outlive_its_terminal_does(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    api.script(None, Reply(pieces=("slow ",) * 4, delay=0.3))
    process = await asyncio.create_subprocess_exec(
        *("nohup", COMMAND, "chat", "long"),
        cwd=tmp_path,
        env=environment(settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(20):
        while not api.calls:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGHUP)
        out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"slow slow slow slow \n")


async def test_beside_a_running_service_on_the_same_file(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    async with running(tmp_path, settings):
        results = await asyncio.gather(
            *(command(tmp_path, settings, "chat", f"question {n}") for n in range(3))
        )
    for number, (code, out, err) in enumerate(results):
        assert code == 0, err
        assert out == f"Question 1 was: question {number}\n"


async def test_bad_calls_are_refused_with_a_reason(tmp_path: Path) -> None:
    for arguments in (("chat", " "), ("chat", "hi", "--thread", "a/b")):
        code, out, err = await command(tmp_path, {}, *arguments)
        assert (code, out) == (1, "")
        assert "Traceback" not in err
