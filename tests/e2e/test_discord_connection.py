"""When Discord's connection goes wrong around the shipped command: said, and nothing lost."""

import asyncio
import signal
from pathlib import Path

import aiohttp

from tests.e2e.seen_discord import answers, calm
from tests.e2e.service import Service, running
from tests.emulators.deepseek import DeepSeekServer
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_rules import BOT

LATE = 15 * 60.0


async def becomes(service: Service, wanted: int) -> str:
    """Wait until the health page answers so; what it says of Discord."""
    async with aiohttp.ClientSession(service.address) as session, asyncio.timeout(20):
        while True:
            async with session.get("/readyz") as answer:
                if answer.status == wanted:
                    return str((await answer.json())["parts"]["discord"])
            await asyncio.sleep(0.05)


async def test_a_wrong_token_leaves_the_rest_running(
    tmp_path: Path, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    settings = {**discord_settings, "DISCORD_BOT_TOKEN": "not.the.one"}
    async with running(tmp_path, settings) as service:
        line = await service.printed("Discord        off: ")
        assert "DISCORD_BOT_TOKEN: Discord refused it" in line
        assert "off: DISCORD_BOT_TOKEN" in await becomes(service, 503)
        async with aiohttp.ClientSession(service.address) as session:
            async with session.get("/healthz") as alive:
                assert alive.status == 200
            async with session.get("/") as page:
                assert page.status == 200
        await asyncio.sleep(1.1)
        assert "not.the.one" not in service.out + service.err
    assert [call.status for call in discord.record.calls] == [401]
    assert not discord.gateway.dialled


async def test_a_token_reset_while_running_is_said_and_not_hammered(
    tmp_path: Path, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    async with running(tmp_path, discord_settings) as service:
        await service.printed("Discord        connected as threadseek")
        await becomes(service, 200)
        discord.app.token = "another"
        await discord.gateway.drop()
        await service.printed("discord.off")
        assert "off: DISCORD_BOT_TOKEN" in await becomes(service, 503)
        await asyncio.sleep(1.1)
        assert await service.end() == 0
    assert len(discord.gateway.dialled) == 2
    assert discord.record.invalid == 0


async def test_without_message_content_the_rest_goes_on(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    discord.app.intents = 0
    world = discord.world
    async with running(tmp_path, discord_settings) as service:
        await service.printed("connected as threadseek")
        await service.printed("discord.no_message_content")
        assert "without the Message Content intent" in service.out, "said at the start, too"
        place = world.say("alice", "general", f"{discord.mention} one")
        await discord.wait_for(lambda: answers(discord, place) == ["Question 1 was: one"], 10)
        world.say("alice", place, "nobody is asked")
        (said,) = [m.id for m in world.history(place) if m.author == BOT and not m.system]
        world.say("alice", place, "two", reply_to=said)
        await discord.wait_for(lambda: answers(discord, place)[1:] == ["Question 2 was: two"], 10)
        third = discord.interactions.slash("alice", place, "ask", prompt="three")
        await discord.wait_for(lambda: third.text() == "Question 3 was: three", 10)
        direct = world.direct("bob")
        world.say("bob", direct, "four")
        await discord.wait_for(lambda: answers(discord, direct) == ["Question 1 was: four"], 10)
        assert await service.end() == 0
    assert discord.gateway.close_codes == [4014]
    first, second = discord.gateway.identifies
    assert second - first >= 5
    assert len(answers(discord, place)) == 3
    assert "nobody is asked" not in str([call.body for call in api.calls])
    calm(discord)


async def test_discord_away_at_the_start_comes_by_itself(
    tmp_path: Path, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    await discord.go_away()
    async with running(tmp_path, discord_settings) as service:
        await service.printed("Discord        not connected yet")
        discord.gateway.mood = "unready"
        await discord.come_back()
        await discord.wait_for(lambda: discord.gateway.identifies, 10)
        discord.gateway.mood = ""
        await service.printed("Discord        connected as threadseek in 1 server")
        place = discord.world.say("alice", "general", f"{discord.mention} hello")
        await discord.wait_for(lambda: answers(discord, place), 10)
    assert answers(discord, place) == ["Question 1 was: hello"]
    first, second = discord.gateway.identifies
    assert second - first >= 5, "Discord takes one new session in five seconds"
    calm(discord)


async def test_all_of_discord_away_for_a_while_and_its_sessions_forgotten(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    world = discord.world
    async with running(tmp_path, discord_settings) as service:
        place = world.say("alice", "general", f"{discord.mention} one")
        await discord.wait_for(lambda: answers(discord, place) == ["Question 1 was: one"], 10)
        await becomes(service, 200)
        await discord.go_away()
        assert "down" in await becomes(service, 503)
        world.say("alice", place, "two")
        other = world.say("bob", "random", f"{discord.mention} three")
        await asyncio.sleep(1.0)
        discord.gateway.forget()
        await discord.come_back()
        await becomes(service, 200)
        await discord.wait_for(lambda: len(answers(discord, place)) == 2, 20)
        await discord.wait_for(lambda: answers(discord, other), 10)
        world.say("alice", place, "four")
        await discord.wait_for(lambda: len(answers(discord, place)) == 3, 10)
    assert answers(discord, place) == [f"Question {n} was: {w}" for n, w in NUMBERED]
    assert answers(discord, other) == ["Question 1 was: three"]
    assert len(api.calls) == 4
    calm(discord)


NUMBERED = ((1, "one"), (2, "two"), (3, "four"))


async def test_asked_while_the_process_was_down(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    world = discord.world
    direct = world.direct("bob")
    async with running(tmp_path, discord_settings) as service:
        place = world.say("alice", "general", f"{discord.mention} one", ago=LATE + 120)
        await discord.wait_for(lambda: answers(discord, place), 10)
        world.say("bob", direct, "first", ago=LATE + 110)
        await discord.wait_for(lambda: answers(discord, direct), 10)
        await service.printed("turn.settled")
        assert await service.end(signal.SIGTERM) == 0
    world.say("alice", place, "two")
    world.say("bob", direct, "second")
    world.say("bob", "general", "just talk")
    asked = world.say("bob", "general", f"{discord.mention} three")
    post = world.forum_post("bob", "help", "Broken build", "It fails on Tuesdays.")
    world.say("alice", post, f"{discord.mention} why?")
    old = world.say("alice", "random", f"{discord.mention} too old", ago=LATE + 60)
    async with running(tmp_path, discord_settings):

        def complete() -> bool:
            shown = [len(answers(discord, each)) for each in (place, direct, asked, post, old)]
            return shown == [2, 2, 1, 1, 1]

        await discord.wait_for(complete, 15)
        await discord.gateway.reconnect()
        await asyncio.sleep(0.5)
    assert answers(discord, place)[1:] == ["Question 2 was: two"]
    assert answers(discord, direct)[1:] == ["Question 2 was: second"]
    assert answers(discord, asked) == ["Question 1 was: three"]
    assert len(answers(discord, post)) == 1
    (line,) = answers(discord, old)
    assert "too old" not in line
    assert "\n" not in line
    assert len(api.calls) == 6
    assert not any(call.last == "too old" for call in api.calls)
    calm(discord)
