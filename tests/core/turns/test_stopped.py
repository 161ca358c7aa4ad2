"""An answer that a person stops by the platform's own button: what they saw of it is the answer."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import Connection, select

from core.errors import CompletionError, Failure, PartGone, StreamOver, Untouchable
from core.lifecycle import State
from core.store.schema import turn
from core.turns.means import Policy
from core.types import Outcome, PartId, ThreadKey, Verdict
from tests.fakes.clock import now, run
from tests.fakes.completions import words
from tests.fakes.platform import POLICY, Bench, Screen, prompt, with_json
from tests.fakes.thread import Fault, StreamingThread, streaming

LONG = words(*(f"w{number} " for number in range(100)))
NOTICE = "\n\n_The answer was stopped here._"


class Streamed(Screen, StreamingThread):
    """A screen on which answers grow by native streams."""

    def press_stop(self) -> str:
        """A person ends the newest message; what they see of it."""
        part = list(self.states)[-1]
        self.stopped.add(part)
        return self.texts(part)[-1]


def streamed(
    *scripts: Sequence[object], policy: Policy = POLICY, size: int = 1000
) -> tuple[Bench, Streamed]:
    """A bench with such a screen, for messages of that size."""
    bench, screen = Bench(*scripts, policy=policy), Streamed()
    screen._limits = streaming(size)
    bench.platform.screens[ThreadKey("fake:a")] = screen
    return bench, screen


def stopped_at_its_end(screen: Streamed) -> None:
    """A person stops the answer when its last words are already on their way."""
    plain = screen.stop

    async def stop(part: PartId, shown: str, text: str) -> None:
        screen.press_stop()
        await plain(part, shown, text)

    screen.stop = stop  # type: ignore[method-assign]


def sample(name: str, **labels: str) -> float:
    """What is counted so."""
    return REGISTRY.get_sample_value(f"threadseek_{name}", labels) or 0.0


def ended(verdict: str) -> float:
    """How many turns were counted so."""
    return sample("turns_total", platform="fake", verdict=verdict)


def counted(main: Callable[[], Coroutine[None, None, None]], verdict: str) -> None:
    """Run it: it ends one turn so, none as an error."""
    before = ended(verdict), ended("error")
    run(main())
    assert (ended(verdict), ended("error")) == (before[0] + 1, before[1])


def _states(conn: Connection) -> Sequence[str]:
    return conn.execute(select(turn.c.state)).scalars().all()


def test_what_was_seen_stays_and_is_remembered() -> None:
    async def main() -> None:
        bench, screen = streamed(LONG, words("shorter"))
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(4)
            seen = screen.press_stop()
            await asyncio.sleep(1)
            assert bench.api.closed == 1
            await asyncio.sleep(1)
            asked = now()
            await engine.accept(prompt("shorter, please", 2))
            await asyncio.sleep(2)
            assert screen.visible == [seen + NOTICE, "shorter"], f"{now() - asked} s after"
        first, second = await bench.sent()
        assert second == [*first, ("assistant", seen), ("user", "shorter, please")]
        outcome = screen.outcomes[0]
        assert (outcome.verdict, outcome.text) == (Verdict.STOPPED, seen)
        assert f"\n\n{outcome.notice}" == NOTICE

    counted(main, "stopped")


@pytest.mark.parametrize("whole", [True, False])
def test_stopped_before_its_end_was_shown_and_after_it_was_stored(whole: bool) -> None:
    """One that had broken off by then has broken off."""

    async def main() -> None:
        script = words("one ", "two ", "three ", pause=0.5)
        if not whole:
            script[-2:] = [CompletionError(Failure.TRUNCATED)]
        bench, screen = streamed(script, words("yes"))
        stopped_at_its_end(screen)
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(5)
            seen, _, notice = screen.visible[0].partition("\n\n")
            assert ("broke off" in notice) is not whole
            assert "three" not in seen
            assert (screen.outcomes[0].text, screen.outcomes[0].notice) == (seen, notice)
            await engine.accept(prompt("go on", 2))
        entries = (await bench.sent())[1][1:]
        assert entries[:-1] == ([("user", "hi"), ("assistant", seen)] if whole else [])

    before = sample("tokens_total", kind="completion")
    counted(main, "stopped" if whole else "truncated")
    tokens = sample("tokens_total", kind="completion") - before
    assert tokens == (3 if whole else 0) + 1, "those of both answers, once"


@pytest.mark.parametrize("json", [True, False])
@pytest.mark.parametrize(
    ("texts", "seen"),
    [
        (('{"a": "one ', "two ", 'three"}'), '{"a": "one two'),
        (("[1,\r\n", "2,\r\n", "\x07\r\n3\r\n]\r\n"), "[1,\n2,"),
    ],
)
def test_what_is_shown_otherwise_than_it_came(texts: Sequence[str], seen: str, json: bool) -> None:
    """In a code block, and without control characters: neither is taken for text that is unseen."""

    async def main() -> None:
        policy = with_json(POLICY) if json else POLICY
        bench, screen = streamed(words(*texts, pause=0.6), words("x"), policy=policy)
        stopped_at_its_end(screen)
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(5)
            assert screen.visible == [(f"```json\n{seen}\n```" if json else seen) + NOTICE]
            await engine.accept(prompt("go on", 2))
        assert (await bench.sent())[1][2] == ("assistant", seen)

    counted(main, "stopped")


def test_stopped_before_an_edit_that_ends_the_stream() -> None:
    """An address ends each stream."""

    async def main() -> None:
        bench, screen = streamed(LONG, words("yes"))
        plain, seen = screen.append, []

        async def append(part: PartId, shown: str, text: str) -> None:
            if len(shown) < 100:
                await plain(part, shown, text)
                return
            seen.append(screen.press_stop())
            raise StreamOver("the text is not for a stream")

        screen.append = append  # type: ignore[method-assign]
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(5)
            assert screen.visible == [seen[0] + NOTICE]
            await engine.accept(prompt("go on", 2))
        assert (await bench.sent())[1][2] == ("assistant", seen[0])

    counted(main, "stopped")


def test_stopped_just_before_another_process_ends_the_stream() -> None:
    """Nobody knows what they saw of it: what had come by then is shown, and remembered."""

    async def main() -> None:
        bench, screen = streamed(LONG, words("another ", "answer"), words("yes"))
        await bench.killed_after(4.0, prompt("hi"))
        screen.press_stop()
        async with bench.process() as engine:
            await asyncio.sleep(5)
            assert screen.visible == ["another answer" + NOTICE]
            await engine.accept(prompt("go on", 2))
        assert (await bench.sent())[2][2] == ("assistant", "another answer")

    counted(main, "stopped")


def test_the_second_message_of_an_answer_is_stopped() -> None:
    async def main() -> None:
        bench, screen = streamed(LONG, words("more"), size=200)
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(7)
            first, seen = screen.visible[0], screen.press_stop()
            await asyncio.sleep(3)
            assert screen.visible == [first, seen + NOTICE]
            await engine.accept(prompt("go on", 2))
        assert (await bench.sent())[1][2] == ("assistant", f"{first.rstrip()} {seen}")

    counted(main, "stopped")


def test_a_process_that_dies_before_the_notice_is_shown() -> None:
    async def main() -> None:
        bench, screen = streamed(LONG)
        plain = screen.edit

        async def never(part: PartId, text: str) -> None:
            await asyncio.sleep(1_000)

        screen.edit = never  # type: ignore[method-assign]
        doomed = asyncio.create_task(bench.killed_after(6.0, prompt("hi")))
        await asyncio.sleep(4)
        seen = screen.press_stop()
        await doomed
        screen.edit = plain  # type: ignore[method-assign]
        async with bench.process():
            await asyncio.sleep(1)
            assert screen.visible == [seen + NOTICE]
        assert len(bench.api.requests) == 1

    counted(main, "stopped")


@pytest.mark.parametrize("doubt", [True, False])
def test_stopped_while_the_process_ends(doubt: bool) -> None:
    """That is its end, but for what a process that died had under way: it may still land."""

    async def main() -> None:
        bench, screen = streamed(*[LONG] * (1 + doubt), size=200)
        if doubt:
            await bench.killed_after(2.0, prompt("hi"))
        async with bench.process(grace=0) as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(7)
            assert len(screen.visible) == 2
            seen = screen.press_stop()
        assert screen.visible[1:] == [seen + NOTICE]
        state = State.DELIVERED if doubt else State.SETTLED
        assert await bench.database.read(_states) == [state]
        async with bench.process():
            pass
        assert screen.visible[1:] == [seen + NOTICE]
        assert len(bench.api.requests) == 1 + doubt

    counted(main, "stopped")


def test_code_and_json_are_closed() -> None:
    async def main() -> Outcome:
        lines = words("see:\n\n```py\n", *(f"x{n} = {n}\n" for n in range(90)))
        for script, policy in ((lines, POLICY), (words("[", *["1, "] * 90), with_json(POLICY))):
            bench, screen = streamed(script, policy=policy)
            async with bench.process() as engine:
                await engine.accept(prompt("hi"))
                await asyncio.sleep(4)
                seen = screen.press_stop()
            assert screen.visible == [f"{seen}\n```{NOTICE}"]
        return screen.outcomes[0]

    of = {"platform": "fake", "lane": "stream"}
    counts = "first_paint_seconds_count", "final_lag_seconds_count"
    first, last = (sample(name, **of) for name in counts)
    assert run(main()).text.startswith("[1, 1, ")
    assert [sample(name, **of) for name in counts] == [first + 2, last], "no end was shown"


@pytest.mark.parametrize(
    ("error", "shown"), [(PartGone("deleted"), []), (Untouchable("too old"), [NOTICE.strip()])]
)
def test_a_message_that_takes_no_edit(error: PartGone | Untouchable, shown: list[str]) -> None:
    async def main() -> None:
        bench, screen = streamed(LONG, words("yes"))

        async def edit(part: PartId, text: str) -> None:
            screen.faults.append(Fault(error))
            await Screen.edit(screen, part, text)

        screen.edit = edit  # type: ignore[method-assign]
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(4)
            seen = screen.press_stop()
            await asyncio.sleep(2)
            await engine.accept(prompt("shorter, please", 2))
            await asyncio.sleep(2)
            assert screen.visible == [seen, *shown, "yes"]
        assert (await bench.sent())[1][2] == ("assistant", seen)

    counted(main, "stopped")


def test_a_question_withdrawn_and_a_message_deleted_are_no_errors() -> None:
    async def withdrawn() -> None:
        """While the call is under way that hears of the stop."""
        bench, screen = streamed(LONG)
        plain = screen.append

        async def append(part: PartId, shown: str, text: str) -> None:
            if len(shown) > 100:
                screen.press_stop()
                await engine.withdraw(prompt("hi").identity)
            await plain(part, shown, text)

        screen.append = append  # type: ignore[method-assign]
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
        assert screen.visible == []
        assert (await bench.history.load(prompt("hi").thread)).messages == ()

    async def deleted() -> None:
        bench, screen = streamed(LONG)
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
            await asyncio.sleep(4)
            screen.gone.update(screen.states)

    counted(withdrawn, "withdrawn")
    counted(deleted, "gone")
