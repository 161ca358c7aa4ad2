"""The calls made to Discord's REST API: the table of them, and the one way to make them.

discord.py could make them too, but it holds a call that takes the last token of a bucket until
the bucket is full again, and sends the old text then (2.7.1 http.py, measured). Here a call is
made at once or not at all, so that the newest text is always the one that is sent.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from weakref import WeakValueDictionary

import aiohttp
import msgspec

from adapters.discord.limits import TOGETHER, Buckets, of_everything
from adapters.discord.refusals import Refused, TokenRefused, translate
from core.bodies import whole
from core.budget import Budget
from core.errors import DeliveryError, Held, RateLimited, Unreachable
from core.proxies import DIRECT, Proxies
from core.types import Kind, Left

TIMEOUT = 10.0
"""Seconds for one call, connecting included."""

WAITING = 0.5
"""Seconds that a call waits at most for other processes of the bot. Its text is not that old."""

AGENT = "DiscordBot (https://threadseek.example, 1)"
"""Discord wants an address and a version (docs.discord.com/developers/reference#user-agent)."""
_NOBODY = {"User-Agent": AGENT}


@dataclass(frozen=True, slots=True)
class Route:
    """One call. major: the parameter that has a rate limit of its own. bot: needs the bot token."""

    method: str
    path: str
    major: str = ""
    bot: bool = True

    @property
    def name(self) -> str:
        """How it is called in messages and logs, and the name of its bucket: a post and an edit
        in one channel have different ones."""
        return f"{self.method} {self.path}"


_MESSAGES = "/channels/{channel}/messages"
_HOOK = "/webhooks/{application}/{token}"

ME = Route("GET", "/users/@me")
APPLICATION = Route("GET", "/applications/@me")
GATEWAY = Route("GET", "/gateway/bot")
COMMANDS = Route("GET", "/applications/{application}/commands")
SET_COMMANDS = Route("PUT", "/applications/{application}/commands")
CHANNEL = Route("GET", "/channels/{channel}", "channel")
CHANGE_CHANNEL = Route("PATCH", "/channels/{channel}", "channel")
READ = Route("GET", _MESSAGES, "channel")
READ_ONE = Route("GET", _MESSAGES + "/{message}", "channel")
POST = Route("POST", _MESSAGES, "channel")
EDIT = Route("PATCH", _MESSAGES + "/{message}", "channel")
DELETE = Route("DELETE", _MESSAGES + "/{message}", "channel")
REACT = Route("PUT", _MESSAGES + "/{message}/reactions/{emoji}/@me", "channel")
UNREACT = Route("DELETE", _MESSAGES + "/{message}/reactions/{emoji}/@me", "channel")
TYPING = Route("POST", "/channels/{channel}/typing", "channel")
OPEN_THREAD = Route("POST", _MESSAGES + "/{message}/threads", "channel")
# An interaction's token is its permission and its major parameter; one bucket for all of these.
RESPOND = Route("POST", "/interactions/{interaction}/{token}/callback", "token", bot=False)
ORIGINAL = Route("GET", _HOOK + "/messages/@original", "token", bot=False)
EDIT_ORIGINAL = Route("PATCH", _HOOK + "/messages/@original", "token", bot=False)
FOLLOW_UP = Route("POST", _HOOK, "token", bot=False)
EDIT_FOLLOW_UP = Route("PATCH", _HOOK + "/messages/{message}", "token", bot=False)
DELETE_FOLLOW_UP = Route("DELETE", _HOOK + "/messages/{message}", "token", bot=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Discord answered. body: its JSON, None without. time: Discord's clock, epoch seconds."""

    body: Any
    time: float


class Api:
    """Calls over one shared session, without any retry and without waiting for a rate limit.

    budget: shared with other processes of the bot; None when there are none.
    url: the API's address with its version, without a slash at the end, reached through one of the
    proxies if they say so. refused: the bot token is,
    and no call is made with it. no_reactions: servers in which we may put none; hides_nonces:
    reading our posts doesn't tell theirs; both kept for the life of the process. reacting: by
    channel, who may react; reading: who may read its history.
    """

    def __init__(
        self,
        token: str,
        url: str,
        session: aiohttp.ClientSession,
        timeout: float = TIMEOUT,
        budget: Budget | None = None,
        proxies: Proxies = DIRECT,
    ) -> None:
        self._proxies, self._proxy = proxies, proxies.of(url)
        self._headers = {"User-Agent": AGENT, "Authorization": f"Bot {token}"}
        self._url = url
        self._session = session
        self._timeout = timeout
        self._budget = budget
        self._buckets = Buckets()
        self.refused: TokenRefused | None = None
        self.no_reactions: set[str] = set()
        self.hides_nonces = False
        self.reacting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self.reading: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def call(
        self,
        route: Route,
        names: Mapping[str, str],
        body: object = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make the call. names: fills the path.

        Raises: RateLimited (also for a call that Discord is known to refuse now, which is not
        made), Unreachable, PartGone, TooLarge, Refused, TokenRefused. After that no call is made
        with the bot token but ME, which asks whether it is taken again: 10,000 refusals in ten
        minutes would ban the address.
        """
        together = self._budget if route.bot else None
        if together:
            await _leave(together)
        self._require_token(route)
        major = names.get(route.major, "")
        now = asyncio.get_running_loop().time()
        if (wait := self._buckets.take(route.name, major, now, counted=route.bot)) > 0:
            raise Held(wait)
        status, headers, parsed = await self._send(route, names, body, query)
        now = asyncio.get_running_loop().time()
        if status == 429:
            wait = self._buckets.refused(headers, parsed, route.name, major, now)
            everything = of_everything(headers, parsed)
            if together and everything:
                await together.refused(TOGETHER, wait)
            raise RateLimited(wait, narrow=not everything)
        if together:
            await together.succeeded(TOGETHER)
        self._buckets.heard(route.name, major, headers, now)
        if not 200 <= status < 300 or isinstance(parsed, str):  # a page of somebody in between
            raise self._refusal(route, status, parsed)
        if route is ME:
            self.refused = None
        return Answer(parsed, _time(headers))

    @property
    def silent(self) -> bool:
        """Whether calls are answered without a word of what is left (see `Buckets`)."""
        return self._buckets.silent

    def left(self, route: Route, names: Mapping[str, str]) -> Left | None:
        """What is left for such calls, by the headers; None when they said nothing yet."""
        now = asyncio.get_running_loop().time()
        return self._buckets.left(route.name, names.get(route.major, ""), now)

    def _require_token(self, route: Route) -> None:
        """Raises: TokenRefused, when this call would only be refused like one before."""
        if route.bot and self.refused and route is not ME:
            raise self.refused.with_traceback(None)  # else it grows with every call

    def _refusal(self, route: Route, status: int, parsed: object) -> DeliveryError:
        """The error for an answer that is no success; a refused bot token is remembered."""
        error = translate(route.name, status, parsed)
        if not isinstance(error, TokenRefused):
            return error
        if not route.bot:  # the interaction's token is meant
            return Refused(route.name, status, 0)
        self.refused = error
        return error

    async def _send(
        self, route: Route, names: Mapping[str, str], body: object, query: Mapping[str, str] | None
    ) -> tuple[int, Mapping[str, str], Any]:
        """One request: status, headers, JSON (or the text that isn't)."""
        headers = dict(self._headers if route.bot else _NOBODY)
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with (
                asyncio.timeout(self._timeout),
                self._session.request(
                    route.method,
                    self._url + route.path.format_map(names),
                    headers=headers,
                    params=query,
                    data=None if body is None else _json(body),
                    allow_redirects=False,
                    proxy=self._proxy,
                ) as response,
            ):
                return response.status, response.headers, _parsed(await whole(response))
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is one
            told = f"Discord can't be reached for {route.name} ({type(error).__name__})"
            if isinstance(error, TimeoutError):
                told = f"Discord didn't answer {route.name} in time"
            # The error's text may hold the address, and with it the token of an interaction.
            raise self._proxies.trouble(self._url, error) or Unreachable(told) from None


async def _leave(budget: Budget) -> None:
    """Wait until all processes of the bot together have a call left. Raises: RateLimited."""
    clock = asyncio.get_running_loop().time
    until = clock() + WAITING
    while (wait := await budget.take(TOGETHER, Kind.FINAL)) > 0:
        if clock() + wait > until:
            raise Held(wait)
        await asyncio.sleep(wait)


def _json(body: object) -> bytes:
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:  # half of a pair of surrogates, in words of a person; json escapes
        return json.dumps(body).encode()


def _parsed(content: bytes) -> Any:
    if not content:
        return None
    for decode in (msgspec.json.decode, json.loads):  # the second takes half a surrogate pair
        try:
            return decode(content)
        except (ValueError, RecursionError):
            pass
    return content.decode(errors="replace")


def _time(headers: Mapping[str, str]) -> float:
    """When Discord answered; by our clock where it doesn't say."""
    try:
        return parsedate_to_datetime(headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return time.time()
