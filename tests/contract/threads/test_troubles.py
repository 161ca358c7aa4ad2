"""What is raised says what to do about it, and nothing is done twice or behind one's back."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable

import pytest

from core import ports
from core.errors import DeliveryError, PartGone, RateLimited, Unreachable
from core.types import PartId, Prompt
from tests.contract.threads.stage import LOST, TOKEN, Call, Stage, Trait, Trouble
from tests.contract.threads.stages import endings, on, refusal

WORDS = "a " + "private" + " answer"


def discreet(error: BaseException) -> bool:
    """Whether neither the token nor the text shows in the error or in what caused it."""
    told = "".join(traceback.format_exception(error)) + repr(error)
    return TOKEN not in told and WORDS not in told


async def lose(
    stage: Stage, prompt: Prompt, attempt: Callable[[ports.Thread], Awaitable[object]]
) -> None:
    """Make the call that goes wrong so that nobody knows whether it took effect."""
    came = False
    while not came:
        with pytest.raises(Unreachable) as caught:
            await attempt(stage.open(prompt))
        assert discreet(caught.value)
        came = await stage.comes()


async def good(stage: Stage, prompt: Prompt, key: str) -> PartId:
    """Make a post good whose answer was lost, as the engine does after a restart."""
    thread = stage.open(prompt)
    found = await thread.find(key) if isinstance(thread, ports.FindsPost) else ()
    return found[0] if found else await thread.post(WORDS, key)


@pytest.mark.parametrize("call", [Call.POST, Call.ANY])
@pytest.mark.parametrize("trouble", LOST)
@on(Trait.NETWORK)
async def test_a_post_whose_answer_was_lost_is_made_good(
    stage: Stage, trouble: Trouble, call: Call
) -> None:
    prompt = await stage.ask()
    before = stage.calls(call)
    stage.trouble(trouble, call)
    await lose(stage, prompt, lambda thread: thread.post(WORDS, "1:0"))
    assert await stage.settled(call, before + 1) == before + 1, "a library sent it again"
    part = await good(stage, prompt, "1:0")
    assert await stage.shown(prompt) == [WORDS]
    await stage.open(prompt).edit(part, "the rest")
    assert await stage.shown(prompt) == ["the rest"]


@on(Trait.NETWORK, Trait.DEDUPES)
async def test_a_post_that_lands_after_it_was_made_good_is_the_same_message(stage: Stage) -> None:
    prompt = await stage.ask()
    before = stage.calls(Call.POST)
    stage.trouble(Trouble.LANDS, Call.POST)
    await lose(stage, prompt, lambda thread: thread.post(WORDS, "1:0"))
    part = await good(stage, prompt, "1:0")
    await stage.settled(Call.POST, before + 2)
    assert await stage.shown(prompt) == [WORDS]
    await stage.open(prompt).edit(part, "the rest")
    assert await stage.shown(prompt) == ["the rest"]


@on(Trait.MENDS)
async def test_a_lost_post_is_not_taken_for_another(stage: Stage) -> None:
    prompt = await stage.ask()
    kept = await stage.open(prompt).post("first", "1:0")
    stage.trouble(Trouble.CUT_AFTER, Call.NEXT)
    with pytest.raises(Unreachable):
        await stage.open(prompt).post(WORDS, "1:1")
    found = await good(stage, prompt, "1:1")
    assert found != kept
    other = await good(stage, prompt, "1:2")
    assert other not in (found, kept)
    assert await stage.shown(prompt) == ["first", WORDS, WORDS]


@pytest.mark.parametrize("trouble", LOST)
@on(Trait.NETWORK)
async def test_an_edit_that_may_have_landed(stage: Stage, trouble: Trouble) -> None:
    prompt = await stage.ask()
    part = await stage.open(prompt).post("one", "1:0")
    before = stage.calls(Call.EDIT)
    stage.trouble(trouble, Call.EDIT)
    await lose(stage, prompt, lambda thread: thread.edit(part, WORDS))
    assert await stage.settled(Call.EDIT, before + 1) == before + 1, "a library sent it again"
    landed = trouble in (Trouble.CUT_AFTER, Trouble.LATE)
    assert await stage.shown(prompt) == [WORDS if landed else "one"]
    await stage.open(prompt).edit(part, "two")
    assert await stage.shown(prompt) == ["two"]


@on(Trait.NETWORK)
async def test_after_a_rate_limit_only_the_newer_text_is_sent(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    part = await thread.post("one", "1:0")
    before = stage.calls(Call.EDIT)
    stage.trouble(Trouble.LIMITED, Call.EDIT)
    with pytest.raises(RateLimited) as caught:
        await thread.edit(part, WORDS)
    assert discreet(caught.value)
    assert caught.value.retry_after == pytest.approx(stage.wait, abs=0.01)
    await asyncio.sleep(stage.cooling)
    await thread.edit(part, "newest")
    assert stage.states(part) == ["one", "newest"]
    assert stage.calls(Call.EDIT) == before + 2


@on(Trait.NETWORK)
async def test_a_rate_limited_post_is_posted_once(stage: Stage) -> None:
    prompt = await stage.ask()
    thread, before = stage.open(prompt), stage.calls(Call.POST)
    stage.trouble(Trouble.LIMITED, Call.POST)
    with pytest.raises(RateLimited) as caught:
        await thread.post(WORDS, "1:0")
    assert discreet(caught.value)
    assert caught.value.retry_after == pytest.approx(stage.wait, abs=0.01)
    assert await stage.shown(prompt) == []
    await asyncio.sleep(stage.cooling)
    await thread.post("newest", "1:0")
    assert await stage.shown(prompt) == ["newest"]
    assert stage.calls(Call.POST) == before + 2


@on(Trait.NETWORK)
async def test_whatever_call_is_rate_limited_the_post_can_follow(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    stage.trouble(Trouble.LIMITED, Call.ANY)
    with pytest.raises(RateLimited):
        await thread.post(WORDS, "1:0")
    assert await stage.shown(prompt) == []
    await asyncio.sleep(stage.cooling)
    await thread.post("newest", "1:0")
    assert await stage.shown(prompt) == ["newest"]


@on(Trait.NETWORK)
async def test_posts_at_once_are_all_shown(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    if isinstance(thread, ports.ShowsStatus):
        await thread.status("is thinking…")
    await asyncio.gather(*(thread.post(f"part {n}", f"1:{n}") for n in range(4)))
    assert sorted(await stage.shown(prompt)) == [f"part {n}" for n in range(4)]


@on(Trait.NETWORK)
async def test_what_somebody_deleted_is_gone(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    part = await thread.post("one", "1:0")
    stage.delete(part)
    with pytest.raises(PartGone) as caught:
        await thread.edit(part, WORDS)
    assert discreet(caught.value)
    assert await stage.shown(prompt) == []
    assert stage.states(part) == ["one", None]


@on(Trait.ROOTED)
async def test_what_lost_its_root_before_the_first_word_is_not_answered(stage: Stage) -> None:
    prompt = await stage.ask()
    stage.uproot(prompt)
    with pytest.raises(DeliveryError) as caught:
        await stage.open(prompt).post(WORDS, "1:0")
    assert isinstance(caught.value, stage.uprooted)
    assert discreet(caught.value)
    assert await stage.shown(prompt) == []


@on(Trait.ROOTED)
async def test_an_answer_that_lost_its_root_may_go_on_or_ends(stage: Stage) -> None:
    prompt = await stage.ask()
    await stage.open(prompt).post("one", "1:0")
    stage.uproot(prompt)
    try:
        await stage.open(prompt).post(WORDS, "1:1")
    except DeliveryError as error:
        assert isinstance(error, stage.uprooted)
        assert discreet(error)
        assert WORDS not in await stage.shown(prompt)
    else:
        assert (await stage.shown(prompt))[-1] == WORDS


@endings()
async def test_nothing_can_be_posted_after_the_end(stage: Stage, way: str) -> None:
    prompt = await stage.ask()
    await stage.open(prompt).post("one", "1:0")
    stage.end(prompt, way)
    with pytest.raises(refusal(way)) as caught:
        await stage.open(prompt).post(WORDS, "1:1")
    assert discreet(caught.value)
    assert len(str(caught.value)) > 20, "it does not say what to do"


@endings(edits=True)
async def test_nothing_can_be_edited_after_the_end(stage: Stage, way: str) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    part = await thread.post("one", "1:0")
    stage.end(prompt, way)
    with pytest.raises(refusal(way)) as caught:
        await thread.edit(part, WORDS)
    assert discreet(caught.value)
    assert WORDS not in stage.states(part)


@on(Trait.NETWORK)
async def test_while_the_platform_is_away_everything_is_unreachable(stage: Stage) -> None:
    prompt = await stage.ask()
    part = await stage.open(prompt).post("one", "1:0")
    await stage.go_away()
    thread = stage.open(prompt)
    raised: list[BaseException] = []
    for attempt in (thread.post(WORDS, "1:1"), thread.edit(part, WORDS)):
        with pytest.raises(DeliveryError) as caught:
            await attempt
        raised.append(caught.value)
    assert [type(error) for error in raised] == [Unreachable, Unreachable]
    assert all(map(discreet, raised))
    assert await stage.shown(prompt) == ["one"]
