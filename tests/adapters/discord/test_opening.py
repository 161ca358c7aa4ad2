"""The thread of a conversation where Discord won't have it opened at once."""

import asyncio
from contextlib import nullcontext

import pytest

from adapters.discord import opening
from adapters.discord.ids import Address, split_part_id
from core.errors import RateLimited, Undeliverable
from core.types import Outcome, Prompt, Verdict
from tests.adapters.discord.commanded import app_with_commands, at_hand  # noqa: F401
from tests.adapters.discord.conftest import Log, until
from tests.adapters.discord.given import OPEN, Given
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_rules import CREATE_THREADS

DONE = Outcome(verdict=Verdict.COMPLETE)


def tries(discord: DiscordServer) -> int:
    """How often a thread was asked for."""
    return len(discord.record.called_with(OPEN))


async def short(given: Given, prompt: Prompt) -> None:
    """An answer that is shown at once."""
    handle = given.thread(prompt)
    part = await handle.post("one", "k:0")
    await handle.edit(part, "one two")
    await handle.concluded(DONE)


@pytest.mark.parametrize(
    "fault",
    [Fault(OPEN, retry_after=1.5), Fault(OPEN, times=3, status=502), Fault(OPEN, cut="before")],
    ids=str,
)
async def test_the_thread_of_a_short_answer_is_opened_later(
    fault: Fault, discord: DiscordServer, given: Given, log: Log
) -> None:
    discord.faults.add(fault)
    asked, prompt = await given.ask()
    await short(given, prompt)
    await until(lambda: asked.message_id in discord.world.channels)
    said = [line for line in log if line["event"] == "discord.thread_later"]
    assert len(said) == 1, "once an answer"
    assert not [task for task in given.tasks if task.done() and task.exception()]


async def test_it_is_not_tried_for_ever(
    discord: DiscordServer, given: Given, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "LATER", (0.02, 0.02, 0.02))
    discord.faults.add(Fault(OPEN, times=99, status=502))
    _, prompt = await given.ask()
    await short(given, prompt)
    await until(lambda: all(task.done() for task in given.tasks))
    assert tries(discord) == 3 + 3
    assert [line["level"] for line in log if line["event"] == "discord.no_thread"] == ["warning"]


async def test_a_refusal_ends_the_tries(discord: DiscordServer, given: Given, log: Log) -> None:
    discord.faults.add(Fault(OPEN, times=3, status=502))
    discord.faults.add(Fault(OPEN, code=50013))
    _, prompt = await given.ask()
    await short(given, prompt)
    await until(lambda: given.tasks and all(task.done() for task in given.tasks))
    assert tries(discord) == 4
    assert [line["code"] for line in log if line["event"] == "discord.no_thread"] == [50013]


async def test_where_it_worked_or_none_is_wanted_nothing_goes_on(
    discord: DiscordServer, given: Given
) -> None:
    _, prompt = await given.ask()
    await short(given, prompt)
    direct = (await given.ask(discord.world.direct("alice")))[1]
    await short(given, direct)
    await asyncio.sleep(0.05)
    assert not given.tasks
    assert tries(discord) == 1
    assert Address.decode(direct.address).opens == ""


async def test_no_limit_is_waited_for_beyond_two_minutes_and_each_as_long_as_it_says(
    discord: DiscordServer, given: Given, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "LATER", (0.0, 0.0))
    discord.faults.add(Fault(OPEN, retry_after=0.4))
    discord.faults.add(Fault(OPEN, retry_after=200))
    began = asyncio.get_running_loop().time()
    _, prompt = await given.ask()
    await short(given, prompt)
    await until(lambda: given.tasks and all(task.done() for task in given.tasks))
    assert asyncio.get_running_loop().time() - began > 0.4
    assert tries(discord) == 2
    assert "discord.no_thread" in [line["event"] for line in log]


@pytest.mark.parametrize("first", [True, False])
async def test_a_long_limit_is_a_reason_like_others_to_answer_in_the_channel(
    discord: DiscordServer, given: Given, log: Log, *, first: bool
) -> None:
    """Also for who comes later, and hears of the limit without asking Discord."""
    discord.faults.add(Fault(OPEN, times=9, retry_after=120))
    if not first:
        await given.answer(given.mention("before"), ["first"])
    prompt = given.mention()
    handle = given.thread(prompt)
    await handle.status("thinking")
    await given.answer(prompt, ["one ", "two"])
    general = discord.world.channel("general").id
    last = discord.world.history(general)[-1]
    assert last.content == "one two"
    assert last.reply_to == (general, Address.decode(prompt.address).message)
    assert tries(discord) == 1
    said = [line for line in log if line["event"] == "discord.no_thread"]
    assert said[-1]["level"] == "warning"
    assert "rate limited for 1" in said[-1]["reason"]


async def test_a_short_limit_is_waited_for_with_a_sign(
    discord: DiscordServer, given: Given, log: Log
) -> None:
    discord.faults.add(Fault(OPEN, retry_after=1.0))
    prompt = given.mention()
    handle = given.thread(prompt)
    await handle.status("thinking")
    await until(lambda: discord.record.typings(discord.world.channel("general").id), 0.5)
    place = Address.decode(prompt.address).message
    await until(lambda: place in discord.world.channels, 3)
    await until(lambda: discord.record.typings(place), 0.5)
    await handle.post("one", "k:0")
    assert discord.record.visible(place) == ["one"]
    assert [line["event"] for line in log].count("discord.thread_later") == 1


