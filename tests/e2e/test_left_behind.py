"""A platform that won't have a message touched for half a minute: what is missing comes in a new
message within seconds, everything once and in order."""

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.seen import answers as said
from tests.e2e.seen import calm, until
from tests.e2e.seen_discord import answers
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_faults import Fault as DiscordFault
from tests.emulators.slack import SlackServer
from tests.emulators.slack_faults import Fault
from tests.emulators.slack_limits import Budget
from tests.emulators.slack_record import Call
from tests.emulators.slack_workspace import BOT_USER

WORDS = [f"word{number}" for number in range(240)]
SLOW = Reply(pieces=tuple(f"{word} " for word in WORDS), delay=0.025)
REFUSED, SOON = 30, 25.0
"""Seconds for which a platform refuses, and within which all is to be seen nevertheless."""
LOGGED = "delivery.goes_on_in_a_new_message"


def whole(texts: list[str]) -> bool:
    """Whether the messages say every word once, in order; a word may be cut by two of them."""
    return "".join("".join(texts).split()) == "".join(WORDS)


async def shown(texts: Callable[[], list[str]]) -> float:
    """Wait for the whole answer; seconds that it took."""
    since = time.monotonic()
    async with asyncio.timeout(2 * REFUSED):
        while not whole(texts()):  # noqa: ASYNC110 - servers keep plain records
            await asyncio.sleep(0.02)
    return time.monotonic() - since


def histories(slack: SlackServer) -> list[list[str]]:
    """All that each message of the bot showed, oldest message first."""
    posts = sorted(post.ts for post in slack.workspace.posts.values() if post.user == BOT_USER)
    return [[state.text or "" for state in slack.record.history(ts)] for ts in posts]


