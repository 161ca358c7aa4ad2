"""Follow-ups that overtake their question, and remarks that were made before it."""

import asyncio

import pytest

from adapters.slack.app import SlackPlatform
from adapters.slack.early import KEPT, MOST, Early
from core.errors import StoreBusy
from core.types import Prompt, ThreadKey
from tests.adapters.slack.conftest import Inbox
from tests.adapters.slack.past import Past, reading, until
from tests.emulators.slack import SlackServer

THREAD = ThreadKey("slack:T1:C1:1")


@pytest.fixture
def past(slack: SlackServer) -> Past:
    return Past(slack)


async def test_a_follow_up_that_overtakes_its_question_is_answered_behind_it(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    """Also one that came twice, and not what was said in other people's threads."""
    root = past.ask(20, "what is Rust?")
    first, second = past.say(19, "in two sentences", root=root), past.say(18, "or one", root=root)
    others = past.say(19, "yes", root=past.say(20, "lunch?"))
    async with reading(slack, inbox) as backlog:
        for ts in (second, first, others, second):
            assert not await backlog.take(past.prompt(ts))
        assert await backlog.take(past.prompt(root))
        assert inbox.texts() == ["what is Rust?", "in two sentences", "or one"]
        offered = len(inbox.offered)
        assert not await backlog.take(past.prompt(second)), "Slack brings it once more"
        assert not await backlog.take(past.prompt(root))
        assert len(inbox.offered) <= offered + 3


async def test_what_the_store_refused_while_it_took_the_question_is_offered_again(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    root = past.ask(20, "what is Rust?")
    question, early = past.prompt(root), past.prompt(past.say(19, "shortly", root=root))
    async with reading(slack, inbox) as backlog:
        answered, real = asyncio.Event(), inbox.accept

        async def slow(prompt: Prompt) -> bool:
            new = await real(prompt)
            if prompt.follow_up and not new:
                await answered.wait()
            return new

        backlog._accept = slow
        taking = asyncio.create_task(backlog.take(early))
        await until(lambda: inbox.offered)
        assert await backlog.take(question)
        answered.set()
        await taking
    assert inbox.texts() == ["what is Rust?", "shortly"]


async def test_a_follow_up_that_the_store_then_fails_to_take_is_read_back(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    root = past.ask(20, "what is Rust?")
    early = past.prompt(past.say(19, "shortly", root=root))
    async with reading(slack, inbox) as backlog:
        assert not await backlog.take(early)

        async def gate() -> None:
            if inbox.taken and inbox.offered[-1].follow_up:
                inbox.gate = None
                raise StoreBusy("locked")

        inbox.gate = gate
        assert await backlog.take(past.prompt(root)), "that one is stored, whatever comes of others"
        await until(lambda: len(inbox.taken) == 2)
    assert inbox.texts() == ["what is Rust?", "shortly"]


async def test_a_remark_from_before_the_question_is_nobodys_follow_up(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    root = past.say(30, "lunch at noon?")
    remark = past.prompt(past.say(29, "Anna, did you pay the rent?", root=root))
    early = past.prompt(past.say(27, "shortly", root=root))
    async with reading(slack, inbox) as backlog:
        for prompt in (early, remark):
            assert not await backlog.take(prompt)
        assert await backlog.take(past.prompt(past.ask(28, "what is Rust?", root=root)))
        assert not await backlog.take(remark)
    assert inbox.texts() == ["what is Rust?", "shortly"]


async def test_what_was_said_below_a_message_before_an_edit_named_us_is_not_for_us(
    slack: SlackServer, platform: SlackPlatform, inbox: Inbox
) -> None:
    say = slack.workspace.say
    root = say("alice", "general", "what is Rust?")
    say("bob", "general", "good question", thread_ts=root)
    await until(lambda: len(inbox.offered) == 1)
    slack.workspace.edit(root, f"{slack.mention} what is Rust?")
    await until(lambda: inbox.taken)
    say("alice", "general", "shortly", thread_ts=root)
    await until(lambda: len(inbox.taken) == 2)
    assert inbox.texts() == ["what is Rust?", "shortly"]


def test_it_is_kept_for_as_long_as_slack_tries_and_no_longer() -> None:
    early, one = Early(), _prompt(1)
    early.keep(one, 0.0)
    assert early.pop(THREAD, one.sequence, 1.0) == [], "it isn't behind itself"
    assert early.pop(THREAD, "0", KEPT + 1) == []
    assert early.pop(THREAD, "0", KEPT) == [one]
    assert early.pop(THREAD, "0", KEPT) == []
    early.keep(one, 0.0)
    early.keep(_prompt(2), KEPT + 1)
    assert len(early) == 1


def test_nothing_is_kept_without_end() -> None:
    early = Early()
    for number in range(MOST + 50):
        early.keep(_prompt(number), 0.0)
    assert len(early) == MOST
    assert early.pop(THREAD, "0", 0.0)[-1] == _prompt(MOST + 49), "the newest ones"


def _prompt(number: int) -> Prompt:
    """A follow-up."""
    return Prompt(
        platform="slack",
        thread=THREAD,
        identity=str(number),
        sequence=f"{number + 1:09}",
        author="",
        text=f"number {number}",
        asked_at=0.0,
        address="",
        follow_up=True,
    )
