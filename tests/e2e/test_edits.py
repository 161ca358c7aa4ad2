"""Prompts that people edit or delete, with the shipped command: on screen, at the API, on disk."""

import signal
from pathlib import Path

import pytest

from tests.e2e.seen import answers, calm, until
from tests.e2e.seen_discord import answers as shown
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.deepseek_script import error_reply
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_rules import BOT, PUBLIC_THREAD
from tests.emulators.slack import SlackServer
from tests.emulators.slack_workspace import BOT_USER

SECRET = "what does the canary sing?"
BETTER = "what does the wren sing?"
LONG = Reply(pieces=tuple(f"word{number} " for number in range(300)), delay=0.05)
LATE = Reply(pieces=("Nothing.",), first_delay=4.0)
SHORT = Reply(pieces=("It ", "sings."))
FILTERED = error_reply(400, "bad_request", "Content Exists Risk")


def ours(slack: SlackServer) -> list[str]:
    """Everything of the bot's that stands in the workspace."""
    return [post.seen for post in slack.workspace.posts.values() if post.user == BOT_USER]


def begun(slack: SlackServer) -> int:
    """Messages: posts and streams. A short answer is one or the other, by how its words come."""
    ways = ("chat.postMessage", "chat.startStream")
    return sum(len(slack.record.called_with(method)) for method in ways)


def theirs(discord: DiscordServer) -> list[str]:
    """Everything of the bot's that stands in the Discord server, and can be read."""
    said = discord.world.messages.values()
    return [message.content for message in said if message.author == BOT and message.content]


def holding(folder: Path, text: str) -> list[str]:
    """The files that hold the text."""
    return [file.name for file in folder.iterdir() if text.encode() in file.read_bytes()]


def asked(api: DeepSeekServer) -> list[str]:
    """What the API was asked, each time."""
    return [call.last for call in api.calls]


