"""Socket Mode: it comes back after whatever happens, and leaves nothing behind."""

import asyncio
from functools import partial
from itertools import pairwise
from typing import Any, cast

import pytest
import structlog

from adapters.slack.app import SlackPlatform
from core.errors import Unreachable
from tests.adapters.slack.conftest import Inbox, Make
from tests.emulators.slack import SlackServer
from tests.emulators.slack_faults import Fault


async def test_slack_is_away_at_first(slack: SlackServer, make: Make, inbox: Inbox) -> None:
    platform = make()
    await slack.go_away()
    with pytest.raises(Unreachable):
        await platform.connect()
    await slack.come_back()
    await platform.connect()
    slack.workspace.say("alice", slack.workspace.direct("alice"), "hello")
    await slack.wait_for(lambda: inbox.taken)
    await platform.close()


async def test_a_socket_that_cannot_be_opened(slack: SlackServer, make: Make) -> None:
    platform = make()
    slack.sockets.address = "ws://127.0.0.1:9"
    before = _ours()
    with pytest.raises(Unreachable, match="wss://"):
        await platform.connect()
    assert _ours() == before


async def test_a_refreshed_socket_loses_nothing(
    slack: SlackServer, platform: SlackPlatform, inbox: Inbox
) -> None:
    for number in range(3):
        slack.workspace.say("alice", slack.workspace.direct("alice"), str(number))
        await slack.sockets.refresh("refresh_requested" if number else "warning")
    await slack.wait_for(lambda: len(inbox.taken) == 3)
    assert {p.text for p in inbox.taken} == {"0", "1", "2"}


async def test_slack_goes_away_for_a_while(
    slack: SlackServer, platform: SlackPlatform, inbox: Inbox
) -> None:
    await slack.go_away()
    await slack.wait_for(lambda: not slack.sockets.open)
    await asyncio.sleep(0.7)  # several pings and attempts to dial
    await slack.come_back()
    await slack.wait_for(lambda: slack.sockets.open, timeout=10)
    slack.workspace.say("alice", slack.workspace.direct("alice"), "back?")
    await slack.wait_for(lambda: inbox.taken)
    assert [prompt.text for prompt in inbox.taken] == ["back?"]


async def test_a_dead_address_is_not_dialled_for_ever(
    slack: SlackServer, platform: SlackPlatform, inbox: Inbox
) -> None:
    good = slack.sockets.address
    slack.sockets.address = "ws://127.0.0.1:9"
    await slack.sockets.close()
    await slack.wait_for(lambda: len(slack.record.called_with("apps.connections.open")) >= 2)
    slack.sockets.address = good
    await slack.wait_for(lambda: slack.sockets.open, timeout=10)
    slack.workspace.say("alice", slack.workspace.direct("alice"), "back?")
    await slack.wait_for(lambda: inbox.taken)
    assert [prompt.text for prompt in inbox.taken] == ["back?"]


async def test_an_address_is_not_asked_for_before_slack_allows_it(
    slack: SlackServer, platform: SlackPlatform, inbox: Inbox
) -> None:
    slack.faults.add(Fault("apps.connections.open", retry_after=2))
    await slack.sockets.close()
    await slack.wait_for(lambda: slack.sockets.open, timeout=10)
    _, refused, again = slack.record.called_with("apps.connections.open")
    assert again.time - refused.time >= 1.9
    slack.workspace.say("alice", slack.workspace.direct("alice"), "back?")
    await slack.wait_for(lambda: inbox.taken)


async def test_sockets_that_are_taken_back_at_once_are_redialled_with_a_pause(
    slack: SlackServer, platform: SlackPlatform, inbox: Inbox
) -> None:
    def asked() -> list[float]:
        return [call.time for call in slack.record.called_with("apps.connections.open")]

    while (number := len(asked())) < 5:
        await slack.sockets.refresh("too_many_websockets")
        await slack.wait_for(partial(lambda n: len(asked()) > n, number), timeout=10)
        await slack.wait_for(lambda: slack.sockets.open, timeout=10)
    times = asked()[1:]
    assert min(b - a for a, b in pairwise(times)) > 0.15
    slack.workspace.say("alice", slack.workspace.direct("alice"), "back?")
    await slack.wait_for(lambda: inbox.taken)


