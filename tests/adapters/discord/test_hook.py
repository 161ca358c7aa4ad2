"""An answer to a command where the bot's own token may not write: the interaction's goes on."""

import pytest

from adapters.discord.ids import split_part_id
from adapters.discord.thread import NO_MORE
from core.errors import Undeliverable
from core.ports import Posted
from tests.adapters.discord.commanded import app_with_commands, at_hand  # noqa: F401
from tests.adapters.discord.given import EDIT, HOOK, MINUTE_14, POST, Given, older
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_rules import BOT, SEND_IN_THREADS, VIEW

FOLLOW_UP = "POST /webhooks/{app}/{token}"
EDIT_FOLLOW_UP = "PATCH /webhooks/{app}/{token}/messages/{message}"
LONG = [f"{number} and " * 40 for number in range(25)]


def shown(discord: DiscordServer, place: str) -> str:
    """All that the bot says there."""
    ours = [m for m in discord.world.history(place) if m.author == BOT and not m.system]
    return " ".join(message.content for message in ours)


def whole(text: str) -> bool:
    """Whether it is all of the long answer, once."""
    return text.split() == "".join(LONG).split()


@pytest.mark.parametrize("missing", [VIEW, SEND_IN_THREADS])
async def test_a_long_answer_goes_on_by_the_interaction(
    missing: int, discord: DiscordServer, given: Given
) -> None:
    asked, prompt = await given.ask()
    discord.world.deny("general", missing)
    journal = await given.answer(prompt, LONG, 0.1)
    assert whole(shown(discord, asked.channel))
    assert len(journal.parts) == len(asked.messages) == 4
    refused = [call.route for call in discord.record.calls if call.error and call.route == POST]
    assert len(refused) == 1, "the bot's own token is not worn out"
    assert discord.record.called_with(EDIT_FOLLOW_UP), "what grows there is edited by it"
    again = await given.answer(prompt, LONG, 0, [Posted(*part) for part in journal.parts.items()])
    assert not again.parts
    assert whole(shown(discord, asked.channel)), "and the next process goes on in it"


async def test_a_rate_limit_of_the_interaction_is_waited_for_where_posts_are_calls_on_it_too(
    discord: DiscordServer, given: Given
) -> None:
    """No new message comes sooner, once it is known that the bot's own token may make none."""
    asked, prompt = await given.ask()
    discord.world.deny("general", VIEW)
    discord.faults.add(Fault(EDIT_FOLLOW_UP, retry_after=4.5))
    await given.answer(prompt, LONG[:10], 0.2)
    text = shown(discord, asked.channel)
    assert text.split() == "".join(LONG[:10]).split()
    assert len(asked.messages) == 2


async def test_in_a_locked_thread_the_interaction_goes_on(
    discord: DiscordServer, given: Given
) -> None:
    root = discord.world.say("bob", "general", "a thread")
    place = discord.world.open_thread("bob", root, "People")
    _, prompt = await given.ask(place)
    discord.faults.add(Fault(POST, code=160005))
    await given.answer(prompt, LONG, 0)
    assert whole(shown(discord, place))


async def test_a_post_that_was_announced_is_made_where_nothing_can_be_read(
    discord: DiscordServer, given: Given
) -> None:
    asked, prompt = await given.ask()
    discord.world.deny("general", VIEW)
    first = (await given.answer(prompt, ["x"])).parts[0]
    await given.answer(prompt, LONG, 0, parts=[Posted(0, first), Posted(1, None)])
    assert whole(shown(discord, asked.channel))


async def test_what_the_interaction_posted_is_removed_by_it(
    discord: DiscordServer, given: Given
) -> None:
    asked, prompt = await given.ask()
    discord.world.deny("general", VIEW)
    journal = await given.answer(prompt, LONG[:8], 0)
    assert len(journal.parts) == 2
    handle = given.thread(prompt)
    for part in journal.parts.values():
        await handle.remove(part)
    assert not shown(discord, asked.channel)


