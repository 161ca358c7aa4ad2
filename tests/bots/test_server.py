"""The server that listens, or says what to change."""

import asyncio
import errno
import gzip
import socket

import aiohttp
import pytest
from aiohttp import web

from bots.server import Health, _unavailable, fetch_health, serve
from core.errors import ConfigurationError


async def refused(host: str, port: int) -> str:
    """What is said of a place where nothing can listen."""
    with pytest.raises(ConfigurationError) as caught:
        async with serve(host, port, [], Health()):
            pass
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    "host",
    [
        "nonexistent.invalid",
        "203.0.113.1",
        "http://localhost",
        "localhost:80",
        "[::1]",
        "a..b",
    ],
)
async def test_a_host_that_is_none_is_not_blamed_on_the_port(host: str) -> None:
    problem = await refused(host, 0)
    assert problem.startswith(f"HTTP_HOST: {host} can't be listened on")
    assert "0.0.0.0" in problem
    assert "HTTP_PORT" not in problem


async def test_a_port_that_is_taken_is_not_blamed_on_the_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        problem = await refused("127.0.0.1", port)
    assert problem.startswith(f"HTTP_PORT: 127.0.0.1:{port} can't be used")
    assert "HTTP_HOST" not in problem


async def test_a_platform_that_comes_while_the_others_are_asked_disturbs_nobody() -> None:
    health = Health()

    async def fine() -> str:
        health.part("later", fine)
        return ""

    health.part("first", fine)
    assert await health.report() == {"first": "ok"}
    assert await health.report() == {"first": "ok", "later": "ok"}


async def test_a_body_is_not_unpacked() -> None:
    packed = gzip.compress(b"\0" * 1_000_000)

    async def size(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async with (
        serve("127.0.0.1", 0, [web.post("/", size)], Health()) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
        session.post("/", data=packed, headers={"Content-Encoding": "gzip"}) as answer,
    ):
        assert await answer.text() == str(len(packed))


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"])
async def test_who_never_asks_is_not_waited_for(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bots.server._IDLE", 0.1)
    async with serve("127.0.0.1", 0, [], Health()) as port, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        assert await reader.read() == b""
        writer.close()


def test_a_port_that_needs_a_right_is_not_said_to_be_taken() -> None:
    problem = _unavailable("127.0.0.1", 80, PermissionError(errno.EACCES, "permission denied"))
    assert problem.startswith("HTTP_PORT: 127.0.0.1:80 can't be used (permission denied)")
    assert "1024" in problem
    assert "stop" not in problem


def _has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no ::1")
ALL_6 = pytest.param("::", marks=needs_ipv6)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0", ALL_6])
async def test_health_asks_this_machine_wherever_the_service_listens(host: str) -> None:
    async with serve(host, 0, [], Health()) as port:
        assert await fetch_health(host, port, within=10.0)
    assert not await fetch_health(host, port, within=10.0)


@pytest.mark.parametrize(
    ("host", "here"), [("0.0.0.0", "127.0.0.1"), pytest.param("::", "::1", marks=needs_ipv6)]
)
async def test_an_address_that_means_all_is_not_asked_by_that_name(host: str, here: str) -> None:
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, here, 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await fetch_health(host, port, within=10.0)
    assert f"Host: {here}\r\n" in asked[0]


async def test_what_is_no_http_writes_nothing_into_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_request: web.Request) -> web.Response:
        raise RuntimeError

    async def asked(port: int, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()
        return answer

    async with serve("127.0.0.1", 0, [web.get("/broken", broken)], Health()) as port:
        for request in (
            b"\x16\x03\x01 secret\r\n\r\n",
            b"GET / HTTP/1.1\r\nCookie: %b" % (b"s" * 9_000),
        ):
            assert b" 400 " in await asked(port, request)
        assert caplog.text == ""
        assert b" 500 " in await asked(port, b"GET /broken HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert "RuntimeError" in caplog.text


async def test_health_readiness_and_metrics() -> None:
    health = Health()
    state = {"problem": ""}

    async def problem() -> str:
        return state["problem"]

    health.part("database", problem)
    async with (
        serve("127.0.0.1", 0, [], health) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        for target in ("/healthz", "/readyz", "/metrics"):
            async with session.get(target) as answer:
                assert answer.status == 200, target
        state["problem"] = "the disk is full"
        async with session.get("/readyz") as answer:
            assert answer.status == 503
            assert (await answer.json())["parts"] == {"database": "the disk is full"}
        async with session.get("/healthz") as answer:
            assert answer.status == 200
