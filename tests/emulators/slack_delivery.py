"""How events reach the app: attempts, redelivery and duplicates, by Socket Mode or by HTTP.

An event that is not acknowledged within three seconds is sent again at once, then after one
minute, then after five (Slack's Events API page; Socket Mode behaves alike). A payload goes to one
socket only; every attempt has a new envelope_id and the old event_id.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

Json = dict[str, Any]
RETRY_AFTER = (0.0, 60.0, 300.0)
MAX_SOCKETS = 10


@dataclass
class Delivery:
    """One attempt. attempt 0 is the first. socket: its number, 0 over HTTP or with none open.

    acked_at: None when it was not acknowledged in time. failure: why not, in Slack's words.
    """

    event_id: str
    payload: Json
    attempt: int
    sent_at: float
    socket: int = 0
    envelope_id: str = ""
    acked_at: float | None = None
    status: int = 0
    failure: str = ""
    no_retry: bool = False

    @property
    def acked(self) -> bool:
        """Whether the app acknowledged it in time."""
        return self.acked_at is not None


class Way(Protocol):
    """A transport: makes one attempt and fills in the delivery."""

    async def attempt(self, delivery: Delivery, reason: str) -> None:
        """reason: why the attempt before failed, "" for the first."""


class Deliverer:
    """Brings every payload to the app, at least once. scale: of the long waits.

    duplicates: how many more times each event is delivered, though it was acknowledged.
    """

    def __init__(self, way: Way, scale: float, changed: Callable[[], None]) -> None:
        self.way, self.duplicates = way, 0
        self.deliveries: list[Delivery] = []
        self._scale, self._changed = scale, changed
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: list[Json] | None = None

    def send(self, payload: Json) -> None:
        """Start delivering, now or at `release`."""
        if self._held is not None:
            self._held.append(payload)
            return
        for _ in range(1 + self.duplicates):
            task = asyncio.get_running_loop().create_task(self._deliver(payload))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def hold(self) -> None:
        """Keep what is said from now on until `release`."""
        self._held = []

    def release(self, shuffled: random.Random | None = None) -> None:
        """Deliver what was held, in order or shuffled."""
        held, self._held = self._held or [], None
        if shuffled:
            shuffled.shuffle(held)
        for payload in held:
            self.send(payload)

    def again(self, event_id: str) -> None:
        """Deliver a past event once more, as Slack does now and then hours later."""
        self.send(next(d.payload for d in self.deliveries if d.event_id == event_id))

    async def _deliver(self, payload: Json) -> None:
        reason = ""
        for attempt in range(1 + len(RETRY_AFTER)):
            if attempt:
                await asyncio.sleep(RETRY_AFTER[attempt - 1] * self._scale)
            delivery = Delivery(payload["event_id"], payload, attempt, time.time())
            self.deliveries.append(delivery)
            await self.way.attempt(delivery, reason)
            self._changed()
            if delivery.acked or delivery.no_retry:
                return
            reason = delivery.failure

    def of(self, ts: str) -> list[Delivery]:
        """The attempts whose event is the message `ts` itself, oldest first."""
        return [d for d in self.deliveries if d.payload["event"].get("ts") == ts]

    def unacked(self) -> list[str]:
        """event_ids that were sent and never acknowledged."""
        acked = {d.event_id for d in self.deliveries if d.acked}
        return list(dict.fromkeys(d.event_id for d in self.deliveries if d.event_id not in acked))

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class SocketMode:
    """The sockets that are open. ack_timeout: seconds."""

    def __init__(self, ack_timeout: float, seed: int, changed: Callable[[], None]) -> None:
        self.address = ""
        self.open: dict[int, web.WebSocketResponse] = {}
        self.stray_acks: list[str] = []
        self._ack_timeout, self._changed = ack_timeout, changed
        self._random = random.Random(seed)
        self._acks: dict[str, asyncio.Future[None]] = {}
        self._tickets: set[str] = set()
        self._count = 0

    def ticket(self) -> str:
        """A new address, good for one connection."""
        ticket = uuid.uuid4().hex
        self._tickets.add(ticket)
        return f"{self.address}/link/?ticket={ticket}"

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """A client connects: hello, then acknowledgements until it goes."""
        ticket = request.query.get("ticket", "")
        if ticket not in self._tickets:
            return web.Response(status=404, text="unknown or used ticket")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._tickets.discard(ticket)
        if len(self.open) >= MAX_SOCKETS:
            await socket.send_json(_disconnect("too_many_websockets"))
            await socket.close()
            return socket
        self._count += 1
        number = self._count
        hello = {"type": "hello", "num_connections": len(self.open) + 1, "debug_info": _DEBUG}
        await socket.send_json(hello | {"connection_info": {"app_id": "A0SEEK0001"}})
        self.open[number] = socket
        self._changed()
        try:
            async for message in socket:
                if message.type == web.WSMsgType.TEXT:
                    self._acknowledge(message.json())
        finally:
            self.open.pop(number, None)
            self._changed()
        return socket

    def _acknowledge(self, message: Json) -> None:
        envelope_id = str(message.get("envelope_id", ""))
        waiting = self._acks.get(envelope_id)
        if waiting is None or waiting.done():
            self.stray_acks.append(envelope_id)
            return
        waiting.set_result(None)

    async def attempt(self, delivery: Delivery, reason: str) -> None:
        """Send to one socket and wait for its acknowledgement."""
        if not self.open:
            delivery.failure = "connection_failed"
            return
        delivery.socket = self._random.choice(list(self.open))
        delivery.envelope_id = str(uuid.uuid4())
        envelope: Json = {"envelope_id": delivery.envelope_id, "payload": delivery.payload}
        envelope |= {"type": "events_api", "accepts_response_payload": False}
        envelope |= {"retry_attempt": delivery.attempt, "retry_reason": reason}
        acked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._acks[delivery.envelope_id] = acked
        try:
            await self.open[delivery.socket].send_json(envelope)
            await asyncio.wait_for(acked, self._ack_timeout)
            delivery.acked_at = time.time()
        except TimeoutError:
            delivery.failure = "timeout"
        except ConnectionError:
            delivery.failure = "connection_failed"
        finally:
            del self._acks[delivery.envelope_id]

    async def refresh(self, reason: str = "refresh_requested", number: int | None = None) -> None:
        """Ask clients to reconnect: "warning" leaves the socket open, anything else closes it."""
        for key, socket in list(self.open.items()):
            if number in (None, key):
                await socket.send_json(_disconnect(reason))
                if reason != "warning":
                    await socket.close()

    async def close(self) -> None:
        """Close every socket."""
        for socket in list(self.open.values()):
            await socket.close()


_DEBUG = {"host": "applink-stand-in", "build_number": 1, "approximate_connection_time": 18060}


def _disconnect(reason: str) -> Json:
    return {"type": "disconnect", "reason": reason, "debug_info": _DEBUG}
