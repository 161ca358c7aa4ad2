"""The playground in the browser: a page, a way in for prompts, a stream of what is visible.

Reachable by this machine only, unless a key is set: every request must name a local host (a page
elsewhere can't reach it by a made-up name) and a request with an Origin must come from the page.
"""

import asyncio
import hmac
import json
import re
import time
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import structlog
from aiohttp import hdrs, web

from adapters.web.rooms import Exchanges, Rooms, WebThread, question_id
from core.errors import StoreError
from core.types import Prompt, ThreadKey

_LOCAL = {"localhost", "127.0.0.1", "::1"}
# What is opened where the server listens on an address that is every one, or only this machine's.
_SHOWN = {"127.0.0.1": "localhost", "0.0.0.0": "localhost", "::": "[::1]"}  # noqa: S104
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_LONGEST = 400_000  # characters of one prompt; the window refuses what the model can't take
_KEEP_ALIVE = 15.0  # seconds
_WITHIN = 60.0  # seconds in which a prompt has to be there
# What is wrong with the database is the operator's business: it names files and hosts.
_NOT_STORED = "This can't be stored just now. Please try again in a moment."
_NOT_SHOWN = "This can't be read just now. Please try again in a moment."

log = structlog.get_logger()


class WebPlatform:
    """The `Threads` of the page, and its routes.

    accept, cut_short: the engine's. json: answers are JSON. about: what the page says about the
    model behind it. key: asked for when the server can be reached from beyond this machine; empty
    otherwise.
    """

    name = "web"

    def __init__(
        self,
        accept: Callable[[Prompt], Awaitable[bool]],
        cut_short: Callable[[str], bool],
        exchanges: Exchanges,
        *,
        json: bool = False,
        about: dict[str, Any],
        key: str = "",
    ) -> None:
        self._accept = accept
        self._cut_short = cut_short
        self._about = about
        self._key = key
        self._rooms = Rooms(exchanges, json=json)
        self._page = files("adapters.web").joinpath("page.html").read_text(encoding="utf-8")

    def open(self, prompt: Prompt) -> WebThread:
        """The live handle for one prompt of the page."""
        room, question = ThreadKey(prompt.address or prompt.thread), question_id(prompt.identity)
        if not self._rooms.shows(room, question):  # committed, though who asked was told otherwise
            self._rooms.say(room, question, "user", prompt.text)
        return WebThread(self._rooms, room, question)

    def forget(self) -> None:
        """Show what is stored, where nobody looks on: something of it has been erased."""
        self._rooms.forget()

    def address(self, host: str, port: int) -> str:
        """Where a person opens the page. host: what the server listens on."""
        shown = _SHOWN.get(host, f"[{host}]" if ":" in host else host)
        return f"http://{shown}:{port}/" + (f"?key={self._key}" if self._key else "")

    def routes(self) -> list[web.RouteDef]:
        """What bots mounts."""
        return [
            web.get("/", self._guarded(self._index)),
            web.post("/api/threads/{name}", self._guarded(self._ask)),
            web.get("/api/threads/{name}", self._guarded(self._watch)),
            web.post("/api/threads/{name}/stop", self._guarded(self._stop)),
        ]

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def guarded(request: web.Request) -> web.StreamResponse:
            try:
                reason = self._refusal(request)
            except ValueError:
                return web.json_response({"error": "a header makes no sense"}, status=400)
            if reason:
                return web.json_response({"error": reason}, status=403)
            return await handler(request)

        return guarded

    def _refusal(self, request: web.Request) -> str:
        """Why the request is not for us; empty when it is. Raises: ValueError for odd headers."""
        host = urlsplit(f"//{request.host}").hostname or ""
        if self._key:
            given = request.query.get("key", "") or request.headers.get("X-Key", "")
            if not hmac.compare_digest(given.encode(), self._key.encode()):
                return "open the playground by the address that Threadseek printed at its start"
        elif host not in _LOCAL:
            return "the playground answers this machine only: open it as http://localhost"
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and urlsplit(origin).netloc != request.host:
            return "this request came from another site"
        return ""

    async def _index(self, request: web.Request) -> web.Response:
        about = json.dumps(self._about).replace("<", "\\u003c")
        page = self._page.replace("{{about}}", about)
        headers = {
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
            "script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        return web.Response(text=page, content_type="text/html", headers=headers)

    async def _ask(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        try:
            async with asyncio.timeout(_WITHIN):
                body = await _body(request)
        except TimeoutError:
            return web.json_response({"error": "it came too slowly"}, status=408)
        except web.HTTPRequestEntityTooLarge:
            reason = f"too long: at most {_LONGEST:,} characters"
            return web.json_response({"error": reason}, status=413)
        text = body.get("text") if isinstance(body, dict) else None
        mark = body.get("id") if isinstance(body, dict) else None
        if not _NAME.fullmatch(name) or not isinstance(text, str) or not _is_mark(mark):
            wanted = 'send JSON {"id": "letters and digits, new for each prompt", "text": "..."}'
            return web.json_response({"error": wanted}, status=400)
        if len(text) > _LONGEST:
            reason = f"too long: {len(text):,} characters, at most {_LONGEST:,}"
            return web.json_response({"error": reason}, status=413)
        now = time.time()
        thread = ThreadKey(f"web:{name}")
        prompt = Prompt(
            platform=self.name,
            thread=thread,
            identity=f"web:{name}:{mark}",
            sequence=f"{int(now * 1_000_000_000):020d}",
            author="",
            text=text,
            asked_at=now,
            address=thread,
        )
        try:
            await self._rooms.load(thread)
            new = await self._accept(prompt)
        except StoreError as error:
            log.error("web.not_accepted", reason=str(error))
            return web.json_response({"error": _NOT_STORED}, status=503)
        if new or not self._rooms.shows(thread, question_id(prompt.identity)):
            self._rooms.say(thread, question_id(prompt.identity), "user", text)
        return web.json_response({"accepted": new}, status=202)

    async def _stop(self, request: web.Request) -> web.Response:
        """Somebody wants no more of the answer to a prompt."""
        body = await _body(request)
        mark = body.get("id") if isinstance(body, dict) else None
        if not _is_mark(mark):
            wanted = 'send JSON {"id": "that of the prompt"}'
            return web.json_response({"error": wanted}, status=400)
        stopped = self._cut_short(f"web:{request.match_info['name']}:{mark}")
        return web.json_response({"stopped": stopped}, status=202)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        """What is visible in a thread, as server-sent events: all of it, then each change."""
        name = request.match_info["name"]
        if not _NAME.fullmatch(name):
            return web.json_response({"error": "no such thread"}, status=404)
        thread = ThreadKey(f"web:{name}")
        try:
            await self._rooms.load(thread)
        except StoreError as error:
            log.error("web.not_shown", reason=str(error))
            return web.json_response({"error": _NOT_SHOWN}, status=503)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        with self._rooms.watch(thread) as changes:
            await response.prepare(request)
            while True:
                try:
                    async with asyncio.timeout(_KEEP_ALIVE):
                        events = await changes.next()
                except TimeoutError:
                    await response.write(b": keep-alive\n\n")
                    continue
                block = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
                await response.write(block.encode())


async def _body(request: web.Request) -> object:
    """The JSON that was sent; None for what is none. Raises: HTTPRequestEntityTooLarge."""
    if request.content_type != "application/json":
        return None
    try:
        return await request.json()
    except (ValueError, LookupError, RecursionError, web.RequestPayloadError):
        return None  # no JSON, no encoding that we know, nested too deep, badly compressed


def _is_mark(value: object) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None
