"""The thread against the stand-in: what a person sees, and what goes wrong."""

import json
from dataclasses import replace

import aiohttp
import pytest

from adapters.slack.app import SlackPlatform
from adapters.slack.budgets import HELD_UP, streams
from adapters.slack.calls import Api
from adapters.slack.earlier import FORWARD, LOOKS
from adapters.slack.ids import Bot, message_identity, part_id
from adapters.slack.thread import EARLIER, SIZE, SlackThread
from core import ports
from core.delivery.sharing import widening
from core.errors import (
    LockedOut,
    PartGone,
    RateLimited,
    TooLarge,
    Undeliverable,
    Unreachable,
    Untouchable,
)
from core.placing import ReadsPart, Recalls
from core.types import Allowance, PartId, Role
from tests.adapters.slack.payloads import prompt
from tests.emulators.slack import SlackServer
from tests.emulators.slack_faults import Fault
from tests.emulators.slack_workspace import BOT, BOT_USER, TEAM


@pytest.fixture
async def root(slack: SlackServer) -> str:
    return slack.workspace.say("alice", "general", f"{slack.mention} what is a fence?")


@pytest.fixture
async def thread(slack: SlackServer, session: aiohttp.ClientSession, root: str) -> SlackThread:
    api = Api(slack.app.bot_token, slack.api_url, session, timeout=0.5)
    return SlackThread(api, Bot(BOT_USER, BOT, TEAM), prompt(slack, root))


def test_it_has_every_ability(thread: SlackThread) -> None:
    checked: ports.Thread = thread
    assert checked is thread
    for ability in (
        ports.ShowsStatus,
        ports.ShowsQueued,
        ports.ReadsEarlier,
        ports.FindsPost,
        ReadsPart,
        Recalls,
        ports.RemovesPart,
    ):
        assert isinstance(thread, ability)


async def test_an_answer_is_posted_into_the_thread_and_rewritten(
    slack: SlackServer, thread: SlackThread, root: str
) -> None:
    part = await thread.post("A *fence* <!channel> https://example.org", "1:0")
    await thread.edit(part, "A **fence** <!here>")
    await thread.edit(part, "A **fence** keeps cows in.")
    assert slack.record.visible("general", root) == ["A **fence** keeps cows in."]
    states = [state.text for state in slack.record.history(part.split(":")[1])]
    assert states[0] == "A *fence* <!channel> https://example.org"
    assert not slack.record.pings
    assert not slack.record.unfurls


async def test_metadata_tells_nothing(slack: SlackServer, thread: SlackThread, root: str) -> None:
    await thread.post("secret answer", "turn-17:0")
    metadata = json.dumps(slack.record.thread("general", root)[-1].metadata)
    assert "threadseek" in metadata
    assert "secret" not in metadata
    assert "turn-17" not in metadata


async def test_a_repeated_post_is_one_message(
    slack: SlackServer, thread: SlackThread, root: str
) -> None:
    first = await thread.post("one", "1:0")
    assert await thread.post("one", "1:0") == first
    assert await thread.post("two", "1:1") != first
    assert slack.record.visible("general", root) == ["one", "two"]


async def test_a_post_whose_answer_was_lost_is_found(
    slack: SlackServer, session: aiohttp.ClientSession, root: str
) -> None:
    slack.app.client_msg_ids = False
    api = Api(slack.app.bot_token, slack.api_url, session)
    thread = SlackThread(api, Bot(BOT_USER, BOT, TEAM), prompt(slack, root))
    slack.faults.add(Fault("chat.postMessage", cut="after"))
    with pytest.raises(Unreachable):
        await thread.post("one", "1:0")
    assert len(slack.record.called_with("chat.postMessage")) == 1, "a library sent it again"
    (found,) = await thread.find("1:0")
    assert not await thread.find("1:1")
    await thread.edit(found, "one and a half")
    assert slack.record.visible("general", root) == ["one and a half"]


async def test_a_strangers_copy_of_our_metadata_is_not_our_post(
    slack: SlackServer, thread: SlackThread, root: str
) -> None:
    part = await thread.post("one", "1:0")
    ts = part.split(":")[1]
    slack.workspace.posts[ts] = replace(slack.workspace.posts[ts], user="U0ALICE000")
    assert not await thread.find("1:0")


async def test_what_was_deleted_is_gone(slack: SlackServer, thread: SlackThread, root: str) -> None:
    part = await thread.post("one", "1:0")
    slack.workspace.delete(part.split(":")[1])
    with pytest.raises(PartGone):
        await thread.edit(part, "two")
    await thread.remove(part)
    kept = await thread.post("three", "1:2")
    await thread.remove(kept)
    assert slack.record.visible("general", root) == []


async def test_what_cannot_be_deleted_stays(slack: SlackServer, thread: SlackThread) -> None:
    part = await thread.post("one", "1:0")
    slack.faults.add(Fault("chat.delete", error="cant_delete_message"))
    await thread.remove(part)
    slack.faults.add(Fault("chat.delete", status=503))
    with pytest.raises(Unreachable):
        await thread.remove(part)


