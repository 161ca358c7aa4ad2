"""Slack's events over HTTP: POST /slack/events.

Signed with the app's signing secret (docs.slack.dev/authentication/verifying-requests-from-slack).
The signature is checked over the raw bytes before anything is parsed: Bolt parses first.
"""

import asyncio
import hmac
import time
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from slack_bolt.adapter.aiohttp import to_aiohttp_response
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse
from slack_sdk.signature import SignatureVerifier

log = structlog.get_logger()

PATH = "/slack/events"
MAX_BODY = 1024 * 1024
"""Bytes of one request that are read at most. Slack's events are far smaller."""

WITHIN = 10.0
"""Seconds in which a request has to be there. Slack waits for its answer for three."""

OFTEN = 60.0
"""Seconds between two lines about the clock, or about forgeries: anybody can send these."""
REMEMBERED = 6 * 60.0
"""Seconds for which a refusal because of the clock counts as a problem that is there: Slack brings
an event for the last time about six minutes after the first."""

Dispatch = Callable[[AsyncBoltRequest], Awaitable[BoltResponse]]


class HttpEvents:
    """The receiver. What the dispatch answers is what Slack gets: anything but 200 is redelivered.

    missed: told, when events are good again, from when on (epoch seconds, Slack's) they were
    refused because of a wrong clock. now: seconds of a clock that is never stepped.
    Raises: ValueError without a secret.
    """

    def __init__(
        self,
        signing_secret: str,
        dispatch: Dispatch,
        missed: Callable[[float], None] = lambda _since: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._verifier = SignatureVerifier(signing_secret)
        self._dispatch = dispatch
        self._missed = missed
        self._now = now
        self._clock = ""  # what is wrong with it
        self._refused_at = self._told_at = self._forged_told_at = float("-inf")
        self._forged = 0  # requests since that was told
        self._since = float("inf")  # when the first event was signed that the clock cost us

    def routes(self) -> list[web.RouteDef]:
        """To be added to the application that listens."""
        return [web.post(PATH, self._receive)]

    def problem(self) -> str:
        """What makes us refuse Slack's own events; "" for nothing."""
        return self._clock if self._now() < self._refused_at + REMEMBERED else ""

    async def _receive(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(WITHIN):
                body = await _bounded(request)
        except TimeoutError:
            return web.Response(status=408, text="too slow")
        if not self._signed(body, request):
            self._refused(body, request)
            return web.Response(status=401, text="invalid signature")
        if self._clock:
            self._missed(self._since)
            self._clock, self._since = "", float("inf")
        try:
            bolt_request = AsyncBoltRequest(
                body=body.decode(),
                query=request.query_string,
                headers=dict(request.headers),
            )
        except (ValueError, AttributeError):
            return web.Response(status=400, text="not an event")
        return await to_aiohttp_response(await self._dispatch(bolt_request))

    def _signed(self, body: bytes, request: web.Request) -> bool:
        """Whether Slack sent exactly this within the last five minutes."""
        try:
            return self._verifier.is_valid(
                body,
                request.headers.get("X-Slack-Request-Timestamp"),
                request.headers.get("X-Slack-Signature"),
            )
        except (ValueError, TypeError, OverflowError):
            return False  # a timestamp that is no number or no time, bytes that are no text

    def _refused(self, body: bytes, request: web.Request) -> None:
        """Tell the operator: of a forgery, or of a clock that makes a forgery of everything."""
        stamp = request.headers.get("X-Slack-Request-Timestamp", "")
        given = request.headers.get("X-Slack-Signature", "").encode(errors="replace")
        genuine = stamp.isdecimal() and hmac.compare_digest(self._signature(stamp, body), given)
        if not genuine:
            self._forged += 1
            if self._now() >= self._forged_told_at + OFTEN:
                log.warning("slack.bad_signature", peer=request.remote, requests=self._forged)
                self._forged_told_at, self._forged = self._now(), 0
            return
        skew = time.time() - int(stamp)
        self._clock = (
            f"the clock of this machine is {abs(skew):.0f} seconds "
            f"{'ahead of' if skew > 0 else 'behind'} Slack's, so all events are refused: "
            "set it right, and keep it so with NTP"
        )
        self._since = min(self._since, float(stamp))
        self._refused_at = self._now()
        if self._refused_at >= self._told_at + OFTEN:
            self._told_at = self._refused_at
            log.error("slack.clock", problem=self._clock, unless="an old request was sent again")

    def _signature(self, stamp: str, body: bytes) -> bytes:
        """What Slack would have signed with; empty for bytes that it never sends."""
        try:
            made = self._verifier.generate_signature(timestamp=stamp, body=body)
        except ValueError:
            return b""
        return (made or "").encode()


async def _bounded(request: web.Request) -> bytes:
    """The body, at most MAX_BODY. Raises: HTTPRequestEntityTooLarge."""
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MAX_BODY:
            raise web.HTTPRequestEntityTooLarge(max_size=MAX_BODY, actual_size=len(body))
    return bytes(body)
