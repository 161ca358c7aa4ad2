"""The gateway's sessions and sockets, and what it checks in the frames of a client.

https://docs.discord.com/developers/topics/opcodes-and-status-codes has the codes.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.emulators.discord_app import KNOWN_INTENTS

Json = dict[str, Any]
DISPATCH, HEARTBEAT, IDENTIFY, RESUME = 0, 1, 2, 6
RECONNECT, MEMBERS, INVALID_SESSION, HELLO, ACK = 7, 8, 9, 10, 11
PRESENCE, VOICE = 3, 4
SESSION_LIFE, HEARTBEAT_INTERVAL = 180.0, 41.25
IDENTIFY_EVERY, IDENTIFIES_A_DAY = 5.0, 1000
SERVERS_A_SHARD = 2500
SENDS, SENDS_SECONDS, PAYLOAD_LIMIT = 120, 60.0, 4096
UNKNOWN_OP, DECODE, NOT_IDENTIFIED, BAD_TOKEN, TWICE = 4001, 4002, 4003, 4004, 4005
BAD_SEQ, TOO_FAST, TIMED_OUT, BAD_SHARD = 4007, 4008, 4009, 4010
SHARDING, BAD_VERSION, BAD_INTENTS, NOT_GRANTED = 4011, 4012, 4013, 4014
REASONS = {
    UNKNOWN_OP: "Unknown opcode.",
    DECODE: "Error while decoding payload.",
    NOT_IDENTIFIED: "Not authenticated.",
    BAD_TOKEN: "Authentication failed.",
    TWICE: "Already authenticated.",
    BAD_SEQ: "Invalid seq.",
    TOO_FAST: "Rate limited.",
    TIMED_OUT: "Session timed out.",
    BAD_SHARD: "Invalid shard.",
    SHARDING: "Sharding required.",
    BAD_VERSION: "Invalid API version.",
    BAD_INTENTS: "Invalid intent(s).",
    NOT_GRANTED: "Disallowed intent(s).",
}


class Close(Exception):
    """End this connection. code: a websocket close code."""

    def __init__(self, code: int) -> None:
        super().__init__(REASONS[code])
        self.code = code


@dataclass(frozen=True)
class Event:
    """One dispatched event. text: the frame."""

    seq: int
    name: str
    text: str


@dataclass
class Session:
    """One identified client. It outlives its socket for the gateway's session_life.

    log: what was dispatched, RESUMED excepted once it is old. left: when the socket went
    (monotonic seconds), None while it is there.
    """

    id: str
    intents: int
    shard: tuple[int, int]
    log: list[Event] = field(default_factory=list)
    seq: int = 0
    link: "Link | None" = None
    left: float | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, name: str, body: Json) -> None:
        """Dispatch an event, now or at the resume."""
        self.seq += 1
        frame = {"op": DISPATCH, "t": name, "s": self.seq, "d": body}
        self.log.append(Event(self.seq, name, json.dumps(frame)))
        self.news.set()

    def concerns(self, guild: str) -> bool:
        """Whether its shard is the one of this guild ("" for direct messages: shard 0)."""
        number, count = self.shard
        return number == (int(guild) >> 22) % count if guild else number == 0


@dataclass
class Link:
    """One socket. beat: when it last sent a heartbeat. sends: of the window begun at `window`.

    dropped: the server cut it, so the close code says nothing of the client's wish.
    """

    socket: web.WebSocketResponse
    transport: asyncio.Transport | None
    session: Session | None = None
    writer: asyncio.Task[None] | None = None
    beat: float = field(default_factory=time.monotonic)
    window: float = field(default_factory=time.monotonic)
    sends: int = 0
    dropped: bool = False

    async def send(self, op: int, data: Any = None) -> None:
        """Send a frame that is no event. A socket that is gone takes nothing."""
        await self.write(json.dumps({"op": op, "d": data, "s": None, "t": None}))

    async def write(self, text: str) -> None:
        """Send a frame."""
        if not self.socket.closed:
            await self.socket.send_str(text)

    async def follow(self, session: Session, seq: int) -> None:
        """Send what the session has after `seq`, then whatever comes."""
        while True:
            session.news.clear()
            for event in [event for event in session.log if event.seq > seq]:
                try:
                    await self.write(event.text)
                except ConnectionError:
                    return
                seq = event.seq
            await session.news.wait()


def decode(data: str | bytes) -> Json:
    """A frame from a client. Raises Close."""
    if len(data) > PAYLOAD_LIMIT:
        raise Close(DECODE)
    try:
        payload = json.loads(data)
    except ValueError:
        raise Close(DECODE) from None
    if not isinstance(payload, dict):
        raise Close(DECODE)
    return payload


def intents_of(value: Any) -> int:
    """The intents of an identify. Raises Close."""
    if not isinstance(value, int) or value < 0 or value & ~KNOWN_INTENTS:
        raise Close(BAD_INTENTS)
    return value


def shard_of(value: Any) -> tuple[int, int]:
    """The shard of an identify: its number and how many. Raises Close."""
    if not isinstance(value, list) or len(value) != 2 or not all(type(n) is int for n in value):
        raise Close(BAD_SHARD)
    number, count = value
    if not 0 <= number < count:
        raise Close(BAD_SHARD)
    return number, count