@pytest.mark.parametrize("everywhere", [True, False])
async def test_a_limit_of_all_calls_says_nothing_of_the_thread(
    discord: DiscordServer, given: Given, log: Log, *, everywhere: bool
) -> None:
    """Discord's, and that of the guard in front of it."""
    discord.faults.add(Fault(OPEN, retry_after=30, everywhere=everywhere, via=everywhere))
    handle = given.thread(given.mention())
    for _ in range(2):
        with pytest.raises(RateLimited):
            await handle.post("one", "k:0")
    assert [line["event"] for line in log] == ["discord.thread_later"]


async def test_the_further_parts_of_a_commands_answer_come_in_the_channel_and_the_thread_later(
    discord: DiscordServer, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "SOON", 0.3)
    discord.faults.add(Fault(OPEN, retry_after=1.0))
    asked, prompt = await given.ask()
    handle = given.thread(prompt)
    await handle.post("one", "k:0")
    await handle.post("two", "k:1")
    await asyncio.sleep(1.0)
    await handle.post("three", "k:2")
    assert discord.record.visible("general")[-3:] == ["one", "two", "three"], "all in one place"
    await handle.concluded(DONE)
    await until(lambda: asked.message_id in discord.world.channels)


@pytest.mark.parametrize(
    "fault", [Fault(OPEN, delay=1.0), Fault(OPEN, retry_after=1.0)], ids=["slow", "limited"]
)
async def test_a_post_is_announced_once_its_thread_is_there(
    fault: Fault, discord: DiscordServer, given: Given
) -> None:
    """What was announced may be visible, so that an edited question isn't asked anew."""
    discord.faults.add(fault)
    began = asyncio.get_running_loop().time()
    prompt = given.mention()
    journal = await given.answer(prompt, ["one ", "two"])
    assert discord.record.visible(Address.decode(prompt.address).message) == ["one two"]
    assert len(journal.announced) == 1
    assert journal.announced[0] - began >= 1.0


@pytest.mark.parametrize("deleted", [True, False])
async def test_an_answer_that_goes_on_opens_no_second_thread(
    discord: DiscordServer, given: Given, *, deleted: bool
) -> None:
    """It was deleted while nobody listened, say: an empty one would stand in its place."""
    prompt = given.mention()
    part = (await given.answer(prompt, ["one"])).parts[0]
    place = Address.decode(prompt.address).message
    if deleted:
        discord.world.delete_channel(place)
    again = given.thread(prompt)
    again.continues([part])
    await again.status("thinking")
    await until(lambda: discord.record.called_with("POST /channels/{channel}/typing"))
    assert tries(discord) == 1
    with pytest.raises(Undeliverable) if deleted else nullcontext():
        await again.edit(part, "one two")
    with pytest.raises(Undeliverable) if deleted else nullcontext():
        await again.post("three", "k:1")
    assert tries(discord) == 1
    assert (place in discord.world.channels) is not deleted


async def test_an_answer_that_was_begun_in_the_channel_goes_on_there(
    discord: DiscordServer, given: Given
) -> None:
    discord.world.deny("general", CREATE_THREADS)
    prompt = given.mention()
    part = (await given.answer(prompt, ["one"])).parts[0]
    discord.world.allow("general", CREATE_THREADS)
    again = given.thread(prompt)
    again.continues([part])
    await again.post("two", "k:1")
    assert discord.record.visible("general")[-2:] == ["one", "two"]
    assert tries(discord) == 1


async def test_the_thread_on_a_commands_answer_is_opened_whoever_goes_on(
    discord: DiscordServer, given: Given
) -> None:
    discord.faults.add(Fault(OPEN, times=2, status=502))
    asked, prompt = await given.ask()
    part = await given.thread(prompt).post("one", "k:0")
    again = given.thread(prompt)
    again.continues([part])
    await again.edit(part, "one two")
    await again.edit(part, "one two three")
    assert asked.message_id in discord.world.channels


@pytest.mark.parametrize("code", [20031, 50035, 200001])
async def test_a_question_that_names_no_thread(
    code: int, discord: DiscordServer, given: Given, log: Log
) -> None:
    """A server in Server Discovery, or its AutoMod, refuses names with certain words."""
    prompt = given.mention("one of them?")
    discord.faults.add(Fault(OPEN, code=code))
    part = await given.thread(prompt).post("one", "k:0")
    thread = Address.decode(prompt.address).message
    assert split_part_id(part)[0] == thread
    assert discord.world.channels[thread].name == "A question"
    assert not [line for line in log if line["event"] == "discord.no_thread"]


async def test_where_no_name_will_do_it_is_answered_in_the_channel(
    discord: DiscordServer, given: Given, log: Log
) -> None:
    prompt = given.mention()
    discord.faults.add(Fault(OPEN, times=9, code=50035))
    part = await given.thread(prompt).post("one", "k:0")
    assert split_part_id(part)[0] == Address.decode(prompt.address).channel
    assert tries(discord) == 2
    assert [line["code"] for line in log if line["event"] == "discord.no_thread"] == [50035]
