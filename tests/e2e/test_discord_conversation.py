"""The main job in Discord: three ways to ask, three turns, a restart, the first is still known."""

import signal
import sqlite3
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.conftest import KEY
from tests.e2e.seen_discord import answers, calm, edits, last_answer, one_at_a_time
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_interaction import Interaction
from tests.emulators.discord_model import Channel
from tests.emulators.discord_rules import BOT, GUILD, PLAIN, TEXT

CODE = (
    "Here is how:\n\n```python\ndef add(a, b):\n    return a + b\n```\n\n"
    "It adds **two** numbers, `a` and `b`."
)
FIRST = "how do I add numbers?"


def pieces(text: str, size: int = 4) -> tuple[str, ...]:
    return tuple(text[at : at + size] for at in range(0, len(text), size))


def begin(discord: DiscordServer, way: str) -> tuple[str, Interaction | None]:
    """Ask the first question in one of the three ways; returns where the conversation goes on."""
    if way == "mention":
        return discord.world.say("alice", "general", f"{discord.mention} {FIRST}"), None
    if way == "direct":
        channel = discord.world.direct("alice")
        discord.world.say("alice", channel, FIRST)
        return channel, None
    asked = discord.interactions.slash("alice", "general", "ask", prompt=FIRST)
    return "", asked


