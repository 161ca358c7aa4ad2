"""When it is read back, and how that gets on with everything else."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from adapters.slack.app import SlackPlatform
from adapters.slack.events import read
from adapters.slack.missed import (
    KNOWN,
    REMEMBERED,
    as_told,
)
from adapters.slack.thread import SlackThread
from core.errors import RateLimited, StoreBusy, Unreachable
from core.types import Prompt
from tests.adapters.slack.conftest import Inbox, Make
from tests.adapters.slack.past import US, Past, calls, connected, reading, reading_ends, until
from tests.emulators.slack import SlackServer
from tests.emulators.slack_app import App
from tests.emulators.slack_faults import Fault
from tests.emulators.slack_limits import Limits
from tests.emulators.slack_workspace import TEAM

READ = "conversations.replies"


@pytest.fixture
def past(slack: SlackServer) -> Past:
    return Past(slack)


# When it is read back.


async def test_after_the_socket_was_down_longer_than_the_deliveries(
    slack: SlackServer, inbox: Inbox, make: Make
) -> None:
    platform = make(recent=inbox.recent, settle=0.05)
    async with connected(platform):
        root = slack.workspace.say("alice", "general", f"{slack.mention} one")
        await until(lambda: inbox.texts() == ["one"])
        await slack.go_away()
        slack.workspace.say("alice", "general", "two", thread_ts=root)
        missed = slack.workspace.say("bob", "general", f"{slack.mention} three")
        slack.workspace.say("bob", slack.workspace.direct("bob"), "unknown before")
        await slack.wait_for(lambda: len(slack.deliverer.of(missed)) == 8)
        await slack.come_back()
        await until(lambda: len(inbox.taken) == 3, within=10)
        assert set(inbox.texts()) == {"one", "two", "three"}
        assert platform.problem() == ""


async def test_a_socket_replaced_between_two_looks_counts_as_lost(
    slack: SlackServer, inbox: Inbox, make: Make
) -> None:
    platform = make(recent=inbox.recent, settle=0.05, ping=0.3)
    async with connected(platform):
        slack.workspace.say("alice", "general", f"{slack.mention} one")
        await until(lambda: inbox.texts() == ["one"])
        await asyncio.sleep(0.7)
        before = len(inbox.asked)
        await slack.sockets.refresh()
        await slack.wait_for(lambda: slack.record.called_with("conversations.history"), timeout=10)
        assert len(inbox.asked) == before + 1


async def test_after_the_store_refused_an_event_four_times(
    slack: SlackServer, inbox: Inbox, make: Make
) -> None:
    made = make(
        app_token="", signing_secret=slack.app.signing_secret, recent=inbox.recent, settle=0.8
    )
    async with served(slack, made):
        slack.workspace.say("alice", "general", f"{slack.mention} one")
        await until(lambda: inbox.texts() == ["one"])
        inbox.fail = [StoreBusy("locked")] * 8
        missed = slack.workspace.say("alice", "general", f"{slack.mention} two")
        await slack.wait_for(lambda: len(slack.deliverer.of(missed)) == 8)
        assert inbox.texts() == ["one"]
        await until(lambda: inbox.texts() == ["one", "two"])
        await slack.wait_for(lambda: slack.record.called_with("conversations.replies"))


@asynccontextmanager
async def served(slack: SlackServer, made: SlackPlatform) -> AsyncIterator[None]:
    """A platform behind its route, subscribed to."""
    application = web.Application()
    application.add_routes(made.routes())
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.http.url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    try:
        await made.connect()
        yield
    finally:
        await made.close()
        await runner.cleanup()


async def test_after_a_minute_of_which_slack_dropped_events(
    slack: SlackServer, past: Past, inbox: Inbox, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.slack.app.MINUTE", 0.6)
    secret = slack.app.signing_secret
    platform = make(recent=inbox.recent, settle=0.05, app_token="", signing_secret=secret)
    async with served(slack, platform):
        slack.workspace.say("alice", "general", f"{slack.mention} one")
        await until(lambda: inbox.texts() == ["one"])
        told = {"type": "app_rate_limited", "minute_rate_limited": int(time.time())}
        body = json.dumps(told).encode()
        with capture_logs() as logs:
            assert (await slack.http.post(body, slack.http.signed(body)))[0] == 200
        assert [line["log_level"] for line in logs] == ["warning"]
        past.ask(0, "two")
        await until(lambda: inbox.texts() == ["one", "two"])
    assert len(inbox.asked) == 2


async def test_a_refusal_that_a_later_delivery_made_good_costs_nothing(
    slack: SlackServer, inbox: Inbox, make: Make
) -> None:
    platform = make(recent=inbox.recent, settle=1.2)
    async with connected(platform):
        inbox.fail = [StoreBusy("locked")] * 2
        slack.workspace.say("alice", "general", f"{slack.mention} one")
        await until(lambda: not slack.deliverer.unacked() and inbox.taken)
        await asyncio.sleep(1.0)
    assert inbox.texts() == ["one"]
    assert not calls(slack)
    assert len(inbox.asked) == 1


async def test_a_thread_known_before_the_outage_keeps_what_was_missed_in_it(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    """A newer question that came live doesn't hide the older one that didn't."""
    root = past.say(9000, "hi all")
    inbox.taken.append(past.prompt(past.ask(8000, "one", root=root)))
    async with reading(slack, inbox) as backlog:
        await slack.wait_for(lambda: slack.record.called_with("conversations.replies"))
        backlog.linked(False)
        past.say(5, "two", root=root)
        assert await backlog.take(past.prompt(past.say(1, "three", root=root)))
        backlog.linked(True)
        await until(lambda: len(inbox.taken) == 3)
    assert inbox.texts() == ["one", "three", "two"]


async def test_a_follow_up_from_between_two_known_ones_was_missed(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    """The last one came live, before what was asked in the outage was read back."""
    root = past.ask(3600, "one")
    between, last = past.say(30, "two", root=root), past.say(20, "three", root=root)
    inbox.taken += [past.prompt(root), past.prompt(last)]
    async with reading(slack, inbox):
        await until(lambda: len(inbox.taken) == 3)
    assert inbox.taken[-1].identity == past.prompt(between).identity


async def test_a_follow_up_that_overtakes_its_question(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    """It comes live after the thread was read and before the question in it is stored."""
    inbox.taken.append(past.prompt(past.ask(3600, "one")))
    root = past.ask(60, "two")
    opened = asyncio.Event()

    async def gate() -> None:
        if inbox.offered[-1].text == "two":
            await opened.wait()

    inbox.gate = gate
    async with reading(slack, inbox) as backlog:
        await until(lambda: "two" in [prompt.text for prompt in inbox.offered])
        assert not await backlog.take(past.prompt(past.say(1, "three", root=root)))
        others = past.say(2, "lunch?")
        assert not await backlog.take(past.prompt(past.say(1, "yes", root=others)))
        opened.set()
        await until(lambda: len(inbox.taken) == 3)
        await reading_ends(slack, 2)
    assert inbox.texts() == ["one", "two", "three"]
    assert [prompt.text for prompt in inbox.offered].count("yes") == 1


async def test_nothing_is_remembered_without_end(slack: SlackServer, inbox: Inbox) -> None:
    async with reading(slack, inbox) as backlog:
        for number in range(REMEMBERED + 50):
            ts = f"{1_700_000_000 + number}.000001"
            outcome = read(as_told({"user": "U1", "text": "x", "ts": ts}, TEAM, "D1"), US)
            assert isinstance(outcome, Prompt)
            inbox.taken.clear()
            assert await backlog.take(outcome)
        assert len(backlog._first) == REMEMBERED


# How it gets on with everything else.


async def test_a_long_rate_limit_delays_only_the_reading(
    slack: SlackServer, past: Past, inbox: Inbox, make: Make
) -> None:
    root = past.ask(3600, "one")
    inbox.taken.append(past.prompt(root))
    past.say(60, "two", root=root)
    slack.faults.add(Fault("conversations.replies", retry_after=1))
    platform = make(recent=inbox.recent)
    began = asyncio.get_running_loop().time()
    async with connected(platform):
        slack.workspace.say("alice", "general", f"{slack.mention} three")
        await until(lambda: "three" in inbox.texts())
        assert asyncio.get_running_loop().time() - began < 1.0
        assert "two" not in inbox.texts()
        await until(lambda: "two" in inbox.texts())
        assert asyncio.get_running_loop().time() - began >= 2.0, "half is left to the answers"


async def test_a_rate_limit_of_threads_is_known_to_the_reading_and_to_the_answers(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    """Whoever of them hears of it first."""
    root = past.ask(3600, "one")
    inbox.taken.append(past.prompt(root))
    past.say(60, "two", root=root)
    clock = asyncio.get_running_loop().time
    async with reading(slack, inbox) as backlog:
        api = backlog._api
        api.reads_from = clock() + 0.3
        await until(lambda: "two" in inbox.texts())
        assert clock() >= api.reads_from
        assert [call.status for call in slack.record.called_with(READ)] == [200]
        slack.faults.add(Fault(READ, retry_after=600))
        backlog.missed(0.0)
        await slack.wait_for(lambda: len(slack.record.called_with(READ)) == 2)
        await until(lambda: api.reads_from > clock())
        with pytest.raises(RateLimited):
            await SlackThread(api, US, past.prompt(root)).find("1:0")
    assert len(slack.record.called_with(READ)) == 2


async def test_closing_does_not_wait_for_a_rate_limit(
    slack: SlackServer, past: Past, inbox: Inbox, make: Make
) -> None:
    inbox.taken.append(past.prompt(past.ask(3600, "one")))
    slack.faults.add(Fault("conversations.history", retry_after=600))
    platform = make(recent=inbox.recent)
    await platform.connect()
    await slack.wait_for(lambda: slack.record.called_with("conversations.history"))
    async with asyncio.timeout(2):
        await platform.close()
    assert {task.get_name() for task in asyncio.all_tasks()}.isdisjoint({"slack.missed"})


async def test_an_app_with_fifteen_objects_a_minute(inbox: Inbox) -> None:
    limits = Limits(scale=0.001)
    async with SlackServer(App(distributed=True), limits=limits) as slack:
        past = Past(slack)
        root = past.ask(3600, "one")
        inbox.taken.append(past.prompt(root))
        for number in range(20):
            past.say(100 - number, str(number), root=root)
        async with reading(slack, inbox):
            await until(lambda: len(inbox.taken) == 21, within=10)
        pages = slack.record.called_with("conversations.replies")
        refused = [call for call in pages if not call.ok]
        shown = [
            len(call.response["messages"])
            for call in pages
            if isinstance(call.response, dict) and call.ok
        ]
    assert refused, "the minute was used up"
    assert shown == [15, 6]
    assert inbox.texts()[1:] == [str(number) for number in range(20)]


async def test_calls_are_spaced_so_that_answers_can_read_threads_too(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    for number in range(7):
        inbox.taken.append(past.prompt(past.ask(3600 + number, str(number))))
    async with reading(slack, inbox, gap=0.2):
        await slack.wait_for(lambda: calls(slack) == 8)
    times = [call.time for call in slack.record.calls if call.method.startswith("conversations")]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert all(gap < 0.19 for gap in gaps[:4])
    assert all(gap > 0.19 for gap in gaps[4:])


@pytest.mark.parametrize(
    "fault",
    [
        Fault("conversations.history", error="not_in_channel"),
        Fault("conversations.history", error="internal_error"),
        Fault("conversations.history", status=503),
        Fault("conversations.history", cut="before"),
    ],
)
async def test_a_place_that_cannot_be_read_leaves_the_others(
    slack: SlackServer, past: Past, inbox: Inbox, fault: Fault
) -> None:
    root = past.ask(3600, "one")
    inbox.taken.append(past.prompt(root))
    past.say(60, "two", root=root)
    slack.faults.add(Fault(**vars(fault)))
    async with reading(slack, inbox):
        await until(lambda: "two" in inbox.texts())
    again = 1 if fault.error == "not_in_channel" else 2
    assert len(slack.record.called_with("conversations.history")) == again


async def test_a_revoked_token_ends_the_reading(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    for number in range(3):
        inbox.taken.append(past.prompt(past.ask(3600 + number, str(number))))
    slack.app.token_error = "token_revoked"
    async with reading(slack, inbox):
        await reading_ends(slack, 1)


async def test_the_store_may_be_busy_while_things_are_read_back(
    slack: SlackServer, past: Past, inbox: Inbox
) -> None:
    root = past.ask(3600, "one")
    inbox.taken.append(past.prompt(root))
    for number in range(3):
        past.say(60 - number, str(number), root=root)
    trouble: dict[str, list[Exception]] = {
        "0": [StoreBusy("locked"), StoreBusy("locked")],
        "1": [RuntimeError("odd")],
    }

    async def gate() -> None:
        if left := trouble.get(inbox.offered[-1].text):
            inbox.fail = [left.pop(0)]

    inbox.gate = gate
    async with reading(slack, inbox):
        await until(lambda: len(inbox.taken) == 3)
    assert inbox.texts() == ["one", "0", "2"], "an odd one doesn't hold up the others"


async def test_without_the_store_nothing_comes_in(
    slack: SlackServer, inbox: Inbox, make: Make
) -> None:
    inbox.broken = 1
    platform = make(recent=inbox.recent)
    with pytest.raises(Unreachable, match="database"):
        await platform.connect()
    assert not slack.sockets.open
    async with connected(platform):
        assert platform.problem() == ""
    assert time.time() - inbox.asked[-1] == pytest.approx(KNOWN, abs=5)