async def test_edits_are_refused_for_good(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    slack.app.no_streams = "unknown_method"
    slack.faults.add(Fault("chat.update", times=99, error="edit_window_closed"))
    api.script("count", SLOW)
    async with running(tmp_path, settings) as service:
        root = slack.workspace.say("alice", "general", f"{slack.mention} count")
        channel = slack.workspace.channel("general").id
        took = await shown(lambda: said(slack, channel, root))
        await service.printed("turn.settled")
    assert took < SOON
    assert len(said(slack, channel, root)) == 2
    assert len(slack.record.called_with("chat.update")) == 1


async def test_the_end_of_a_stream_is_refused(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    slack.faults.add(Fault("chat.stopStream", times=99, error="user_not_found"))
    api.script("count", SLOW)
    async with running(tmp_path, settings):
        channel = slack.workspace.channel("general").id
        for most in (2, 1):  # nothing may be left to say when the stream is to be ended
            root = slack.workspace.say("alice", "general", f"{slack.mention} count")
            took = await shown(lambda root=root: said(slack, channel, root))  # type: ignore[misc]
            assert took < SOON
            assert 1 <= len(said(slack, channel, root)) <= most
    assert len(slack.record.called_with("chat.startStream")) == 1, "no more streams there"


async def test_edits_are_refused(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    slack.app.no_streams = "unknown_method"
    slack.faults.add(Fault("chat.update", times=99, retry_after=REFUSED))
    api.script("count", SLOW)
    async with running(tmp_path, settings) as service:
        root = slack.workspace.say("alice", "general", f"{slack.mention} count")
        channel = slack.workspace.channel("general").id
        took = await shown(lambda: said(slack, channel, root))
        await service.printed(LOGGED)
    assert took < SOON
    assert 2 <= len(said(slack, channel, root)) <= 4
    assert all(len(states) == 1 for states in histories(slack)), "what is shown stays as it is"
    assert len(slack.record.called_with("chat.update")) == 1, "Slack said when to come back"
    calm(slack)


async def test_pieces_of_a_stream_are_refused(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    slack.faults.add(Fault("chat.appendStream", times=99, retry_after=REFUSED))
    api.script("count", SLOW)
    async with running(tmp_path, settings):
        root = slack.workspace.say("alice", "general", f"{slack.mention} count")
        channel = slack.workspace.channel("general").id
        took = await shown(lambda: said(slack, channel, root))
        await until(lambda: not any(post.streaming for post in slack.workspace.posts.values()))
    assert took < SOON
    assert len(slack.record.called_with("chat.appendStream")) == 1
    assert slack.record.called_with("chat.update"), "it is stopped before its end, and edited"
    calm(slack)


async def test_whoever_goes_on_after_a_crash_makes_one_message_of_it(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    slack.app.no_streams = "unknown_method"
    slack.faults.add(Fault("chat.update", times=1, retry_after=REFUSED))
    again = Reply(pieces=tuple(f"{word} " for word in WORDS))
    api.script("count", SLOW, again)
    async with running(tmp_path, settings) as service:
        root = slack.workspace.say("alice", "general", f"{slack.mention} count")
        channel = slack.workspace.channel("general").id
        await slack.wait_for(lambda: len(said(slack, channel, root)) == 2, SOON)
        await service.end(signal.SIGKILL)
    async with running(tmp_path, settings):
        await slack.wait_for(
            lambda: whole(said(slack, channel, root)) and len(said(slack, channel, root)) == 1,
            2 * REFUSED,
        )
    assert len(api.calls) == 2


async def test_edits_in_a_discord_thread_are_refused(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    api.script("count", SLOW)
    async with running(tmp_path, discord_settings) as service:
        place = discord.world.say("alice", "general", f"{discord.mention} count")
        await discord.wait_for(lambda: answers(discord, place), 10)
        edit = "PATCH /channels/{channel}/messages/{message}"
        discord.faults.add(DiscordFault(edit, times=99, retry_after=REFUSED))
        took = await shown(lambda: answers(discord, place))
        await service.printed(LOGGED)
    assert took < SOON
    assert refused(discord) == 1, "Discord said when to come back"


async def test_edits_of_a_commands_answer_are_refused(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    api.script("count", SLOW)
    async with running(tmp_path, discord_settings) as service:
        asked = discord.interactions.slash("alice", "general", "ask", prompt="count")
        await discord.wait_for(asked.text, 10)
        edit = "PATCH /webhooks/{app}/{token}/messages/@original"
        discord.faults.add(DiscordFault(edit, times=99, retry_after=REFUSED))
        took = await shown(lambda: [asked.text() or "", *answers(discord, asked.message_id)])
        await service.printed(LOGGED)
    assert took < SOON
    assert refused(discord) == 1, "Discord said when to come back"


def refused(discord: DiscordServer) -> int:
    """How many calls were refused as too early."""
    return sum(call.status == 429 for call in discord.record.calls)


async def test_slack_is_well_again_and_all_who_asked_are_answered_soon(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    """Each looks for a post that may have landed, and there are few reads for so many."""
    asked = 8
    limits = slack.limits
    assert limits is not None
    limits.budgets["conversations.replies"] = Budget(50, 1)
    for method in ("chat.startStream", "chat.postMessage"):
        slack.faults.add(Fault(method, status=502, times=999))
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings):
        roots = [
            slack.workspace.say("alice", "general", f"{slack.mention} {n}") for n in range(asked)
        ]
        await slack.wait_for(lambda: len(writing(slack)) >= asked, 20)
        slack.faults.clear()
        since = time.monotonic()
        await until(lambda: all(said(slack, channel, root) for root in roots), 40)
    assert time.monotonic() - since < asked * 1.2 + 10, "a read takes 1.2 seconds"
    reads = slack.record.called_with("conversations.replies")
    assert sum(call.status == 429 for call in reads) <= 2 * asked
    assert all(len(said(slack, channel, root)) == 1 for root in roots)


def writing(slack: SlackServer) -> list[Call]:
    """The calls that make a message."""
    methods = ("chat.startStream", "chat.postMessage")
    return [call for method in methods for call in slack.record.called_with(method)]
