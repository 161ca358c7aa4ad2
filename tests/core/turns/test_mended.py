"""Prompts edited under a line of ours alone, the help or a refusal: the new text is answered."""

import asyncio

import pytest
from sqlalchemy import Connection, select

from core.delivery.writer import SETTLING
from core.errors import CompletionError, Failure, Unreachable
from core.store.schema import message
from core.turns import notices
from core.types import Prompt
from tests.fakes.clock import run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, prompt
from tests.fakes.thread import Fault

EMPTY = prompt("")
BAD = prompt("bad words")
REFUSED = notices.apology(CompletionError(Failure.MODERATED), notices.reference_of(1))
FILTER = [CompletionError(Failure.MODERATED)]


def _history(conn: Connection) -> list[str]:
    return list(conn.execute(select(message.c.content).order_by(message.c.position)).scalars())


@pytest.mark.parametrize(
    ("asked", "line", "scripts"),
    [
        (EMPTY, notices.HELP, []),
        (prompt("", files=("a.pdf",)), notices.ONLY_FILES, []),
        (BAD, REFUSED, [FILTER]),
    ],
    ids=["help", "files", "refused"],
)
def test_it_is_answered_in_the_message_of_the_line(
    asked: Prompt, line: str, scripts: list[list[object]]
) -> None:
    async def scenario() -> None:
        bench = Bench(*scripts, words("Four."), words("Twelve."))
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(asked)
            await asyncio.sleep(5.0)
            assert screen.visible == [line]
            assert await engine.amend(asked.identity, "what is 2+2?")
            await asyncio.sleep(5.0)
            assert screen.visible == ["Four."]
            await engine.accept(prompt("and times three?", 2))
        assert screen.visible == ["Four.", "Twelve."]
        said = [text for _, text in (await bench.sent())[-1][1:]]
        assert said[0].startswith("what is 2+2?")
        assert said[1:] == ["Four.", "and times three?"]

    run(scenario())


@pytest.mark.parametrize(
    "after", [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 1.0, 10.0, 24.0, 60.0]
)
@pytest.mark.parametrize("faulty", [False, True])
def test_it_is_answered_once_whenever_it_is_edited(after: float, faulty: bool) -> None:
    """Before the line, while it is posted, while a call that was cut off is waited out, later."""

    async def scenario() -> None:
        bench = Bench(FILTER, words("Good."))
        screen = bench.platform.screen()
        if faulty:
            screen.faults.append(Fault(Unreachable("cut off"), landed=True))
        async with bench.process() as engine:
            await engine.accept(BAD)
            await asyncio.sleep(after)
            await engine.amend(BAD.identity, "good words")
        assert screen.visible == ["Good."]
        assert await bench.database.read(_history) == ["good words", "Good."]
        assert [request[-1][1] for request in await bench.sent()][1:] == ["good words"]

    run(scenario())


def test_refused_again_and_edited_again() -> None:
    async def scenario() -> None:
        bench = Bench(FILTER, FILTER, words("Good."))
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(BAD)
            for text in ("other bad words", "good words"):
                await asyncio.sleep(2 * SETTLING)
                assert screen.visible == [REFUSED]
                await engine.amend(BAD.identity, text)
        assert screen.visible == ["Good."]
        assert await bench.database.read(_history) == ["good words", "Good."]

    run(scenario())


def test_a_process_that_dies_then_leaves_it_to_the_next() -> None:
    async def scenario() -> None:
        bench = Bench(FILTER, words("Good."))
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(BAD)
        assert (await bench.turns.amend(BAD.identity, "good words")).fence
        async with bench.process():
            pass
        assert screen.visible == ["Good."]

    run(scenario())


@pytest.mark.parametrize("after", [10.0, 2 * SETTLING])
def test_messages_that_went_with_a_former_answer_are_not_missed(after: float) -> None:
    """That one had two of them, its process died, and what it came to is a line alone."""
    many = words(*(f"word{number} " for number in range(300)), pause=0.02)

    async def scenario() -> None:
        bench = Bench([*many[:-2], 60.0], FILTER, FILTER, many)
        screen = bench.platform.screen()
        await bench.killed_after(20.0, BAD)
        assert len(screen.visible) > 2
        async with bench.process() as engine:
            await asyncio.sleep(after)
            assert screen.visible == [REFUSED]
            for text in ("other bad words", "good words"):
                assert await engine.amend(BAD.identity, text)
                await asyncio.sleep(after)
        assert "".join("".join(screen.visible).split()) == "".join(
            f"word{number}" for number in range(300)
        )

    run(scenario())


def test_what_is_being_answered_there_isnt_disturbed() -> None:
    async def scenario() -> None:
        bench = Bench(FILTER, words(*["word "] * 50), words("Good."))
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(BAD)
            await asyncio.sleep(5.0)
            await engine.accept(prompt("another", 2))
            await asyncio.sleep(2.0)
            await engine.amend(BAD.identity, "good words")
        assert screen.visible == ["Good.", "word " * 50]
        assert len(bench.api.requests) == 3

    run(scenario())
