"""Answers by Slack's native streams, and whatever becomes of the streams: one message, its text
whole and never doubled."""

import json
import re
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.conftest import KEY, MANIFEST
from tests.e2e.seen import answers, calm, one_at_a_time, until
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.slack import SlackServer
from tests.emulators.slack_app import App
from tests.emulators.slack_faults import Fault
from tests.emulators.slack_limits import Limits
from tests.emulators.slack_workspace import BOT_USER, Post

TEXT = (
    "Two **numbers**, *added*:\n\n```python\ndef add(a, b):\n    return a + b\n```\n\n"
    "| a | b |\n|---|---|\n| 1 | 2 |\n\n"
    + " ".join(f"For <@U0ALICE000> and @channel, number {n}." for n in range(12))
)
SHOWN = TEXT.replace("@channel", "@\u200bchannel")
PIECES = tuple(TEXT[at : at + 8] for at in range(0, len(TEXT), 8))
SLOW = Reply(pieces=PIECES, delay=0.04)
STOPPED = "\n\n_The answer was stopped here._"
Workspace = Callable[..., object]


@pytest.fixture
async def workspace(api: DeepSeekServer) -> AsyncIterator[Callable[..., object]]:
    """Makes a workspace with our own manifest, and the variables of a service for it."""
    async with AsyncExitStack() as stack:

        async def make(**given: object) -> tuple[SlackServer, dict[str, str]]:
            app = App.from_manifest(json.loads(MANIFEST.read_text()))
            slack = await stack.enter_async_context(SlackServer(app, **given))  # type: ignore[arg-type]
            return slack, {
                "DEEPSEEK_API_KEY": KEY,
                "DEEPSEEK_BASE_URL": api.url,
                "SLACK_BOT_TOKEN": slack.app.bot_token,
                "SLACK_APP_TOKEN": slack.app.app_token,
                "SLACK_API_URL": slack.api_url,
            }

        yield make


def ask(slack: SlackServer, words: str = "add") -> tuple[str, str]:
    """Channel and ts of a new question."""
    root = slack.workspace.say("alice", "general", f"{slack.mention} {words}")
    return slack.workspace.channel("general").id, root


def made(slack: SlackServer) -> Counter[str]:
    """How often each method that writes was called and did something."""
    methods = ("postMessage", "update", "startStream", "appendStream", "stopStream", "delete")
    calls = (call.method.removeprefix("chat.") for call in slack.record.calls if call.effect)
    return Counter(method for method in calls if method in methods)


def ours(slack: SlackServer) -> list[Post]:
    """Every message of the bot, as it stands."""
    return [post for post in slack.workspace.posts.values() if post.user == BOT_USER]


def grew(slack: SlackServer, ts: str) -> list[str]:
    """All that a message showed; each text begins with the one before, but for what closes it."""
    states = [state.text or "" for state in slack.record.history(ts)]
    for before, after in pairwise(states):
        assert after.startswith(before.rstrip("`\n").rstrip("*")), (before, after)
    return states


def said(texts: list[str]) -> bool:
    """Whether the messages say the whole answer, everything once: one that Slack won't have edited
    for long stays as it is, and a new one goes on.
    """
    solid = "".join("".join(texts).split())
    numbers = re.findall(r"number(\d+)\.", solid)
    code = solid.startswith("Two**numbers**,*added*:") and solid.count("returna+b") == 1
    return code and numbers == [str(number) for number in range(12)]


