"""Commands as Discord brings them: taken in time, and never without a word when they fail."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.discord import answering
from adapters.discord.answering import Interactions
from adapters.discord.calls import Api
from adapters.discord.ids import Address
from core.errors import StoreBusy, StoreError, StoreUnusable
from tests.adapters.discord.conftest import US, Inbox, registered
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_interaction import Interaction
from tests.emulators.discord_rules import READ_HISTORY

CALLBACK = "POST /interactions/{interaction}/{token}/callback"
ORIGINAL = "GET /webhooks/{app}/{token}/messages/@original"


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    """A server whose app has our commands."""
    async with registered() as server:
        yield server


async def take(api: Api, inbox: Inbox, used: Interaction, patience: float = 60.0) -> None:
    """Give the app what a person did."""
    await Interactions(api, US, inbox, patience=patience).take(used.body)


def ask(discord: DiscordServer, prompt: str = "hello", where: str = "general") -> Interaction:
    """Alice asks."""
    return discord.interactions.slash("alice", where, "ask", prompt=prompt)


async def test_a_question_is_deferred_before_a_slow_store_has_taken_it(
    discord: DiscordServer, api: Api, inbox: Inbox
) -> None:
    inbox.fail = [StoreBusy("locked"), StoreBusy("locked")]
    asked = ask(discord)
    taking = asyncio.create_task(take(api, inbox, asked))
    await discord.wait_for(lambda: asked.thinking, 1)
    assert not inbox.taken
    await taking
    (prompt,) = inbox.taken
    at = Address.decode(prompt.address)
    assert (at.answer, at.opens, at.token) == (asked.message_id, "hello", asked.token)
    assert asked.thinking


@pytest.mark.parametrize("error", [StoreBusy("locked"), StoreUnusable("full")])
async def test_a_store_that_stays_unusable_is_one_calm_sentence_with_a_reference(
    error: StoreError, discord: DiscordServer, api: Api, inbox: Inbox
) -> None:
    inbox.fail = [error] * 9
    asked = ask(discord)
    await take(api, inbox, asked, patience=0.4)
    said = asked.text() or ""
    assert said == answering.NOT_TAKEN.format(reference=asked.id)
    assert "\n" not in said
    assert str(error) not in said
    assert len(inbox.fail) >= 6, "tried a few times, not in a storm"
    assert not inbox.taken


async def test_a_callback_that_came_too_late_asks_nothing(
    discord: DiscordServer, api: Api, inbox: Inbox
) -> None:
    discord.faults.add(Fault(CALLBACK, delay=1.1))
    asked = ask(discord)
    await take(api, inbox, asked)
    assert not inbox.taken
    assert not asked.messages
    assert len(discord.record.called_with(CALLBACK)) == 1


async def test_a_callback_whose_answer_was_lost_had_worked(
    discord: DiscordServer, api: Api, inbox: Inbox
) -> None:
    discord.faults.add(Fault(CALLBACK, cut="after"))
    asked = ask(discord)
    await take(api, inbox, asked)
    assert [call.error for call in discord.record.called_with(CALLBACK)] == [0, 40060]
    assert Address.decode(inbox.taken[0].address).answer == asked.message_id


async def test_what_another_process_has_taken_is_not_asked_twice(
    discord: DiscordServer, api: Api, inbox: Inbox
) -> None:
    asked = ask(discord)
    await take(api, inbox, asked)
    other = Inbox()
    await take(api, other, asked)
    assert len(inbox.taken) == 1
    assert not other.taken


async def test_a_callback_that_tells_no_message_is_asked_for_it(
    discord: DiscordServer, api: Api, inbox: Inbox
) -> None:
    discord.tells_answers = False
    asked = ask(discord)
    await take(api, inbox, asked)
    assert len(discord.record.called_with(ORIGINAL)) == 1
    assert Address.decode(inbox.taken[0].address).answer == asked.message_id
    discord.faults.add(Fault(ORIGINAL, status=503))
    unknown = ask(discord)
    await take(api, inbox, unknown)
    at = Address.decode(inbox.taken[1].address)
    assert (at.answer, at.opens, at.token) == ("", "", unknown.token), "it is asked all the same"


@pytest.mark.parametrize(
    "fault",
    [Fault(CALLBACK, retry_after=0.2), Fault(CALLBACK, status=502), Fault(CALLBACK, status=403)],
)
async def test_a_callback_is_repeated_while_there_is_time(
    fault: Fault, discord: DiscordServer, api: Api, inbox: Inbox
) -> None:
    discord.faults.add(fault)
    asked = ask(discord)
    await take(api, inbox, asked)
    assert asked.thinking
    assert len(inbox.taken) == 1


async def test_new_says_what_it_did_to_the_asker_only(
    discord: DiscordServer, api: Api, inbox: Inbox
) -> None:
    direct = discord.world.direct("alice")
    cases: dict[str, bool | None] = {
        answering.FORGOTTEN: True,
        answering.ANSWERING: False,
        answering.NOTHING: None,
    }
    for said, restarts in cases.items():
        inbox.restarts = restarts
        used = discord.interactions.slash("alice", direct, "new")
        await take(api, inbox, used)
        assert used.ephemeral[-1] == said
    inbox.fail = [StoreUnusable("full")]
    used = discord.interactions.slash("alice", direct, "new")
    await take(api, inbox, used)
    assert used.ephemeral[-1] == answering.TROUBLE.format(reference=used.id)
    used = discord.interactions.slash("alice", "general", "new")
    await take(api, inbox, used)
    assert used.ephemeral == [answering.ALWAYS_NEW]


async def test_a_form_that_lost_its_message_has_it_fetched(
    discord: DiscordServer, api: Api, inbox: Inbox
) -> None:
    target = discord.world.say("bob", "general", "Deploys are frozen.")
    for _ in range(2):
        used = discord.interactions.message_command("alice", target, "Ask about this message")
        await take(api, inbox, used)
        sent = discord.interactions.submit("alice", used, {"question": "until when?"})
        sent.body["data"]["components"] = [
            row for row in sent.body["data"]["components"] if "question" in str(row)
        ]
        await take(api, inbox, sent)
        discord.world.deny("general", READ_HISTORY)
    first, second = (prompt.text for prompt in inbox.taken)
    assert first == "until when?\n\nThe message in question:\n> Deploys are frozen."
    assert second == "until when?", "asked all the same where the message can't be read"


async def test_the_longest_and_the_emptiest_question(
    discord: DiscordServer, api: Api, inbox: Inbox
) -> None:
    long, empty = ask(discord, "w" * 6000), ask(discord, " \n ")
    await take(api, inbox, long)
    await take(api, inbox, empty)
    assert [prompt.text for prompt in inbox.taken] == ["w" * 6000, ""]
    opens = [Address.decode(prompt.address).opens for prompt in inbox.taken]
    assert all(0 < len(name) <= 100 for name in opens)
