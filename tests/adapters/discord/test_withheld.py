"""Words that Discord, or a server's AutoMod, doesn't show."""

import pytest

from adapters.discord.refusals import translate
from adapters.discord.thread import THE_REST, WITHHELD, DiscordThread
from core.errors import Unshowable
from core.placing import Withholds
from core.types import PartId, Prompt
from tests.adapters.discord.commanded import app_with_commands, at_hand  # noqa: F401
from tests.adapters.discord.given import EDIT, HOOK, POST, Given
from tests.adapters.discord.test_thread import only_message
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_rules import ERRORS

FORBIDDEN = (20009, 200000, 240000)


def says(discord: DiscordServer, prompt: Prompt) -> str:
    """What the one message of the answer says."""
    return discord.world.messages[only_message(discord, prompt)].content


async def refused(handle: DiscordThread, part: PartId | None = None, key: str = "k:0") -> None:
    """A text that isn't shown, as an edit of that message or as a post; people are told."""
    with pytest.raises(Unshowable):
        await (handle.edit(part, "one two") if part else handle.post("one", key))
    await handle.withheld()


@pytest.mark.parametrize("code", FORBIDDEN)
async def test_a_first_text_that_is_not_shown(
    code: int, discord: DiscordServer, given: Given
) -> None:
    prompt = given.mention()
    handle = given.thread(prompt)
    assert isinstance(handle, Withholds)
    discord.faults.add(Fault(POST, code=code))
    await refused(handle)
    assert says(discord, prompt) == WITHHELD


async def test_a_later_text_leaves_what_is_shown(discord: DiscordServer, given: Given) -> None:
    prompt = given.mention()
    handle = given.thread(prompt)
    part = await handle.post("one ", "k:0")
    discord.faults.add(Fault(EDIT, code=200000))
    await refused(handle, part)
    assert says(discord, prompt) == f"one\n\n{THE_REST}"


async def test_a_next_message_leaves_the_one_before(discord: DiscordServer, given: Given) -> None:
    prompt = given.mention()
    handle = given.thread(prompt)
    await handle.post("one", "k:0")
    discord.faults.add(Fault(POST, code=240000))
    await refused(handle, key="k:1")
    assert says(discord, prompt) == f"one\n\n{THE_REST}"


async def test_in_the_message_of_a_dead_process(discord: DiscordServer, given: Given) -> None:
    prompt = given.mention()
    part = await given.thread(prompt).post("one", "k:0")
    discord.faults.add(Fault(EDIT, code=200000))
    await refused(given.thread(prompt), part)
    assert says(discord, prompt) == WITHHELD


@pytest.mark.parametrize("fault", [None, Fault(HOOK, times=2, status=502)], ids=str)
async def test_a_command_does_not_think_for_ever(
    fault: Fault | None, discord: DiscordServer, given: Given
) -> None:
    asked, prompt = await given.ask()
    discord.faults.add(Fault(HOOK, code=200000))
    handle = given.thread(prompt)
    with pytest.raises(Unshowable):
        await handle.post("one", "k:0")
    if fault:
        discord.faults.add(fault)
    await handle.withheld()
    assert asked.message_id
    assert discord.world.messages[asked.message_id].content == WITHHELD
    assert asked.message_id in discord.world.channels, "its thread"


@pytest.mark.parametrize("code", FORBIDDEN)
def test_what_the_operator_reads(code: int) -> None:
    status, said = ERRORS[code]
    error = translate(EDIT, status, {"code": code, "message": said})
    assert isinstance(error, Unshowable)
    assert "Safety Setup" in str(error)
