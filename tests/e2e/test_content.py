"""What people write and what models answer, at its oddest, through the whole service."""

import asyncio
import json
import sqlite3
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.seen import answers, calm
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.slack import SlackServer


async def answered(slack: SlackServer, root: str, within: float = 15) -> list[str]:
    """The bot's messages under a root in #general, once there is one."""
    channel = slack.workspace.channel("general").id
    await slack.wait_for(lambda: answers(slack, channel, root), within)
    return answers(slack, channel, root)


def said(slack: SlackServer, channel: str, root: str, text: str, messages: int = 1) -> bool:
    """Whether the thread has so many messages of the bot, and one of them holds the text."""
    shown = answers(slack, channel, root)
    return len(shown) == messages and text in "".join(shown)


async def test_ten_thousand_mentions_and_a_prompt_that_is_far_too_long(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    bob = slack.workspace.user("bob").id
    async with running(tmp_path, {**settings, "CONTEXT_TOKENS": "4000"}):
        many = slack.workspace.say("alice", "general", f"{slack.mention} " + f"<@{bob}> " * 10_000)
        (said,) = await answered(slack, many)
        assert "too long" in said
        assert "tokens" in said
        long = slack.workspace.say("alice", "general", f"{slack.mention} " + "Warum? " * 30_000)
        (said,) = await answered(slack, long)
        assert "too long" in said
        assert not api.calls
        short = slack.workspace.say("alice", "general", f"{slack.mention} <@{bob}> hi")
        assert (await answered(slack, short))[0].startswith("Question 1")
    assert f"@{bob} hi" in api.calls[0].last
    calm(slack)


async def test_zero_width_and_right_to_left_text_goes_through_unharmed(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    text = "\u200bשלום עולם \u2067مرحبا\u2069 👩\u200d👩\u200d👧 e\u0301"
    reply = tuple(f"{text} ")
    api.script(None, Reply(pieces=reply, packet=1))
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings):
        root = slack.workspace.say("alice", "general", f"{slack.mention} {text}")

        def shown() -> list[str]:
            """A stream leaves out blanks at its end."""
            return [answer.removesuffix(" ") for answer in answers(slack, channel, root)]

        await slack.wait_for(lambda: shown() == [text], 15)
    assert api.calls[0].last.strip("\u200b") == text.strip("\u200b")


async def test_pings_links_and_markup_in_an_answer_are_harmless(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    bob = slack.workspace.user("bob").id
    text = (
        f"Hey <!channel> <!here> <@{bob}> <!subteam^S012345> @everyone @here, see "
        "[your bank](https://evil.example/login) or <https://evil.example|here>. a < b && c > d"
    )
    api.script(None, Reply(pieces=tuple(text), delay=0.01))
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings):
        root = slack.workspace.say("alice", "general", f"{slack.mention} ping them")
        await slack.wait_for(lambda: "c > d" in "".join(answers(slack, channel, root)), 15)
    (shown,) = answers(slack, channel, root)
    assert "a < b && c > d" in shown
    assert "https://evil.example/login" in shown
    calm(slack)


async def test_an_answer_of_a_hundred_thousand_characters(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    text = " ".join(f"{number:05d}" for number in range(16_667))[:100_000]
    api.script(None, Reply(pieces=tuple(text[at : at + 2_000] for at in range(0, 100_000, 2_000))))
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings):
        root = slack.workspace.say("alice", "general", f"{slack.mention} count")
        await slack.wait_for(
            lambda: "".join(answers(slack, channel, root)).split() == text.split(), 45
        )
    assert 9 <= len(answers(slack, channel, root)) <= 14
    calm(slack)


async def test_an_answer_that_is_one_enormous_table(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    head = "| number | square |\n|---|---|\n"
    rows = [f"| {number} | {number * number} |" for number in range(1_500)]
    text = head + "\n".join(rows)
    api.script(
        None, Reply(pieces=tuple(text[at : at + 1_000] for at in range(0, len(text), 1_000)))
    )
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings):
        root = slack.workspace.say("alice", "general", f"{slack.mention} squares")
        await slack.wait_for(lambda: rows[-1] in "".join(answers(slack, channel, root)), 30)
    shown = answers(slack, channel, root)
    assert len(shown) >= 3
    assert all(part.startswith(head) for part in shown)
    found = [line for part in shown for line in part.removeprefix(head).splitlines()]
    assert found == rows


async def test_json_mode_shows_a_code_block_and_meets_the_rule(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    blank = Reply(pieces=("   ", "\n"))
    api.script("second", blank, Reply(pieces=('{"ok": true}',)))
    api.script("third", blank)
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, {**settings, "DEEPSEEK_RESPONSE_FORMAT": "json_object"}):
        roots = [
            slack.workspace.say("alice", "general", f"{slack.mention} {word}")
            for word in ("first", "second", "third")
        ]
        blocks = [
            ["```json\n" + said + "\n```"]
            for said in ('{"questions": 1, "last": "first"}', '{"ok": true}')
        ]

        def shown() -> list[list[str]]:
            return [answers(slack, channel, root) for root in roots[:2]]

        await slack.wait_for(lambda: shown() == blocks, 30)
        (third,) = await answered(slack, roots[2], 30)
    assert "finished without an answer" in third
    body = api.calls[0].body
    assert body["response_format"] == {"type": "json_object"}
    assert "json" in body["messages"][0]["content"].lower()
    assert len([call for call in api.calls if call.last == "third"]) == 2
    calm(slack)


async def test_all_parameters_are_sent_and_all_candidates_are_stored(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    more = {
        "DEEPSEEK_MODEL": "deepseek-r1",
        "DEEPSEEK_TEMPERATURE": "0.5",
        "DEEPSEEK_MAX_TOKENS": "100",
        "DEEPSEEK_N": "3",
        "DEEPSEEK_EXTRA_BODY": '{"top_p": 0.9}',
        "SYSTEM_PROMPT": "Be brief.",
    }
    api.script(None, Reply(reasoning=("hm",), pieces=("one ", "answer")))
    async with running(tmp_path, {**settings, **more}):
        root = slack.workspace.say("alice", "general", f"{slack.mention} hi")
        assert await answered(slack, root)
        await slack.wait_for(lambda: slack.record.called_with("chat.update") or True, 1)
        await asyncio.sleep(0.5)
    body = api.calls[0].body
    assert body == {
        "model": "deepseek-r1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "hi"},
        ],
        "stream": True,
        "temperature": 0.5,
        "max_tokens": 100,
        "n": 3,
        "top_p": 0.9,
    }
    with sqlite3.connect(tmp_path / "threadseek.db") as connection:
        row = connection.execute(
            "SELECT answer, candidates, reasoning, verdict FROM turn"
        ).fetchone()
        outcome = dict(zip(("answer", "candidates", "reasoning", "verdict"), row, strict=True))
    assert len(json.loads(outcome["candidates"])) == 3
    assert outcome["answer"] == "one answer"
    assert "hm" in outcome["reasoning"]


@pytest.mark.parametrize("stream", ["true", "false"])
async def test_whole_answers_work_like_streamed_ones(
    stream: str, tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    async with running(tmp_path, {**settings, "DEEPSEEK_STREAM": stream}):
        root = slack.workspace.say("alice", "general", f"{slack.mention} hi")
        channel = slack.workspace.channel("general").id
        await slack.wait_for(lambda: answers(slack, channel, root) == ["Question 1 was: hi"], 10)
    assert api.calls[0].body["stream"] is (stream == "true")


async def test_one_thread_in_order_while_others_do_not_wait(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    api.script("slow", Reply(pieces=("slow ", "one"), delay=1.5))
    channel = slack.workspace.channel("general").id
    async with running(tmp_path, settings):
        slow = slack.workspace.say("alice", "general", f"{slack.mention} slow")
        await slack.wait_for(lambda: slack.record.status(channel, slow), 10)
        for text in ("second", "third"):
            slack.workspace.say("bob", "general", text, thread_ts=slow)
        other = slack.workspace.say("bob", "general", f"{slack.mention} quick")
        await slack.wait_for(lambda: answers(slack, channel, other), 10)
        assert "slow one" not in answers(slack, channel, slow)
        await slack.wait_for(lambda: len(answers(slack, channel, slow)) == 3, 20)
        await asyncio.sleep(0.5)
    bob = slack.workspace.user("bob").id
    asked = [call.last for call in api.calls if call.last != "quick"]
    assert asked == ["slow", f"{bob}: second", f"{bob}: third"]
    assert answers(slack, channel, slow)[0] == "slow one"


async def test_the_end_of_an_answer_is_explained_under_it(
    tmp_path: Path, api: DeepSeekServer, slack: SlackServer, settings: dict[str, str]
) -> None:
    cases = {
        "length": (Reply(pieces=("some text",), finish="length"), "length limit"),
        "filter": (Reply(pieces=("some text",), finish="content_filter"), "content filter"),
        "cut": (Reply(pieces=("some ", "text"), delay=0.5, ending="cut"), "broke off"),
        "failed": (Reply(pieces=("some ", "text"), delay=0.5, finish="error"), "broke off"),
        "empty": (Reply(pieces=()), "without an answer"),
        "thinking": (Reply(reasoning=("hm",), pieces=(), finish="length"), "for thinking"),
    }
    async with running(tmp_path, settings):
        roots = {}
        for name, (reply, _) in cases.items():
            api.script(name, reply)
            roots[name] = slack.workspace.say("alice", "general", f"{slack.mention} {name}")
        channel = slack.workspace.channel("general").id
        for name, (reply, notice) in cases.items():
            root = roots[name]
            await slack.wait_for(partial(said, slack, channel, root, notice), 30)
            (shown,) = answers(slack, channel, root)
            text = "".join(reply.pieces or ())
            assert shown.startswith(text)
            assert len(shown.removeprefix(text).strip().splitlines()) == 1
            slack.workspace.say("alice", "general", "and now?", thread_ts=root)
            await slack.wait_for(partial(said, slack, channel, root, notice, 2), 20)
    for call in api.calls:
        if call.last.endswith("and now?"):
            messages = call.body["messages"]
            assert all(message["content"].strip() for message in messages)
            roles = [message["role"] for message in messages]
            kept = roles == ["system", "user", "assistant", "user"]
            assert kept is any(message["content"] == "length" for message in messages)
    calm(slack)
