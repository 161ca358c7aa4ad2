"""Events reach the real slack-bolt by both transports, and are redelivered when they don't."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_bolt.response import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from tests.emulators.slack import SlackServer
from tests.emulators.slack_app import EVENTS, App
from tests.emulators.slack_http_events import Forgery
from tests.emulators.slack_workspace import BOT


class Bot:
    """A bolt app that keeps every event; `refuse` more of them get a 500 instead of an ack."""

    def __init__(self, slack: SlackServer) -> None:
        client = AsyncWebClient(token=slack.app.bot_token, base_url=slack.api_url)
        self.app = AsyncApp(client=client, signing_secret=slack.app.signing_secret)
        self.events: list[dict[str, Any]] = []
        self.retries: list[tuple[str, str]] = []
        self.refuse = 0
        self.slack = slack
        self.app.use(self._keep)
        self.app.event("app_mention")(self._nothing)
        self.app.event("message")(self._nothing)
        self.app.event("app_home_opened")(self._nothing)
        self.app.event("assistant_thread_started")(self._nothing)

    async def _keep(self, req: Any, body: dict[str, Any], next: Any) -> BoltResponse | None:
        number = req.headers.get("x-slack-retry-num", [""])[0]
        self.retries.append((number, req.headers.get("x-slack-retry-reason", [""])[0]))
        if self.refuse:
            self.refuse -= 1
            return BoltResponse(status=500)
        self.events.append(body)
        self.slack.record.ring()
        await next()
        return None

    async def _nothing(self) -> None:
        pass

    def kinds(self) -> list[str]:
        return [body["event"]["type"] for body in self.events]


@contextlib.asynccontextmanager
async def connected(bot: Bot, sockets: int = 1) -> AsyncIterator[list[AsyncSocketModeHandler]]:
    """The bot on this many sockets."""
    handlers = [
        AsyncSocketModeHandler(bot.app, bot.slack.app.app_token, ping_interval=0.1)
        for _ in range(sockets)
    ]
    for handler in handlers:
        await handler.connect_async()  # type: ignore[no-untyped-call]
    await bot.slack.wait_for(lambda: len(bot.slack.sockets.open) == sockets)
    try:
        yield handlers
    finally:
        for handler in handlers:
            await handler.close_async()  # type: ignore[no-untyped-call]
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def served(bot: Bot) -> AsyncIterator[str]:
    """The bot's request address over HTTP."""
    runner = web.AppRunner(bot.app.server(port=1, path="/slack/events").web_app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events"
    finally:
        await runner.cleanup()


async def test_a_mention_is_two_events_each_to_one_of_the_sockets() -> None:
    async with SlackServer() as slack:
        bot = Bot(slack)
        async with connected(bot, sockets=3):
            ts = slack.workspace.say("alice", "general", f"{slack.mention} a < b & c")
            await slack.wait_for(lambda: len(bot.events) == 2)
            await slack.wait_for(lambda: not slack.deliverer.unacked())
        assert sorted(bot.kinds()) == ["app_mention", "message"]
        assert len({body["event_id"] for body in bot.events}) == 2
        assert {body["event"]["ts"] for body in bot.events} == {ts}
        assert bot.events[0]["event"]["text"] == f"{slack.mention} a &lt; b &amp; c"
        assert len(slack.deliverer.deliveries) == 2
        assert all(d.acked and d.socket for d in slack.deliverer.deliveries)


async def test_the_order_of_a_mentions_events_varies() -> None:
    orders = set()
    async with SlackServer() as slack:
        bot = Bot(slack)
        async with connected(bot):
            for count in range(1, 9):
                slack.workspace.say("alice", "general", f"{slack.mention} hi")
                await slack.wait_for(lambda: len(bot.events) >= 2 * count)  # noqa: B023
        kinds = bot.kinds()
        orders = {tuple(kinds[at : at + 2]) for at in range(0, 16, 2)}
    assert orders == {("app_mention", "message"), ("message", "app_mention")}


async def test_an_unacknowledged_event_comes_again_three_times() -> None:
    async with SlackServer(scale=0.0005, ack_timeout=0.25) as slack:
        bot = Bot(slack)
        bot.refuse = 3
        async with connected(bot):
            slack.workspace.say("alice", "general", "hello")
            await slack.wait_for(lambda: bot.events)
            await slack.wait_for(lambda: not slack.deliverer.unacked())
        attempts = slack.deliverer.deliveries
        assert [d.acked for d in attempts] == [False, False, False, True]
        assert [d.failure for d in attempts] == ["timeout", "timeout", "timeout", ""]
        assert len({d.envelope_id for d in attempts}) == 4
        assert len({d.event_id for d in attempts}) == 1
        assert [retry[0] for retry in bot.retries] == ["0", "1", "2", "3"]


async def test_an_event_is_given_up_after_four_attempts() -> None:
    async with SlackServer(scale=0.0001, ack_timeout=0.02) as slack:
        slack.workspace.say("alice", "general", "nobody listens")
        await slack.wait_for(lambda: len(slack.deliverer.deliveries) == 4)
        await asyncio.sleep(0.06)
        assert len(slack.deliverer.deliveries) == 4
        assert len(slack.deliverer.unacked()) == 1


async def test_slack_goes_away_and_comes_back_and_brings_what_was_said() -> None:
    async with SlackServer(scale=0.01, ack_timeout=0.2) as slack:
        bot = Bot(slack)
        async with connected(bot):
            await slack.go_away()
            await slack.wait_for(lambda: not slack.sockets.open)
            slack.workspace.say("alice", "general", "while you were out")
            await slack.wait_for(lambda: len(slack.deliverer.deliveries) == 2)
            await slack.come_back()
            await slack.wait_for(lambda: slack.sockets.open, timeout=10)
            await slack.wait_for(lambda: bot.events)
        assert bot.events[0]["event"]["text"] == "while you were out"


@pytest.mark.parametrize("reason", ["warning", "refresh_requested"])
async def test_a_refresh_makes_the_client_reconnect(reason: str) -> None:
    async with SlackServer() as slack:
        bot = Bot(slack)
        async with connected(bot):
            first = set(slack.sockets.open)
            await slack.sockets.refresh(reason)
            await slack.wait_for(lambda: slack.sockets.open.keys() - first)
            slack.workspace.say("bob", "general", "still there?")
            await slack.wait_for(lambda: bot.events)
        assert len(slack.record.called_with("apps.connections.open")) >= 2


async def test_a_socket_address_works_once_and_only_ten_are_open() -> None:
    async with SlackServer(unlimited=True) as slack, aiohttp.ClientSession() as session:
        address = slack.sockets.ticket()
        async with session.ws_connect(address) as socket:
            assert (await socket.receive_json())["type"] == "hello"
            with pytest.raises(aiohttp.WSServerHandshakeError):
                await session.ws_connect(address)
            more = [await session.ws_connect(slack.sockets.ticket()) for _ in range(10)]
            said = [(await each.receive_json()) for each in more]
            assert [m["type"] for m in said] == ["hello"] * 9 + ["disconnect"]
            assert said[-1]["reason"] == "too_many_websockets"


async def test_http_delivery_is_signed_verified_and_redelivered() -> None:
    async with SlackServer(scale=0.0005) as slack:
        bot = Bot(slack)
        async with served(bot) as url:
            assert await slack.subscribe(url)
            bot.refuse = 1
            slack.workspace.say("alice", "general", "over HTTP")
            await slack.wait_for(lambda: bot.events)
            await slack.wait_for(lambda: not slack.deliverer.unacked())
        first, second = slack.deliverer.deliveries
        assert (first.status, first.failure, second.status) == (500, "http_error", 200)
        assert bot.retries == [("", ""), ("1", "http_error")]


@pytest.mark.parametrize(
    "how", ["unsigned", "wrong secret", "old", "future", "tampered", "no timestamp"]
)
async def test_a_forged_request_is_refused_by_bolt(how: Forgery) -> None:
    async with SlackServer() as slack:
        bot = Bot(slack)
        async with served(bot) as url:
            assert await slack.subscribe(url)
            payload = slack.payload(type="app_mention", text="x", channel="C1", user="U1", ts="1.1")
            assert await slack.http.forge(payload, how) == 401
        assert bot.events == []


async def test_no_retry_ends_the_redelivery_and_a_slow_answer_is_a_failure() -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers.get("X-Slack-Retry-Reason"))
        if len(asked) == 1:
            await asyncio.sleep(0.4)
        return web.Response(status=500, headers={"x-slack-no-retry": "1"})

    application = web.Application()
    application.router.add_post("/", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with SlackServer(scale=0.0001, ack_timeout=0.2) as slack:
        slack.http.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        assert not await slack.subscribe(slack.http.url)
        asked.clear()
        slack.workspace.say("alice", "general", "hello")
        await slack.wait_for(lambda: any(d.no_retry for d in slack.deliverer.deliveries))
        await asyncio.sleep(0.06)
        assert asked == [None, "http_timeout"]
    await runner.cleanup()


async def test_duplicates_replays_and_shuffles() -> None:
    async with SlackServer() as slack:
        bot = Bot(slack)
        async with connected(bot):
            slack.deliverer.duplicates = 1
            slack.workspace.say("alice", "general", "one")
            await slack.wait_for(lambda: len(bot.events) == 2)
            slack.deliverer.duplicates = 0
            slack.deliverer.again(bot.events[0]["event_id"])
            await slack.wait_for(lambda: len(bot.events) == 3)
            assert len({body["event_id"] for body in bot.events}) == 1
            slack.deliverer.hold()
            for word in "abcdefgh":
                slack.workspace.say("alice", "general", word)
            slack.deliverer.release(random.Random(1))
            await slack.wait_for(lambda: len(bot.events) == 11)
        said = [body["event"]["text"] for body in bot.events[3:]]
        assert sorted(said) == list("abcdefgh") != said


async def test_only_what_is_subscribed_and_allowed_is_sent() -> None:
    app = App(
        events=frozenset({"app_mention", "message.channels"}),
        scopes=frozenset({"channels:history"}),
    )
    async with SlackServer(app) as slack:
        bot = Bot(slack)
        async with connected(bot):
            slack.workspace.direct("alice")
            slack.workspace.say("alice", slack.workspace.direct("alice"), "no message.im")
            outside = slack.workspace.add_channel("outside", members=("bob",), bot=False)
            slack.workspace.say("bob", outside, f"{slack.mention} the bot is not here")
            slack.events.open_messages("alice")
            slack.workspace.say("alice", "general", f"{slack.mention} no app_mentions:read")
            await slack.wait_for(lambda: bot.events)
            await slack.wait_for(lambda: not slack.deliverer.unacked())
        assert bot.kinds() == ["message"]
        app.token_error = "token_revoked"
        slack.workspace.say("alice", "general", "after the revocation")
        assert len(slack.deliverer.deliveries) == 1


async def test_every_kind_of_change_has_its_event() -> None:
    app = App(events=frozenset({*EVENTS, "assistant_thread_started", "member_joined_channel"}))
    async with SlackServer(app) as slack:
        bot = Bot(slack)
        async with connected(bot):
            workspace = slack.workspace
            root = workspace.say("alice", "general", "root")
            workspace.say("bob", "general", "reply", thread_ts=root)
            workspace.say("bob", "general", "", files=["cat.png"])
            workspace.edit(root, "root, edited")
            workspace.unfurl(root)
            workspace.add_user("robot", is_bot=True)
            workspace.channel("general").members.add("U0ROBOT000")
            workspace.say("robot", "general", "beep")
            workspace.delete(root)
            posted = await bot.app.client.chat_postMessage(channel="C0GENERAL0", text="from me")
            await bot.app.client.chat_update(channel="C0GENERAL0", ts=posted["ts"], text="again")
            workspace.delete(posted["ts"])
            workspace.add_user("carol")
            workspace.join("carol", "general")
            slack.events.open_messages("alice")
            slack.events.open_assistant("alice")
            await slack.wait_for(lambda: sum(d.acked for d in slack.deliverer.deliveries) == 14)
        events = [delivery.payload["event"] for delivery in slack.deliverer.deliveries]
        assert [(e["type"], e.get("subtype", "")) for e in events] == [
            ("message", ""),
            ("message", ""),
            ("message", "file_share"),
            ("message", "message_changed"),
            ("message", "message_changed"),
            ("message", ""),
            ("message", "message_changed"),
            ("message", ""),
            ("message", "message_changed"),
            ("message", "message_deleted"),
            ("message", "channel_join"),
            ("app_home_opened", ""),
            ("message", ""),
            ("assistant_thread_started", ""),
        ]
        assert events[1]["thread_ts"] == root and events[1]["parent_user_id"] == events[0]["user"]
        assert events[2]["files"][0]["name"] == "cat.png"
        assert events[4]["message"]["text"] == events[4]["previous_message"]["text"]
        assert events[5]["bot_id"] == "B0ROBOT000"
        assert events[6]["message"]["subtype"] == "tombstone"
        assert events[7]["bot_id"] == BOT and events[8]["message"]["text"] == "again"
        assert events[9]["previous_message"]["text"] == "again"
