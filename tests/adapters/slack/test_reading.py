"""Reads of threads beside many others: on Slack's budget each comes to its end."""

import asyncio
from collections.abc import AsyncIterator
from math import inf

import pytest

from adapters.slack import earlier
from adapters.slack.thread import SlackThread
from core.errors import RateLimited, Unreachable
from core.types import PartId
from tests.adapters.slack.conftest import Open
from tests.adapters.slack.test_streams import START
from tests.emulators.slack import SlackServer
from tests.emulators.slack_faults import Fault
from tests.emulators.slack_limits import Budget, Limits

READ = "conversations.replies"
LOOKING = 3


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    """Slack's 50 reads a minute, none of which was saved up."""
    limits = Limits()
    limits.budgets[READ] = Budget(50, 1)
    async with SlackServer(limits=limits) as server:
        yield server


async def look(thread: SlackThread, key: str) -> list[PartId]:
    """As the core looks for a post whose answer was lost: anew after a rate limit."""
    while True:
        try:
            return [*await thread.find(key), *await thread.nameless(key, inf, None)]
        except RateLimited as limited:
            await asyncio.sleep(limited.retry_after)


async def test_all_who_look_for_lost_posts_at_once_come_to_the_end(
    slack: SlackServer, opened: Open
) -> None:
    """Two reads for each of them would never be granted one behind the other."""
    asked = [
        slack.workspace.say("alice", "general", f"{slack.mention} {number}")
        for number in range(LOOKING)
    ]
    slack.faults.add(Fault(START, status=502, times=LOOKING))
    threads = [opened(ts) for ts in asked]
    for thread in threads:
        with pytest.raises(Unreachable):
            await thread.start("one", "1:0")
    async with asyncio.timeout(12):
        found = await asyncio.gather(*(look(thread, "1:0") for thread in threads))
    assert found == [[]] * LOOKING
    reads = slack.record.called_with(READ)
    assert sum(call.effect for call in reads) == LOOKING
    assert len(reads) <= 3 * LOOKING, "those who wait aren't refused one after the other"


async def test_a_thread_of_more_pages_than_a_minute_has_is_read_in_one_go(
    slack: SlackServer, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short waits are for the page that was refused: who began anew would never see the end."""
    monkeypatch.setattr(earlier, "PAGE", 10)
    assert slack.limits is not None
    slack.limits.budgets[READ] = Budget(300, 5)
    say = slack.workspace.say
    root = say("alice", "general", "0")
    for number in range(1, 150):
        say("bob", "general", str(number), thread_ts=root)
    asked = say("alice", "general", f"{slack.mention} well?", thread_ts=root)
    first, *newest = [int(entry.content) for entry in await opened(asked).earlier()]
    assert first == 0
    assert newest == list(range(150 - len(newest), 150))
    pages = [call.args.get("cursor", "") for call in slack.record.called_with(READ) if call.effect]
    assert len(pages) > earlier.FORWARD
    assert pages[:10] == list(dict.fromkeys(pages[:10])), "no page is read twice"


async def test_what_was_said_before_is_waited_for_half_a_minute(
    slack: SlackServer, opened: Open, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many read in front, and however slowly Slack answers them."""
    monkeypatch.setattr(earlier, "WITHIN", 0.3)
    reply = slack.workspace.say("bob", "general", f"{slack.mention} and?", thread_ts=root)
    slack.faults.latency[READ] = 0.4
    first = asyncio.create_task(opened(reply).find("1:0"))
    await asyncio.sleep(0)
    with pytest.raises(Unreachable, match="in time"):
        await opened(reply).earlier()
    assert await first == []


async def test_a_wait_that_is_too_long_is_known_to_all(
    slack: SlackServer, opened: Open, root: str
) -> None:
    reply = slack.workspace.say("bob", "general", f"{slack.mention} and?", thread_ts=root)
    slack.faults.add(Fault(READ, retry_after=600))
    for _ in range(2):
        with pytest.raises(RateLimited) as limited:
            await opened(reply).find("1:0")
        assert 590 < limited.value.retry_after <= 600
    with pytest.raises(RateLimited):
        await opened(reply).earlier()
    assert len(slack.record.called_with(READ)) == 1
