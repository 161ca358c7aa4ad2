"""A person who types at the prompt of `threadseek chat`, on a terminal of the system (a pty)."""

import asyncio
from pathlib import Path

import pytest

from tests.e2e.terminal import CTRL_C, CTRL_D, terminal
from tests.emulators.deepseek import DeepSeekServer, Reply

XTERM = {"TERM": "xterm-256color"}
UP, HOME = "\x1b[A", "\x01"
PASTES, NO_PASTES = "\x1b[?2004h", "\x1b[?2004l"
PASTED = ("\x1b[200~", "\x1b[201~")
"""What a terminal puts around what is pasted, once it was asked to."""


def questions(api: DeepSeekServer) -> list[str]:
    return [call.body["messages"][-1]["content"] for call in api.calls]


async def test_a_question_may_be_longer_than_a_line_of_the_system(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    """Which keeps 4,095 bytes of one."""
    long = "word " * 2_000 + "end"
    async with terminal(tmp_path, {**settings, **XTERM}, "chat") as person:
        await person.shows("you> ")
        await person.types(f"{long}\r")
        await person.shows("you> ", times=2)
        await person.types(CTRL_D)
        assert await person.ended() == 0
    assert questions(api) == [long]


async def test_a_question_is_edited_and_earlier_ones_come_back(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    async with terminal(tmp_path, {**settings, **XTERM}, "chat") as person:
        await person.shows("you> ")
        await person.types(f"日本🙂\x7f{HOME}a \r")
        await person.shows("you> ", times=2)
        await person.types(f"{UP} again\r")
        await person.shows("you> ", times=3)
        await person.types(CTRL_D)
        assert await person.ended() == 0
    assert questions(api) == ["a 日本", "a 日本 again"]


async def test_lines_that_are_pasted_are_one_question(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    text = "What is this?\n\nif x:\n\tpass"
    async with terminal(tmp_path, {**settings, **XTERM}, "chat") as person:
        await person.shows("you> ")
        await person.types(text.join(PASTED))
        await person.types("\r")
        await person.shows("you> ", times=2)
        await person.types(CTRL_D)
        assert await person.ended() == 0
    assert questions(api) == [text]


async def test_bytes_that_are_no_text_end_nothing(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    async with terminal(tmp_path, {**settings, **XTERM}, "chat") as person:
        await person.shows("you> ")
        await person.types(b"a \xff b\r")
        await person.shows("you> ", times=2)
        await person.types(CTRL_D)
        assert await person.ended() == 0
    assert questions(api) == ["a � b"]


async def test_ctrl_c_leaves_the_terminal_as_it_was(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    async with terminal(tmp_path, {**settings, **XTERM}, "chat") as person:
        before = person.modes()
        await person.shows("you> ")
        assert person.modes() != before, "it is edited"
        await person.types(f"half{CTRL_C}")
        assert await person.ended() == 130
        assert person.modes() == before
        assert person.shown.count(PASTES) == person.shown.count(NO_PASTES) == 1


async def test_a_terminal_that_can_nothing_is_asked_for_nothing(
    tmp_path: Path, settings: dict[str, str]
) -> None:
    async with terminal(tmp_path, {**settings, "TERM": "dumb"}, "chat") as person:
        await person.shows("you> ")
        await person.types(CTRL_D)
        assert await person.ended() == 0
    assert "\x1b" not in person.shown


async def test_ctrl_c_in_an_answer_stops_it_and_the_conversation_goes_on(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    """What was seen of the answer is remembered, so that "shorter" is about it."""
    api.script(None, Reply(pieces=("slow ",) * 100, delay=0.2), Reply(pieces=("fine",)))
    async with terminal(tmp_path, {**settings, **XTERM}, "chat") as person:
        await person.shows("you> ")
        await person.types("long\r")
        await person.shows("slow slow")
        await person.types(CTRL_C)
        await person.shows("The answer was stopped here.")
        await person.shows("you> ", times=2)
        await person.types("shorter\r")
        await person.shows("fine")
        await person.shows("you> ", times=3)
        await person.types(CTRL_D)
        assert await person.ended() == 0
    said = [message["content"] for message in api.calls[-1].body["messages"]][1:]
    assert (said[0], said[2]) == ("long", "shorter")
    assert said[1] == " ".join(["slow"] * person.shown.count("slow"))
    assert len(api.calls) == 2


@pytest.mark.parametrize("pieces", [(), ("half",)])
async def test_ctrl_c_while_nothing_comes_takes_the_question_back(
    pieces: tuple[str, ...], tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    silent = Reply(pieces=pieces, ending="stall", first_delay=0 if pieces else 30)
    api.script(None, silent, Reply(pieces=("fine",)))
    async with terminal(tmp_path, {**settings, **XTERM}, "chat") as person:
        await person.shows("you> ")
        await person.types("long\r")
        await person.shows("half" if pieces else "thinking")
        async with asyncio.timeout(20):
            while not api.calls:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)
        await person.types(CTRL_C)
        await person.shows("The question was taken back.")
        await person.shows("you> ", times=2)
        await person.types("short\r")
        await person.shows("fine")
        await person.shows("you> ", times=3)
        await person.types(CTRL_D)
        assert await person.ended() == 0
    assert [message["content"] for message in api.calls[-1].body["messages"]][1:] == ["short"]
    assert len(api.calls) == 2
    assert "half" not in person.shown.partition("taken back")[2]
    assert ("half^C\r\nThe question was taken back." in person.shown) == bool(pieces)


async def test_a_second_ctrl_c_ends_the_command(
    tmp_path: Path, api: DeepSeekServer, settings: dict[str, str]
) -> None:
    api.script(None, Reply(pieces=("half",), ending="stall"))
    async with terminal(tmp_path, {**settings, **XTERM}, "chat") as person:
        await person.shows("you> ")
        await person.types("long\r")
        await person.shows("half")
        await person.types(CTRL_C)
        await asyncio.sleep(0.2)  # two at once are one
        await person.types(CTRL_C)
        assert await person.ended() == 130
        await person.shows("To go on later")


@pytest.mark.parametrize(("given", "colored"), [({}, True), ({"NO_COLOR": "1"}, False)])
async def test_the_log_on_a_terminal_has_colors_unless_they_are_not_wanted(
    given: dict[str, str], colored: bool, tmp_path: Path, settings: dict[str, str]
) -> None:
    logged = {**settings, **XTERM, **given, "LOG_LEVEL": "info"}
    async with terminal(tmp_path, logged, "chat", "hello") as person:
        assert await person.ended() == 0
        await person.shows("turn.answered")
    assert ("\x1b[32m" in person.shown) == colored