async def test_where_the_bot_may_not_edit_the_interactions_token_goes_on_past_minute_fourteen(
    discord: DiscordServer, given: Given
) -> None:
    asked, prompt = await given.ask()
    discord.world.deny("general", VIEW)
    await given.answer(older(prompt, MINUTE_14 + 1), ["one ", "two ", "three"], 0.5)
    assert asked.text() == "one two three"
    assert len(discord.record.called_with(EDIT)) == 1
    assert discord.record.called_with(HOOK)


async def test_where_nobody_may_go_on_a_line_says_so(discord: DiscordServer, given: Given) -> None:
    asked, prompt = await given.ask()
    discord.world.deny("general", VIEW)
    discord.faults.add(Fault(FOLLOW_UP, times=9, code=50013))
    discord.faults.add(Fault(HOOK, status=503))
    with pytest.raises(Undeliverable):
        await given.answer(prompt, LONG, 0)
    text = asked.text() or ""
    assert text.endswith(f"\n\n{NO_MORE}")
    assert "".join(LONG).startswith(text.removesuffix(f"\n\n{NO_MORE}"))
    assert len(text) > 1_800


async def test_where_not_even_that_can_be_said_it_ends_all_the_same(
    discord: DiscordServer, given: Given
) -> None:
    _, prompt = await given.ask()
    handle = given.thread(prompt)
    part = await handle.post("one", "k:0")
    discord.world.deny("general", VIEW)
    discord.world.remove(split_part_id(part)[1])
    discord.faults.add(Fault(FOLLOW_UP, code=50013))
    with pytest.raises(Undeliverable):
        await handle.post("two", "k:1")


def outside(discord: DiscordServer) -> str:
    """A place where only Alice has installed the app."""
    discord.interactions.install("alice")
    return discord.interactions.other_guild("alice")


async def test_where_discord_takes_six_messages_the_last_says_that_no_more_come(
    discord: DiscordServer, given: Given
) -> None:
    asked, prompt = await given.ask(outside(discord))
    pieces = LONG * 3
    with pytest.raises(Undeliverable, match="40094"):
        await given.answer(prompt, pieces, 0)
    said = shown(discord, asked.channel)
    assert len(asked.messages) == 6
    assert said.endswith(NO_MORE)
    assert said.count(NO_MORE) == 1
    words = said.removesuffix(NO_MORE).split()
    assert words == "".join(pieces).split()[: len(words)]


async def test_a_refusal_for_good_is_followed_by_no_call_that_would_be_refused_too(
    discord: DiscordServer, given: Given
) -> None:
    asked, prompt = await given.ask()
    handle = given.thread(prompt)
    await handle.post("one", "k:0")
    discord.world.deny("general", VIEW)
    discord.faults.add(Fault(FOLLOW_UP, code=50027))
    before = len(discord.record.calls)
    with pytest.raises(Undeliverable, match="50027"):
        await handle.post("two", "k:1")
    made = [call.route for call in discord.record.calls[before:]]
    assert made == [POST, FOLLOW_UP, EDIT], "not by the token that is dead"
    mentioned = given.thread(given.mention())
    discord.world.allow("general", VIEW)
    await mentioned.post("one", "k:0")
    discord.world.deny("general", VIEW)
    before = len(discord.record.calls)
    with pytest.raises(Undeliverable, match="50001"):
        await mentioned.post("two", "k:1")
    assert len(discord.record.calls) == before + 1
    assert asked.text() == "one"


async def test_who_is_nowhere_but_in_an_interaction_says_nothing_more_by_its_dead_token(
    discord: DiscordServer, given: Given
) -> None:
    asked, prompt = await given.ask(outside(discord))
    handle = given.thread(prompt)
    await handle.post("one", "k:0")
    discord.faults.add(Fault(FOLLOW_UP, code=50027))
    before = len(discord.record.calls)
    with pytest.raises(Undeliverable, match="50027"):
        await handle.post("two", "k:1")
    assert [call.route for call in discord.record.calls[before:]] == [FOLLOW_UP]
    assert asked.text() == "one"
