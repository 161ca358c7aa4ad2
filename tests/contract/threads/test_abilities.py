"""What some platforms can do besides: status, reading back, finding, removing, being told."""

import asyncio
from contextlib import nullcontext

import pytest

from core import ports
from core.errors import LockedOut, RateLimited, Unreachable
from core.types import Outcome, PartId, Prompt, Role, Verdict
from tests.contract.threads.stage import LOST, Call, Stage, Trait, Trouble
from tests.contract.threads.stages import endings, on, refusal


async def heard(stage: Stage, prompt: Prompt) -> list[tuple[Role, str]]:
    """What was said before this prompt; a title of the thread's isn't said by anybody."""
    thread = stage.open(prompt)
    assert isinstance(thread, ports.ReadsEarlier)
    found = await thread.earlier()
    assert all(entry.identity and entry.identity != prompt.identity for entry in found)
    assert len({entry.identity for entry in found}) == len(found)
    assert not any(entry.author for entry in found if entry.role is not Role.USER)
    assert not any(entry.identity.endswith(":title") for entry in found[1:])
    said = (entry for entry in found if not entry.identity.endswith(":title"))
    return [(entry.role, entry.content) for entry in said]


@on(Trait.READS)
async def test_what_was_said_before_is_read_in_order(stage: Stage) -> None:
    first = await stage.ask("what is a fence?")
    await stage.open(first).post("Wood.", "1:0")
    await stage.say(first, "bob", "and posts")
    prompt = await stage.say(first, "alice", "and why?")
    await stage.say(first, "bob", "too late")
    (role, asked), *rest = await heard(stage, prompt)
    assert role is Role.USER
    assert asked.endswith("what is a fence?")
    assert rest == [(Role.ASSISTANT, "Wood."), (Role.USER, "and posts")]


@on(Trait.READS)
async def test_before_the_first_message_there_is_nothing(stage: Stage) -> None:
    assert await heard(stage, await stage.ask()) == []


@on(Trait.READS)
async def test_what_is_read_is_the_conversations_own(stage: Stage) -> None:
    first, other = await stage.ask("one"), await stage.ask("another")
    await stage.open(first).post("Mine.", "1:0")
    await stage.open(other).post("Theirs.", "2:0")
    prompt = await stage.say(first, "alice", "go on")
    told = [content for _, content in await heard(stage, prompt)]
    assert "Mine." in told
    assert "Theirs." not in told


@on(Trait.READS)
async def test_reading_may_fail_as_the_port_says(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(stage), "wait", 1.0)
    for platform in ("slack", "discord"):  # less than a rate limit lasts
        monkeypatch.setattr(f"adapters.{platform}.earlier.WITHIN", 0.5)
    first = await stage.ask()
    await stage.open(first).post("one", "1:0")
    thread = stage.open(await stage.say(first, "alice", "go on"))
    assert isinstance(thread, ports.ReadsEarlier)
    stage.trouble(Trouble.BROKEN, Call.ANY)
    with pytest.raises(Unreachable):
        await thread.earlier()
    stage.trouble(Trouble.LIMITED, Call.ANY)
    with pytest.raises(RateLimited):
        await thread.earlier()


