"""An answer that nobody can see is none: it is asked for again, then a notice says so."""

import pytest

from core.turns import notices
from core.types import Outcome, Verdict
from tests.fakes.clock import run
from tests.fakes.completions import words
from tests.fakes.platform import Bench, prompt

UNSEEN = ["\x00", "\x07", "\x1b", "\u200b", "\u200e", "\xad", "\ufe0f", "\u2800"]


@pytest.mark.parametrize("text", UNSEEN, ids=ascii)
def test_it_is_asked_for_again_and_never_posted(text: str) -> None:
    async def main() -> None:
        bench = Bench(words(text, text, pause=2.0), words("seen"))
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
        screen = bench.platform.screen()
        assert len(bench.api.requests) == 2
        assert screen.visible == ["seen"]
        assert [text for part in screen.states for text in screen.texts(part)] == ["seen"]

    run(main())


@pytest.mark.parametrize("text", UNSEEN, ids=ascii)
def test_after_the_second_one_a_notice_says_so(text: str) -> None:
    async def main() -> Outcome:
        bench = Bench(words(text))
        async with bench.process() as engine:
            await engine.accept(prompt("hi"))
        assert len(bench.api.requests) == 2
        (shown,) = bench.platform.screen().visible
        assert shown.startswith("DeepSeek finished without an answer.")
        (outcome,) = bench.platform.screen().outcomes
        return outcome

    assert run(main()).verdict is Verdict.EMPTY


@pytest.mark.parametrize("text", UNSEEN[1:], ids=ascii)  # the store makes U+FFFD of U+0000
def test_a_question_that_nobody_can_see_is_answered_with_help(text: str) -> None:
    async def main() -> None:
        bench = Bench(words("not asked"))
        async with bench.process() as engine:
            await engine.accept(prompt(text))
        assert bench.platform.screen().visible == [notices.HELP]
        assert bench.api.requests == []

    run(main())
