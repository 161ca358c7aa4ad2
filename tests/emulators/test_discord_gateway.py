"""The stand-in's gateway by its raw protocol: what it says, what it replays, how it refuses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.emulators.discord_app import GUILDS, MESSAGE_CONTENT, App
from tests.emulators.discord_gateway import Gateway

Json = dict[str, Any]
GUILD = "1100000000000000200"
_PROPERTIES = {"os": "linux", "browser": "test", "device": "test"}


class Scene:
    """A world of one bot in one guild."""

    def me(self) -> Json:
        return {"id": "1100000000000000002", "username": "seek", "bot": True}

    def guilds(self) -> list[Json]:
        people = [{"user": {"id": "7"}}, {"user": {"id": "8"}}]
        return [{"id": GUILD, "name": "Works", "members": people}]


class Wire:
    """A raw client of the gateway."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def frame(self) -> Json:
        frame: Json = await self.socket.receive_json(timeout=5)
        return frame

    async def event(self) -> tuple[str, int]:
        frame = await self.frame()
        assert frame["op"] == 0
        return frame["t"], frame["s"]

    async def send(self, op: Any, data: Any = None) -> None:
        await self.socket.send_json({"op": op, "d": data})

    async def identify(self, app: App, **changes: Any) -> None:
        await self.send(2, identity(app, **changes))

    async def resume(self, app: App, session: str, seq: Any) -> None:
        await self.send(6, {"token": app.token, "session_id": session, "seq": seq})

    async def closed(self) -> int | None:
        while True:
            message = await self.socket.receive(timeout=5)
            if message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED):
                return self.socket.close_code


def identity(app: App, **changes: Any) -> Json:
    return {"token": app.token, "intents": GUILDS, "properties": _PROPERTIES} | changes


class Place:
    """A served gateway and its raw clients."""

    def __init__(
        self, gateway: Gateway, app: App, session: aiohttp.ClientSession, changed: asyncio.Event
    ) -> None:
        self.gateway, self.app, self.session = gateway, app, session
        self.changed = changed

    async def wire(self, query: str = "?v=10&encoding=json&compress=zlib-stream") -> Wire:
        wire = Wire(await self.session.ws_connect(f"{self.gateway.address}/gateway/{query}"))
        assert (await wire.frame())["op"] == 10
        return wire

    async def ready(self) -> tuple[Wire, str]:
        """A client that got READY and GUILD_CREATE; its session."""
        wire = await self.wire()
        await wire.identify(self.app)
        ready = await wire.frame()
        assert (ready["t"], ready["s"]) == ("READY", 1)
        assert await wire.event() == ("GUILD_CREATE", 2)
        return wire, ready["d"]["session_id"]

    async def alone(self) -> None:
        """Wait until no session has a socket."""
        async with asyncio.timeout(5):
            while self.gateway.connected:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def served(app: App | None = None, **options: Any) -> AsyncIterator[Place]:
    app = app or App()
    changed = asyncio.Event()
    gateway = Gateway(app, Scene(), changed=changed.set, **{"scale": 0.0, **options})
    application = web.Application()
    application.router.add_get("/gateway/", gateway.connect)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    gateway.address = f"ws://127.0.0.1:{runner.addresses[0][1]}"
    try:
        async with aiohttp.ClientSession() as session:
            yield Place(gateway, app, session, changed)
    finally:
        await gateway.close()
        await runner.cleanup()


async def test_ready_names_the_session_the_application_and_guilds_that_are_to_come() -> None:
    async with served() as place:
        wire = await place.wire()
        await wire.identify(place.app)
        ready = (await wire.frame())["d"]
        assert ready["guilds"] == [{"id": GUILD, "unavailable": True}]
        assert ready["application"] == {"id": place.app.id, "flags": 1 << 19}
        assert ready["resume_gateway_url"] == f"{place.gateway.address}/gateway/"
        assert (await wire.frame())["d"]["name"] == "Works"


