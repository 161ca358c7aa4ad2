"""A thin Discord: the gateway (frames compressed as one zlib stream), messages, commands, threads.

Shapes: as `tests/emulators/discord*` gives them. No rate limit but the headers of one.
"""

import asyncio
import json
import time
import zlib
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from benchmarks.far_ends.process import obey, paced

EPOCH = 1420070400000
BOT, APPLICATION, GUILD, CHANNEL = "1000000000000000001", "1000000000000000001", "2" * 18, "3" * 18
ASKER = "4" * 18
_LOST = 3.0  # seconds after which a command that nobody acknowledged is lost: Discord's own
_OPEN = 1 << 10 | 1 << 11 | 1 << 16 | 1 << 35 | 1 << 38  # see, send, read back, threads


def _user(id_: str, name: str, *, bot: bool) -> dict[str, Any]:
    return {"id": id_, "username": name, "global_name": None, "discriminator": "0"} | {
        "avatar": None,
        "bot": bot,
        "system": False,
        "public_flags": 0,
        "flags": 0,
    }


def _application() -> dict[str, Any]:
    return {"id": APPLICATION, "name": "bench", "icon": None, "description": "", "summary": ""} | {
        "bot_public": True,
        "bot_require_code_grant": False,
        "rpc_origins": [],
        "verify_key": "00",
        "team": None,
        "flags": 0,
        "owner": _user(ASKER, "asker", bot=False),
    }


def _member() -> dict[str, Any]:
    joined = "2026-01-01T00:00:00+00:00"
    return {"roles": [], "nick": None, "avatar": None, "joined_at": joined} | {
        "premium_since": None,
        "deaf": False,
        "mute": False,
        "pending": False,
        "flags": 0,
        "communication_disabled_until": None,
    }


def _guild() -> dict[str, Any]:
    body: dict[str, Any] = dict.fromkeys(
        (
            *("icon", "splash", "discovery_splash", "banner", "description", "vanity_url_code"),
            *("afk_channel_id", "system_channel_id", "rules_channel_id"),
            *("public_updates_channel_id", "safety_alerts_channel_id", "application_id"),
        )
    )
    for name in ("verification_level", "default_message_notifications", "mfa_level"):
        body[name] = 0
    for name in ("explicit_content_filter", "nsfw_level", "premium_tier"):
        body[name] = 0
    for name in ("emojis", "stickers", "features", "voice_states", "presences", "threads"):
        body[name] = []
    for name in ("stage_instances", "guild_scheduled_events", "soundboard_sounds"):
        body[name] = []
    everyone = {"id": GUILD, "name": "@everyone", "permissions": str(_OPEN), "position": 0}
    everyone |= {"color": 0, "hoist": False, "icon": None, "managed": False, "mentionable": False}
    channel = {"id": CHANNEL, "type": 0, "flags": 0, "name": "general", "position": 0}
    channel |= {"guild_id": GUILD, "parent_id": None, "topic": None, "nsfw": False}
    channel |= {"rate_limit_per_user": 0, "permission_overwrites": [], "last_message_id": None}
    me = _member() | {"user": _user(BOT, "bench", bot=True)}
    return body | {
        "id": GUILD,
        "name": "Bench",
        "owner_id": ASKER,
        "afk_timeout": 300,
        "preferred_locale": "en-US",
        "premium_progress_bar_enabled": False,
        "premium_subscription_count": 0,
        "system_channel_flags": 0,
        "joined_at": "2026-01-01T00:00:00+00:00",
        "large": False,
        "unavailable": False,
        "member_count": 2,
        "roles": [everyone | {"flags": 0}],
        "channels": [channel],
        "members": [me],
    }