async def test_an_answer_grows_by_a_stream(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    api.script("add", SLOW)
    async with running(tmp_path, settings):
        channel, root = ask(slack)
        await slack.wait_for(lambda: made(slack)["stopStream"], 30)
    assert answers(slack, channel, root) == [SHOWN]
    calls = made(slack)
    assert calls == {"startStream": 1, "appendStream": calls["appendStream"], "stopStream": 1}
    (post,) = ours(slack)
    states = grew(slack, post.ts)
    assert len(states) == calls.total() > 6
    assert len(states[0]) < 60, "the first words are seen at once"
    assert not post.edited
    assert "add" not in str(post.metadata)
    start = slack.record.called_with("chat.startStream")[0]
    assert start.args["recipient_user_id"] == slack.workspace.user("alice").id
    assert not [call for call in slack.record.calls if call.status == 429]
    calm(slack)
    one_at_a_time(slack)


async def test_a_stream_that_slack_ends_early_goes_on_by_edits(
    tmp_path: Path, api: DeepSeekServer, workspace: Workspace
) -> None:
    slack, settings = await workspace(stream_life=1.2)  # type: ignore[misc]
    api.script("add", SLOW)
    async with running(tmp_path, settings):
        channel, root = ask(slack)
        await slack.wait_for(lambda: answers(slack, channel, root) == [SHOWN], 30)
    over = [call for call in slack.record.calls if call.error == "message_not_in_streaming_state"]
    assert len(over) == 1, "it isn't tried again"
    calls = made(slack)
    assert calls["startStream"] == 1
    assert calls["update"] >= 1
    assert not calls["postMessage"]
    (post,) = ours(slack)
    assert not post.streaming
    grew(slack, post.ts)
    calm(slack)


async def test_an_address_ends_the_stream_and_nothing_is_refused(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    text = TEXT + " See https://example.org/a."
    pieces = (*PIECES, " See ", "https://example.org/a.", *(f" And {n}." for n in range(60)))
    api.script("add", *[Reply(pieces=pieces, delay=0.04)] * 6)
    async with running(tmp_path, settings):
        asked = [ask(slack, f"add {number}") for number in range(6)]
        for channel, root in asked:
            await slack.wait_for(
                lambda: "And 59." in "".join(answers(slack, channel, root)),  # noqa: B023
                30,
            )
    assert len(ours(slack)) == 6
    assert made(slack)["startStream"] >= 2
    assert all(text in "".join(answers(slack, *where)).replace("@\u200b", "@") for where in asked)
    assert not [call for call in slack.record.calls if call.status == 429 or call.error]
    calm(slack)


@pytest.mark.parametrize("code", ["unknown_method", "feature_not_enabled"])
async def test_a_workspace_without_streams(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str], code: str
) -> None:
    slack.app.no_streams = code
    api.script("add", *[SLOW] * 2)
    async with running(tmp_path, settings):
        for number in range(2):
            channel, root = ask(slack, f"add {number}")
            await slack.wait_for(lambda: answers(slack, channel, root) == [SHOWN], 30)  # noqa: B023
    tried = [call for call in slack.record.calls if call.method.endswith("Stream")]
    assert [call.error for call in tried] == [code], "the whole process asks once"
    assert made(slack)["postMessage"] == 2
    assert len(ours(slack)) == 2
    calm(slack)


async def test_something_between_that_knows_no_streams(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    slack.faults.add(Fault("chat.startStream", times=99, status=404))
    api.script("add", *[SLOW] * 2)
    async with running(tmp_path, settings):
        for number in range(2):
            channel, root = ask(slack, f"add {number}")
            await slack.wait_for(lambda: answers(slack, channel, root) == [SHOWN], 30)  # noqa: B023
    assert len(slack.record.called_with("chat.startStream")) == 1
    assert len(ours(slack)) == 2
    calm(slack)


async def test_more_answers_at_once_than_the_tier_has_streams(
    tmp_path: Path, api: DeepSeekServer, workspace: Workspace
) -> None:
    slack, settings = await workspace(limits=Limits(burst=3))  # type: ignore[misc]
    api.script("add", *[SLOW] * 9)
    async with running(tmp_path, settings):
        asked = [ask(slack, f"add {number}") for number in range(9)]
        for channel, root in asked:
            await slack.wait_for(lambda: said(answers(slack, channel, root)), 60)  # noqa: B023
        await until(lambda: not any(post.streaming for post in ours(slack)), 30)
    calls = made(slack)
    assert calls["startStream"] >= 1
    assert calls["postMessage"] >= 1, "those without a stream are posted"
    assert calls["startStream"] + calls["postMessage"] == len(ours(slack)) >= 9
    for post in ours(slack):
        grew(slack, post.ts)
    calm(slack)


@pytest.mark.parametrize("text", ["prose before code", "code"])
@pytest.mark.parametrize("moment", ["while it grows", "while it starts"])
async def test_a_process_killed_in_a_stream(
    tmp_path: Path,
    api: DeepSeekServer,
    slack: SlackServer,
    settings: dict[str, str],
    moment: str,
    text: str,
) -> None:
    again = Reply(pieces=("the ", "whole ", "answer"))
    code = ("```python\n", *[f"a{n} = {n}\n" for n in range(200)])
    api.script("add", SLOW if text != "code" else Reply(pieces=code, delay=0.04), again)
    if moment == "while it starts":  # it lands, and nobody ever hears of it
        slack.faults.add(Fault("chat.startStream", reply_delay=20))
    async with running(tmp_path, settings) as service:
        channel, root = ask(slack)
        await slack.wait_for(lambda: answers(slack, channel, root), 15)
        if moment == "while it grows":
            await slack.wait_for(lambda: made(slack)["appendStream"] >= 2, 15)
        await service.end(signal.SIGKILL)
    (left,) = ours(slack)
    assert left.streaming
    assert not left.metadata
    async with running(tmp_path, settings):
        await slack.wait_for(lambda: answers(slack, channel, root) == ["the whole answer"], 30)
    (post,) = ours(slack)
    assert post.ts == left.ts
    assert not post.streaming
    assert post.metadata
    calls = made(slack)
    assert not calls["postMessage"]
    assert not calls["delete"]
    calm(slack)


async def test_a_person_who_stops_a_stream_is_heard(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    api.script("add", Reply(pieces=PIECES * 4, delay=0.05))
    async with running(tmp_path, settings) as service:
        channel, root = ask(slack)
        await slack.wait_for(lambda: made(slack)["appendStream"] >= 2, 15)
        (post,) = ours(slack)
        slack.workspace.stop(post.ts)
        (seen,) = answers(slack, channel, root)
        await until(lambda: api.calls[0].hung_up)
        await slack.wait_for(lambda: answers(slack, channel, root)[0].endswith(STOPPED), 15)
        said = answers(slack, channel, root)[0].removesuffix(STOPPED)
        assert SHOWN.startswith(said)
        assert said.startswith(seen.rstrip("`\n"))
        api.script("shorter", Reply(pieces=("short",)))
        slack.workspace.say("alice", "general", "shorter, please", thread_ts=root)
        await slack.wait_for(lambda: len(answers(slack, channel, root)) == 2, 15)
        async with aiohttp.request("GET", f"{service.address}metrics") as response:
            page = await response.text()
    assert answers(slack, channel, root) == [said + STOPPED, "short"]
    asked, answer, again = api.calls[-1].body["messages"][-3:]
    assert (asked["role"], answer["role"], again["role"]) == ("user", "assistant", "user")
    assert asked["content"].endswith("add")
    assert said.startswith(answer["content"].rstrip())
    assert 'threadseek_turns_total{platform="slack",verdict="stopped"} 1.0' in page
    assert 'threadseek_turns_total{platform="slack",verdict="error"} 0.0' in page
    assert "message was deleted" not in service.err