async def test_heartbeats_are_acknowledged_until_told_not_to() -> None:
    async with served() as place:
        wire = await place.wire()
        await wire.send(1, None)
        assert (await wire.frame())["op"] == 11
        place.gateway.acking = False
        await wire.send(1, None)
        await wire.identify(place.app)
        assert (await wire.event())[0] == "READY"


async def test_a_silent_client_is_closed_and_its_session_over() -> None:
    async with served(heartbeat=0.05) as place:
        wire, session = await place.ready()
        assert await wire.closed() == 4009
        again = await place.wire()
        await again.resume(place.app, session, 2)
        assert await again.frame() == {"op": 9, "d": False, "s": None, "t": None}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"token": "other"}, 4004),
        ({"intents": GUILDS | 1 << 1}, 4014),
        ({"intents": 1 << 17}, 4013),
        ({"intents": None}, 4013),
        ({"shard": [1, 1]}, 4010),
        ({"properties": None}, 4002),
    ],
)
async def test_an_identify_that_discord_refuses(changes: Json, code: int) -> None:
    async with served() as place:
        wire = await place.wire()
        await wire.identify(place.app, **changes)
        assert await wire.closed() == code
        assert place.gateway.sessions == []


async def test_content_takes_the_portals_consent() -> None:
    async with served(App(intents=0)) as place:
        wire = await place.wire()
        await wire.identify(place.app, intents=GUILDS | MESSAGE_CONTENT)
        assert await wire.closed() == 4014


@pytest.mark.parametrize(
    ("op", "data", "code"),
    [
        (3, {}, 4003),
        (99, {}, 4001),
        (2, [], 4002),
        (6, {"token": "other"}, 4004),
        (1, "x" * 5000, 4002),
    ],
)
async def test_a_first_payload_that_discord_refuses(op: int, data: Any, code: int) -> None:
    async with served() as place:
        wire = await place.wire()
        await wire.send(op, data)
        assert await wire.closed() == code


async def test_a_second_identify_closes_and_so_does_what_is_no_json() -> None:
    async with served() as place:
        wire, _ = await place.ready()
        await wire.identify(place.app)
        assert await wire.closed() == 4005
        other = await place.wire()
        await other.socket.send_str("{")
        assert await other.closed() == 4002


async def test_an_old_api_version_is_refused() -> None:
    async with served() as place:
        socket = await place.session.ws_connect(f"{place.gateway.address}/gateway/?v=5")
        assert await Wire(socket).closed() == 4012


async def test_a_session_replays_what_it_missed_once_and_then_says_resumed() -> None:
    async with served() as place:
        wire, session = await place.ready()
        place.gateway.send_raw("ODD", {"n": 1})
        assert await wire.event() == ("ODD", 3)
        await place.gateway.drop()
        await place.alone()
        place.gateway.send_raw("ODD", {"n": 2})
        place.gateway.send_raw("ODD", {"n": 3})
        again = await place.wire()
        await again.resume(place.app, session, 3)
        assert [await again.event() for _ in range(3)] == [("ODD", 4), ("ODD", 5), ("RESUMED", 6)]
        place.gateway.send_raw("ODD", {"n": 4})
        assert await again.event() == ("ODD", 7)
        third = await place.wire()
        await third.resume(place.app, session, 3)
        events = [await third.event() for _ in range(4)]
        assert events == [("ODD", 4), ("ODD", 5), ("ODD", 7), ("RESUMED", 8)]
        assert (place.gateway.identified, place.gateway.resumed) == (1, 2)


async def test_a_second_resume_takes_the_session_from_a_socket_that_hangs() -> None:
    async with served() as place:
        wire, session = await place.ready()
        again = await place.wire()
        await again.resume(place.app, session, 2)
        assert await again.event() == ("RESUMED", 3)
        assert await wire.closed() == 1006
        place.gateway.send_raw("ODD", {})
        assert await again.event() == ("ODD", 4)