async def test_a_part_of_the_allowed_size_is_taken(
    slack: SlackServer, thread: SlackThread, root: str
) -> None:
    limits = thread.limits
    text = "é" * (SIZE // 2)
    assert limits.measure(text) == limits.size == SIZE
    part = await thread.post("x", "1:0")
    await thread.edit(part, text)
    assert slack.record.visible("general", root) == [text]
    with pytest.raises(TooLarge):
        await thread.edit(part, "x" * 12_001)
    with pytest.raises(TooLarge):
        await thread.post("x" * 12_001, "1:1")


def most(allowance: Allowance, seconds: float) -> float:
    """The most calls that are made within so long a time."""
    return min(each.burst + seconds * each.rate for each in widening(allowance))


def test_budgets_are_the_documented_ones(thread: SlackThread) -> None:
    limits, stream = thread.limits, streams("T1")
    documented = {limits.edit: 50, stream.start: 20, stream.append: 100, stream.stop: 20}
    for allowance, minute in documented.items():
        late = most(allowance, 60 + HELD_UP)
        assert late == pytest.approx(minute), "never more in a minute, though each may be late"
        assert most(allowance, 60) > 0.99 * minute, "and not much fewer"
        assert allowance.burst + HELD_UP * allowance.rate <= minute / 4 + 1e-9, "a burst has room"
    assert limits.post.rate <= 1
    assert limits.post.burst + HELD_UP * limits.post.rate <= 3, "short bursts, each may be late"
    everywhere = limits.post.within
    assert everywhere is not None
    assert everywhere.burst + (60 + HELD_UP) * everywhere.rate <= 300
    keys = {each.key for one in (limits.post, *documented) for each in widening(one)}
    assert len(keys) == 10, "each has its own"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("*", retry_after=7), RateLimited),
        (Fault("*", error="ratelimited"), RateLimited),
        (Fault("*", status=500), Unreachable),
        (Fault("*", status=503), Unreachable),
        (Fault("*", cut="before"), Unreachable),
        (Fault("*", reply_delay=2.5), Unreachable),
        (Fault("*", error="internal_error"), Unreachable),
        (Fault("*", error="fatal_error"), Unreachable),
        (Fault("*", error="service_unavailable"), Unreachable),
        (Fault("*", error="org_login_required"), Unreachable),
        (Fault("*", error="external_channel_migrating"), Unreachable),
        (Fault("*", error="update_failed"), Unreachable),
        (Fault("*", error="duplicate_message_not_found"), Unreachable),
        (Fault("*", error="duplicate_channel_not_found"), Unreachable),
        (Fault("*", error="message_not_found"), PartGone),
        (Fault("*", error="msg_too_long"), TooLarge),
        (Fault("*", error="msg_blocks_too_long"), TooLarge),
        *(
            (Fault("*", error=code), LockedOut)
            for code in ("account_inactive", "token_revoked", "token_expired", "invalid_auth")
        ),
        *(
            (Fault("*", error=code), Untouchable)
            for code in ("edit_window_closed", "cant_update_message", "block_mismatch")
        ),
        *(
            (Fault("*", error=code), Undeliverable)
            for code in (
                "not_in_channel",
                "channel_not_found",
                "is_archived",
                "missing_scope",
                "restricted_action",
                "restricted_action_thread_locked",
                "invalid_thread_ts",
                "a_code_of_tomorrow",
            )
        ),
    ],
    ids=lambda value: value.error or str(value.status) if isinstance(value, Fault) else None,
)
async def test_every_failure_says_what_to_do_about_it(
    slack: SlackServer, thread: SlackThread, fault: Fault, kind: type[Exception]
) -> None:
    slack.faults.add(replace(fault))
    with pytest.raises(kind) as caught:
        await thread.edit(PartId("C0:1.2"), "hello there")
    assert type(caught.value) is kind or kind in (LockedOut, Undeliverable)
    said = str(caught.value)
    assert "hello there" not in said
    assert slack.app.bot_token not in said
    calls = await slack.wait_for(lambda: slack.record.called_with("chat.update"))
    assert len(calls) == 1, "a library tried again"
    if kind in (LockedOut, Undeliverable, Untouchable):
        assert isinstance(caught.value, kind)
        assert fault.error in said
        assert ":" in said
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after == (7 if fault.retry_after else 5)


async def test_the_bot_was_removed(slack: SlackServer, thread: SlackThread) -> None:
    slack.workspace.expel("general")
    with pytest.raises(Undeliverable, match="invite the bot"):
        await thread.post("one", "1:0")


async def test_a_status_is_shown_until_there_are_words(
    slack: SlackServer, thread: SlackThread, root: str
) -> None:
    await thread.status("is thinking…")
    assert slack.record.status("general", root) == "is thinking…"
    await thread.post("one", "1:0")
    assert slack.record.status("general", root) == ""


