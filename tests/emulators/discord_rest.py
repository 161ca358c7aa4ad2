"""The stand-in's REST API over HTTP: route, client, token, limits, faults, answer, record."""

import asyncio
import json
import re
import time
from dataclasses import dataclass
from typing import Any

from aiohttp import BodyPartReader, web

from tests.emulators import discord_channels, discord_messages
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_limits import Grant
from tests.emulators.discord_messages import Slow
from tests.emulators.discord_record import Call
from tests.emulators.discord_routes import Context, Request, Route
from tests.emulators.discord_rules import FILE_LIMIT, Refusal, invalid, plain
from tests.emulators.faults import Faults

_AGENT = re.compile(r"DiscordBot \(\S+,? \S+\)")
_KEPT = ("user-agent", "content-type", "x-audit-log-reason")
_VERSIONS = re.compile(r"/api(?:/v(?:9|10))?(/.*)")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class _Sent:
    """What came with a call. body: JSON. why: the refusal of a body that can't be read."""

    body: Any = None
    files: tuple[tuple[str, bytes], ...] = ()
    why: Refusal | None = None


@dataclass(frozen=True)
class _Found:
    """The route of a call, with its name and the values of its parameters."""

    name: str
    route: Route | None
    names: dict[str, str]

    @property
    def major(self) -> str:
        """What has budgets of its own: a channel, a guild, a webhook or interaction."""
        keys = ("channel", "guild", "token")
        return next((self.names[key] for key in keys if key in self.names), "")


