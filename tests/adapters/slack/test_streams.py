"""Native streams against the stand-in: what is sent, what people see, and every way they end."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.calls import Api
from adapters.slack.ids import Bot, split_part_id
from adapters.slack.markup import growing, render
from adapters.slack.thread import SlackThread
from core import ports
from core.delivery.markup import completed, decided
from core.delivery.sharing import widening
from core.errors import (
    DeliveryError,
    LockedOut,
    PartGone,
    RateLimited,
    Stopped,
    StreamOver,
    TooLarge,
    Undeliverable,
    Unreachable,
)
from core.types import PartId
from tests.adapters.slack.conftest import Open, edit_met
from tests.adapters.slack.payloads import prompt
from tests.adapters.slack.test_markup import PIECES
from tests.emulators.slack import SlackServer
from tests.emulators.slack_faults import Fault
from tests.emulators.slack_limits import Limits
from tests.emulators.slack_workspace import BOT, BOT_USER, TEAM, Post

START, APPEND, STOP = "chat.startStream", "chat.appendStream", "chat.stopStream"


def calls(slack: SlackServer) -> list[str]:
    """Methods called, without the word before the dot."""
    return [call.method.partition(".")[2] for call in slack.record.calls]


def states(slack: SlackServer, part: PartId) -> list[str | None]:
    return [state.text for state in slack.record.history(split_part_id(part)[1])]


def post(slack: SlackServer, part: PartId) -> Post:
    return slack.workspace.posts[split_part_id(part)[1]]


async def test_it_streams(thread: SlackThread) -> None:
    assert isinstance(thread, ports.Streams)
    limits = thread.limits.stream
    assert limits is not None
    assert (limits.gap, limits.life) == (0.25, 270.0)
    for allowance, tier in ((limits.start, 20), (limits.append, 100), (limits.stop, 20)):
        assert allowance.shared
        assert TEAM in allowance.key
        assert "C0" not in allowance.key, "the budget is the workspace's"
        a_minute = min(each.burst + 60 * each.rate for each in widening(allowance))
        assert a_minute <= tier
    assert len({limits.start.key, limits.append.key, limits.stop.key}) == 3


async def test_only_what_is_new_is_sent(slack: SlackServer, thread: SlackThread, root: str) -> None:
    part = await thread.start("A *fence* <!chan", "1:0")
    await thread.append(part, "A *fence* <!chan", "A *fence* <!channel> keeps \n\n")
    await thread.append(part, "A *fence* <!channel> keeps \n\n", "A *fence* <!channel> keeps \n\nc")
    await thread.stop(
        part, "A *fence* <!channel> keeps \n\nc", "A *fence* <!channel> keeps \n\ncows"
    )
    assert calls(slack) == ["startStream", "appendStream", "appendStream", "stopStream"]
    sent = [call.args["markdown_text"] for call in slack.record.calls]
    assert sent == ["A *fence*", " &lt;!channel> keeps", " \n\nc", "ows"]
    start = slack.record.calls[0].args
    assert (start["recipient_user_id"], start["recipient_team_id"]) == ("U0ALICE000", TEAM)
    assert start["thread_ts"] == root
    assert slack.record.visible("general", root) == ["A *fence* <!channel> keeps \n\ncows"]
    assert not slack.record.pings
    assert not post(slack, part).streaming
    assert not post(slack, part).edited, "a stream bears no mark of an edit"


async def test_what_is_blank_is_not_sent(slack: SlackServer, thread: SlackThread) -> None:
    part = await thread.start("one", "1:0")
    await thread.append(part, "one", "one \n")
    await thread.stop(part, "one \n", "one \n\n")
    assert calls(slack) == ["startStream", "stopStream"]
    assert "markdown_text" not in slack.record.calls[-1].args
    assert states(slack, part)[-1] == "one"
    with pytest.raises(StreamOver):
        await thread.start(" <", "1:1")


@given(st.lists(PIECES, max_size=25).map("".join), st.lists(st.integers(0, 400), max_size=4))
def test_whatever_grows_is_continued(markdown: str, cuts: list[int]) -> None:
    """Each text that the core may show begins with the one before, as it is sent; so does the
    last one, its code fence closed."""
    steps = [markdown[:cut] for cut in sorted(cuts)]
    sent = [growing(text[: decided(text)]) for text in steps]
    sent += [growing(markdown), render(completed(markdown))]
    for before, after in pairwise(sent):
        assert after.startswith(before), (before, after)


async def test_a_text_that_changes_its_look_is_not_appended(
    slack: SlackServer, thread: SlackThread
) -> None:
    part = await thread.start("one two", "1:0")
    for call in (thread.append, thread.stop):
        with pytest.raises(StreamOver):
            await call(part, "one two", "one three")
    assert calls(slack) == ["startStream"]
    await thread.edit(part, "one three")
    assert calls(slack) == ["startStream", "stopStream", "update"]
    assert states(slack, part) == ["one two", "one two", "one three"]


@pytest.mark.parametrize("address", ["https://evil.example/?q=secret", "WWW.evil.example"])
async def test_addresses_are_left_to_calls_that_forbid_previews(
    slack: SlackServer, thread: SlackThread, address: str
) -> None:
    with pytest.raises(StreamOver):
        await thread.start(f"see {address}", "1:0")
    assert thread.limits.stream is not None
    code = f"```\ncurl {address}\n```\nsee"
    part = await thread.start(code, "1:0")
    for call in (thread.append, thread.stop):
        with pytest.raises(StreamOver):
            await call(part, code, f"{code} {address} for more")
    await thread.edit(part, f"{code} {address} for more")
    assert not slack.record.unfurls


async def test_a_stream_is_named_when_it_ends(
    slack: SlackServer, opened: Open, thread: SlackThread
) -> None:
    stopped = await thread.start("one", "1:0")
    await thread.stop(stopped, "one", "one")
    edited = await thread.start("two", "1:1")
    await thread.edit(edited, "two")
    assert await opened().find("1:0") == [stopped]
    assert await opened().find("1:1") == [edited]
    assert "two" not in str(post(slack, edited).metadata)


# Errors.


@pytest.mark.parametrize(
    "code",
    [
        "unknown_method",
        "method_deprecated",
        "feature_not_enabled",
        "missing_scope",
        "no_permission",
        "not_allowed",
        "not_allowed_token_type",
        "method_not_supported_for_channel_type",
    ],
)
async def test_a_workspace_without_streams_is_asked_once(
    slack: SlackServer, opened: Open, code: str
) -> None:
    slack.app.no_streams = code
    with pytest.raises(StreamOver):
        await opened().start("one", "1:0")
    assert opened().limits.stream is None
    with pytest.raises(StreamOver):
        await opened().start("one", "1:0")
    elsewhere = slack.workspace.direct("alice")
    other = opened(slack.workspace.say("alice", elsewhere, "and here?"), elsewhere)
    assert other.limits.stream is None
    assert calls(slack) == ["startStream"]
    await opened().post("one", "1:0")


@pytest.mark.parametrize(
    "code",
    [
        "channel_type_not_supported",
        "missing_recipient_user_id",
        "missing_recipient_team_id",
        "user_not_found",
        "team_not_found",
        "a_code_of_tomorrow",
    ],
)
async def test_a_channel_without_streams_is_asked_once(
    slack: SlackServer, opened: Open, code: str
) -> None:
    slack.faults.add(Fault(START, error=code))
    with pytest.raises(StreamOver):
        await opened().start("one", "1:0")
    assert opened().limits.stream is None
    elsewhere = slack.workspace.direct("alice")
    other = opened(slack.workspace.say("alice", elsewhere, "and here?"), elsewhere)
    assert other.limits.stream is not None
    await other.start("one", "2:0")


@pytest.mark.parametrize("code", ["not_in_channel", "is_archived", "invalid_thread_ts"])
async def test_a_thread_that_ended_says_so(
    slack: SlackServer, thread: SlackThread, code: str
) -> None:
    slack.faults.add(Fault(START, error=code))
    with pytest.raises(Undeliverable, match=code):
        await thread.start("one", "1:0")
    assert thread.limits.stream is not None
    part = await thread.start("one", "1:0")
    for method, call in ((APPEND, thread.append), (STOP, thread.stop)):
        slack.faults.add(Fault(method, error=code))
        with pytest.raises(Undeliverable, match=code):
            await call(part, "one", "one two")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, StreamOver),
        (405, StreamOver),
        (501, StreamOver),
        (200, Unreachable),
        (403, Unreachable),
    ],
)
async def test_an_answer_that_is_not_slacks_ends_streams(
    slack: SlackServer,
    opened: Open,
    thread: SlackThread,
    status: int,
    error: type[DeliveryError],
) -> None:
    slack.faults.add(Fault(START, status=status))
    with pytest.raises(error):
        await thread.start("one", "1:0")
    assert opened().limits.stream is None
    assert await thread.find("1:0", ()) == []
    part = await thread.post("one", "1:0")
    assert await opened().find("1:0", ()) == [part]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(START, status=503),
        Fault(START, cut="before"),
        Fault(START, error="internal_error"),
        Fault(START, reply_delay=2.5),
    ],
    ids=["503", "cut", "internal", "late"],
)
async def test_a_start_that_got_no_answer_is_followed_by_a_post(
    slack: SlackServer, opened: Open, thread: SlackThread, fault: Fault
) -> None:
    slack.faults.add(replace(fault))
    with pytest.raises(Unreachable):
        await thread.start("one", "1:0")
    assert thread.limits.stream is None
    with pytest.raises(StreamOver):
        await thread.start("one", "1:0")
    assert opened().limits.stream is not None, "the next answer may stream"
    assert len(slack.record.called_with(START)) <= 1, "a library sent it again"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("*", retry_after=7), RateLimited),
        (Fault("*", error="rate_limited"), RateLimited),
        (Fault("*", error="msg_too_long"), TooLarge),
        (Fault("*", error="msg_blocks_too_long"), TooLarge),
        (Fault("*", error="token_revoked"), LockedOut),
        (Fault("*", status=503), Unreachable),
        (Fault("*", cut="after"), Unreachable),
        (Fault("*", error="message_not_found"), PartGone),
        (Fault("*", error="message_not_in_streaming_state"), StreamOver),
        (Fault("*", error="message_not_owned_by_app"), StreamOver),
        (Fault("*", error="invalid_chunks"), StreamOver),
    ],
    ids=lambda value: value.error or str(value.status) if isinstance(value, Fault) else None,
)
async def test_every_failure_of_a_stream_says_what_to_do_about_it(
    slack: SlackServer, opened: Open, fault: Fault, kind: type[DeliveryError]
) -> None:
    for name in ("append", "stop"):
        thread = opened()
        part = await thread.start("one", "1:0")
        slack.faults.add(replace(fault))
        with pytest.raises(kind) as caught:
            await getattr(thread, name)(part, "one", "one two")
        assert isinstance(caught.value, kind)
        assert "two" not in str(caught.value)
        if kind is LockedOut:
            return
        assert thread.limits.stream is not None


async def test_what_a_person_stopped_stays_and_is_edited_to_its_end(
    slack: SlackServer, opened: Open, thread: SlackThread
) -> None:
    part = await thread.start("one <!here>", "1:0")
    slack.workspace.stop(split_part_id(part)[1])
    with pytest.raises(Stopped):
        await thread.append(part, "one <!here>", "one <!here> two")
    assert len(states(slack, part)) == 2, "it starts, and is stopped"
    await thread.edit(part, "one, no more")
    assert states(slack, part)[-1] == "one, no more"
    assert await opened().find("1:0") == [part]
    assert not post(slack, part).streaming


async def test_a_stream_that_slack_sealed_is_edited(
    session: aiohttp.ClientSession,
) -> None:
    async with SlackServer(unlimited=True, scale=0.001) as slack:
        api = Api(slack.app.bot_token, slack.api_url, session)
        ts = slack.workspace.say("alice", "general", slack.mention)
        thread = SlackThread(api, Bot(BOT_USER, BOT, TEAM), prompt(slack, ts))
        part = await thread.start("one", "1:0")
        await asyncio.sleep(0.4)
        for call in (thread.append, thread.stop):
            with pytest.raises(StreamOver):
                await call(part, "one", "one two")
        await thread.edit(part, "one two")
        assert calls(slack)[-1] == "update"
        assert calls(slack).count("update") == 1
        assert calls(slack).count("stopStream") == 1, "it isn't ended once more"
        assert slack.record.visible("general", ts) == ["one two"]
        assert await thread.find("1:0") == [part]


async def test_an_edit_of_a_stream_spends_one_edit(
    slack: SlackServer, thread: SlackThread, root: str
) -> None:
    """An address ends every stream, and what Slack refuses counts: there are 50 edits a minute."""
    part = await thread.start("one", "1:0")
    text = "one, see https://example.org"
    with pytest.raises(StreamOver):
        await thread.append(part, "one", text)
    for shown in (text, f"{text} two"):
        await thread.edit(part, shown)
    assert calls(slack) == ["startStream", "stopStream", "update", "update"]
    assert slack.record.visible("general", root) == [f"{text} two"]


async def test_an_edit_ends_a_stream_that_a_dead_process_left_open(
    slack: SlackServer, opened: Open, root: str
) -> None:
    part = await opened().start("one", "1:0")
    await edit_met(opened(), part, "one two")
    assert calls(slack)[1:] == ["update", "replies", "stopStream", "update"]
    assert slack.record.visible("general", root) == ["one two"]
    assert not post(slack, part).streaming
    assert await opened().find("1:0") == [part], "the answer is known again after a restore"


async def test_a_stream_can_be_removed(
    slack: SlackServer, opened: Open, thread: SlackThread, root: str
) -> None:
    parts = [await thread.start("one", "1:0"), await thread.start("two", "1:1")]
    await opened().remove(parts[0])
    slack.faults.add(Fault("chat.delete", error="streaming_state_conflict"))
    await opened().remove(parts[1])
    assert slack.record.visible("general", root) == []


async def test_what_waits_is_refused_by_the_tier(session: aiohttp.ClientSession) -> None:
    async with SlackServer(limits=Limits("fixed")) as slack:
        api = Api(slack.app.bot_token, slack.api_url, session)
        ts = slack.workspace.say("alice", "general", slack.mention)
        thread = SlackThread(api, Bot(BOT_USER, BOT, TEAM), prompt(slack, ts))
        parts = [await thread.start("one", f"1:{index}") for index in range(20)]
        with pytest.raises(RateLimited) as caught:
            await thread.start("one", "1:20")
        assert 50 < caught.value.retry_after <= 60
        assert thread.limits.stream is not None
        assert len(set(parts)) == 20
