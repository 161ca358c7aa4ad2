"""The server that listens, or says what to change."""

import socket

import pytest

from bots.server import Health, serve
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