async def test_a_seq_from_the_future_is_refused() -> None:
    async with served() as place:
        _, session = await place.ready()
        again = await place.wire()
        await again.resume(place.app, session, 99)
        assert await again.closed() == 4007


@pytest.mark.parametrize(("code", "kept"), [(1000, False), (1001, False), (4000, True)])
async def test_a_client_that_says_goodbye_ends_its_session(code: int, kept: bool) -> None:
    async with served() as place:
        wire, session = await place.ready()
        await wire.socket.close(code=code)
        await place.alone()
        again = await place.wire()
        await again.resume(place.app, session, 2)
        assert (await again.frame())["op"] == (0 if kept else 9)


async def test_a_session_without_a_socket_dies_after_its_life() -> None:
    async with served(session_life=0.05) as place:
        _, session = await place.ready()
        await place.gateway.drop(1000)
        await place.alone()
        assert len(place.gateway.sessions) == 1
        await asyncio.sleep(0.06)
        again = await place.wire()
        await again.resume(place.app, session, 2)
        assert (await again.frame())["d"] is False


@pytest.mark.parametrize("resumable", [True, False])
async def test_an_invalid_session_says_whether_it_can_be_resumed(resumable: bool) -> None:
    async with served() as place:
        wire, session = await place.ready()
        await place.gateway.invalidate(resumable=resumable)
        assert await wire.frame() == {"op": 9, "d": resumable, "s": None, "t": None}
        again = await place.wire()
        await again.resume(place.app, session, 2)
        assert (await again.frame())["op"] == (0 if resumable else 9)


async def test_only_one_identify_in_five_seconds_and_so_many_a_day() -> None:
    async with served(scale=1.0) as place:
        await place.ready()
        other = await place.wire()
        await other.identify(place.app)
        assert (await other.frame())["op"] == 9
    async with served() as place:
        place.gateway.identify_limit = 1
        await place.ready()
        token = place.app.token
        other = await place.wire()
        await other.identify(place.app)
        assert await other.closed() == 4004
        assert place.app.token != token and place.gateway.sessions == []


async def test_more_than_120_payloads_a_minute_close_the_socket() -> None:
    async with served(scale=1.0) as place:
        wire = await place.wire()
        for _ in range(120):
            await wire.send(1, None)
        assert [(await wire.frame())["op"] for _ in range(120)] == [11] * 120
        await wire.send(1, None)
        assert await wire.closed() == 4008


async def test_members_are_told_when_asked_all_of_them_only_with_the_intent() -> None:
    async with served(App(intents=1 << 1)) as place:
        wire, _ = await place.ready()
        await wire.send(8, {"guild_id": GUILD, "user_ids": ["8"], "limit": 0})
        chunk = (await wire.frame())["d"]
        assert [member["user"]["id"] for member in chunk["members"]] == ["8"]
        await wire.send(8, {"guild_id": GUILD, "query": "", "limit": 0})
        assert await wire.closed() == 4014


async def test_an_interaction_is_told_to_who_is_connected_and_not_kept() -> None:
    async with served() as place:
        assert not place.gateway.publish_now("ODD", GUILD, {})
        (first, _), (second, _) = await place.ready(), await place.ready()
        assert place.gateway.publish_now("ODD", GUILD, {})
        assert [await first.event(), await second.event()] == [("ODD", 3)] * 2


async def test_a_shard_hears_its_guilds_and_the_first_one_direct_messages() -> None:
    async with served() as place:
        wire = await place.wire()
        mine = (int(GUILD) >> 22) % 2
        await wire.identify(place.app, shard=[1 - mine, 2])
        ready = (await wire.frame())["d"]
        assert ready["guilds"] == []
        place.gateway.publish("GUILD", GUILD, lambda _: {})
        place.gateway.publish("DIRECT", "", lambda _: {})
        place.gateway.publish("OTHER", str(int(GUILD) + (1 << 22)), lambda _: {})
        assert (await wire.event())[0] == ("DIRECT" if mine else "OTHER")
