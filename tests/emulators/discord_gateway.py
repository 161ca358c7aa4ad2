"""Discord's gateway: one websocket a session, resume with replay, and every close code.

https://docs.discord.com/developers/events/gateway and topics/opcodes-and-status-codes. Frames are
JSON text; `compress` is ignored, which clients accept.
"""

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import Literal, Protocol

from aiohttp import WSMsgType, web

from tests.emulators import discord_sessions as op
from tests.emulators.discord_app import GUILD_MEMBERS, GUILDS, PRIVILEGED, App
from tests.emulators.discord_sessions import Close, Json, Link, Session


class Scene(Protocol):
    """What the gateway shows of the world when a session starts."""

    def me(self) -> Json:
        """The bot's user."""

    def guilds(self) -> list[Json]:
        """The GUILD_CREATE payloads of the guilds that the bot is in."""


class Gateway:
    """Every session of the one app.

    mood: how a new connection is received: "away" with a 503, "curt" closed after hello, "unready"
    closed instead of READY, "mute" taken and then ignored, without a hello or a goodbye. dialled,
    identifies: when somebody connected and identified, in monotonic seconds.
    servers: most that a shard may have. shards, buckets: what GET /gateway/bot advises, and how
    many sessions may be begun at once. resets_in: milliseconds until the day's are there again.
    scale: of the 5 s between identifies and the minute of sends. session_life, heartbeat: real
    seconds. acking: heartbeats are acknowledged. identified, resumed: how often it happened.
    changed: called when something did. down: servers that READY names and that don't come then;
    nothing is heard of them.
    """

    def __init__(
        self,
        app: App,
        scene: Scene,
        *,
        scale: float = 1.0,
        session_life: float = op.SESSION_LIFE,
        heartbeat: float = op.HEARTBEAT_INTERVAL,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.address = ""
        self.session_life, self.heartbeat, self.acking = session_life, heartbeat, True
        self.identified = self.resumed = 0
        self.identify_limit = op.IDENTIFIES_A_DAY
        self.close_codes: list[int] = []
        self.mood: Literal["", "away", "curt", "unready", "mute"] = ""
        self.down: set[str] = set()
        self.dialled: list[float] = []
        self.identifies: list[float] = []
        self._app, self._scene, self._scale, self._changed = app, scene, scale, changed
        self._sessions: dict[str, Session] = {}
        self._links: list[Link] = []
        self.resets_in = 86_400_000
        self.servers, self.shards, self.buckets = op.SERVERS_A_SHARD, 1, 1
        self._last_identify: dict[int, float] = {}

    @property
    def starts_left(self) -> int:
        """Identifies that are left today."""
        return self.identify_limit - self.identified

    @property
    def sessions(self) -> list[Session]:
        """The sessions that live: connected, or resumable."""
        now = time.monotonic()
        for session in list(self._sessions.values()):
            if session.left is not None and now - session.left > self.session_life:
                del self._sessions[session.id]
        return list(self._sessions.values())

    @property
    def connected(self) -> int:
        """How many sessions have a socket."""
        return sum(session.link is not None for session in self.sessions)

    @property
    def sockets(self) -> int:
        """How many connections the clients hold open, with a session or not."""
        open_ = (link.transport for link in self._links if link.transport is not None)
        return sum(not transport.is_closing() for transport in open_)

    def publish(self, name: str, guild: str, body_for: Callable[[int], Json | None]) -> None:
        """Dispatch to every session. body_for: the payload for a session's intents, or None."""
        if guild in self.down:
            return
        for session in self.sessions:
            if session.concerns(guild) and (body := body_for(session.intents)) is not None:
                session.add(name, body)

    def publish_now(self, name: str, guild: str, body: Json) -> bool:
        """Dispatch to every session that is connected; False when nobody is there."""
        found = [s for s in self.sessions if s.concerns(guild) and s.link is not None]
        for session in found:
            session.add(name, body)
        return bool(found)

    def send_raw(self, name: str, body: Json) -> None:
        """Dispatch any event, however odd, to every session."""
        self.publish(name, "", lambda _: body)

    async def drop(self, code: int | None = None) -> None:
        """Cut every socket, without a word or with a close code. Sessions stay resumable."""
        for link in list(self._links):
            link.dropped = True
            if code is not None:
                await link.socket.close(code=code)
            elif link.transport is not None:
                link.transport.abort()

    async def reconnect(self) -> None:
        """Ask every client to connect again and resume (op 7)."""
        for link in list(self._links):
            await link.send(op.RECONNECT)

    async def invalidate(self, *, resumable: bool = False) -> None:
        """Tell every client that its session is invalid (op 9), for good or not."""
        for link in list(self._links):
            if not resumable:
                self._end(link.session)
            await link.send(op.INVALID_SESSION, resumable)

    def forget(self) -> None:
        """Forget the sessions without a socket, as Discord does after minutes."""
        for session in self.sessions:
            if session.link is None:
                self._end(session)

    async def close(self) -> None:
        """Close every socket."""
        await self.drop(1001)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """A client connects: hello, then its payloads until it goes."""
        self.dialled.append(time.monotonic())
        if self.mood == "away":
            return web.Response(status=503)
        socket = web.WebSocketResponse(timeout=1.0)
        await socket.prepare(request)
        transport = request.transport
        link = Link(socket, transport if isinstance(transport, asyncio.Transport) else None)
        self._links.append(link)
        try:
            if request.query.get("v", "10") not in ("9", "10"):
                raise Close(op.BAD_VERSION)
            await self._mute()
            await link.send(op.HELLO, {"heartbeat_interval": round(self.heartbeat * 1000)})
            if self.mood == "curt":
                await socket.close(code=1001)
            await self._listen(link)
        except Close as close:
            self.close_codes.append(close.code)
            if close.code not in (
                op.TOO_FAST,
                op.UNKNOWN_OP,
                op.DECODE,
                op.NOT_IDENTIFIED,
                op.TWICE,
            ):
                self._end(link.session)
            await self._silence(link)
            await socket.close(code=close.code, message=str(close).encode())
        finally:
            await self._silence(link)
            self._links.remove(link)
            self._gone(link)
        return socket

    async def _listen(self, link: Link) -> None:
        while True:
            # Discord gives a client one more interval before it takes it for dead.
            wait = link.beat + 2 * self.heartbeat - time.monotonic()
            try:
                message = await link.socket.receive(timeout=max(wait, 0.001))
            except TimeoutError:
                raise Close(op.TIMED_OUT) from None
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            await self._mute()
            self._count(link)
            await self._obey(link, op.decode(message.data))

    async def _mute(self) -> None:
        """Do nothing more for a client, in that mood."""
        if self.mood == "mute":
            await asyncio.Event().wait()

    def _count(self, link: Link) -> None:
        now = time.monotonic()
        if now - link.window > op.SENDS_SECONDS * self._scale:
            link.window, link.sends = now, 0
        link.sends += 1
        if link.sends > op.SENDS:
            raise Close(op.TOO_FAST)

    async def _obey(self, link: Link, payload: Json) -> None:
        code, data = payload.get("op"), payload.get("d")
        if code == op.HEARTBEAT:
            link.beat = time.monotonic()
            if self.acking:
                await link.send(op.ACK)
        elif code in (op.IDENTIFY, op.RESUME):
            if link.session is not None:
                raise Close(op.TWICE)
            if not isinstance(data, dict):
                raise Close(op.DECODE)
            await (self._identify if code == op.IDENTIFY else self._resume)(link, data)
        elif code not in (op.PRESENCE, op.VOICE, op.MEMBERS):
            raise Close(op.UNKNOWN_OP)
        elif link.session is None:
            raise Close(op.NOT_IDENTIFIED)
        elif code == op.MEMBERS and isinstance(data, dict):
            self._members(link.session, data)

    async def _identify(self, link: Link, data: Json) -> None:
        self.identifies.append(time.monotonic())
        if self.mood == "unready":
            await link.socket.close(code=1001)
            return
        if not isinstance(data.get("properties"), dict) or "token" not in data:
            raise Close(op.DECODE)
        if data["token"] != self._app.token:
            raise Close(op.BAD_TOKEN)
        intents = op.intents_of(data.get("intents"))
        if intents & PRIVILEGED & ~self._app.intents:
            raise Close(op.NOT_GRANTED)
        shard = op.shard_of(data.get("shard", [0, 1]))
        now, bucket = time.monotonic(), shard[0] % self.buckets
        last, self._last_identify[bucket] = self._last_identify.get(bucket), now
        if last is not None and now - last < op.IDENTIFY_EVERY * self._scale:
            await link.send(op.INVALID_SESSION, False)
            return
        if self.starts_left <= 0:
            self._revoke()
            raise Close(op.BAD_TOKEN)
        self.identified += 1
        session = Session(uuid.uuid4().hex, intents, shard)
        if self._servers_of(session) > self.servers:
            raise Close(op.SHARDING)
        self._sessions[session.id] = session
        self._greet(session)
        self._attach(link, session, 0)

    def _servers_of(self, session: Session) -> int:
        return sum(session.concerns(guild["id"]) for guild in self._scene.guilds())

    def _revoke(self) -> None:
        """Too many identifies in a day: Discord ends every session and resets the token."""
        self._app.token = f"reset.{uuid.uuid4().hex}"
        for session in self.sessions:
            self._end(session)

    def _greet(self, session: Session) -> None:
        guilds = [guild for guild in self._scene.guilds() if session.concerns(guild["id"])]
        ready: Json = {
            "v": 10,
            "user_settings": {},
            "user": self._scene.me() | {"verified": True, "mfa_enabled": True, "flags": 0},
            "session_type": "normal",
            "session_id": session.id,
            "resume_gateway_url": f"{self.address}/gateway/",
            "relationships": [],
            "private_channels": [],
            "presences": [],
            "guilds": [{"id": guild["id"], "unavailable": True} for guild in guilds],
            "guild_join_requests": [],
            "geo_ordered_rtc_regions": [],
            "application": {"id": self._app.id, "flags": self._app.flags},
            "shard": list(session.shard),
            "_trace": ["stand-in"],
        }
        session.add("READY", ready)
        if session.intents & GUILDS:
            for guild in guilds:
                if guild["id"] not in self.down:
                    session.add("GUILD_CREATE", guild)

    def go_down(self, id_: str) -> None:
        """A server goes down in mid-session. People may write on, as far as they can reach it."""
        self.publish("GUILD_DELETE", id_, lambda _: {"id": id_, "unavailable": True})
        self.down.add(id_)

    def come_up(self, id_: str) -> None:
        """A server that was down is there again."""
        self.down.discard(id_)
        guild = next(guild for guild in self._scene.guilds() if guild["id"] == id_)
        self.publish("GUILD_CREATE", id_, lambda _: guild)

    async def _resume(self, link: Link, data: Json) -> None:
        if data.get("token") != self._app.token:
            raise Close(op.BAD_TOKEN)
        session = next((s for s in self.sessions if s.id == data.get("session_id")), None)
        if session is None:
            await link.send(op.INVALID_SESSION, False)
            return
        seq = data.get("seq")
        if not isinstance(seq, int) or seq > session.seq:
            raise Close(op.BAD_SEQ)
        if session.link is not None and session.link.transport is not None:
            session.link.transport.abort()
        session.log = [event for event in session.log if event.name != "RESUMED"]
        session.add("RESUMED", {"_trace": ["stand-in"]})
        self.resumed += 1
        self._attach(link, session, seq)

    def _attach(self, link: Link, session: Session, seq: int) -> None:
        link.session, session.link, session.left = session, link, None
        link.writer = asyncio.get_running_loop().create_task(link.follow(session, seq))
        self._changed()

    async def _silence(self, link: Link) -> None:
        if link.writer is not None:
            link.writer.cancel()
            await asyncio.gather(link.writer, return_exceptions=True)

    def _gone(self, link: Link) -> None:
        session = link.session
        if session is not None and session.link is link:
            session.link, session.left = None, time.monotonic()
            if link.socket.close_code in (1000, 1001) and not link.dropped:
                self._end(session)
        self._changed()

    def _end(self, session: Session | None) -> None:
        if session is not None:
            self._sessions.pop(session.id, None)

    def _members(self, session: Session, data: Json) -> None:
        """Answer a request for a guild's members: all of them take the members intent."""
        asked = data.get("user_ids")
        if asked is None and not session.intents & GUILD_MEMBERS:
            raise Close(op.NOT_GRANTED)
        for guild in self._scene.guilds():
            if guild["id"] != str(data.get("guild_id")):
                continue
            ids = [str(each) for each in asked] if isinstance(asked, list) else asked
            found = [m for m in guild["members"] if ids is None or m["user"]["id"] in ids]
            body = {"guild_id": guild["id"], "members": found, "chunk_index": 0, "chunk_count": 1}
            body |= {"nonce": data.get("nonce")}
            session.add("GUILD_MEMBERS_CHUNK", body)