@pytest.mark.parametrize("way", ["ask", "mention", "direct"])
async def test_three_turns_a_restart_and_a_fourth(
    way: str,
    tmp_path: Path,
    api: DeepSeekServer,
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    api.script("add numbers", Reply(pieces=pieces(CODE), delay=0.06))
    async with running(tmp_path, discord_settings) as service:
        assert "connected as threadseek in 1 server" in service.out
        assert "https://discord.com/oauth2/authorize?client_id=" in service.out
        place, asked = begin(discord, way)
        if asked:
            await discord.wait_for(lambda: asked.text() == CODE, 15)
            place = asked.message_id
            await discord.wait_for(lambda: place in discord.world.channels, 5)
            assert discord.world.channels[place].name == FIRST
            tokens = [asked.token]
        else:
            await discord.wait_for(lambda: answers(discord, place) == [CODE], 15)
            tokens = []
        discord.world.say("alice", place, "and subtract?")
        await last_answer(discord, place, "Question 2 was: and subtract?")
        third = discord.interactions.slash("alice", place, "ask", prompt="and multiply?")
        await discord.wait_for(lambda: third.text() == "Question 3 was: and multiply?", 15)
        tokens.append(third.token)
        assert await service.end(signal.SIGTERM) == 0
        logs = service.out + service.err
    async with running(tmp_path, discord_settings) as service:
        discord.world.say("alice", place, "and divide?")
        await last_answer(discord, place, "Question 4 was: and divide?")
        assert await service.end(signal.SIGTERM) == 0
        logs += service.out + service.err
    assert len(answers(discord, place)) == (3 if way == "ask" else 4)
    assert len(api.calls) == 4
    messages = api.calls[-1].body["messages"]
    roles = [message["role"] for message in messages]
    assert roles == ["system"] + ["user", "assistant"] * 3 + ["user"]
    assert messages[1]["content"] == FIRST
    assert messages[2]["content"] == CODE
    for earlier, later in pairwise(api.calls):
        sent = earlier.body["messages"]
        assert later.body["messages"][: len(sent)] == sent, "the prefix is byte-stable"
    assert discord.app.command_writes == 1, "commands are written when they change, not at a start"
    calm(discord)
    one_at_a_time(discord, 0.3)
    for secret in (KEY, discord.app.token, *tokens):
        assert secret not in logs
    assert "add numbers" not in logs
    assert "two** numbers" not in logs


async def test_a_mention_opens_a_thread_in_which_the_answer_grows_after_typing(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    text = " ".join(f"word{number}" for number in range(120))
    thinking = ("let me ", "think ") * 10
    api.script(None, Reply(reasoning=thinking, pieces=pieces(text, 8), delay=0.05))
    async with running(tmp_path, discord_settings):
        asked = discord.world.say("alice", "general", f"{discord.mention} count to a hundred")
        await discord.wait_for(lambda: answers(discord, asked) == [text], 20)
    thread = discord.world.channels[asked]
    assert thread.name == "count to a hundred"
    shown = [m for m in discord.world.history(asked) if m.author == BOT and m.type == PLAIN]
    (message,) = [m.id for m in shown]
    states = edits(discord, message)
    assert states[0].startswith("word0")
    assert len(states) >= 4, "it was rewritten in place while it grew"
    assert all(text.startswith(state) for state in states)
    assert "let me" not in "".join(states)
    typed = discord.record.typings(asked)
    assert typed, "typing until the first words"
    assert typed[-1] < discord.record.history(message)[0].time
    calm(discord)
    one_at_a_time(discord, 0.8)


async def test_a_command_is_taken_at_once_and_its_answer_grows_by_the_wider_budget(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    text = " ".join(f"word{number}" for number in range(120))
    api.script(None, Reply(pieces=pieces(text, 8), delay=0.05, first_delay=0.5))
    async with running(tmp_path, discord_settings):
        asked = discord.interactions.slash("alice", "general", "ask", prompt="count")
        await discord.wait_for(lambda: asked.thinking, 3)
        assert asked.acked_after is not None and asked.acked_after < 1
        await discord.wait_for(lambda: asked.text() == text, 20)
        await discord.wait_for(lambda: asked.message_id in discord.world.channels, 5)
    states = edits(discord, asked.message_id)
    assert states[0] == "", "thinking"
    assert all(text.startswith(state) for state in states)
    hook = discord.record.called_with("PATCH /webhooks/{app}/{token}/messages/@original")
    assert len(hook) >= 7, "more than the five edits in five seconds that a channel takes"
    assert not discord.record.called_with("PATCH /channels/{channel}/messages/{message}")
    calm(discord)
    one_at_a_time(discord, 0.3)


async def test_a_mention_in_a_thread_or_forum_post_reads_what_was_said(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    world = discord.world
    async with running(tmp_path, discord_settings):
        root = world.say("alice", "general", "The launch is on Friday.")
        thread = world.open_thread("bob", root, "Launch")
        world.say("bob", thread, "I thought Thursday?")
        world.say("alice", thread, f"{discord.mention} when is it?")
        await discord.wait_for(lambda: answers(discord, thread), 10)
        post = world.forum_post("bob", "help", "Broken build", "The build fails on Tuesdays.")
        world.say("alice", post, f"{discord.mention} when does it fail?")
        await discord.wait_for(lambda: answers(discord, post), 10)
    first, second = ("\n".join(m["content"] for m in c.body["messages"][1:]) for c in api.calls)
    assert first.index("The launch is on Friday.") < first.index("I thought Thursday?")
    assert "bob: I thought Thursday?" in first
    assert "alice: when is it?" in first
    assert "The build fails on Tuesdays." in second
    assert "Friday" not in second, "nothing of one conversation reaches another"
    assert len(api.calls) == 2, "what was said before the mention is no prompt"
    calm(discord)


async def test_new_forgets_and_help_explains_to_the_asker_only(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    async with running(tmp_path, discord_settings) as service:
        place = discord.world.say("alice", "general", f"{discord.mention} my name is Alice")
        await service.printed("turn.settled")
        forgot = discord.interactions.slash("alice", place, "new")
        await discord.wait_for(lambda: any("forgotten" in t for t in forgot.ephemeral), 10)
        discord.world.say("alice", place, "what is my name?")
        await last_answer(discord, place, "Question 1 was: what is my name?")
        helped = discord.interactions.slash("bob", "general", "help")
        await discord.wait_for(lambda: helped.ephemeral, 10)
        nothing = discord.interactions.slash("bob", "general", "new")
        await discord.wait_for(lambda: any("starts afresh" in t for t in nothing.ephemeral), 10)
    assert "my name is Alice" not in str(api.calls[-1].body)
    assert "/ask" in helped.ephemeral[-1]
    assert not answers(discord, discord.world.channel("general").id)
    calm(discord)


async def test_a_question_about_a_message_is_asked_in_a_form(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    async with running(tmp_path, discord_settings):
        target = discord.world.say("bob", "general", "Deploys are frozen\nuntil Monday.")
        used = discord.interactions.message_command("alice", target, "Ask about this message")
        await discord.wait_for(lambda: used.modal, 5)
        sent = discord.interactions.submit("alice", used, {"question": "when can I deploy?"})
        await discord.wait_for(lambda: (sent.text() or "").startswith("Question 1"), 10)
        place = sent.message_id
        await discord.wait_for(lambda: place in discord.world.channels, 5)
        discord.world.say("alice", place, "sure?")
        await last_answer(discord, place, "Question 2 was: sure?")
    asked = api.calls[0].body["messages"][-1]["content"]
    assert asked.startswith("when can I deploy?")
    assert "> Deploys are frozen\n> until Monday." in asked
    assert discord.world.channels[place].name.startswith("when can I deploy?")
    calm(discord)


async def test_a_person_can_use_it_where_the_bot_is_not(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    long = "\n\n".join(f"Paragraph {number}. " + "words " * 60 for number in range(12)).strip()
    api.script("at length", Reply(pieces=pieces(long, 200)))
    people = discord.interactions
    async with running(tmp_path, discord_settings):
        people.install("alice")
        lobby = people.other_guild("alice", "bob")
        first = people.slash("alice", lobby, "ask", prompt="one")
        await discord.wait_for(lambda: first.text() == "Question 1 was: one", 10)
        second = people.slash("alice", lobby, "ask", prompt="two")
        await discord.wait_for(lambda: second.text() == "Question 2 was: two", 10)
        group = people.group("alice", "bob")
        apart = people.slash("alice", group, "ask", prompt="three")
        await discord.wait_for(lambda: apart.text() == "Question 1 was: three", 10)
        wordy = people.slash("alice", group, "ask", prompt="tell me at length")
        await discord.wait_for(lambda: len(wordy.messages) >= 3, 20)

        def whole() -> str:
            shown = "".join(discord.world.messages[m].content for m in wordy.messages)
            return shown.replace("\n", "")

        await discord.wait_for(lambda: len(whole()) >= len(long.replace("\n", "")) - 20, 20)
    assert "Paragraph 11." in whole()
    calm(discord)


async def test_a_channel_that_discord_says_nothing_of_is_no_conversation(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    """Not even where an older version made one of it."""
    world = discord.world
    lookup = Fault("GET /channels/{channel}", times=99, code=10003)
    async with running(tmp_path, discord_settings) as service:
        place = world.snowflake()
        world.channels[place] = Channel(place, TEXT, "new", GUILD)
        discord.faults.add(lookup)
        asked = world.say("alice", place, f"{discord.mention} hello")
        await last_answer(discord, asked, "Question 1 was: hello")
        world.say("bob", place, "lunch?")
        again = world.say("alice", place, f"{discord.mention} and you?")
        await last_answer(discord, again, "Question 1 was: and you?")
        assert await service.end(signal.SIGTERM) == 0
    database = sqlite3.connect(tmp_path / "threadseek.db", isolation_level=None)
    key = (f"discord:{GUILD}:{place}", f"discord:{GUILD}:{asked}")
    assert database.execute("UPDATE conversation SET thread=? WHERE thread=?", key).rowcount
    database.close()
    world.say("bob", place, "said while it was away")
    async with running(tmp_path, discord_settings) as service:
        world.say("bob", place, "and coffee?")
        last = world.say("alice", place, f"{discord.mention} bye")
        await last_answer(discord, last, "Question 1 was: bye")
        assert await service.end(signal.SIGTERM) == 0
    assert answers(discord, place) == []
    assert len(api.calls) == 3
