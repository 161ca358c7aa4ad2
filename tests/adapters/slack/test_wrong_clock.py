"""Events over HTTP where the clock is wrong: told once a minute, and for as long as it is true."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from structlog.testing import capture_logs

from adapters.slack.app import SlackPlatform
from adapters.slack.http_events import OFTEN, REMEMBERED, HttpEvents
from tests.emulators.slack import SlackServer
from tests.emulators.slack_http_events import Forgery

BODY = json.dumps({"type": "event_callback", "event": {"type": "message"}}).encode()


async def taken(_request: AsyncBoltRequest) -> BoltResponse:
    return BoltResponse(status=200, body="")


@dataclass
class Door:
    """A receiver that is served, with a clock of its own for what it says."""

    slack: SlackServer
    time: float = 1_000.0
    missed: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        secret = self.slack.app.signing_secret
        self.events = HttpEvents(secret, taken, self.missed.append, lambda: self.time)

    async def deliver(self, age: float) -> int:
        """An event of Slack's, as it looks to a clock that is so many seconds ahead."""
        return (await self.slack.http.post(BODY, self.slack.http.signed(BODY, age=age)))[0]


@pytest.fixture
async def door(slack: SlackServer) -> AsyncIterator[Door]:
    made = Door(slack)
    application = web.Application()
    application.add_routes(made.events.routes())
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack.http.url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    yield made
    await runner.cleanup()


@pytest.mark.parametrize(("age", "side"), [(3600, "ahead of"), (-3600, "behind")])
async def test_the_operator_is_told_which_way_and_how_far(
    door: Door, age: float, side: str
) -> None:
    with capture_logs() as logs:
        assert await door.deliver(age) == 401
    problem = door.events.problem()
    assert f"seconds {side} Slack's, so all events are refused: set it right" in problem
    assert any(f"{seconds} seconds" in problem for seconds in (3599, 3600, 3601))
    assert [(line["event"], line["problem"]) for line in logs] == [("slack.clock", problem)]


async def test_a_line_a_minute_at_most(door: Door) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            assert await door.deliver(3600) == 401
        door.time += OFTEN - 1
        assert await door.deliver(3600) == 401
        assert len(logs) == 1
        door.time += 1
        assert await door.deliver(3600) == 401
    assert len(logs) == 2


async def test_the_first_good_event_ends_it_and_says_from_when_on_events_are_missing(
    door: Door,
) -> None:
    await door.deliver(3600)
    await door.deliver(3000)
    assert (await door.deliver(0), door.events.problem()) == (200, "")
    (since,) = door.missed
    assert await door.deliver(0) == 200
    assert door.missed == [since]
    await door.deliver(1800)
    await door.deliver(0)
    assert door.missed[1] - since == pytest.approx(1800, abs=30)


async def test_without_events_it_is_not_said_for_ever(door: Door) -> None:
    """Who is sent no events while we aren't ready would never learn that the clock is right."""
    await door.deliver(3600)
    door.time += REMEMBERED - 1
    assert door.events.problem()
    door.time += 1
    assert door.events.problem() == ""


@pytest.mark.parametrize("how", ["unsigned", "wrong secret", "tampered", "no timestamp"])
async def test_forgeries_say_nothing_about_the_clock(
    slack: SlackServer, http: SlackPlatform, how: Forgery
) -> None:
    with capture_logs() as logs:
        assert await slack.http.forge(slack.payload(type="message"), how) == 401
        headers = slack.http.signed(BODY, secret="somebody-else", age=3600)
        assert (await slack.http.post(BODY, headers))[0] == 401
    assert http.problem() == ""
    assert {line["event"] for line in logs} == {"slack.bad_signature"}


async def test_forgeries_are_told_once_a_minute_and_counted(door: Door) -> None:
    async def forged(count: int) -> None:
        for _ in range(count):
            assert (await door.slack.http.post(BODY, {}))[0] == 401

    with capture_logs() as logs:
        await forged(3)
        door.time += OFTEN
        await forged(2)
    assert [line["requests"] for line in logs] == [1, 3]
