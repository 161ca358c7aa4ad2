"""The API through a proxy: by a tunnel, or where it is plain HTTP by asking the proxy for it."""

import ssl
import traceback
from collections.abc import AsyncIterator

import aiohttp
import pytest

from core.deepseek.client import DeepSeek, Options
from core.errors import CompletionError, Failure
from core.proxies import Proxies
from tests.contract.deepseek.raw import KEY, collect, text
from tests.emulators.deepseek import DeepSeekServer
from tests.emulators.proxy import ProxyServer

PASSWORD = "s3cret-p4ss"


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ProxyServer]:
    """A proxy that wants a user, with the API behind it; its authority is trusted."""
    async with (
        DeepSeekServer(key=KEY) as api,
        ProxyServer({"api.test": api.url}, f"me:{PASSWORD}") as server,
    ):
        trusting = ssl.create_default_context()
        server.authority.configure_trust(trusting)
        monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusting)
        yield server


def client(url: str, proxy: str) -> DeepSeek:
    options = Options(base_url=url, api_key=KEY, connect_timeout=0.5)
    return DeepSeek(options, Proxies(https=proxy, http=proxy))


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_answers_come_through_it_on_one_connection(scheme: str, proxy: ProxyServer) -> None:
    async with client(f"{scheme}://api.test", proxy.url) as deepseek:
        for _ in range(3):
            chunks, error = await collect(deepseek)
            assert error is None
            assert text(chunks) == "Question 1 was: Hello"
    assert proxy.hosts == {"api.test"}
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_refused_user_is_told_and_not_tried_again(scheme: str, proxy: ProxyServer) -> None:
    given, proxy.user = proxy.url, "me:another"
    async with client(f"{scheme}://api.test", given) as deepseek:
        error = await failed(deepseek)
    assert (error.failure, error.status) == (Failure.CREDENTIALS, 407)
    assert "HTTPS_PROXY" in error.message


async def test_what_the_proxy_refuses_is_an_outage(proxy: ProxyServer) -> None:
    proxy.refusing = 403
    async with client("https://api.test", proxy.url) as deepseek:
        error = await failed(deepseek)
    assert error.failure is Failure.TRANSPORT
    assert "(HTTPS_PROXY) refuses the way to api.test (403)" in error.message


@pytest.mark.parametrize("name", ["nowhere.invalid:3128", "127.0.0.1:9"])
@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_proxy_that_is_not_there_is_named(scheme: str, name: str) -> None:
    async with client(f"{scheme}://api.test", f"http://me:{PASSWORD}@{name}") as deepseek:
        error = await failed(deepseek)
    assert error.failure is Failure.TRANSPORT
    assert f"the proxy {name} ({scheme.upper()}_PROXY) can't be reached" in error.message


async def test_a_proxy_that_says_nothing_is_named(proxy: ProxyServer) -> None:
    proxy.mute = True
    async with client("https://api.test", proxy.url) as deepseek:
        error = await failed(deepseek)
    assert error.failure is Failure.TRANSPORT
    assert f"through the proxy {proxy.place} (HTTPS_PROXY) in time" in error.message


async def test_who_is_not_the_api_gets_no_key(proxy: ProxyServer) -> None:
    trusted = aiohttp.connector._SSL_CONTEXT_VERIFIED
    aiohttp.connector._SSL_CONTEXT_VERIFIED = ssl.create_default_context()
    try:
        async with client("https://api.test", proxy.url) as deepseek:
            error = await failed(deepseek)
    finally:
        aiohttp.connector._SSL_CONTEXT_VERIFIED = trusted
    assert error.failure is Failure.TRANSPORT
    assert "not trusted (unable to get local issuer certificate)" in error.message
    assert "SSL_CERT_FILE" in error.message
    assert proxy.tunnels == 1


async def failed(deepseek: DeepSeek) -> CompletionError:
    """How an attempt fails; the proxy's password is nowhere in it."""
    _, error = await collect(deepseek)
    assert error is not None
    shown = "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))
    assert PASSWORD not in shown
    assert KEY not in shown
    return error
