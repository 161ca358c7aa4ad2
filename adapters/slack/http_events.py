"""Slack's events over HTTP: POST /slack/events.

Signed with the app's signing secret (docs.slack.dev/authentication/verifying-requests-from-slack).
The signature is checked over the raw bytes before anything is parsed: Bolt parses first.
"""

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

Dispatch = Callable[[AsyncBoltRequest], Awaitable[BoltResponse]]


class HttpEvents:
    """The receiver. What the dispatch answers is what Slack gets: anything but 200 is redelivered.

    Raises: ValueError without a secret.
    """

    def __init__(self, signing_secret: str, dispatch: Dispatch) -> None:
        self._verifier = SignatureVerifier(signing_secret)
        self._dispatch = dispatch

    def routes(self) -> list[web.RouteDef]:
        """To be added to the application that listens."""
        return [web.post(PATH, self._receive)]

    async def _receive(self, request: web.Request) -> web.Response:
        body = await _bounded(request)
        if not self._signed(body, request):
            log.warning("slack.bad_signature", peer=request.remote)
            return web.Response(status=401, text="invalid signature")
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
        except (ValueError, TypeError):  # a timestamp that is no number, bytes that are no text
            return False


async def _bounded(request: web.Request) -> bytes:
    """The body, at most MAX_BODY. Raises: HTTPRequestEntityTooLarge."""
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MAX_BODY:
            raise web.HTTPRequestEntityTooLarge(max_size=MAX_BODY, actual_size=len(body))
    return bytes(body)
