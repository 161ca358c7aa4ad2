"""What people write and what models answer in Discord, at its oddest, through the whole service."""

import asyncio
import re
from pathlib import Path

from tests.e2e.conftest import KEY
from tests.e2e.seen_discord import answers, calm, edits, last_answer
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_rules import BOT, MANAGED_ROLE, MENTION_EVERYONE

PEOPLE = tuple(f"person{number}" for number in range(10))


def ask(discord: DiscordServer, text: str, who: str = "alice", where: str = "general") -> str:
    """Somebody mentions the bot; returns the thread that is to be."""
    return discord.world.say(who, where, f"{discord.mention} {text}")


async def answered(discord: DiscordServer, place: str, within: float = 15) -> str:
    """The bot's one message in a place, once there is one."""
    await discord.wait_for(lambda: answers(discord, place), within)
    (text,) = answers(discord, place)
    return text


async def test_a_long_answer_with_code_and_a_table_in_parts_that_are_right_at_every_moment(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    code = [f"print({number}, 'a line of code 🦉 in a long block')" for number in range(120)]
    rows = [f"| {number} | {number * number} |" for number in range(60)]
    prose = " ".join(f"{number:05d}" for number in range(500))
    text = "Look:\n\n```python\n" + "\n".join(code) + "\n```\n\n"
    text += "| number | square |\n|---|---|\n" + "\n".join(rows) + f"\n\n{prose}"
    assert len(text) > 9_000
    size = 100
    pieces = tuple(text[at : at + size] for at in range(0, len(text), size))
    api.script(None, Reply(pieces=pieces, delay=0.04))
    async with running(tmp_path, discord_settings):
        place = ask(discord, "everything")
        await discord.wait_for(lambda: "00499" in "".join(answers(discord, place)), 40)
    shown = answers(discord, place)
    assert len(shown) >= 5
    whole = "\n".join(shown)
    assert [line for line in whole.splitlines() if line.startswith("print(")] == code
    assert re.findall(r"\b0\d{4}\b", whole) == prose.split()
    for number in range(60):
        assert re.search(rf"^\|? *{number} *[|│ ] *{number * number} *\|?$", whole, re.M), whole
    for message in discord.record.bot_messages():
        for state in edits(discord, message):
            assert len(state.encode("utf-16-le")) // 2 <= 2_000
    calm(discord)


async def test_pings_links_and_markup_in_an_answer_are_harmless_at_every_moment(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    world = discord.world
    world.allow("general", MENTION_EVERYONE)
    bob, role = world.user("bob").id, world.add_role("Staff", "bob")
    text = (
        f"Hey @everyone @here <@{bob}> <@!{bob}> <@&{role}> <@&{MANAGED_ROLE}> </ask:1> <#1>, see "
        "[your bank](https://evil.example/login) or https://plain.example/page. a < b && c > d. End"
    )
    api.script("ping", Reply(pieces=tuple(text), delay=0.005))
    async with running(tmp_path, discord_settings):
        place = ask(discord, "ping them")
        asked = discord.interactions.slash("alice", "random", "ask", prompt="ping them too")
        await discord.wait_for(lambda: "End" in "".join(answers(discord, place)), 15)
        await discord.wait_for(lambda: "End" in (asked.text() or ""), 15)
        discord.world.say("bob", place, "ping me as well")
        await discord.wait_for(lambda: len(answers(discord, place)) == 2, 15)
        await discord.wait_for(lambda: "End" in answers(discord, place)[1], 15)
    for shown in (*answers(discord, place), asked.text() or ""):
        assert "https://evil.example/login" in shown
        assert "](https://evil" not in shown, "the address can't hide behind words"
        assert "a < b && c > d" in shown.replace("\\", "")
    texts = [c.body for c in discord.record.calls if "content" in (c.body or ())]
    assert len(texts) >= 6
    quiet = {"parse": [], "replied_user": False}
    assert all(body["allowed_mentions"] == quiet for body in texts), "whatever a text holds"
    calm(discord)


async def test_odd_prompts_attachments_mentions_and_scripts(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    odd = "\u200bשלום עולם \u2067مرحبا\u2069 👩\u200d👩\u200d👧 e\u0301"
    api.script("שלום", Reply(pieces=tuple(f"{odd} "), packet=1))
    bob = discord.world.user("bob").id
    settings = {**discord_settings, "CONTEXT_TOKENS": "16000"}
    async with running(tmp_path, settings):
        files = discord.world.say("alice", "general", discord.mention, files=["a.pdf"])
        assert "can't open attachments" in await answered(discord, files)
        nothing = discord.world.say("alice", "general", discord.mention)
        assert (await answered(discord, nothing)).startswith("Hi! I bring DeepSeek")
        many = ask(discord, f"<@{bob}> " * 10_000)
        assert "too long" in await answered(discord, many)
        assert not api.calls
        empty = discord.interactions.slash("alice", "random", "ask", prompt="  ")
        await discord.wait_for(empty.text, 10)
        assert (empty.text() or "").startswith("Hi! I bring DeepSeek")
        full = discord.interactions.slash("alice", "random", "ask", prompt="lovely " * 856 + "ok")
        await discord.wait_for(lambda: (full.text() or "").startswith("Question 1"), 10)
        there = ask(discord, odd)
        await last_answer(discord, there, odd.strip())
        named = ask(discord, f"<@{bob}> hi")
        assert await answered(discord, named) == "Question 1 was: @bob hi"
    assert discord.world.channels[there].name
    assert api.calls[0].last == "lovely " * 856 + "ok"
    calm(discord)


async def test_ten_threads_three_questions_and_two_people_never_mix(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    for number in range(10):
        words = tuple(f"{number}-{each} " for each in range(30))
        api.script(f"topic {number}", Reply(pieces=words, delay=0.05))
    for word in ("one", "two", "three"):
        api.script(word, Reply(pieces=(f"{word} ", "is ", "answered"), delay=0.1))
    async with running(tmp_path, discord_settings):
        for name in PEOPLE:
            discord.world.add_user(name)
        places = [ask(discord, f"topic {each}", name) for each, name in enumerate(PEOPLE)]
        direct = discord.world.direct("bob")
        for word in ("one", "two", "three"):
            discord.world.say("bob", direct, word)
        for number, place in enumerate(places):
            whole = " ".join(f"{number}-{each}" for each in range(30))
            await last_answer(discord, place, whole, 30)
            assert len(answers(discord, place)) == 1
        wanted = [f"{word} is answered" for word in ("one", "two", "three")]
        await discord.wait_for(lambda: answers(discord, direct) == wanted, 20)
        discord.world.say("alice", places[0], "and I am?")
        discord.world.say("bob", places[0], "and who am I?")
        await discord.wait_for(lambda: len(answers(discord, places[0])) == 3, 15)
        await last_answer(discord, places[0], "Question 3 was: bob: and who am I?")
    said = [m["content"] for m in api.calls[-1].body["messages"] if m["role"] == "user"]
    assert said[1:] == ["alice: and I am?", "bob: and who am I?"]
    assert "topic 1" not in str(api.calls[-1].body)
    for call in discord.record.calls:
        ours = "threadseek" in call.headers["user-agent"]
        assert ours or not ("/messages" in call.path or "/typing" in call.path), call.path
        assert KEY not in str(call.body)
    calm(discord)


async def test_new_while_answering_waits_and_says_so(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    api.script("slow", Reply(pieces=("slow ", "and ", "steady"), delay=0.7))
    async with running(tmp_path, discord_settings) as service:
        place = ask(discord, "slow")
        await discord.wait_for(lambda: answers(discord, place), 10)
        refused = discord.interactions.slash("alice", place, "new")
        await discord.wait_for(lambda: any("still answering" in t for t in refused.ephemeral), 10)
        await last_answer(discord, place, "slow and steady")
        await service.printed("turn.settled")
        done = discord.interactions.slash("alice", place, "new")
        await discord.wait_for(lambda: any("forgotten" in t for t in done.ephemeral), 10)
        await asyncio.sleep(0.1)
    assert answers(discord, place) == ["slow and steady"]
    assert discord.world.channels[place].owner == BOT
    calm(discord)
