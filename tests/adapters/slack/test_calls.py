"""Answers that are not what Slack sends, over a raw server: each is a core error, none escapes."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from adapters.slack import calls
from adapters.slack.calls import Api
from core.errors import RateLimited, Unreachable


class Odd:
    """A server that gives one answer to everything, and counts calls and connections."""

    def __init__(self) -> None:
        self.status, self.body, self.type = 200, "{}", "application/json"
        self.headers: dict[str, str] = {}
        self.calls = 0
        self.sent, self.query = "", {"": ""}
        self.connections: set[object] = set()
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.calls += 1
        self.sent, self.query = await request.text(), dict(request.query)
        self.connections.add(request.transport)
        return web.Response(
            status=self.status, text=self.body, content_type=self.type, headers=self.headers
        )


@pytest.fixture
async def odd() -> AsyncIterator[Odd]:
    server = Odd()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api"
    yield server
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (503, "text/plain", "upstream connect error"),
        (200, "text/plain", "ok"),
        (200, "text/html", "<html>Slack is down for maintenance</html>"),
        (502, "text/html", "<html>"),
        (200, "application/json", "{"),
        (200, "application/json", ""),
        (200, "application/json", "[]"),
        (200, "application/json", "[1]"),
        (200, "application/json", "null"),
        (200, "application/json", '{"ok": false}'),
        (500, "application/json", '{"ok": false, "error": "not_in_channel"}'),
        (404, "application/json", "{}"),
        (200, "application/gzip", "{}"),
    ],
)
async def test_odd_answers_are_no_answer(
    odd: Odd, session: aiohttp.ClientSession, status: int, kind: str, body: str
) -> None:
    odd.status, odd.type, odd.body = status, kind, body
    with pytest.raises(Unreachable) as caught:
        await Api("xoxb-secret", odd.url, session).call(calls.POST, channel="C1")
    assert odd.calls == 1
    assert "xoxb-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "headers", "wait"),
    [
        ("application/json", {"Retry-After": "12"}, 12),
        ("text/html", {"Retry-After": "0.5"}, 0.5),
        ("text/plain", {}, 5),
        ("application/json", {"Retry-After": "tomorrow"}, 5),
        ("application/json", {"Retry-After": "-3"}, 0),
    ],
)
async def test_429_in_any_dress(
    odd: Odd, session: aiohttp.ClientSession, kind: str, headers: dict[str, str], wait: float
) -> None:
    odd.status, odd.type, odd.headers = 429, kind, headers
    with pytest.raises(RateLimited) as caught:
        await Api("xoxb-secret", odd.url, session).call(calls.UPDATE)
    assert caught.value.retry_after == wait


async def test_nobody_there(session: aiohttp.ClientSession) -> None:
    with pytest.raises(Unreachable):
        await Api("xoxb-secret", "http://127.0.0.1:9/api/", session).call(calls.AUTH)


async def test_calls_share_a_connection(odd: Odd, session: aiohttp.ClientSession) -> None:
    odd.body = '{"ok": true}'
    api = Api("xoxb-secret", odd.url, session)
    for _ in range(20):
        await api.call(calls.UPDATE, ts="1.2")
    assert (odd.calls, len(odd.connections)) == (20, 1)


async def test_half_a_surrogate_pair_comes_and_goes(
    odd: Odd, session: aiohttp.ClientSession
) -> None:
    odd.body = '{"ok": true, "text": "\\ud83d"}'
    answer = await Api("xoxb-secret", odd.url, session).call(calls.POST, text="\udc4d")
    assert (answer["text"], json.loads(odd.sent)) == ("\ud83d", {"text": "\udc4d"})


async def test_a_truth_in_a_query_is_a_number(odd: Odd, session: aiohttp.ClientSession) -> None:
    odd.body = '{"ok": true}'
    api = Api("xoxb-secret", odd.url, session)
    await api.call(calls.REPLIES, include_all_metadata=True, limit=200, ts="1.2")
    assert odd.query == {"include_all_metadata": "1", "limit": "200", "ts": "1.2"}


async def test_an_answer_that_never_ends_is_none(
    odd: Odd, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.bodies.MOST", 1_000)
    api = Api("xoxb-test", odd.url, session)
    odd.body = json.dumps({"ok": True, "x": "y" * 900})
    assert await api.call(calls.AUTH)
    odd.body = json.dumps({"ok": True, "x": "y" * 1_100})
    with pytest.raises(Unreachable):
        await api.call(calls.AUTH)


async def test_redirects_are_not_followed(odd: Odd, session: aiohttp.ClientSession) -> None:
    odd.status, odd.headers = 307, {"Location": "/elsewhere"}
    with pytest.raises(Unreachable):
        await Api("xoxb-secret", odd.url, session).call(calls.POST)
    assert odd.calls == 1
