"""The terminal: what is written as an answer grows, and what comes back."""

import asyncio
import io

import pytest

from adapters.console.app import ConsolePlatform, platform_of, prompt_of
from core.types import Outcome, PartId, Prompt, Verdict


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def grown(texts: list[str], *, live: bool) -> tuple[str, str, Outcome]:
    """Play the states of an answer; returns what was written and the outcome."""
    out, err = Terminal(), Terminal()
    asked: list[Prompt] = []

    async def accept(prompt: Prompt) -> bool:
        asked.append(prompt)
        return True

    console = ConsolePlatform("name", accept, out, err)
    waiting = asyncio.create_task(console.ask("hello", live=live))
    await asyncio.sleep(0)
    thread = console.open(asked[0])
    await thread.status("is thinking…")
    part = await thread.post(texts[0], "key")
    for text in texts[1:]:
        await thread.edit(part, text)
    await thread.concluded(Outcome(verdict=Verdict.COMPLETE, text=texts[-1]))
    return out.getvalue(), err.getvalue(), await waiting


async def test_it_writes_only_what_is_new() -> None:
    out, err, outcome = await grown(["Hel", "Hello wor", "Hello world"], live=True)
    assert out == "Hello world"
    assert "thinking" in err
    assert outcome.verdict is Verdict.COMPLETE


async def test_what_does_not_continue_is_written_whole_at_the_end() -> None:
    out, _, _ = await grown(["a **b**", "a **b c**", "a **b c** d"], live=True)
    assert out == "a **b**\n\na **b c** d"


async def test_for_a_pipe_nothing_is_written_along_the_way() -> None:
    out, err, outcome = await grown(["Hel", "Hello"], live=False)
    assert (out, err) == ("", "")
    assert outcome.text == "Hello"


class Full(Terminal):
    def flush(self) -> None:
        raise OSError("No space left on device")


@pytest.mark.parametrize("places", [(Full(), Terminal()), (Full(), Full())])
async def test_an_output_that_takes_nothing_ends_the_waiting(
    places: tuple[Terminal, Terminal],
) -> None:
    asked: list[Prompt] = []

    async def accept(prompt: Prompt) -> bool:
        asked.append(prompt)
        return True

    console = ConsolePlatform("name", accept, *places)
    waiting = asyncio.create_task(console.ask("hello", live=True))
    await asyncio.sleep(0)
    thread = console.open(asked[0])
    await thread.status("is thinking…")
    part = await thread.post("Hel", "key")
    await thread.edit(part, "Hello")
    with pytest.raises(OSError, match="No space"):
        await waiting
    assert places[0].getvalue() == "Hel", "it is not tried again"


async def test_what_an_earlier_life_left_open_is_not_shown() -> None:
    out = Terminal()

    async def accept(_: Prompt) -> bool:
        return True

    console = ConsolePlatform("name", accept, out, out)
    thread = console.open(prompt_of("name", "old", 1.0))
    await thread.edit(PartId("x"), "old answer")
    await thread.concluded(Outcome(verdict=Verdict.COMPLETE))
    assert out.getvalue() == ""


def test_prompts_of_one_name_are_one_conversation_in_order() -> None:
    first, second = prompt_of("a", "1", 1.0), prompt_of("a", "2", 2.5)
    assert first.thread == second.thread == "console:a"
    assert first.identity != second.identity
    assert first.sequence < second.sequence
    assert first.platform == platform_of("a") != platform_of("b")