STATUS = "assistant.threads.setStatus"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(STATUS, error="unknown_method"),
        Fault(STATUS, error="missing_scope"),
        Fault(STATUS, error="not_allowed_token_type"),
        Fault(STATUS, status=404),
    ],
    ids=lambda fault: fault.error or str(fault.status),
)
async def test_a_status_that_can_never_work_is_not_tried_again(
    slack: SlackServer, thread: SlackThread, root: str, fault: Fault
) -> None:
    slack.faults.add(replace(fault))
    await thread.status("is thinking…")
    await thread.status("is thinking…")
    assert len(slack.record.called_with(STATUS)) == 1


async def test_a_status_never_raises(slack: SlackServer, thread: SlackThread, root: str) -> None:
    for trouble in (
        Fault("*", status=503),
        Fault("*", cut="before"),
        Fault("*", retry_after=3),
        Fault("*", error="not_in_channel"),
    ):
        slack.faults.add(trouble)
        await thread.status("is thinking…")
    await thread.status("is back")
    assert slack.record.status("general", root) == "is back"


async def test_a_mention_in_a_thread_reads_what_was_said(
    slack: SlackServer, session: aiohttp.ClientSession
) -> None:
    say = slack.workspace.say
    root = say("alice", "general", "Cows < goats & <#C0DEV|dev>")
    first = say("bob", "general", "no", thread_ts=root)
    slack.workspace.edit(first, "yes!")
    say("bob", "general", "joined", thread_ts=root, subtype="channel_join")
    api = Api(slack.app.bot_token, slack.api_url, session)
    bot = Bot(BOT_USER, BOT, TEAM)
    await SlackThread(api, bot, prompt(slack, root)).post("Goats.", "1:0")
    asked = say("alice", "general", f"{slack.mention} why?", thread_ts=root)
    say("bob", "general", "too late", thread_ts=root)
    earlier = await SlackThread(api, bot, prompt(slack, asked)).earlier()
    assert [(entry.role, entry.author, entry.content) for entry in earlier] == [
        (Role.USER, "U0ALICE000", "Cows < goats & #dev"),
        (Role.USER, "U0BOB00000", "yes!"),
        (Role.ASSISTANT, "", "Goats."),
    ]
    where = slack.workspace.channel("general").id
    assert earlier[0].identity == message_identity(TEAM, where, root)


async def test_the_newest_of_a_long_thread_are_read(
    slack: SlackServer, session: aiohttp.ClientSession
) -> None:
    say = slack.workspace.say
    root = say("alice", "general", "0")
    for number in range(1, 450):
        say("bob", "general", str(number), thread_ts=root)
    asked = say("alice", "general", f"{slack.mention} well?", thread_ts=root)
    api = Api(slack.app.bot_token, slack.api_url, session)
    thread = SlackThread(api, Bot(BOT_USER, BOT, TEAM), prompt(slack, asked))
    earlier = await thread.earlier()
    assert [int(entry.content) for entry in earlier] == list(range(450 - EARLIER, 450))
    assert len(slack.record.called_with("conversations.replies")) == 3


async def test_of_a_thread_with_too_many_pages_the_first_and_the_newest_are_read(
    slack: SlackServer, session: aiohttp.ClientSession
) -> None:
    slack.app.distributed = True  # pages of fifteen
    say = slack.workspace.say
    root = say("alice", "general", "0")
    for number in range(1, 1_000):
        say("bob", "general", str(number), thread_ts=root)
    asked = say("alice", "general", f"{slack.mention} well?", thread_ts=root)
    api = Api(slack.app.bot_token, slack.api_url, session)
    thread = SlackThread(api, Bot(BOT_USER, BOT, TEAM), prompt(slack, asked))
    first, *newest = [int(entry.content) for entry in await thread.earlier()]
    assert first == 0
    assert newest == list(range(1_000 - len(newest), 1_000))
    assert 7 <= len(newest) <= 15
    assert len(slack.record.called_with("conversations.replies")) <= FORWARD + LOOKS


async def test_a_first_message_has_nothing_before_it(
    slack: SlackServer, thread: SlackThread
) -> None:
    assert await thread.earlier() == ()
    assert slack.record.called_with("conversations.replies") == []


async def test_reading_may_be_refused(slack: SlackServer, session: aiohttp.ClientSession) -> None:
    root = slack.workspace.say("alice", "general", "0")
    asked = slack.workspace.say("alice", "general", slack.mention, thread_ts=root)
    api = Api(slack.app.bot_token, slack.api_url, session)
    thread = SlackThread(api, Bot(BOT_USER, BOT, TEAM), prompt(slack, asked))
    slack.faults.add(Fault("conversations.replies", error="missing_scope"))
    with pytest.raises(Undeliverable, match="manifest"):
        await thread.find("1:0")
    slack.faults.add(Fault("conversations.replies", retry_after=60))
    with pytest.raises(RateLimited):
        await thread.earlier()


async def test_the_platform_opens_threads_without_a_call(
    slack: SlackServer, platform: SlackPlatform, root: str
) -> None:
    before = len(slack.record.calls)
    thread = platform.open(prompt(slack, root))
    assert len(slack.record.calls) == before
    part = await thread.post("hello", "1:0")
    where = slack.workspace.channel("general").id
    assert part == part_id(where, slack.record.thread("general", root)[-1].ts)