async def test_socket_mode_that_is_switched_off_for_a_while(
    slack: SlackServer, platform: SlackPlatform, inbox: Inbox
) -> None:
    slack.faults.add(Fault("apps.connections.open", times=2, error="not_allowed_token_type"))
    with structlog.testing.capture_logs() as events:
        await slack.sockets.refresh("link_disabled")
        await slack.wait_for(lambda: "SLACK_APP_TOKEN" in platform.problem(), timeout=5)
        await slack.wait_for(lambda: slack.sockets.open, timeout=10)
    told = [event for event in events if event["event"] == "slack.socket_refused"]
    assert len(told) == 2
    assert "switch Socket Mode on" in told[0]["fix"]
    _, first, second, third = slack.record.called_with("apps.connections.open")
    assert min(second.time - first.time, third.time - second.time) > 1
    slack.workspace.say("alice", slack.workspace.direct("alice"), "back?")
    await slack.wait_for(lambda: inbox.taken)
    await asyncio.sleep(0.7)  # several pings
    assert not platform.problem()


@pytest.mark.parametrize("why", [{"retry_after": 60}, {"error": "not_allowed_token_type"}])
async def test_closing_does_not_wait_for_an_address(
    slack: SlackServer, make: Make, why: dict[str, Any]
) -> None:
    before = _ours()
    platform = make()
    await platform.connect()
    slack.faults.add(Fault("apps.connections.open", times=9, **why))
    await slack.sockets.close()
    await slack.wait_for(lambda: len(slack.record.called_with("apps.connections.open")) == 2)
    async with asyncio.timeout(5):
        await platform.close()
    assert _ours() == before


async def test_closing_finishes_what_is_in_work_and_leaves_no_task(
    slack: SlackServer, make: Make, inbox: Inbox
) -> None:
    before = _ours()
    platform = make()
    await platform.connect()
    opened = asyncio.Event()
    inbox.gate = opened.wait
    ts = slack.workspace.say("alice", slack.workspace.direct("alice"), "hello")
    slack.events.open_messages("alice")
    await slack.wait_for(lambda: inbox.offered)
    closing = asyncio.create_task(platform.close())
    await asyncio.sleep(0)
    opened.set()
    await closing
    await slack.wait_for(lambda: any(d.acked for d in slack.deliverer.of(ts)))
    assert [p.text for p in inbox.taken] == ["hello"]
    assert _ours() == before


def _ours() -> set[str]:
    """The running tasks of the adapter and its libraries."""
    tasks = (cast(Any, task.get_coro()) for task in asyncio.all_tasks())
    names = (task.cr_code for task in tasks if hasattr(task, "cr_code"))
    return {
        code.co_qualname if hasattr(code, "co_qualname") else code.co_name
        for code in names
        if any(part in code.co_filename for part in ("slack_sdk", "slack_bolt", "adapters/slack/"))
        and "tests/" not in code.co_filename
    }


async def test_dialling_somebody_who_never_answers_ends(
    slack: SlackServer, platform: SlackPlatform, inbox: Inbox
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    hole = await asyncio.start_server(silent, "127.0.0.1", 0)
    good = slack.sockets.address
    slack.sockets.address = f"ws://127.0.0.1:{hole.sockets[0].getsockname()[1]}"
    await slack.sockets.close()
    await slack.wait_for(lambda: len(slack.record.called_with("apps.connections.open")) >= 2)
    slack.sockets.address = good
    await slack.wait_for(lambda: slack.sockets.open, timeout=10)
    slack.workspace.say("alice", slack.workspace.direct("alice"), "back?")
    await slack.wait_for(lambda: inbox.taken)
    assert [prompt.text for prompt in inbox.taken] == ["back?"]
    hole.close()
    await hole.wait_closed()


async def test_an_open_socket_stays_open(slack: SlackServer, platform: SlackPlatform) -> None:
    await asyncio.sleep(1.2)  # six pings, twice the limit for dialling
    assert len(slack.record.called_with("apps.connections.open")) == 1
    assert len(slack.sockets.open) == 1