class Rest:
    """Everything under /api. Routes of other modules are added with `join`."""

    def __init__(self, context: Context, faults: Faults[Fault]) -> None:
        self.context, self.faults = context, faults
        self._routes: list[tuple[str, re.Pattern[str], Route]] = []
        self.join(discord_messages.ROUTES)
        self.join(discord_channels.ROUTES)

    def join(self, routes: dict[str, Route]) -> None:
        """Serve these too; those with fewer parameters win ("@me" before "{user}")."""
        for name, route in routes.items():
            pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", name)
            self._routes.append((name, re.compile(pattern), route))
        self._routes.sort(key=lambda entry: entry[0].count("{"))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call. A route that was reached takes effect even when its client has gone."""
        found = self._find(request)
        sent = await _read(request)
        fault = self.faults.take(found.name)
        await self.faults.delay(found.name, fault)
        response, effect = _planned(fault), False
        if response is None:
            response, effect = self._answer(request, found, sent)
        await asyncio.sleep(fault.reply_delay)
        cut = bool(fault.cut) and request.transport is not None
        self._keep(request, found, sent, response, cut, effect)
        if cut and request.transport is not None:
            request.transport.abort()
        return response

    def _find(self, request: web.Request) -> _Found:
        inner = _VERSIONS.fullmatch(request.path)
        for name, pattern, route in self._routes if inner else ():
            if match := pattern.fullmatch(f"{request.method} {inner[1] if inner else ''}"):
                return _Found(name, route, match.groupdict())
        return _Found(UNKNOWN, None, {})

    def _answer(
        self, request: web.Request, found: _Found, sent: _Sent
    ) -> tuple[web.Response, bool]:
        headers: dict[str, str] = {}
        try:
            route = self._admit(request, found)
            grant = self._grant(found, route)
            if grant is not None:
                headers = grant.headers()
                if grant.wait:
                    return _slow_down(grant.wait, grant.scope == "global", headers), False
            if sent.why is not None:
                raise sent.why
            call = Request(self.context, found.names, sent.body, dict(request.query), sent.files)
            answer = route.run(call)
        except Slow as slow:
            more = headers | {"Via": "1.1 google", "X-RateLimit-Scope": "shared"}
            return _slow_down(slow.wait, False, more, slow), False
        except Refusal as refusal:
            return _json(refusal.body(), refusal.status, headers), False
        if answer is None:
            return web.Response(status=204, headers=headers), True
        return _json(answer, route.status, headers), True

    def _admit(self, request: web.Request, found: _Found) -> Route:
        # Webhooks are called by anybody; discord.py's own calls of them name no bot either.
        named = _AGENT.match(request.headers.get("User-Agent", ""))
        if not named and (found.route is None or found.route.auth):
            raise Refusal(40333)
        if found.route is None:
            raise plain(404, "Not Found")
        token = request.headers.get("Authorization", "")
        if found.route.auth and token != f"Bot {self.context.app.token}":
            raise plain(401, "Unauthorized")
        return found.route

    def _grant(self, found: _Found, route: Route) -> Grant | None:
        limits = self.context.limits
        if limits is None:
            return None
        return limits.take(route.bucket or found.name, found.major, counted=route.counted)

    def _keep(
        self,
        request: web.Request,
        found: _Found,
        sent: _Sent,
        response: web.Response,
        cut: bool,
        effect: bool,
    ) -> None:
        body = response.text or ""
        is_json = response.content_type == "application/json"
        call = Call(
            time.time(),
            request.method,
            found.name,
            request.path_qs,
            found.names,
            sent.body,
            {name: request.headers[name] for name in _KEPT if name in request.headers},
            0 if cut else response.status,
            json.loads(body) if is_json else body,
            effect,
        )
        self.context.record.called(call)


def _planned(fault: Fault) -> web.Response | None:
    if fault.status or fault.cut == "before":
        return web.Response(status=fault.status or 500, text="upstream trouble")
    if fault.retry_after:
        grant = Grant("", 0, 0, fault.retry_after, fault.retry_after)
        headers = {"Retry-After": grant.headers()["Retry-After"]}
        headers |= {"Via": "1.1 google"} if fault.via else {}
        headers["X-RateLimit-Scope"] = "global" if fault.everywhere else "user"
        headers |= {"X-RateLimit-Global": "true"} if fault.everywhere else {}
        return _slow_down(fault.retry_after, fault.everywhere, headers)
    if fault.code:
        refusal = Refusal(fault.code)
        return _json(refusal.body(), refusal.status, {})
    return None


def _slow_down(
    wait: float, everywhere: bool, headers: dict[str, str], why: Refusal | None = None
) -> web.Response:
    body = why.body() if why else {"message": "You are being rate limited."}
    body |= {"retry_after": round(wait, 3), "global": everywhere}
    headers = {"Retry-After": str(max(1, int(wait + 0.999)))} | headers
    return _json(body, 429, headers)


def _json(body: Any, status: int, headers: dict[str, str]) -> web.Response:
    # Discord names no charset, and its best known client compares the header as a whole.
    text = json.dumps(body).encode()
    return web.Response(body=text, status=status, content_type="application/json", headers=headers)


async def _read(request: web.Request) -> _Sent:
    """The body: JSON, or a form with `payload_json` and files. Anything else is refused (50035)."""
    if not request.can_read_body:
        return _Sent()
    try:
        if request.content_type == "application/json":
            raw = await request.read()
            return _Sent(json.loads(raw) if raw else None)
        if request.content_type == "multipart/form-data":
            return await _form(request)
    except ValueError:
        return _Sent(why=Refusal(50109))
    except web.HTTPRequestEntityTooLarge:
        return _Sent(why=Refusal(40005))
    await request.read()
    text = 'Expected "Content-Type" header to be one of {application/json, multipart/form-data}.'
    return _Sent(why=invalid("_", "CONTENT_TYPE_INVALID", text))


async def _form(request: web.Request) -> _Sent:
    body: Any = {}
    files: list[tuple[str, bytes]] = []
    async for part in await request.multipart():
        assert isinstance(part, BodyPartReader)
        data = bytes(await part.read())
        if part.name == "payload_json":
            body = json.loads(data)
        elif part.filename:
            files.append((part.filename, data))
            if len(data) > FILE_LIMIT:
                return _Sent(why=Refusal(40005))
        else:
            body[part.name] = data.decode()
    return _Sent(body, tuple(files))
