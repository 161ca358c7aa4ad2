"""One answer in Discord through the real writer: refusals, lost calls, tokens that die."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest

from adapters.discord import commands
from adapters.discord.ids import Address, split_part_id
from adapters.discord.limits import ROUNDED
from core.errors import RateLimited, Undeliverable, Unreachable
from core.ports import Posted
from core.types import Prompt
from tests.adapters.discord.commanded import app_with_commands, at_hand  # noqa: F401
from tests.adapters.discord.conftest import US, Log
from tests.adapters.discord.given import (
    EDIT,
    HOOK,
    MINUTE_14,
    OPEN,
    POST,
    WHOLE,
    WORDS,
    Given,
    fresh,
    older,
)
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_limits import Budget
from tests.emulators.discord_rules import BOT


def in_order(discord: DiscordServer, message: str, text: str = WHOLE) -> None:
    """Every text that the message showed is longer than the one before, up to the whole."""
    states = [state.text or "" for state in discord.record.history(message)]
    assert states[-1] == text
    assert all(text.startswith(state) for state in states)
    assert states == sorted(states, key=len)


def only_message(discord: DiscordServer, prompt: Prompt) -> str:
    """Id of the one answer in the thread on a mention."""
    place = Address.decode(prompt.address).message
    (message,) = [m.id for m in discord.world.history(place) if m.author == BOT and not m.system]
    return message


FAULTS = (
    Fault(EDIT, times=2, retry_after=0.4),
    Fault(EDIT, retry_after=0.4, everywhere=True),
    Fault(EDIT, retry_after=0.6, via=False),
    Fault(POST, retry_after=0.4),
    Fault(POST, retry_after=0.4, everywhere=True),
    Fault(POST, retry_after=0.4, via=False),
    Fault(OPEN, times=2, retry_after=0.4),
    Fault(OPEN, retry_after=0.4, everywhere=True),
    Fault(EDIT, times=2, status=503),
    Fault(EDIT, cut="after"),
    Fault(EDIT, cut="before"),
    Fault(POST, cut="after"),
    Fault(POST, cut="before"),
    Fault(POST, status=502),
    Fault(OPEN, cut="after"),
    *(Fault(route, status=page) for route, page in ((POST, 413), (EDIT, 401), (EDIT, 403))),
    Fault(OPEN, status=404),
)


async def withstood(fault: Fault) -> None:
    """An answer to a mention with this fault on its way is right at every moment."""
    async with fresh() as given:
        given.discord.faults.add(replace(fault))
        prompt = given.mention()
        await given.answer(prompt, WORDS[:40])
        in_order(given.discord, only_message(given.discord, prompt), "".join(WORDS[:40]).strip())
        record = given.discord.record
        assert record.invalid <= fault.times, fault
        assert len(record.too_fast) == (fault.times if fault.retry_after else 0), fault


async def test_trouble_on_the_way_never_shows_in_the_text() -> None:
    await asyncio.gather(*(withstood(fault) for fault in FAULTS))


async def test_edits_of_an_old_message_wait_for_what_discord_shares_out(
    discord: DiscordServer, given: Given
) -> None:
    prompt = given.mention()
    part = (await given.answer(prompt, ["x"])).parts[0]
    assert discord.limits is not None
    discord.limits.old_edits = Budget(1, 30.0)
    discord.world.age(split_part_id(part)[1], 4_000)
    thread = given.thread(prompt)
    await thread.edit(part, "one")
    for _ in range(3):
        with pytest.raises(RateLimited) as limited:
            await thread.edit(part, "two")
        assert 20 < limited.value.retry_after <= 30 + ROUNDED
    assert [call.error for call in discord.record.too_fast] == [30046], "asked once"


async def test_an_exhausted_bucket_is_not_called(discord: DiscordServer, given: Given) -> None:
    prompt = given.mention()
    part = (await given.answer(prompt, ["x"])).parts[0]
    thread, made = given.thread(prompt), 0
    with pytest.raises(RateLimited) as limited:
        for made in range(9):
            await thread.edit(part, f"text {made}")
    assert made == 5
    assert 0 < limited.value.retry_after <= 5
    assert len(discord.record.called_with(EDIT)) == 5
    assert discord.record.invalid == 0


async def test_a_post_of_a_former_process_is_found_by_its_nonce_and_shows_the_new_text(
    discord: DiscordServer, given: Given
) -> None:
    prompt = given.mention()
    await given.answer(prompt, ["word0"])  # its process was killed before it noted the id
    await given.answer(prompt, WORDS, 0, parts=[Posted(0, None)])
    in_order(discord, only_message(discord, prompt))


async def test_an_answer_whose_message_is_another_bots_goes_on_in_a_new_one(
    discord: DiscordServer, given: Given
) -> None:
    """As after the token was replaced by one of another application."""
    prompt = given.mention()
    former = (await given.answer(prompt, ["word0"])).parts
    id_ = only_message(discord, prompt)
    other = discord.world.add_user("other", bot=True)
    discord.world.messages[id_] = replace(discord.world.messages[id_], author=other)
    await given.answer(prompt, parts=[Posted(0, former[0])])
    in_order(discord, only_message(discord, prompt))
    assert discord.world.messages[id_].content == "word0"
    assert [call.error for call in discord.record.called_with(EDIT) if call.error] == [50005]


async def test_a_token_that_dies_is_followed_by_the_bots_own_on_the_same_message() -> None:
    async with fresh(1.5) as given:
        asked, prompt = await given.ask()
        await given.answer(prompt)
        record = given.discord.record
        in_order(given.discord, asked.message_id)
        assert len(record.called_with(HOOK)) >= 3
        assert len(record.called_with(EDIT)) >= 1
        assert [call.error for call in record.calls if call.error] == [50027]
        assert not record.too_fast
        (part,) = (await given.answer(prompt, ["and ", "later"])).parts.values() or ("",)
        assert part.endswith(asked.message_id)
        assert asked.text() == "and later"
        assert len(given.discord.record.visible("general")) == 1


async def test_a_token_that_died_before_anything_was_shown() -> None:
    async with fresh(0.3) as given:
        asked, prompt = await given.ask()
        _, other = await given.ask()
        unknown = replace(Address.decode(other.address), answer="", opens="")
        hidden = replace(other, address=unknown.encode())
        await asyncio.sleep(0.35)
        await given.answer(prompt, ["at ", "last"])
        assert asked.thinking, "the bot's own token is not let near a message that waits"
        given.discord.faults.add(Fault(POST, cut="after"))
        await given.answer(hidden, ["posted ", "anew"])
        shown = [text for text in given.discord.record.visible("general") if text]
        assert shown == ["at last", "posted anew"], "one post by nonce"


async def test_the_bots_own_token_takes_over_at_minute_fourteen(
    discord: DiscordServer, given: Given
) -> None:
    asked, prompt = await given.ask()
    await given.answer(older(prompt, MINUTE_14 - 1.0), WORDS)
    record = discord.record
    in_order(discord, asked.message_id)
    assert len(record.called_with(HOOK)) >= 2
    assert len(record.called_with(EDIT)) >= 1
    last = max(call.time for call in record.called_with(HOOK))
    assert last < min(call.time for call in record.called_with(EDIT))
    assert not [call.error for call in record.calls if call.error], "the token was not worn out"
    edits = [call.time for call in record.called_with(EDIT)]
    assert len(edits) > 2
    assert all(later - earlier > 0.9 for earlier, later in pairwise(edits[:-1])), "but the last"


async def test_the_pace_of_an_answer_whose_token_is_old_is_the_bots(
    discord: DiscordServer, given: Given
) -> None:
    _, prompt = await given.ask()
    young, old = given.thread(prompt).limits, given.thread(older(prompt, MINUTE_14 + 1)).limits
    assert young.edit.rate > 2 * old.edit.rate
    assert young.gap < old.gap
    await given.answer(older(prompt, 86_400), ["hello"])
    assert "hello" in discord.record.visible("general")
    assert not discord.record.called_with(HOOK)


async def test_six_edits_take_longer_than_five_seconds_where_no_header_says_what_is_left(
    discord: DiscordServer, given: Given
) -> None:
    discord.context.limits = None
    mention = given.mention()
    assert 5 * given.thread(mention).limits.gap < 5, "nobody knows yet"
    _, asked = await given.ask()
    await given.answer(mention, ["hello"])
    assert 5 * given.thread(mention).limits.gap > 5
    assert 5 * given.thread(asked).limits.gap > 2


async def test_new_messages_where_the_bot_is_not_are_calls_on_the_interaction(given: Given) -> None:
    _, prompt = await given.ask()
    there = given.thread(prompt).limits
    away = replace(Address.decode(prompt.address), member=False)
    limits = given.thread(replace(prompt, address=away.encode())).limits
    assert limits.post == limits.edit == there.edit, "it takes six messages at most"
    assert there.post != there.edit


async def test_what_is_left_is_asked_of_the_token_that_edits(given: Given) -> None:
    _, prompt = await given.ask()
    part = (await given.answer(prompt, ["one ", "two"])).parts[0]
    assert given.thread(prompt).left(part) is not None
    assert given.thread(older(prompt, MINUTE_14 + 1)).left(part) is None, "it edited nothing yet"


async def test_an_archived_thread_is_opened_for_both_tokens_and_a_locked_one_is_not(
    discord: DiscordServer, given: Given
) -> None:
    root = discord.world.say("bob", "general", "a thread")
    place = discord.world.open_thread("bob", root, "People")
    asked, prompt = await given.ask(place)
    part = (await given.answer(prompt, ["one"])).parts[0]
    for seconds in (0.0, MINUTE_14 + 1):
        discord.world.archive(place)
        await given.thread(older(prompt, seconds)).edit(part, f"after {seconds}")
        assert asked.text() == f"after {seconds}"
        assert not discord.world.channels[place].archived
    discord.world.archive(place, lock=True)
    with pytest.raises(Undeliverable, match="locked"):
        await given.thread(prompt).edit(part, "never")
    assert asked.text() != "never"


async def test_a_thread_that_falls_asleep_again_at_once_is_opened_again(
    discord: DiscordServer, given: Given
) -> None:
    root = discord.world.say("bob", "general", "a thread")
    place = discord.world.open_thread("bob", root, "People")
    asked, prompt = await given.ask(place)
    part = (await given.answer(prompt, ["one"])).parts[0]
    discord.faults.add(Fault(EDIT, times=2, code=50083))
    with pytest.raises(Unreachable):
        await given.thread(older(prompt, MINUTE_14 + 1)).edit(part, "later")
    await given.thread(older(prompt, MINUTE_14 + 1)).edit(part, "later")
    assert asked.text() == "later"


async def test_a_thread_that_is_being_opened_is_not_asked_for_twice(
    discord: DiscordServer, given: Given
) -> None:
    discord.faults.add(Fault(OPEN, delay=0.3))
    prompt = given.mention()
    thread = given.thread(prompt)
    await thread.status("thinking")
    await asyncio.sleep(0.1)
    await thread.post("at once", "k:0")
    await asyncio.sleep(0.4)
    assert len(discord.record.called_with(OPEN)) == 1
    place = Address.decode(prompt.address).message
    assert discord.record.visible(place) == ["at once"]
    assert not discord.record.typings(place), "nothing types behind the answer"


async def test_what_was_said_in_a_channel_is_no_past_of_a_command_whose_answer_is_unknown(
    given: Given,
) -> None:
    given.discord.world.say("bob", "general", "a remark in the channel")
    asked = given.discord.interactions.slash("alice", "general", "ask", prompt="hello")
    ask = commands.read(asked.body, US)
    assert isinstance(ask, commands.Ask)
    assert await given.thread(ask.prompt("")).earlier() == ()


async def test_what_went_with_its_thread_needs_no_removal(
    discord: DiscordServer, given: Given, log: Log
) -> None:
    prompt = given.mention()
    part = (await given.answer(prompt, ["x"])).parts[0]
    discord.world.delete_channel(Address.decode(prompt.address).message)
    await given.thread(prompt).remove(part)
    assert discord.record.calls[-1].error == 10003
    assert not log
