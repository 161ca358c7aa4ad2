"""What was said before, where no thread can be opened: back along the replies."""

import asyncio

import pytest

from adapters.discord import earlier
from adapters.discord.events import read
from adapters.discord.ids import Address
from core.errors import LockedOut, RateLimited, Unreachable
from core.types import Prompt, Role
from tests.adapters.discord.commanded import app_with_commands, at_hand  # noqa: F401
from tests.adapters.discord.conftest import US, Log
from tests.adapters.discord.given import Given
from tests.emulators import discord_wire as wire
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_limits import Budget
from tests.emulators.discord_rules import BOT, CREATE_THREADS

LONG = [f"word {number} " for number in range(300)]
PAGE = "GET /channels/{channel}/messages"
ONE = "GET /channels/{channel}/messages/{message}"


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


def talk(discord: DiscordServer, questions: int) -> Prompt:
    """A conversation of replies in #general, one line each, and the next question in it."""
    world, last = discord.world, ""
    for number in range(questions):
        last = world.say("alice", "general", f"question {number}", reply_to=last)
        last = world.say(BOT, "general", f"answer {number}", reply_to=last)
    return replies(discord, last, "and then?")


def lines(questions: range) -> list[str]:
    """What was said there."""
    return [f"{what} {number}" for number in questions for what in ("question", "answer")]


def allow(discord: DiscordServer, calls: int, seconds: float) -> None:
    """So many reads there."""
    assert discord.limits is not None
    discord.limits.budgets |= {PAGE: Budget(calls, seconds), ONE: Budget(calls, seconds)}


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


async def test_a_chain_that_is_longer_than_a_bucket_is_read_to_its_end(
    discord: DiscordServer, given: Given
) -> None:
    """And each message once: who began anew after each limit would never come there."""
    allow(discord, 2, 0.3)
    told = await given.thread(talk(discord, 6)).earlier()
    assert [entry.content for entry in told] == lines(range(6))
    calls = [len(discord.record.called_with(route)) for route in (ONE, PAGE)]
    assert calls == [6, 6], "a question is read with its answer"


async def test_many_who_reply_at_once_all_learn_what_was_said(
    discord: DiscordServer, given: Given
) -> None:
    allow(discord, 5, 0.5)
    first = talk(discord, 1)
    others = [replies(discord, ours(discord)[-1], f"and {number}?") for number in range(11)]
    told = await asyncio.gather(*(given.thread(one).earlier() for one in (first, *others)))
    assert [[entry.content for entry in each] for each in told] == [lines(range(1))] * 12
    assert all(call.ok for call in discord.record.calls), "none was made too early"


async def test_a_thread_is_read_through_a_limit(discord: DiscordServer, given: Given) -> None:
    allow(discord, 1, 0.3)
    thread = discord.world.open_thread("alice", "general", "a talk")
    for number in range(150):
        discord.world.say("alice", thread, f"line {number}")
    id_ = discord.world.say("alice", thread, discord.mention)
    event = wire.message_event(discord.world, discord.world.messages[id_], nonce=False)
    prompt = read(event, US, thread=True)
    assert isinstance(prompt, Prompt)
    told = await given.thread(prompt).earlier()
    assert [entry.content for entry in told][-150:] == [f"line {n}" for n in range(150)]


async def test_the_newest_is_told_where_a_limit_lasts_too_long(
    discord: DiscordServer, given: Given, log: Log
) -> None:
    allow(discord, 2, 900.0)
    prompt = talk(discord, 4)
    told = await asyncio.wait_for(given.thread(prompt).earlier(), 5.0)
    assert [entry.content for entry in told] == lines(range(2, 4))
    (line,) = [line for line in log if line["event"] == "thread.earlier_unreadable"]
    assert (line["level"], line["read"]) == ("warning", 4)
    assert "rate limited" in line["error"]
    with pytest.raises(RateLimited):
        await asyncio.wait_for(given.thread(prompt).earlier(), 5.0)


async def test_the_newest_is_told_where_discord_is_too_slow(
    discord: DiscordServer, given: Given, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(earlier, "WITHIN", 1.0)
    prompt = talk(discord, 2)
    discord.faults.latency |= {PAGE: 30.0}
    told = await given.thread(prompt).earlier()
    assert [entry.content for entry in told] == ["answer 1"]
    assert [line["read"] for line in log if line["event"] == "thread.earlier_unreadable"] == [1]
    discord.faults.latency |= {ONE: 30.0}
    with pytest.raises(Unreachable, match="in time"):
        await given.thread(prompt).earlier()


async def test_a_moment_of_trouble_loses_nothing(discord: DiscordServer, given: Given) -> None:
    prompt = talk(discord, 2)
    discord.faults.add(Fault(ONE, status=502))
    discord.faults.add(Fault(PAGE, cut="before"))
    told = await given.thread(prompt).earlier()
    assert [entry.content for entry in told] == lines(range(2))


async def test_a_refused_token_is_no_reason_to_know_less(
    discord: DiscordServer, given: Given
) -> None:
    prompt = talk(discord, 2)
    api, call = given.api, given.api.call

    async def once(*args: object) -> object:
        found = await call(*args)  # type: ignore[arg-type]
        discord.app.token = "another"
        return found

    api.call = once  # type: ignore[method-assign,assignment]
    with pytest.raises(LockedOut):
        await given.thread(prompt).earlier()


async def test_a_post_that_asks_in_its_title(discord: DiscordServer, given: Given) -> None:
    world = discord.world
    post = world.forum_post(
        "alice", "help", "How do I undo a commit?", f"{discord.mention} see above"
    )
    first = world.messages[world.history(post)[0].id]
    prompt = read(wire.message_event(world, first, nonce=False), US, thread=True)
    assert isinstance(prompt, Prompt)
    (told,) = await given.thread(prompt).earlier()
    assert (told.role, told.author) == (Role.USER, "")
    assert told.content == "[The title of this thread: How do I undo a commit?]"


async def test_the_title_comes_first_and_may_stay_unknown(
    discord: DiscordServer, given: Given, log: Log
) -> None:
    world = discord.world
    post = world.forum_post("alice", "help", "Commits", "It fails.")
    asked = world.say("bob", post, f"{discord.mention} why?")
    prompt = read(wire.message_event(world, world.messages[asked], nonce=False), US, thread=True)
    assert isinstance(prompt, Prompt)
    told = await given.thread(prompt).earlier()
    assert [entry.content for entry in told] == ["[The title of this thread: Commits]", "It fails."]
    discord.faults.add(Fault("GET /channels/{channel}", times=3, code=50001))
    told = await given.thread(prompt).earlier()
    assert [entry.content for entry in told] == ["It fails."]
    assert [line["read"] for line in log if line["event"] == "thread.earlier_unreadable"] == [1]


async def test_a_thread_of_ours_is_named_after_what_was_asked(
    discord: DiscordServer, given: Given
) -> None:
    asked = given.mention("a question")
    await given.answer(asked, ["short"], 0)
    place = Address.decode(asked.address).message
    id_ = discord.world.say("bob", place, "and then?")
    event = wire.message_event(discord.world, discord.world.messages[id_], nonce=False)
    prompt = read(event, US, thread=True)
    assert isinstance(prompt, Prompt)
    assert [entry.content for entry in await given.thread(prompt).earlier()][1:] == ["short"]
