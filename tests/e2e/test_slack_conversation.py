"""The main job: a mention, three turns, a restart, and the fourth turn still knows the first."""

import signal
from itertools import pairwise
from pathlib import Path

import pytest

from tests.e2e.conftest import KEY
from tests.e2e.seen import answers, calm, one_at_a_time
from tests.e2e.service import Service, running
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.slack import SlackServer

CODE = (
    "Here is how:\n\n```python\ndef add(a, b):\n    return a + b\n```\n\n"
    "It adds **two** numbers, `a` and `b`."
)


def pieces(text: str, size: int = 4) -> tuple[str, ...]:
    return tuple(text[at : at + size] for at in range(0, len(text), size))


def by_http(settings: dict[str, str], slack: SlackServer) -> dict[str, str]:
    rest = {name: value for name, value in settings.items() if name != "SLACK_APP_TOKEN"}
    return {**rest, "SLACK_SIGNING_SECRET": slack.app.signing_secret}


async def let_in(service: Service, slack: SlackServer, transport: str) -> None:
    if transport == "http":
        assert await slack.subscribe(service.address + "slack/events")


async def last_answer(slack: SlackServer, channel: str, root: str, text: str) -> None:
    """Wait until the newest answer of the thread reads so."""
    await slack.wait_for(lambda: answers(slack, channel, root)[-1] == text, 15)


@pytest.mark.parametrize("transport", ["socket", "http"])
async def test_three_turns_a_restart_and_a_fourth(
    transport: str,
    tmp_path: Path,
    api: DeepSeekServer,
    slack: SlackServer,
    settings: dict[str, str],
) -> None:
    if transport == "http":
        settings = by_http(settings, slack)
    api.script("add numbers", Reply(pieces=pieces(CODE), delay=0.06))
    async with running(tmp_path, settings) as service:
        await let_in(service, slack, transport)
        assert "connected as @threadseek in" in service.out
        root = slack.workspace.say("alice", "general", f"{slack.mention} how do I add numbers?")
        channel = slack.workspace.channel("general").id
        await slack.wait_for(lambda: answers(slack, channel, root) == [CODE], 15)
        for number, text in enumerate(["and subtract?", "and multiply?"], 2):
            slack.workspace.say("alice", "general", text, thread_ts=root)
            await last_answer(slack, channel, root, f"Question {number} was: {text}")
        assert await service.end(signal.SIGTERM) == 0
    async with running(tmp_path, settings) as service:
        await let_in(service, slack, transport)
        slack.workspace.say("alice", "general", "and divide?", thread_ts=root)
        await last_answer(slack, channel, root, "Question 4 was: and divide?")
        assert await service.end(signal.SIGTERM) == 0
        logs = service.out + service.err
    assert len(answers(slack, channel, root)) == 4
    assert len(api.calls) == 4
    messages = api.calls[-1].body["messages"]
    assert [message["role"] for message in messages] == ["system"] + ["user", "assistant"] * 3 + [
        "user"
    ]
    assert messages[1]["content"] == "how do I add numbers?"
    assert messages[2]["content"] == CODE
    for earlier, later in pairwise(api.calls):
        sent = earlier.body["messages"]
        assert later.body["messages"][: len(sent)] == sent, "the prefix is byte-stable"
    assert api.connections <= 2, "one connection a process"
    assert not slack.deliverer.unacked()
    calm(slack)
    one_at_a_time(slack)
    for secret in (KEY, slack.app.bot_token, slack.app.app_token, slack.app.signing_secret):
        assert secret not in logs
    assert "add numbers" not in logs


async def test_the_answer_is_one_message_that_grows_after_a_status(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    text = " ".join(f"word{number}" for number in range(120))
    thinking = ("let me ", "think ") * 5
    api.script(None, Reply(reasoning=thinking, pieces=pieces(text, 8), delay=0.05))
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings):
        root = slack.workspace.say("alice", "general", f"{slack.mention} count")
        await slack.wait_for(lambda: answers(slack, channel, root) == [text], 20)
    (post,) = [
        post
        for post in slack.record.thread(channel, root)
        if post.user != slack.workspace.user("alice").id
    ]
    states = [state.text or "" for state in slack.record.history(post.ts)]
    assert states[0].startswith("word0")
    assert len(states) >= 4, "it was rewritten in place while it grew"
    assert all(text.startswith(state) for state in states)
    assert "let me" not in "".join(states)
    shown = [status.text for status in slack.record.statuses(channel, root)]
    assert any("thinking" in status for status in shown)
    assert any("reasoning" in status for status in shown)
    assert slack.record.status(channel, root) == ""
    calm(slack)
    one_at_a_time(slack)


async def test_direct_messages_and_suggested_prompts(
    tmp_path: Path, slack: SlackServer, settings: dict[str, str]
) -> None:
    async with running(tmp_path, settings):
        channel = slack.events.open_messages("bob")
        await slack.wait_for(lambda: slack.record.prompts, 10)
        root = slack.workspace.say("bob", channel, "hello there")
        await slack.wait_for(lambda: answers(slack, channel, root), 10)
        expected = ["Question 1 was: hello there"]
        await slack.wait_for(lambda: answers(slack, channel, root) == expected, 10)
        slack.workspace.say("bob", channel, "again", thread_ts=root)
        await last_answer(slack, channel, root, "Question 2 was: again")
    assert len(answers(slack, channel, root)) == 2
    calm(slack)


async def test_a_mention_in_an_existing_thread_reads_what_was_said(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings):
        root = slack.workspace.say("alice", "general", "The launch is on Friday.")
        slack.workspace.say("bob", "general", "I thought Thursday?", thread_ts=root)
        slack.workspace.say("alice", "general", f"{slack.mention} when is it?", thread_ts=root)
        await slack.wait_for(lambda: answers(slack, channel, root), 10)
    alice, bob = slack.workspace.user("alice").id, slack.workspace.user("bob").id
    sent = "\n".join(message["content"] for message in api.calls[0].body["messages"][1:])
    assert sent.index("The launch is on Friday.") < sent.index("I thought Thursday?")
    assert f"{bob}: I thought Thursday?" in sent
    assert f"{alice}: when is it?" in sent
    assert len(api.calls) == 1, "what was said before the mention is no prompt"


async def test_an_empty_mention_explains_itself_without_asking_the_model(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings):
        root = slack.workspace.say("alice", "general", slack.mention)
        await slack.wait_for(lambda: answers(slack, channel, root), 10)
        only_file = slack.workspace.say("alice", "general", slack.mention, files=["plan.pdf"])
        await slack.wait_for(lambda: answers(slack, channel, only_file), 10)
    assert "remember" in answers(slack, channel, root)[0]
    assert "attachments" in answers(slack, channel, only_file)[0]
    assert not api.calls
