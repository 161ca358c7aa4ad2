"""A thin Slack: the Web API's answers, Socket Mode, signed events over HTTP.

Shapes: as `tests/emulators/slack*` gives them. No rate limit, no check of tokens.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
import uuid
from collections import Counter
from typing import Any

import aiohttp
from aiohttp import web

from benchmarks.far_ends.process import obey, paced

TEAM, BOT, APP, SECRET = "T0BENCH", "U0BENCHBOT", "A0BENCH", "bench-signing-secret"
_LOST = 3.0  # seconds after which an event that nobody acknowledged counts as lost: Slack's own


class Slack:
    """url: http://127.0.0.1:PORT. latencies: seconds from an event to its acknowledgement."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: Counter[str] = Counter()
        self.refused = 0
        self._socket: web.WebSocketResponse | None = None
        self._acks: dict[str, asyncio.Future[float]] = {}
        self._events = ""
        self._session: aiohttp.ClientSession | None = None
        self._base, self._count = int(time.time()), 0

    async def run(self) -> None:
        app = web.Application(client_max_size=2**22)
        app.router.add_get("/link", self._connect)
        app.router.add_route("*", "/api/{method}", self._api)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        await obey({"url": self.url, "secret": SECRET}, self._obey)

    async def _obey(self, command: dict[str, Any]) -> Any:
        match command["do"]:
            case "subscribe":
                self._events = command["url"]
                self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
                return True
            case "connected":
                return self._socket is not None
            case "calls":
                return {**self.calls, "refused": self.refused}
            case "events":
                latencies: list[float] = []

                async def one(_: int) -> None:
                    latencies.append(await self._deliver(command.get("channel", "")))

                await paced(command["rate"], command["count"], one)
                return latencies
        raise ValueError(command["do"])

    # The Web API.

    async def _api(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        body = await request.read()
        self.calls[method] += 1
        answer: dict[str, Any] = {"ok": True}
        match method:
            case "auth.test":
                answer |= {"url": self.url, "team": "Bench", "user": "bench", "team_id": TEAM}
                answer |= {"user_id": BOT, "bot_id": "B0BENCH"}
            case "apps.connections.open":
                answer["url"] = f"{self.url.replace('http', 'ws')}/link?ticket={uuid.uuid4().hex}"
            case "chat.postMessage" | "chat.update":
                asked = json.loads(body)
                ts = asked.get("ts") or self._ts()
                message = {"user": BOT, "type": "message", "ts": ts, "bot_id": "B0BENCH"}
                message |= {"text": asked.get("markdown_text", ""), "app_id": APP, "team": TEAM}
                answer |= {"channel": asked["channel"], "ts": ts, "message": message}
            case "conversations.replies" | "conversations.history":
                answer |= {"messages": [], "has_more": False}
        headers = {"x-oauth-scopes": "chat:write", "x-slack-req-id": uuid.uuid4().hex}
        return web.json_response(answer, headers=headers)

    # Events.

    async def _connect(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json(
            {"type": "hello", "num_connections": 1, "connection_info": {"app_id": APP}}
        )
        self._socket = socket
        async for message in socket:
            if message.type == web.WSMsgType.TEXT:
                waiting = self._acks.pop(json.loads(message.data).get("envelope_id", ""), None)
                if waiting and not waiting.done():
                    waiting.set_result(time.perf_counter())
        self._socket = None
        return socket

    def _ts(self) -> str:
        self._count += 1
        return f"{self._base + self._count // 1_000_000}.{self._count % 1_000_000:06d}"

    def _payload(self, channel: str) -> dict[str, Any]:
        """A mention at the root of a channel, by default of a channel of its own."""
        ts = self._ts()
        event: dict[str, Any] = {
            "type": "app_mention",
            "user": "U0ASKER",
            "ts": ts,
            "event_ts": ts,
            "team": TEAM,
        }
        text = f"<@{BOT}> Why is the sky blue, and number {self._count}?"
        event |= {"text": text, "channel": channel or f"C{self._count:08d}"}
        event["blocks"] = [
            {
                "type": "rich_text",
                "block_id": "b1",
                "elements": [
                    {
                        "type": "rich_text_section",
                        "elements": [
                            {"type": "user", "user_id": BOT},
                            {"type": "text", "text": text},
                        ],
                    }
                ],
            }
        ]
        grant = {"enterprise_id": None, "team_id": TEAM, "user_id": BOT, "is_bot": True}
        return {
            "token": "verification-token-of-old",
            "team_id": TEAM,
            "context_team_id": TEAM,
            "context_enterprise_id": None,
            "api_app_id": APP,
            "event": event,
            "type": "event_callback",
            "event_id": f"Ev{uuid.uuid4().hex[:10].upper()}",
            "event_time": int(time.time()),
            "authorizations": [{**grant, "is_enterprise_install": False}],
            "is_ext_shared_channel": False,
            "event_context": f"4-bench-{self._count}",
        }

    async def _deliver(self, channel: str) -> float:
        """One event; seconds to its acknowledgement, infinite when there was none."""
        payload = self._payload(channel)
        return await (self._post(payload) if self._events else self._send(payload))

    async def _send(self, payload: dict[str, Any]) -> float:
        identity = str(uuid.uuid4())
        envelope: dict[str, Any] = {
            "envelope_id": identity,
            "type": "events_api",
            "payload": payload,
        }
        envelope |= {"accepts_response_payload": False, "retry_attempt": 0, "retry_reason": ""}
        acked = self._acks[identity] = asyncio.get_running_loop().create_future()
        assert self._socket is not None
        text = json.dumps(envelope)
        began = time.perf_counter()
        await self._socket.send_str(text)
        try:
            return float(await asyncio.wait_for(acked, _LOST)) - began
        except TimeoutError:
            self.refused += 1
            return float("inf")

    async def _post(self, payload: dict[str, Any]) -> float:
        body = json.dumps(payload, separators=(",", ":")).encode()
        stamp = str(int(time.time()))
        signed = hmac.new(SECRET.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256)
        headers = {
            "Content-Type": "application/json",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={signed.hexdigest()}",
        }
        assert self._session is not None
        began = time.perf_counter()
        limit = aiohttp.ClientTimeout(total=_LOST)
        status = 0
        with contextlib.suppress(TimeoutError):
            async with self._session.post(
                self._events, data=body, headers=headers, timeout=limit
            ) as response:
                await response.read()
                status = response.status
        if status != 200:
            self.refused += 1
            return float("inf")
        return time.perf_counter() - began


if __name__ == "__main__":
    asyncio.run(Slack().run())
