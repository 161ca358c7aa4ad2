"""An answer that a person stops in a place of ours: what had come of it is the answer."""

import asyncio
from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, select

from core.errors import CompletionError, Failure
from core.lifecycle import State
from core.store.schema import turn
from core.turns.engine import Engine
from core.types import Chunk, ThreadKey, Verdict
from tests.fakes.clock import now, run
from tests.fakes.completions import words
from tests.fakes.platform import POLICY, Bench, prompt, with_json

LONG = words(*(f"w{number} " for number in range(200)))
LINE = "_The answer was stopped here._"
ASKED = prompt("hi")


def _states(conn: Connection) -> Sequence[str]:
    return conn.execute(select(turn.c.state)).scalars().all()


async def stop(engine: Engine) -> None:
    """Somebody presses the button, twice."""
    assert engine.cut_short(ASKED.identity)
    engine.cut_short(ASKED.identity)


def test_what_had_come_stays_and_is_remembered_and_the_next_question_does_not_wait() -> None:
    async def main() -> None:
        bench = Bench(LONG, words("shorter"))
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(4)
            await engine.accept(prompt("shorter, please", 2))
            stopped = now()
            await stop(engine)
            await asyncio.sleep(2)
            assert bench.api.closed == 1
            first, second = screen.visible
            assert second == "shorter", f"{now() - stopped} s after"
            assert await bench.database.read(_states) == [State.SETTLED] * 2
        seen, _, line = first.rpartition("\n\n")
        assert line == LINE
        assert seen.endswith("w38 ")
        outcome = screen.outcomes[0]
        assert (outcome.verdict, outcome.text, outcome.notice) == (Verdict.STOPPED, seen, LINE)
        asked, after = await bench.sent()
        assert after == [*asked, ("assistant", seen), ("user", "shorter, please")]

    run(main())


@pytest.mark.parametrize("reasoning", [True, False])
def test_stopped_before_its_first_word(reasoning: bool) -> None:
    """While it reasons, or while it waits for the API: the question alone is remembered."""

    async def main() -> None:
        script = [0.5, Chunk(reasoning="hm")] if reasoning else []
        bench = Bench([*script, 50.0, *words("late")], words("yes"))
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(4)
            await stop(engine)
            await asyncio.sleep(1)
            assert screen.visible == [LINE]
            assert (screen.outcomes[0].verdict, screen.outcomes[0].text) == (Verdict.STOPPED, "")
            await engine.accept(prompt("and now?", 2))
            await asyncio.sleep(2)
            assert screen.visible[1:] == ["yes"]
        assert ("assistant", "") not in (await bench.sent())[1]
        assert (await bench.sent())[1][1] == ("user", "hi\n\nand now?")

    run(main())


def test_stopped_while_a_failed_attempt_is_about_to_be_repeated() -> None:
    """What that had brought was never shown."""

    async def main() -> None:
        failing = [Chunk(text="never "), CompletionError(Failure.BUSY, retry_after=5.0)]
        bench = Bench(failing, words("late"))
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(2)
            assert len(bench.api.requests) == 1
            await stop(engine)
            await asyncio.sleep(10)
            assert screen.visible == [LINE]
            assert screen.outcomes[0].text == ""
        assert len(bench.api.requests) == 1

    run(main())


def test_json_is_closed() -> None:
    async def main() -> None:
        bench = Bench(words("[", *["1, "] * 90), policy=with_json(POLICY))
        screen = bench.platform.screen()
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(4)
            await stop(engine)
        (text,) = screen.visible
        assert text.startswith("```json\n[1, 1, ")
        assert text.endswith(f"1, \n```\n\n{LINE}")

    run(main())


def test_what_is_over_or_unknown_or_of_another_is_not_stopped() -> None:
    async def main() -> None:
        bench = Bench(words("all"), LONG)
        screen = bench.platform.screen()
        async with bench.process() as engine:
            assert not engine.cut_short(ASKED.identity)
            await engine.accept(ASKED)
            await asyncio.sleep(2)
            assert not engine.cut_short(ASKED.identity)
            await engine.accept(prompt("more", 2))
            await asyncio.sleep(2)
            assert not engine.cut_short(ASKED.identity)
        assert screen.visible[0] == "all"
        assert screen.visible[1].endswith("w199 ")

    run(main())


def test_stopped_in_the_moment_in_which_the_process_ends_or_the_question_is_deleted() -> None:
    """Whoever goes on with it asks anew; of a question that is deleted nothing stays."""

    async def main() -> None:
        bench = Bench(LONG, words("again"))
        screen = bench.platform.screen()
        async with bench.process(grace=0) as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(4)
            await stop(engine)
            await engine.stop(0)
        async with bench.process():
            pass
        (text,) = screen.visible
        assert text == "again" or text.endswith(LINE)

        bench = Bench(LONG)
        async with bench.process() as engine:
            await engine.accept(ASKED)
            await asyncio.sleep(4)
            await stop(engine)
            await engine.withdraw(ASKED.identity)
        assert bench.platform.screen().visible == []
        assert (await bench.history.load(ThreadKey("fake:a"))).messages == ()

    run(main())
