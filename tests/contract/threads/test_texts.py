"""What is posted and edited is what a person sees: the text, whole, once, in its own place."""

import asyncio

import pytest

from core import ports
from core.errors import TooLarge
from core.types import PartId
from tests.contract.threads.stage import Call, Stage, Trait
from tests.contract.threads.stages import on

ODD = {
    "nothing to see": "\u200b\u200d\ufeff",
    "whitespace": " \n\t ",
    "right to left": "\u202eabc\u202c \u05d0\u05d1 \u0627\u0644",
    "astral": "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U00020000 \U0010ffff",
    "lone surrogate": "broken \ud800 and \udfff here",
    "control": "bell \x07 null \x00 escape \x1b[31mred\x1b[0m\x9b31m return \r",
    "marks": "e" + "\u0301" * 200,
    "separators": "one\u2028two\u2029three\x85four",
}
FENCED = "Look:\n\n```python\nif a < b and c > d:\n    print('<tag> & `tick`')\n```\n\nDone."
CODE = ["if a < b and c > d:", "    print('<tag> & `tick`')"]


@on()
async def test_a_post_shows_its_text_and_gives_an_id_that_can_be_stored(stage: Stage) -> None:
    thread: ports.Thread = stage.open(await stage.ask())
    part = await thread.post("A fence keeps cows in.", "1:0")
    assert part
    assert type(part) is str
    assert part.isprintable()


@on()
async def test_words_are_shown_as_they_come(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    part = await thread.post("A fence", "1:0")
    assert await stage.shown(prompt) == ["A fence"]
    await thread.edit(part, "A fence keeps cows in.")
    assert await stage.shown(prompt) == ["A fence keeps cows in."]


@on(Trait.REPLACES)
async def test_an_edit_replaces_the_text(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    part = await thread.post("one", "1:0")
    await thread.edit(part, "two")
    assert await stage.shown(prompt) == ["two"]


@on(Trait.LASTS)
async def test_an_edit_shows_nothing_else_on_its_way(stage: Stage) -> None:
    thread = stage.open(await stage.ask())
    part = await thread.post("one", "1:0")
    await thread.edit(part, "one two")
    await thread.edit(part, "three")
    assert stage.states(part) == ["one", "one two", "three"]


@on(Trait.REPLACES)
async def test_an_id_outlives_the_handle(stage: Stage) -> None:
    prompt = await stage.ask()
    part = await stage.open(prompt).post("one", "1:0")
    stored = PartId(part.encode().decode())
    await stage.open(prompt).edit(stored, "two")
    assert await stage.shown(prompt) == ["two"]


@on(Trait.PARTS)
async def test_other_keys_are_other_messages_in_order(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    first = await thread.post("same words", "1:0")
    second = await thread.post("same words", "1:1")
    third = await stage.open(prompt).post("third", "1:2")
    assert len({first, second, third}) == 3
    await thread.edit(second, "second")
    await thread.edit(first, "first")
    assert await stage.shown(prompt) == ["first", "second", "third"]


@on(Trait.DEDUPES)
async def test_the_same_key_is_the_same_message(stage: Stage) -> None:
    prompt = await stage.ask()
    first = await stage.open(prompt).post("one", "1:0")
    assert await stage.open(prompt).post("one", "1:0") == first
    assert await stage.shown(prompt) == ["one"]


@on(Trait.MANY)
async def test_conversations_never_mix(stage: Stage) -> None:
    prompts = [await stage.ask(), await stage.ask()]
    assert prompts[0].thread != prompts[1].thread
    threads = [stage.open(prompt) for prompt in prompts]
    parts = await asyncio.gather(*(thread.post("begun", "7:0") for thread in threads))
    words = ["for the first", "for the second"]
    await asyncio.gather(*(t.edit(p, w) for t, p, w in zip(threads, parts, words, strict=True)))
    assert [await stage.shown(prompt) for prompt in prompts] == [[word] for word in words]


@on()
async def test_the_limits_can_be_kept(stage: Stage) -> None:
    limits = stage.open(await stage.ask()).limits
    assert limits.size > 0
    assert limits.gap >= 0
    assert limits.measure("ab") > limits.measure("a") > 0
    for allowance in (limits.post, limits.edit):
        assert allowance.key
        assert allowance.burst >= 1
        assert allowance.rate > 0


@on(Trait.MANY)
async def test_budgets_survive_the_handle(stage: Stage) -> None:
    prompt = await stage.ask()
    before, after = stage.open(prompt).limits, stage.open(prompt).limits
    assert (before.post.key, before.edit.key) == (after.post.key, after.edit.key)


@pytest.mark.parametrize("unit", ["x", "é", "\U0001f600", "<@1>", "`", "| ", "@here ", "&<>"])
@on(Trait.NETWORK)
async def test_a_text_of_the_allowed_size_is_taken(stage: Stage, unit: str) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    text = filled(thread.limits.measure, thread.limits.size, unit)
    part = await thread.post(text, "1:0")
    await thread.edit(part, text)
    assert len(await stage.shown(prompt)) == 1
    first, *others = stage.states(part)
    assert first
    assert first.endswith("END")
    assert set(others) <= {first}


def filled(measure: object, size: int, unit: str) -> str:
    """The longest run of units, then "END", that still measures `size` at most."""
    assert callable(measure)
    low, high = 0, size
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(unit * middle + "END") <= size else (low, middle - 1)
    text = unit * low + "END"
    return "x" * (size - measure(text)) + text if unit == "x" else text


@on(Trait.NETWORK)
async def test_the_allowed_size_is_measured_exactly(stage: Stage) -> None:
    limits = stage.open(await stage.ask()).limits
    assert limits.measure(filled(limits.measure, limits.size, "x")) == limits.size < stage.refused


@on(Trait.NETWORK)
async def test_what_the_platform_finds_too_large_is_too_large(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    before = stage.calls(Call.POST)
    with pytest.raises(TooLarge):
        await thread.post("x" * stage.refused, "1:0")
    assert stage.calls(Call.POST) == before + 1
    part = await thread.post("small", "1:1")
    with pytest.raises(TooLarge):
        await thread.edit(part, "x" * stage.refused)
    assert await stage.shown(prompt) == ["small"]


@on()
async def test_code_arrives_whole(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    part = await thread.post("Look:", "1:0")
    await thread.edit(part, FENCED)
    (text,) = await stage.shown(prompt)
    lines = text.split("\n")
    start = lines.index("```python")
    assert lines[start : start + 4] == ["```python", *CODE, "```"]


@pytest.mark.parametrize("odd", ODD)
@on()
async def test_odd_characters_never_raise(stage: Stage, odd: str) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    part = await thread.post(ODD[odd], "1:0")
    await thread.edit(part, f"{ODD[odd]}\nand on")
    (text,) = await stage.shown(prompt)
    assert text.endswith("and on")
    assert not any(0xD800 <= ord(sign) < 0xE000 for sign in text)


@on()
async def test_a_terminal_or_page_is_not_steered(stage: Stage) -> None:
    prompt = await stage.ask()
    await stage.open(prompt).post("\x1b]0;title\x07\x1b[2Jwords\x9b2J", "1:0")
    (text,) = await stage.shown(prompt)
    assert "words" in text
    assert not {"\x1b", "\x07", "\x9b"} & set(text)