@on(Trait.STATUS)
async def test_a_status_is_shown_until_there_are_words(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    assert isinstance(thread, ports.ShowsStatus)
    await thread.status("is thinking…")
    assert await stage.status(prompt)
    await thread.post("one", "1:0")
    assert not await stage.status(prompt)


@pytest.mark.parametrize("trouble", [*LOST, Trouble.LIMITED])
@on(Trait.NETWORK, Trait.STATUS)
async def test_a_status_never_raises(stage: Stage, trouble: Trouble) -> None:
    prompt = await stage.ask()
    stage.trouble(trouble, Call.ANY)
    came = False
    while not came:
        thread = stage.open(prompt)
        assert isinstance(thread, ports.ShowsStatus)
        await thread.status("is thinking…")
        came = await stage.comes()
    await stage.settled(Call.ANY, 1)
    await asyncio.sleep(stage.cooling)
    await stage.open(prompt).post("one", "1:0")
    assert await stage.shown(prompt) == ["one"]


@on(Trait.NETWORK, Trait.STATUS)
async def test_a_status_does_not_raise_while_the_platform_is_away(stage: Stage) -> None:
    prompt = await stage.ask()
    await stage.go_away()
    thread = stage.open(prompt)
    assert isinstance(thread, ports.ShowsStatus)
    await thread.status("is thinking…")
    assert not await stage.status(prompt)


@endings()
async def test_a_status_does_not_raise_after_the_end(stage: Stage, way: str) -> None:
    prompt = await stage.ask()
    await stage.open(prompt).post("one", "1:0")
    stage.end(prompt, way)
    thread = stage.open(prompt)
    assert isinstance(thread, ports.ShowsStatus)
    await thread.status("is thinking…")
    await stage.status(prompt)
    with pytest.raises(refusal(way)):
        await thread.post("two", "1:1")


@on(Trait.NETWORK)
async def test_what_is_removed_is_gone_and_may_be_removed_again(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    assert isinstance(thread, ports.RemovesPart)
    kept, part = await thread.post("kept", "1:0"), await thread.post("one", "1:1")
    await thread.remove(part)
    await thread.remove(part)
    assert await stage.shown(prompt) == ["kept"]
    assert stage.states(part) == ["one", None]
    assert stage.states(kept) == ["kept"]


@on(Trait.NETWORK)
async def test_a_removal_may_fail_as_the_port_says(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    assert isinstance(thread, ports.RemovesPart)
    part = await thread.post("one", "1:0")
    for trouble, kind in ((Trouble.BROKEN, Unreachable), (Trouble.LIMITED, RateLimited)):
        stage.trouble(trouble, Call.REMOVE)
        with pytest.raises(kind):
            await thread.remove(part)
    assert await stage.shown(prompt) == ["one"]


@endings()
async def test_a_removal_after_the_end(stage: Stage, way: str) -> None:
    """What can't be removed stays; while we are locked out, it can be removed later."""
    prompt = await stage.ask()
    part = await stage.open(prompt).post("one", "1:0")
    stage.end(prompt, way)
    thread = stage.open(prompt)
    assert isinstance(thread, ports.RemovesPart)
    before = stage.calls(Call.REMOVE)
    locked_out = refusal(way) is LockedOut and stage.endings[way]
    with pytest.raises(LockedOut) if locked_out else nullcontext():
        await thread.remove(part)
    assert stage.calls(Call.REMOVE) == before + 1


@on(Trait.NETWORK)
async def test_what_is_found_was_posted_with_the_key(stage: Stage) -> None:
    prompt = await stage.ask()
    part = await stage.open(prompt).post("one", "1:0")
    thread = stage.open(prompt)
    assert isinstance(thread, ports.FindsPost)
    assert set(await thread.find("1:0")) <= {part}
    assert list(await thread.find("1:1")) == []


@on(Trait.ROOTED)
async def test_an_answer_can_be_removed_though_its_question_is_gone(stage: Stage) -> None:
    prompt = await stage.ask()
    part = await stage.open(prompt).post("one", "1:0")
    stage.uproot(prompt)
    thread = stage.open(prompt)
    assert isinstance(thread, ports.FindsPost)
    assert isinstance(thread, ports.RemovesPart)
    assert set(await thread.find("1:0")) <= {part}
    await thread.remove(part)
    assert await stage.shown(prompt) == []


@on()
async def test_the_end_of_a_turn_can_always_be_told(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    part: PartId = await thread.post("one", "1:0")
    assert part
    if isinstance(thread, ports.Concludes):
        await thread.concluded(Outcome(verdict=Verdict.COMPLETE, text="one"))
        await thread.concluded(Outcome(verdict=Verdict.ERROR))
    assert await stage.shown(prompt) == ["one"]


@on(Trait.NETWORK)
async def test_the_end_can_be_told_while_the_platform_is_away(stage: Stage) -> None:
    prompt = await stage.ask()
    thread = stage.open(prompt)
    await thread.post("one", "1:0")
    await stage.go_away()
    for handle in (thread, stage.open(prompt)):
        if isinstance(handle, ports.Concludes):
            await handle.concluded(Outcome(verdict=Verdict.COMPLETE, text="one"))
    assert await stage.shown(prompt) == ["one"]


@endings()
async def test_the_end_can_be_told_after_the_end(stage: Stage, way: str) -> None:
    prompt = await stage.ask()
    await stage.open(prompt).post("one", "1:0")
    stage.end(prompt, way)
    thread = stage.open(prompt)
    if isinstance(thread, ports.Concludes):
        await thread.concluded(Outcome(verdict=Verdict.ERROR))
    with pytest.raises(refusal(way)):
        await thread.post("two", "1:1")
