"""Events over HTTP: signed requests to the app's address, and forged ones for security tests.

Signature: `v0=` and the hex HMAC-SHA256, keyed by the signing secret, of `v0:timestamp:body`
(Slack's "verifying requests" page).
"""

import asyncio
import hashlib
import hmac
import json
import time
import uuid
from typing import Any, Literal

import aiohttp

from tests.emulators.slack_app import App
from tests.emulators.slack_delivery import Delivery

Json = dict[str, Any]
Forgery = Literal["unsigned", "wrong secret", "old", "future", "tampered", "no timestamp"]


class HttpEvents:
    """The app's request address. timeout: seconds an answer may take.

    behind: addresses behind a balancer, which stand for the request address: each request goes to
    the next one that takes connections.
    """

    def __init__(self, app: App, timeout: float) -> None:
        self.url = ""
        self.behind: list[str] = []
        self._app, self._timeout = app, timeout
        self._session: aiohttp.ClientSession | None = None

    def signed(self, body: bytes, secret: str = "", age: float = 0.0) -> dict[str, str]:
        """Headers for a body. secret: the app's own when empty. age: seconds in the past."""
        stamp = str(int(time.time() - age))
        key = (secret or self._app.signing_secret).encode()
        digest = hmac.new(key, b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
        return {
            "Content-Type": "application/json",
            "User-Agent": "Slackbot 1.0 (+https://api.slack.com/robots)",
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={digest}",
        }

    async def post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str, dict[str, str]]:
        """One request as it is: status, body, headers. Raises ClientError, TimeoutError."""
        for address in list(self.behind):
            self.behind.append(self.behind.pop(self.behind.index(address)))
            try:
                return await self._posted(address, body, headers)
            except aiohttp.ClientConnectorError:
                continue
        return await self._posted(self.url, body, headers)

    async def _posted(
        self, address: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, str, dict[str, str]]:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        limit = aiohttp.ClientTimeout(total=self._timeout)
        async with self._session.post(
            address, data=body, headers=headers, timeout=limit, allow_redirects=False
        ) as answer:
            found = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, await answer.text(), found

    async def attempt(self, delivery: Delivery, reason: str) -> None:
        """Post the payload; any 2xx in time is an acknowledgement."""
        body = json.dumps(delivery.payload, separators=(",", ":")).encode()
        headers = self.signed(body)
        if delivery.attempt:
            headers["X-Slack-Retry-Num"] = str(delivery.attempt)
            headers["X-Slack-Retry-Reason"] = reason
        try:
            delivery.status, _, answered = await self.post(body, headers)
        except TimeoutError:
            delivery.failure = "http_timeout"
        except (aiohttp.ClientError, ConnectionError):
            delivery.failure = "connection_failed"
        else:
            if 200 <= delivery.status < 300:
                delivery.acked_at = time.time()
            else:
                delivery.failure = "http_error"
                delivery.no_retry = answered.get("x-slack-no-retry") == "1"

    async def verify(self, url: str) -> bool:
        """Save the request address: whether it answered the challenge, as Slack demands."""
        self.url = url
        challenge = uuid.uuid4().hex
        body = {"token": "verification-token-of-old", "type": "url_verification"}
        data = json.dumps(body | {"challenge": challenge}).encode()
        try:
            status, text, _ = await self.post(data, self.signed(data))
        except (TimeoutError, aiohttp.ClientError, asyncio.IncompleteReadError):
            return False
        return status == 200 and challenge in text

    async def forge(self, payload: Json, how: Forgery) -> int:
        """Send a payload that the app must refuse; returns the HTTP status."""
        body = json.dumps(payload).encode()
        headers = self.signed(body)
        if how == "wrong secret":
            headers = self.signed(body, secret="somebody-else")
        elif how == "old":
            headers = self.signed(body, age=301)
        elif how == "future":
            headers = self.signed(body, age=-301)
        elif how == "tampered":
            body = body.replace(b'"event_callback"', b'"event_callback" ')
        elif how == "unsigned":
            del headers["X-Slack-Signature"]
        else:
            del headers["X-Slack-Request-Timestamp"]
        return (await self.post(body, headers))[0]

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
