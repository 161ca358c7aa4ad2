"""The calls made to Slack's Web API: the table of them, and the one way to make them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.quiet import quiet_logger
from adapters.slack.refusals import CALL_ERRORS, Garbled, TokenRefused, translate

TIMEOUT = 10.0
"""Seconds for one call, connecting included. With a shared session the SDK's own timeout is not
applied (slack_sdk 3.47 web/async_internal_utils.py), so every call gets it here."""


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


class Api:
    """Calls with the bot token over one shared session, without any retry by a library.

    timeout: seconds for one call. refused: the bot token is; no call is made with it any more,
    but for the question whether it is taken again. off: methods that this workspace does not have.
    streamless: channels in which Slack refuses native streams. Both are kept for the life of the
    process.
    """

    def __init__(
        self, token: str, url: str, session: aiohttp.ClientSession, timeout: float = TIMEOUT
    ) -> None:
        self._timeout = timeout
        # No retry handlers: the default one sends a chat.postMessage again after a cut
        # connection, though the first may have landed (slack_sdk 3.47 http_retry).
        self._client = AsyncWebClient(
            token=token, base_url=url, session=session, logger=quiet_logger(), retry_handlers=[]
        )
        self.refused: TokenRefused | None = None
        self.off: set[Method] = set()
        self.streamless: set[str] = set()

    async def call(self, method: Method, **args: Any) -> dict[str, Any]:
        """The answer's body. A `token` among the arguments replaces the bot's.

        Raises: DeliveryError.
        """
        ours = "token" not in args
        if ours and self.refused and method is not AUTH:
            raise self.refused.with_traceback(None)  # else it grows with every call
        verb, body = ("GET", "params") if method.reads else ("POST", "json")
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.api_call(method.name, http_verb=verb, **{body: args})
        except CALL_ERRORS as error:
            told = translate(method.name, error)
            if ours and isinstance(told, TokenRefused):
                self.refused = told
            raise told from error
        if not isinstance(response.data, dict):
            raise Garbled(f"Slack's answer to {method.name} is not JSON")
        if method is AUTH:
            self.refused = None
        return response.data
