"""What was said before, where no thread can be opened: back along the replies."""

import pytest

from adapters.discord.events import read
from core.types import Prompt, Role
from tests.adapters.discord.commanded import app_with_commands, at_hand  # noqa: F401
from tests.adapters.discord.conftest import US
from tests.adapters.discord.given import Given
from tests.emulators import discord_wire as wire
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_rules import BOT, CREATE_THREADS

LONG = [f"word {number} " for number in range(300)]


def replies(discord: DiscordServer, to: str, text: str) -> Prompt:
    """Alice replies in #general."""
    world = discord.world
    id_ = world.say("alice", "general", text, reply_to=to)
    prompt = read(wire.message_event(world, world.messages[id_], nonce=False), US, thread=False)
    assert isinstance(prompt, Prompt)
    return prompt


def ours(discord: DiscordServer) -> list[str]:
    """The ids of our messages in #general."""
    general = discord.world.channel("general").id
    return [one.id for one in discord.world.history(general) if one.author == BOT]


@pytest.mark.parametrize("which", [0, -1], ids=["the first message", "the last message"])
async def test_a_reply_to_one_message_of_an_answer_leads_to_all_of_it(
    discord: DiscordServer, given: Given, which: int
) -> None:
    discord.world.deny("general", CREATE_THREADS)
    await given.answer(given.mention("a long one"), LONG, 0)
    first = ours(discord)
    assert len(first) > 1
    await given.answer(given.mention("another"), ["not ", "yours"], 0)
    second = replies(discord, first[which], "and then?")
    told = await given.thread(second).earlier()
    assert [entry.role for entry in told] == [Role.USER, *[Role.ASSISTANT] * len(first)]
    assert told[0].content == "a long one"
    assert " ".join(entry.content for entry in told[1:]).split() == "".join(LONG).split()
    await given.answer(second, ["short"], 0)
    third = replies(discord, ours(discord)[-1], "go on")
    again = await given.thread(third).earlier()
    assert list(again[: len(told)]) == list(told)
    assert [entry.content for entry in again[len(told) :]] == ["and then?", "short"]


async def test_in_a_busy_channel_the_message_replied_to_is_told_at_least(
    discord: DiscordServer, given: Given
) -> None:
    discord.world.deny("general", CREATE_THREADS)
    prompt = given.mention("slowly")
    for number in range(100):
        discord.world.say("bob", "general", f"line {number}")
    await given.answer(prompt, ["an ", "answer"], 0)
    told = await given.thread(replies(discord, ours(discord)[0], "and then?")).earlier()
    assert [entry.content for entry in told] == ["slowly", "an answer"]


async def test_another_persons_message_is_read_alone(discord: DiscordServer, given: Given) -> None:
    root = discord.world.say("bob", "general", "a remark")
    answer = discord.world.say("bob", "general", "and more", reply_to=root)
    told = await given.thread(replies(discord, answer, f"{discord.mention} well?")).earlier()
    assert [entry.content for entry in told] == ["a remark", "and more"]
    assert not discord.record.called_with("GET /channels/{channel}/messages")