async def test_slack_deleted_while_it_is_answered(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    api.script("canary", LONG)
    async with running(tmp_path, settings) as service:
        root = slack.workspace.say("alice", "general", f"{slack.mention} {SECRET}")
        await slack.wait_for(lambda: "word20" in " ".join(ours(slack)), 10)
        slack.workspace.delete(root)
        await until(lambda: api.calls[0].hung_up, 2)
        await slack.wait_for(lambda: not ours(slack), 3)
        before = begun(slack)
        slack.workspace.say("alice", "general", f"{slack.mention} hello")
        await slack.wait_for(lambda: ours(slack) == ["Question 1 was: hello"], 10)
        assert begun(slack) == before + 1
        assert await service.end(signal.SIGTERM) == 0
    assert not holding(tmp_path, "canary")
    calm(slack)


@pytest.mark.parametrize("after", [0.0, 0.3, 1.0])
async def test_slack_deleted_before_there_are_words(
    after: float, tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    api.script("canary", LATE)
    async with running(tmp_path, settings) as service:
        root = slack.workspace.say("alice", "general", f"{slack.mention} {SECRET}")
        if after:
            await until(lambda: api.calls)
        slack.workspace.delete(root)
        await slack.wait_for(lambda: not slack.deliverer.unacked(), 5)
        if after:
            await until(lambda: api.calls[0].hung_up, 2)
        assert await service.end(signal.SIGTERM) == 0
    assert ours(slack) == []
    assert not slack.record.called_with("chat.postMessage")
    assert not holding(tmp_path, "canary")


async def test_slack_deleted_later(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    api.script("canary", SHORT)
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings) as service:
        root = slack.workspace.say("alice", "general", f"{slack.mention} {SECRET}")
        await slack.wait_for(lambda: answers(slack, channel, root) == ["It sings."], 10)
        await service.printed("turn.settled")
        slack.workspace.delete(root)
        await slack.wait_for(lambda: not slack.deliverer.unacked(), 5)
        slack.workspace.say("alice", "general", "why?", thread_ts=root)
        await slack.wait_for(lambda: len(answers(slack, channel, root)) == 2, 10)
        assert await service.end(signal.SIGTERM) == 0
    assert answers(slack, channel, root)[0] == "It sings."
    said = [message["content"] for message in api.calls[-1].body["messages"][1:]]
    assert said == ["[deleted]", "It sings.", "why?"]
    assert not holding(tmp_path, "canary")


async def test_slack_edited_before_and_after_the_first_words(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    api.script("canary", LATE)
    api.script("wren", SHORT)
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings) as service:
        root = slack.workspace.say("alice", "general", f"{slack.mention} {SECRET}")
        await until(lambda: api.calls)
        slack.workspace.edit(root, f"{slack.mention} {BETTER}")
        await slack.wait_for(lambda: answers(slack, channel, root) == ["It sings."], 10)
        assert api.calls[0].hung_up
        slack.workspace.unfurl(root)
        slack.workspace.edit(root, f"{slack.mention} what does the tit sing?")
        await slack.wait_for(lambda: not slack.deliverer.unacked(), 5)
        slack.workspace.say("alice", "general", "why?", thread_ts=root)
        await slack.wait_for(lambda: len(answers(slack, channel, root)) == 2, 10)
        assert await service.end(signal.SIGTERM) == 0
    assert asked(api) == [SECRET, BETTER, "why?"]
    assert api.calls[-1].body["messages"][1]["content"] == "what does the tit sing?"
    assert not holding(tmp_path, "wren")
    calm(slack)


@pytest.mark.parametrize("refused", [False, True])
async def test_slack_edited_under_a_line_of_ours(
    refused: bool,
    tmp_path: Path,
    api: DeepSeekServer,
    slack: SlackServer,
    settings: dict[str, str],
) -> None:
    """The help, or a refusal: the answer takes its place, and what follows is asked with both."""
    api.script("canary", FILTERED)
    api.script("wren", SHORT)
    line = "Please ask differently" if refused else "Hi! I bring DeepSeek"
    async with running(tmp_path, settings) as service:
        words = f" {SECRET}" if refused else ""
        root = slack.workspace.say("alice", "general", f"{slack.mention}{words}")
        channel = slack.workspace.channel("general").id
        await slack.wait_for(lambda: line in " ".join(answers(slack, channel, root)), 10)
        await service.printed("turn.settled")
        slack.workspace.edit(root, f"{slack.mention} {BETTER}")
        await slack.wait_for(lambda: answers(slack, channel, root) == ["It sings."], 10)
        slack.workspace.say("alice", "general", "why?", thread_ts=root)
        await slack.wait_for(lambda: len(answers(slack, channel, root)) == 2, 45)
        assert await service.end(signal.SIGTERM) == 0
    said = [message["content"] for message in api.calls[-1].body["messages"][1:]]
    assert said == [BETTER, "It sings.", "why?"]
    assert not holding(tmp_path, "canary")
    calm(slack)


async def test_slack_edited_to_name_the_bot(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    async with running(tmp_path, settings) as service:
        root = slack.workspace.say("alice", "general", SECRET)
        slack.workspace.edit(root, f"{slack.mention} {SECRET}")
        await slack.wait_for(lambda: ours(slack) == [f"Question 1 was: {SECRET}"], 10)
        assert await service.end(signal.SIGTERM) == 0
    assert asked(api) == [SECRET]


@pytest.mark.parametrize("where", ["general", "direct"])
async def test_discord_deleted_while_it_is_answered(
    where: str,
    tmp_path: Path,
    api: DeepSeekServer,
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    api.script("canary", LONG)
    place = discord.world.direct("alice") if where == "direct" else where
    async with running(tmp_path, discord_settings) as service:
        question = discord.world.say("alice", place, f"{discord.mention} {SECRET}")
        await discord.wait_for(lambda: "word20" in " ".join(theirs(discord)), 15)
        discord.world.delete(question)
        await until(lambda: api.calls[0].hung_up, 2)
        await discord.wait_for(lambda: not theirs(discord), 3)
        discord.world.say("alice", place, f"{discord.mention} hello")
        await discord.wait_for(lambda: theirs(discord) == ["Question 1 was: hello"], 10)
        assert await service.end(signal.SIGTERM) == 0
        assert "canary" not in service.out + service.err
    assert not holding(tmp_path, "canary")


@pytest.mark.parametrize("bulk", [False, True])
async def test_discord_deleted_later(
    bulk: bool,
    tmp_path: Path,
    api: DeepSeekServer,
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    api.script("canary", SHORT)
    async with running(tmp_path, discord_settings) as service:
        question = discord.world.say("alice", "general", f"{discord.mention} {SECRET}")
        await discord.wait_for(lambda: shown(discord, question) == ["It sings."], 15)
        await service.printed("turn.settled")
        if bulk:
            discord.world.purge("general")
        else:
            discord.world.delete(question)
        discord.world.say("alice", question, "why?")
        await discord.wait_for(lambda: len(shown(discord, question)) == 2, 15)
        assert await service.end(signal.SIGTERM) == 0
    assert shown(discord, question)[0] == "It sings."
    said = [message["content"] for message in api.calls[-1].body["messages"][1:]]
    assert said == ["[deleted]", "It sings.", "why?"]
    assert not holding(tmp_path, "canary")


@pytest.mark.parametrize("answered", [True, False])
async def test_discord_thread_deleted(
    answered: bool,
    tmp_path: Path,
    api: DeepSeekServer,
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    api.script("canary", SHORT if answered else LONG)
    async with running(tmp_path, discord_settings) as service:
        question = discord.world.say("alice", "general", f"{discord.mention} {SECRET}")
        expected = "It sings." if answered else "word20"
        await discord.wait_for(lambda: expected in " ".join(theirs(discord)), 15)
        if answered:
            await service.printed("turn.settled")
            discord.world.say("alice", question, "and the canary?")
            await discord.wait_for(lambda: len(shown(discord, question)) == 2, 15)
        discord.world.delete_channel(question)
        await until(lambda: answered or api.calls[0].hung_up, 2)
        discord.world.say("alice", "general", f"{discord.mention} hello")
        await discord.wait_for(lambda: "hello" in " ".join(theirs(discord)), 10)
        assert await service.end(signal.SIGTERM) == 0
    assert not holding(tmp_path, "canary")


async def test_discord_channel_deleted(
    tmp_path: Path,
    api: DeepSeekServer,
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    """Questions in it, in a thread that is archived by now, and in one where it is answering."""
    world = discord.world
    api.script("canary", SHORT)
    api.script("wren", LONG)
    async with running(tmp_path, discord_settings) as service:
        asked = world.say("alice", "general", f"{discord.mention} {SECRET}")
        bobs = world.open_thread("bob", "general", "Theirs", PUBLIC_THREAD)
        world.say("alice", bobs, f"{discord.mention} {SECRET}")
        sung = ["It sings."]
        await discord.wait_for(lambda: shown(discord, asked) == shown(discord, bobs) == sung, 15)
        await until(lambda: (service.out + service.err).count("turn.settled") == 2)
        for thread in (asked, bobs):
            world.archive(thread)
        other = world.open_thread("bob", "general", "Another", PUBLIC_THREAD)
        world.say("alice", other, f"{discord.mention} {BETTER}")
        await discord.wait_for(lambda: "word20" in " ".join(shown(discord, other)), 15)
        world.delete_channel("general")
        await until(lambda: api.calls[-1].hung_up, 2)
        await service.printed("turn.cancelled")
        world.say("alice", "random", f"{discord.mention} hello")
        await discord.wait_for(lambda: "hello" in " ".join(theirs(discord)), 10)
        assert await service.end(signal.SIGTERM) == 0
        assert "warning" not in service.out + service.err
    assert not holding(tmp_path, "canary") + holding(tmp_path, "wren")


async def test_discord_edited_before_and_after_the_first_words(
    tmp_path: Path,
    api: DeepSeekServer,
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    api.script("canary", LATE)
    api.script("wren", SHORT)
    async with running(tmp_path, discord_settings) as service:
        question = discord.world.say("alice", "general", f"{discord.mention} {SECRET}")
        await until(lambda: api.calls)
        discord.world.edit(question, f"{discord.mention} {BETTER}")
        await discord.wait_for(lambda: shown(discord, question) == ["It sings."], 15)
        assert api.calls[0].hung_up
        discord.world.unfurl(question)
        discord.world.edit(question, f"{discord.mention} what does the tit sing?")
        discord.world.say("alice", question, "why?")
        await discord.wait_for(lambda: len(shown(discord, question)) == 2, 15)
        assert await service.end(signal.SIGTERM) == 0
    assert asked(api) == [SECRET, BETTER, "why?"]
    assert api.calls[-1].body["messages"][1]["content"] == "what does the tit sing?"
    assert not holding(tmp_path, "wren")


@pytest.mark.parametrize("refused", [False, True])
async def test_discord_edited_under_a_line_of_ours(
    refused: bool,
    tmp_path: Path,
    api: DeepSeekServer,
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    api.script("canary", FILTERED)
    api.script("wren", SHORT)
    line = "Please ask differently" if refused else "Hi! I bring DeepSeek"
    async with running(tmp_path, discord_settings) as service:
        words = f" {SECRET}" if refused else ""
        question = discord.world.say("alice", "general", f"{discord.mention}{words}")
        await discord.wait_for(lambda: line in " ".join(shown(discord, question)), 15)
        await service.printed("turn.settled")
        discord.world.edit(question, f"{discord.mention} {BETTER}")
        await discord.wait_for(lambda: shown(discord, question) == ["It sings."], 15)
        discord.world.say("alice", question, "why?")
        await discord.wait_for(lambda: len(shown(discord, question)) == 2, 45)
        assert await service.end(signal.SIGTERM) == 0
    said = [message["content"] for message in api.calls[-1].body["messages"][1:]]
    assert said == [BETTER, "It sings.", "why?"]
    assert not holding(tmp_path, "canary")


async def test_discord_edited_to_name_the_bot(
    tmp_path: Path,
    api: DeepSeekServer,
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    async with running(tmp_path, discord_settings) as service:
        question = discord.world.say("alice", "general", SECRET)
        discord.world.edit(question, f"{discord.mention} {SECRET}")
        answer = f"Question 1 was: {SECRET}"
        await discord.wait_for(lambda: shown(discord, question) == [answer], 15)
        assert await service.end(signal.SIGTERM) == 0
    assert asked(api) == [SECRET]


@pytest.mark.parametrize("way", ["lost", "late", "killed"])
async def test_discord_deleted_while_the_first_post_is_on_its_way(
    way: str,
    tmp_path: Path,
    api: DeepSeekServer,
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    """Its answer is lost, or comes late, or the process dies: the message is found and removed."""
    api.script("canary", LONG)
    route = "POST /channels/{channel}/messages"
    cut = Fault(route, cut="after") if way == "lost" else Fault(route, reply_delay=2.0)
    discord.faults.add(cut)
    async with running(tmp_path, discord_settings) as service:
        question = discord.world.say("alice", "general", f"{discord.mention} {SECRET}")
        await discord.wait_for(lambda: theirs(discord), 15)
        discord.world.delete(question)
        await service.printed("prompt.withdrawn")
        if way == "killed":
            await service.end(signal.SIGKILL)
        else:
            await discord.wait_for(lambda: not theirs(discord), 8)
            await service.printed("turn.cancelled", 45)
            assert await service.end(signal.SIGTERM) == 0
    if way == "killed":
        async with running(tmp_path, discord_settings) as service:
            await service.printed("turn.cancelled", 45)
            assert await service.end(signal.SIGTERM) == 0
    assert theirs(discord) == []
    assert len(api.calls) == 1
    assert not holding(tmp_path, "canary")
