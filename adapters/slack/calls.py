"""The calls made to Slack's Web API: the table of them, and the one way to make them.

The SDK could make them too, for two thirds more of the processor's time than the request takes
(`make bench-calls`), and it tries a post again that may have landed (slack_sdk 3.47 http_retry).
"""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Any

import aiohttp
import msgspec
import structlog

from adapters.slack.names import Names
from adapters.slack.refusals import NEVER, TokenRefused, refusal
from core.bodies import whole
from core.errors import Unreachable
from core.proxies import DIRECT, Proxies

log = structlog.get_logger()

PAUSE = 300.0
"""Seconds without streams after an answer to one that Slack doesn't give: a page of a proxy's."""

TIMEOUT = 10.0
"""Seconds for one call, connecting included."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the Web API. scopes: any one of them is enough; none for app tokens.

    reads: arguments go into the query, since the method takes no JSON.
    """

    name: str
    scopes: frozenset[str] = frozenset()
    reads: bool = False


_HISTORY = frozenset({"channels:history", "groups:history", "im:history", "mpim:history"})
_CHAT = frozenset({"chat:write"})

AUTH = Method("auth.test")
CONNECT = Method("apps.connections.open")
POST = Method("chat.postMessage", _CHAT)
EPHEMERAL = Method("chat.postEphemeral", _CHAT)
UPDATE = Method("chat.update", _CHAT)
DELETE = Method("chat.delete", _CHAT)
START = Method("chat.startStream", _CHAT)
APPEND = Method("chat.appendStream", _CHAT)
STOP = Method("chat.stopStream", _CHAT)
REPLIES = Method("conversations.replies", _HISTORY, reads=True)
HISTORY = Method("conversations.history", _HISTORY, reads=True)
STATUS = Method("assistant.threads.setStatus", _CHAT)
PROMPTS = Method("assistant.threads.setSuggestedPrompts", frozenset({"assistant:write"}))

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        method.name: method
        for method in (
            *(AUTH, CONNECT, POST, EPHEMERAL, UPDATE, DELETE, START, APPEND, STOP),
            *(REPLIES, HISTORY, STATUS, PROMPTS),
        )
    }
)
"""Every method that is called, by name."""

SCOPES = frozenset({"app_mentions:read"}).union(*(method.scopes for method in METHODS.values()))
"""What the bot token has to be granted: for these methods, and to be told of mentions."""


class Api:
    """Calls with the bot token over one shared session, without any retry.

    url: of the Web API, reached through one of the proxies if they say so. timeout: seconds for one
    call. refused: the bot token is; no call is made with it any more, but for the question whether
    it is taken again. off: methods that this workspace does not have, for the life of the process.
    now: seconds, monotonic. reading: who may read a thread; reads_from: until then (the loop's
    time) Slack refuses that. names: of what stood in threads.
    """

    def __init__(
        self,
        token: str,
        url: str,
        session: aiohttp.ClientSession,
        timeout: float = TIMEOUT,
        now: Callable[[], float] = time.monotonic,
        proxies: Proxies = DIRECT,
    ) -> None:
        self._url = url.rstrip("/") + "/"
        self._proxies, self._proxy = proxies, proxies.of(url)
        self._session = session
        self._timeout = timeout
        self._headers = _headers(token)
        self.refused: TokenRefused | None = None
        self.granted: frozenset[str] = SCOPES
        self.off: set[Method] = set()
        self._now = now
        self._no_streams: dict[str, float] = {}  # until when, by channel; "" is everywhere
        self.reading = asyncio.Lock()
        self.reads_from = float("-inf")
        self.names = Names()

    async def call(self, method: Method, *, token: str = "", **args: Any) -> dict[str, Any]:
        """The answer's body. token: in the place of the bot's.

        Raises: DeliveryError.
        """
        ours = not token
        if ours and self.refused and method is not AUTH:
            raise self.refused.with_traceback(None)  # else it grows with every call
        headers = self._headers if ours else _headers(token)
        status, heard, body = await self._send(method, args, headers)
        if status == 200 and isinstance(body, dict) and body.get("ok"):
            if method is AUTH:
                self.refused = None
                self.granted = _scopes(heard)
            return body
        told = refusal(method.name, status, heard, body)
        if ours and isinstance(told, TokenRefused):
            self.refused = told
        raise told

    def streams_in(self, channel: str) -> bool:
        """Whether native streams may be had there, as far as Slack told."""
        return all(self._now() >= self._no_streams.get(where, -inf) for where in ("", channel))

    def no_streams(self, code: str, channel: str = "", seconds: float = inf) -> None:
        """There are none for so long: in this channel, or, where it names none or the code says
        so, for this app.
        """
        where = "" if code in NEVER else channel
        until = self._now() + seconds
        self._no_streams[where] = max(until, self._no_streams.get(where, -inf))
        told = None if seconds == inf else seconds
        log.info("slack.streams_off", code=code, channel=channel, seconds=told)

    async def _send(
        self, method: Method, args: Mapping[str, Any], headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], object]:
        """One request: status, headers, JSON (None for what isn't). Raises: Unreachable."""
        given: dict[str, Any] = {"params": _query(args)} if method.reads else {"data": _json(args)}
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._session.request(
                    "GET" if method.reads else "POST",
                    self._url + method.name,
                    headers=headers,
                    allow_redirects=False,
                    proxy=self._proxy,
                    **given,
                ) as response,
            ):
                return response.status, response.headers, _parsed(await whole(response))
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is one
            told = f"Slack can't be reached for {method.name} ({type(error).__name__})"
            if isinstance(error, TimeoutError):
                told = f"Slack didn't answer {method.name} in time"
            # The error itself may hold the request, and with it the token.
            raise self._proxies.trouble(self._url, error) or Unreachable(told) from None


def _headers(token: str) -> Mapping[str, str]:
    return MappingProxyType(
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json; charset=utf-8"}
    )


def _scopes(headers: Mapping[str, str]) -> frozenset[str]:
    """The scopes of the token, which Slack tells with each answer; all where nothing is told."""
    told = headers.get("x-oauth-scopes", "").replace(" ", "")
    return frozenset(told.split(",")) if told else SCOPES


def _query(args: Mapping[str, Any]) -> dict[str, str]:
    """Arguments for a query; a truth is 1 there."""
    return {name: str(int(v) if isinstance(v, bool) else v) for name, v in args.items()}


def _json(args: Mapping[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(args)
    except UnicodeEncodeError:  # half of a pair of surrogates; json escapes it
        return json.dumps(args).encode()


def _parsed(content: bytes) -> object:
    for decode in (msgspec.json.decode, json.loads):  # the second takes half a surrogate pair
        try:
            return decode(content)
        except (ValueError, RecursionError):
            pass
    return None  # a page of somebody in between
