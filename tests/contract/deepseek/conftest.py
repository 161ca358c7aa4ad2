"""The loops on which the client works, and servers with TLS."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
import trustme
import uvloop

Scenario = Callable[[ssl.SSLContext | None], Awaitable[None]]


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The server's, and a client's that trusts it."""
    authority = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


@pytest.fixture(params=["asyncio", "uvloop", "asyncio, TLS", "uvloop, TLS"])
def play(
    request: pytest.FixtureRequest,
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[Scenario], None]]:
    """Plays a scenario on a loop of this kind; its argument is what its server needs for TLS."""
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", contexts[1])
    factory: Any = uvloop.new_event_loop if "uvloop" in request.param else None
    tls = contexts[0] if "TLS" in request.param else None
    with asyncio.Runner(loop_factory=factory) as runner:

        async def within(scenario: Scenario) -> None:
            await scenario(tls)

        yield lambda scenario: runner.run(within(scenario))
