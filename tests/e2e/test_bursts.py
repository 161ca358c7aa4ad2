"""Thirteen questions while a slow answer streams: ten are answered in order, three refused."""

from collections.abc import Sequence
from pathlib import Path

from tests.e2e import seen, seen_discord
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.discord import DiscordServer
from tests.emulators.slack import SlackServer

REFUSED = "I have ten questions waiting in this thread. Please ask again when some are answered."
SLOW = Reply(pieces=tuple(f"w{number} " for number in range(60)), delay=0.1)
WORDS = "".join(SLOW.pieces or ()).strip()
BURST = [f"q{number}" for number in range(2, 14)]
TAKEN, OVER = BURST[:9], BURST[9:]
_SIGN = "/channels/{channel}/messages/{message}/reactions/{emoji}/@me"


def in_order(shown: Sequence[str]) -> None:
    """Everything as a person sees it at the end, oldest first: the refusals came at once."""
    assert shown[0].strip() == WORDS
    assert list(shown[1:4]) == [REFUSED] * 3
    said = [f"Question {number} was: {text}" for number, text in enumerate(TAKEN, 2)]
    assert list(shown[4:]) == said


def asked_ten(api: DeepSeekServer) -> None:
    """The API was asked ten times, in order, and never heard of what was refused."""
    assert [call.last for call in api.calls] == ["please be slow", *TAKEN]
    heard = [message["content"] for message in api.calls[-1].body["messages"]]
    assert not {REFUSED, *OVER} & set(heard)


async def test_a_burst_in_a_slack_thread(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    api.script("be slow", SLOW)
    workspace, channel = slack.workspace, slack.workspace.channel("general").id
    async with running(tmp_path, settings):
        root = workspace.say("alice", "general", f"{slack.mention} please be slow")
        await slack.wait_for(lambda: seen.answers(slack, channel, root), 15)
        for text in BURST:
            workspace.say("alice", "general", text, thread_ts=root)
        await slack.wait_for(lambda: seen.answers(slack, channel, root).count(REFUSED) == 3, 5)
        assert len(api.calls) == 1, "while the first is being answered"
        told = [shown["text"] for shown in slack.record.ephemerals]
        numbers = ["one", *map(str, range(2, 10))]
        assert sorted(told) == sorted(f"I'll get to this after the {n} before it." for n in numbers)
        assert {shown["thread_ts"] for shown in slack.record.ephemerals} == {root}
        await slack.wait_for(lambda: len(seen.answers(slack, channel, root)) == 13, 60)
        last = f"Question 10 was: {TAKEN[-1]}"
        await slack.wait_for(lambda: seen.answers(slack, channel, root)[-1] == last, 15)
        in_order(seen.answers(slack, channel, root))
    asked_ten(api)
    seen.calm(slack)
    assert len(slack.record.ephemerals) == 9


async def test_a_burst_in_a_discord_thread(
    tmp_path: Path,
    api: DeepSeekServer,
    discord: DiscordServer,
    discord_settings: dict[str, str],
) -> None:
    api.script("be slow", SLOW)
    async with running(tmp_path, discord_settings):
        place = discord.world.say("alice", "general", f"{discord.mention} please be slow")
        await discord.wait_for(lambda: seen_discord.answers(discord, place), 15)
        messages = [discord.world.say("alice", place, text) for text in BURST]
        await discord.wait_for(lambda: seen_discord.answers(discord, place).count(REFUSED) == 3, 10)
        assert len(api.calls) == 1, "while the first is being answered"
        await discord.wait_for(lambda: signed(discord, "PUT") == messages[:9], 10)
        assert signed(discord, "DELETE") == []
        await discord.wait_for(lambda: len(seen_discord.answers(discord, place)) == 13, 60)
        last = f"Question 10 was: {TAKEN[-1]}"
        await seen_discord.last_answer(discord, place, last)
        in_order(seen_discord.answers(discord, place))
        await discord.wait_for(lambda: signed(discord, "DELETE") == messages[:9], 5)
    asked_ten(api)
    seen_discord.calm(discord)
    assert len(signed(discord, "PUT")) == 9


def signed(discord: DiscordServer, method: str) -> list[str]:
    """The messages that got the sign, or lost it, in the order of time."""
    calls = discord.record.called_with(f"{method} {_SIGN}")
    return sorted(call.names["message"] for call in calls if call.ok)
