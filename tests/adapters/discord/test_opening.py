"""The thread of a conversation where Discord won't have it opened at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.discord import opening
from adapters.discord.calls import Api
from adapters.discord.ids import Address
from core.types import Outcome, Prompt, Verdict
from tests.adapters.discord.conftest import Log, registered, until
from tests.adapters.discord.given import OPEN, Given
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault

DONE = Outcome(verdict=Verdict.COMPLETE)


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    """A server whose app has our commands."""
    async with registered() as server:
        yield server


@pytest.fixture
async def given(discord: DiscordServer, api: Api) -> AsyncIterator[Given]:
    made = Given(discord, api)
    yield made
    await made.close()


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
