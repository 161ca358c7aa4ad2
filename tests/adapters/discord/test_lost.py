"""Which of our messages a post may be whose id was lost and whose nonce is known no more."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

import pytest

from adapters.discord import lost
from adapters.discord.calls import Api
from adapters.discord.ids import EPOCH, Address, first_after, time_of
from adapters.discord.lost import Behind
from core.ports import Posted
from core.types import ASIDE, Prompt, ThreadKey
from tests.adapters.discord.commanded import app_with_commands, at_hand  # noqa: F401
from tests.adapters.discord.given import WHOLE, WORDS, Given
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_limits import Budget
from tests.emulators.discord_rules import BOT, CREATE_THREADS

NOW = EPOCH + 1_000_000.0
ASKED = first_after(NOW - 600)


def said(age: float, **facts: object) -> Mapping[str, Any]:
    """A message as Discord gives it."""
    plain = {"id": first_after(NOW - age), "type": 0, "author": {"id": "1"}, "content": "words"}
    return plain | facts


@pytest.mark.parametrize(
    ("message", "question", "told"),
    [
        (said(120), "", True),
        (said(lost.KNOWN_FOR - 1), "", False),  # its nonce is known, and somebody may note its id
        (said(120, author={"id": "2"}), "", False),
        (said(120, type=19, message_reference={"message_id": "7"}), "7", True),
        (said(120, type=19, message_reference={"message_id": "8"}), "7", False),
        (said(120), "7", False),
        (said(120, message_reference={"message_id": "7"}), "", False),
        (said(120, type=20, webhook_id="1"), "", False),  # the answer of a command
        (said(120, webhook_id="1"), "", False),
        (said(120, type=18), "", False),  # "started a thread"
        (said(120, author=None), "", False),
    ],
)
def test_ours_are_told_by_author_age_and_what_they_reply_to(
    message: Mapping[str, Any], question: str, told: bool
) -> None:
    found = Behind("5", (message,), NOW).nameless("1", question, inf)
    assert found == ((f"5:{message['id']}",) if told else ())


def test_what_is_older_than_the_first_try_is_somebody_elses() -> None:
    found = Behind("5", (said(120), said(90)), NOW)
    assert len(found.nameless("1", "", 100.0)) == 1
    assert len(found.nameless("1", "", 119.0)) == 2, "clocks differ a little"


def test_the_age_goes_by_discords_clock() -> None:
    message = said(120)
    for read_at, told in ((time_of(message["id"]) + 59, 0), (time_of(message["id"]) + 61, 1)):
        assert len(Behind("5", (message,), read_at).nameless("1", "", inf)) == told


async def test_a_post_from_before_a_thread_could_be_opened_is_written_on_where_it_is(
    discord: DiscordServer, given: Given
) -> None:
    """The same nonce gives the message of this author, in whatever channel that is."""
    discord.world.deny("general", CREATE_THREADS)
    prompt = given.mention()
    await given.answer(prompt, ["word0"])  # its process was killed before it noted the id
    discord.world.allow("general", CREATE_THREADS)
    await given.answer(prompt, WORDS, 0, parts=[Posted(0, None)])
    assert discord.record.visible("general")[-1] == WHOLE
    opened = discord.world.history(Address.decode(prompt.address).message)
    assert not [m for m in opened if m.author == BOT and not m.system]


@pytest.mark.parametrize("threads", [True, False])
async def test_a_post_of_a_process_that_died_long_ago_is_written_on(
    discord: DiscordServer, given: Given, monkeypatch: pytest.MonkeyPatch, *, threads: bool
) -> None:
    """In a thread, and where none may be opened, beside another answer in the same channel."""
    monkeypatch.setattr(lost, "KNOWN_FOR", -2.0)  # a Date is up to a second late
    if not threads:
        discord.world.deny("general", CREATE_THREADS)
    prompt, other = given.mention(), given.mention("another")
    await given.answer(other, ["not ", "yours"])
    await given.answer(prompt, ["word0"])  # its process was killed before it noted the id
    discord.context.nonces.clear()
    await given.answer(prompt, WORDS, 0, parts=[Posted(0, None)])
    place = (
        Address.decode(prompt.address).message if threads else discord.world.channel("general").id
    )
    ours = [m for m in discord.world.history(place) if m.author == BOT and not m.system]
    assert [m.content for m in ours] == ([WHOLE] if threads else ["not yours", WHOLE])


async def test_a_further_part_from_before_a_thread_could_be_opened_is_written_on(
    discord: DiscordServer, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost, "KNOWN_FOR", -2.0)  # a Date is up to a second late
    discord.world.deny("general", CREATE_THREADS)
    _, prompt = await given.ask()
    long = [f"word {number} " for number in range(300)]
    journal = await given.answer(prompt, long, 0)
    discord.world.allow("general", CREATE_THREADS)
    discord.context.nonces.clear()
    first = Address.decode(prompt.address).answer
    await given.answer(prompt, long, 0, parts=[Posted(0, journal.parts[0]), Posted(1, None)])
    assert discord.world.history(first), "it has a thread now"
    places = (first, discord.world.channel("general").id)
    ours = [m for place in places for m in discord.world.history(place) if m.author == BOT]
    assert " ".join(m.content for m in ours if not m.system).split() == "".join(long).split()


async def test_several_who_look_in_one_channel_all_come_to_the_end(
    discord: DiscordServer, given: Given, api: Api
) -> None:
    """Each needs more reads than one window has, and who began anew would need them again."""
    reads = "GET /channels/{channel}/messages"
    assert discord.limits is not None
    discord.limits.budgets[reads] = Budget(2, 0.2)
    prompt = given.mention()
    for number in range(250):
        discord.world.say("alice", "general", f"line {number}")
    at = Address.decode(prompt.address)
    found = await asyncio.wait_for(
        asyncio.gather(*(lost.behind(api, at.channel, at.message) for _ in range(4))), 10
    )
    assert [len(each.messages) for each in found] == [250] * 4
    assert len(discord.record.called_with(reads)) == 4 * 3


@pytest.mark.parametrize("readable", [True, False])
async def test_nonces_that_reading_does_not_tell_are_not_looked_for_again(
    discord: DiscordServer, given: Given, api: Api, *, readable: bool
) -> None:
    discord.nonces_readable = readable
    prompt = given.mention()
    await given.answer(prompt, ["words"])
    for looks in (1, 2):
        thread = given.thread(prompt)
        found = await thread.find(f"{prompt.identity}:0")
        reads = discord.record.called_with("GET /channels/{channel}/messages")
        assert (len(found), len(reads)) == ((1, looks) if readable else (0, 1))


async def test_a_refusal_beside_others_is_told_from_them_by_what_it_replies_to(
    discord: DiscordServer, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost, "KNOWN_FOR", -2.0)  # a Date is up to a second late

    def refused() -> Prompt:
        prompt = given.mention()
        address = replace(Address.decode(prompt.address), opens="").encode()
        thread = ThreadKey(f"{prompt.thread}{ASIDE}{prompt.identity}")
        return replace(prompt, thread=thread, address=address)

    several = [refused() for _ in range(3)]
    for prompt in several:
        await given.answer(prompt, ["busy"])  # its process was killed before it noted the id
    discord.context.nonces.clear()
    for prompt in several:
        await given.answer(prompt, ["busy"], 0, parts=[Posted(0, None)])
    general = discord.world.channel("general").id
    ours = [m for m in discord.world.history(general) if m.author == BOT]
    questions = [Address.decode(prompt.address).message for prompt in several]
    assert [m.reply_to[1] for m in ours if m.reply_to] == questions
    assert len(ours) == len(several), "none is shown twice"
