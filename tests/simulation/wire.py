"""Between the adapters' HTTP clients and a platform: the weather, and the crash at every await.

`Line` stands before the adapter's own `Api`, `Wire` behind it in the place of aiohttp's session:
all between them, time-outs and translations included, is the real thing.
"""

import asyncio
import json
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp

from adapters.discord.refusals import ARCHIVED, Refused
from core.errors import RateLimited, Undeliverable, Unreachable
from tests.simulation.logs import SECRET
from tests.simulation.loop import now
from tests.simulation.sites import Call, Said, Site
from tests.simulation.world import Dead, Life

PATIENCE = 10.0
"""Seconds after which the adapters give a call up (`calls.TIMEOUT` of both)."""
FURTHER = 1
"""I11: calls that may follow a refusal for good, within one claim of a turn."""


class Named(Protocol):
    """A method of Slack's or a route of Discord's."""

    @property
    def name(self) -> str:
        """How it is called."""


class Line:
    """An adapter's `Api` for one live handle; knows which prompt it serves.

    told: a text was refused for good. further: requests since then, without those to be repeated.
    """

    def __init__(self, api: Any, site: Site, life: Life, identity: str) -> None:
        self._api = api
        self._site = site
        self._life = life
        self.identity = identity
        self.told = False
        self.further = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._api, name)

    async def call(self, what: Named, *args: Any, **named: Any) -> Any:
        """Make the call. Raises: Dead, and what the adapter's does."""
        decided, further = now(), self.further
        await self._site.world.passes(f"before {what.name}", self._life)
        _ASKED.set((self, what.name, decided))
        try:
            return await self._api.call(what, *args, **named)
        except (RateLimited, Unreachable):
            self.further = further
            raise
        except Undeliverable as error:
            sent = Call(self._life, self.identity, what.name, "", "", {}, 0.0, 0.0)
            asleep = isinstance(error, Refused) and error.code == ARCHIVED  # it is opened again
            if self.identity in self._site.refused and self._site.ends(sent) and not asleep:
                self.told = True
            raise

    def sends(self, name: str) -> None:
        """A request is made for this handle; a deletion may be one of several."""
        self.further += self.told and "DELETE" not in name.upper()
        if self.further > FURTHER:
            self._site.world.wrong(f"I11 {self.identity} goes on after a refusal: {name}")


_ASKED: ContextVar[tuple[Line, str, float]] = ContextVar("asked")


class Wire:
    """Stands for `aiohttp.ClientSession`: one process's connection to a platform."""

    closed = False

    def __init__(self, site: Site, life: Life) -> None:
        self._site = site
        self._life = life

    def request(self, method: str, url: str, **given: Any) -> "_Exchange":
        """As aiohttp's: to be entered."""
        line, name, decided = _ASKED.get()
        line.sends(name)
        sent = json.loads(given["data"]) if given.get("data") else None
        args, path = sent or given.get("params") or {}, urlsplit(url).path
        call = Call(self._life, line.identity, name, method, path, args, now(), decided, line)
        return _Exchange(self._site, call)


@dataclass(frozen=True, slots=True)
class Response:
    """Stands for `aiohttp.ClientResponse`. body: text where a page came instead of JSON."""

    status: int
    headers: Any
    body: Any
    content_type = "application/json"

    async def json(self) -> Any:
        """The body. Raises: json.JSONDecodeError."""
        return json.loads(self.body) if isinstance(self.body, str) else self.body

    async def text(self) -> str:
        """The body as it came."""
        return self.body if isinstance(self.body, str) else json.dumps(self.body)

    @property
    def content(self) -> "Response":
        """Where the body is read."""
        return self

    async def readexactly(self, size: int) -> bytes:
        """The body as it came, empty where there is none: never so much."""
        body = b"" if self.body is None else (await self.text()).encode()
        raise asyncio.IncompleteReadError(body, size)


class _Exchange:
    """One request on its way, and its answer."""

    def __init__(self, site: Site, call: Call) -> None:
        self._site = site
        self._world = site.world
        self._call = call
        self._takes = 0.0

    async def __aenter__(self) -> Response:
        """Raises: Dead, aiohttp.ClientError."""
        world, site, call = self._world, self._site, self._call
        if call.sent > call.decided:  # stopped in between: it would look first
            raise aiohttp.ServerDisconnectedError(SECRET)
        site.arrives(call, asks=not call.identity)
        self._takes = world.rng.uniform(0.02, 0.4)
        if world.happens("tail"):
            self._takes = world.rng.uniform(3.0, 25.0)
        if world.out(site.name):
            await asyncio.sleep(self._takes)
            raise aiohttp.ClientConnectionError(f"out {SECRET}")
        await self._travel()
        if world.happens("refused"):
            return Response(*site.too_many(call, world.rng.choice((0.5, 1.0, 5.0))))
        if world.happens("lost_before"):
            world.later(self._call.decided, self._land)
            return self._lost()
        said = self._land()
        await world.passes(f"behind {call.name}", call.life)
        if world.happens("lost_after"):
            return self._lost()
        site.heard(call, said, asks=not call.identity)
        return Response(*said)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        """Nothing is kept open."""

    async def _travel(self) -> None:
        """The way there. Cut off, the request may arrive all the same."""
        world, life = self._world, self._call.life
        try:
            await asyncio.sleep(self._takes)
            if life.stopped_until > now():  # its connection is dead when it goes on
                raise aiohttp.ServerDisconnectedError(SECRET)
            await world.passes(f"during {self._call.name}", life)
        except (Dead, asyncio.CancelledError, aiohttp.ClientError):
            gone = now() - self._call.sent
            if self._takes > PATIENCE and gone >= PATIENCE - 1e-6:
                world.lands(self._takes - gone, self._land)
            else:
                world.later(self._call.decided, self._land)
            raise

    def _land(self) -> Said:
        return self._site.answer(self._call)

    def _lost(self) -> Response:
        """No answer, or one of somebody in between. Raises: aiohttp.ClientError."""
        if self._world.rng.random() < 0.5:
            raise aiohttp.ServerDisconnectedError(SECRET)
        return Response(
            self._world.rng.choice((500, 502, 503)), {}, f"<html>Bad gateway {SECRET}</html>"
        )