class Discord:
    """url: http://127.0.0.1:PORT."""

    def __init__(self) -> None:
        self.url = ""
        self.calls: Counter[str] = Counter()
        self.sent: dict[str, float] = {}
        self._socket: web.WebSocketResponse | None = None
        self._zlib = zlib.compressobj()
        self._seq = 0
        self._last = 0
        self._ready = False
        self._acks: dict[str, asyncio.Future[float]] = {}

    async def run(self) -> None:
        app = web.Application(client_max_size=2**22)
        app.router.add_get("/gateway/", self._connect)
        app.router.add_get("/gateway", self._connect)
        app.router.add_route("*", "/api/v10/{path:.*}", self._api)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        about = {"api": f"{self.url}/api/v10", "gateway": self._gateway}
        await obey(about, self._obey)

    @property
    def _gateway(self) -> str:
        return f"{self.url.replace('http', 'ws')}/gateway/"

    async def _obey(self, command: dict[str, Any]) -> Any:
        match command["do"]:
            case "connected":
                return self._ready
            case "calls":
                return dict(self.calls)
            case "sent":
                sent, self.sent = self.sent, {}
                return sent
            case "messages":
                await paced(command["rate"], command["count"], lambda _: self._message())
                return command["count"]
            case "commands":
                latencies: list[float] = []

                async def one(_: int) -> None:
                    latencies.append(await self._command())

                await paced(command["rate"], command["count"], one)
                return latencies
        raise ValueError(command["do"])

    # REST.

    async def _api(self, request: web.Request) -> web.Response:
        path, method = request.match_info["path"].split("/"), request.method
        body = await request.read()
        asked = json.loads(body) if body.startswith(b"{") else {}
        name, answer = self._answered(method, path, asked)
        self.calls[f"{method} {name}"] += 1
        headers = {
            "Via": "1.1 bench",
            "X-RateLimit-Bucket": name.encode().hex()[:32],
            "X-RateLimit-Limit": "5",
            "X-RateLimit-Remaining": "4",
            "X-RateLimit-Reset": f"{time.time() + 1:.3f}",
            "X-RateLimit-Reset-After": "1.000",
        }
        if answer is None:
            return web.Response(status=204, headers=headers)
        headers["Content-Type"] = "application/json"
        return web.Response(body=json.dumps(answer).encode(), headers=headers)

    def _answered(self, method: str, path: list[str], asked: dict[str, Any]) -> tuple[str, Any]:
        """What is called, and the body of the answer."""
        if path[-1] == "@me":
            return (
                ("me", _user(BOT, "bench", bot=True))
                if "users" in path
                else (
                    "application",
                    _application(),
                )
            )
        match path:
            case ["gateway", "bot"]:
                limit = {"total": 1000, "remaining": 999, "reset_after": 0, "max_concurrency": 1}
                answer = {"url": self._gateway, "shards": 1, "session_start_limit": limit}
                return "gateway", answer
            case ["applications", _, "commands"]:
                return "commands", []
            case ["interactions", id_, _, "callback"]:
                waiting = self._acks.pop(id_, None)
                if waiting and not waiting.done():
                    waiting.set_result(time.perf_counter())
                said = {"id": id_, "type": 2, "response_message_id": self._snowflake()}
                return "callback", {"interaction": said, "resource": {"type": 5}}
            case ["channels", _, "typing"]:
                return "typing", None
            case ["channels", channel, "messages", message, "threads"]:
                thread = {"id": message, "type": 11, "guild_id": GUILD, "parent_id": channel}
                return "threads", thread | {"name": asked.get("name", "")}
            case ["channels", channel, "messages", *rest] if method in ("POST", "PATCH"):
                id_ = rest[0] if rest else self._snowflake()
                return "message", self._shown(id_, channel, BOT, asked.get("content", ""))
            case ["webhooks", *_]:
                content = asked.get("content", "")
                return "webhook", self._shown(self._snowflake(), CHANNEL, BOT, content)
        return "other", []

    # The gateway.

    async def _connect(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._socket, self._zlib, self._seq = socket, zlib.compressobj(), 0
        await self._say(10, {"heartbeat_interval": 41250})
        async for message in socket:
            match json.loads(message.data)["op"]:
                case 1:
                    await self._say(11, None)
                case 2:
                    await self._begin()
        self._ready = False
        return socket

    async def _begin(self) -> None:
        guild = _guild()
        ready = {"v": 10, "user": _user(BOT, "bench", bot=True) | {"verified": True}}
        ready |= {"session_id": "bench", "resume_gateway_url": self._gateway, "shard": [0, 1]}
        ready |= {"application": {"id": APPLICATION, "flags": 0}, "private_channels": []}
        ready |= {"guilds": [{"id": GUILD, "unavailable": True}], "relationships": []}
        await self._dispatch("READY", ready)
        await self._dispatch("GUILD_CREATE", guild)
        self._ready = True

    async def _say(self, op: int, data: Any, name: str | None = None) -> None:
        frame = json.dumps({"op": op, "d": data, "s": self._seq or None, "t": name}).encode()
        packed = self._zlib.compress(frame) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        assert self._socket is not None
        await self._socket.send_bytes(packed)

    async def _dispatch(self, name: str, data: Any) -> None:
        self._seq += 1
        await self._say(0, data, name)

    def _snowflake(self) -> str:
        self._last = max(self._last + 1, (int(time.time() * 1000) - EPOCH) << 22)
        return str(self._last)

    def _shown(self, id_: str, channel: str, author: str, content: str) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        return {
            "id": id_,
            "channel_id": channel,
            "type": 0,
            "author": _user(author, "bench" if author == BOT else "asker", bot=author == BOT),
            "content": content,
            "embeds": [],
            "attachments": [],
            "components": [],
            "mentions": [],
            "mention_roles": [],
            "mention_everyone": False,
            "timestamp": now,
            "edited_timestamp": None,
            "flags": 0,
            "pinned": False,
            "tts": False,
        }

    async def _message(self) -> None:
        """A mention in the channel; each becomes a conversation of its own."""
        id_ = self._snowflake()
        body = self._shown(id_, CHANNEL, ASKER, f"<@{BOT}> Why is the sky blue? ({id_})")
        body["mentions"] = [_user(BOT, "bench", bot=True) | {"member": _member()}]
        self.sent[id_] = time.time()
        await self._dispatch("MESSAGE_CREATE", body | {"guild_id": GUILD, "member": _member()})

    async def _command(self) -> float:
        """A use of /help; seconds until it is acknowledged."""
        id_ = self._snowflake()
        member = _member() | {"user": _user(ASKER, "asker", bot=False), "permissions": str(_OPEN)}
        channel = {"id": CHANNEL, "type": 0, "name": "general", "guild_id": GUILD}
        body = {"id": id_, "application_id": APPLICATION, "type": 2, "token": f"bench.{id_}"}
        body |= {"guild_id": GUILD, "channel_id": CHANNEL, "channel": channel, "member": member}
        body |= {"version": 1, "locale": "en-US", "guild_locale": "en-US", "entitlements": []}
        body |= {"app_permissions": str(_OPEN), "context": 0, "attachment_size_limit": 10485760}
        body |= {"authorizing_integration_owners": {"0": GUILD}, "entitlement_sku_ids": []}
        prompt = {"type": 3, "name": "prompt", "value": "Why is the sky blue?"}
        body["data"] = {"id": "5" * 18, "type": 1, "name": "ask", "options": [prompt]}
        acked = self._acks[id_] = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        await self._dispatch("INTERACTION_CREATE", body)
        try:
            return float(await asyncio.wait_for(acked, _LOST)) - began
        except TimeoutError:
            return float("inf")


if __name__ == "__main__":
    asyncio.run(Discord().run())
