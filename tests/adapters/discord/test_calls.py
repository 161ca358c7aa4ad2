"""The one way to call Discord, over a raw server: what is sent, and what becomes of any answer."""

import asyncio
import json
import traceback
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from adapters.discord import calls
from adapters.discord.calls import Api, Route
from adapters.discord.limits import BANNED, GLOBAL, ROUNDED, TOGETHER
from adapters.discord.refusals import TOKEN_ADVICE, Refused
from adapters.discord.waiting import WAITING
from core.delivery.sharing import OwnBudget
from core.errors import DeliveryError, LockedOut, PartGone, RateLimited, TooLarge, Unreachable
from core.types import NOTHING, Allowance, Kind, Unseen

BOT_TOKEN, HOOK_TOKEN = "MTk4.bot.secret", "aW50ZXJhY3Rpb24.secret"
NAMES = {
    "application": "701",
    "channel": "20",
    "message": "55",
    "interaction": "60",
    "token": HOOK_TOKEN,
    "emoji": WAITING,
}
DATE = "Sun, 12 Oct 2025 15:08:29 GMT"
TABLE = [route for route in vars(calls).values() if isinstance(route, Route)]


class Raw:
    """A server that gives one answer to everything, and records what arrives.

    cut: the connection ends instead of an answer. gate: waited for before each answer.
    """

    def __init__(self) -> None:
        self.status, self.body, self.kind = 200, "{}", "application/json"
        self.headers: dict[str, str] = {}
        self.cut = False
        self.gate: asyncio.Event | None = None
        self.requests: list[tuple[str, str, Any, dict[str, str]]] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(
            (request.method, request.path_qs, await request.text(), dict(request.headers))
        )
        if self.gate:
            await self.gate.wait()
        if self.cut:
            assert request.transport
            request.transport.abort()
        return web.Response(
            status=self.status,
            text=None if self.status == 204 else self.body,
            content_type=self.kind,
            headers=self.headers,
        )


@pytest.fixture
async def raw() -> AsyncIterator[Raw]:
    server = Raw()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api/v10"
    yield server
    await runner.cleanup()


@pytest.fixture
async def api(raw: Raw) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as session:
        yield Api(BOT_TOKEN, raw.url, session, timeout=0.3)


async def failed(api: Api, route: Route = calls.POST) -> DeliveryError:
    """The error of a call, which gives no token away, however much of it is printed."""
    with pytest.raises(DeliveryError) as caught:
        await api.call(route, NAMES, {"content": "hi"})
    shown = "".join(traceback.format_exception(caught.value, chain=True)) + repr(caught.value)
    assert BOT_TOKEN not in shown
    assert HOOK_TOKEN not in shown
    return caught.value


async def test_what_is_sent(raw: Raw, api: Api) -> None:
    raw.body, raw.headers = '{"id": "56"}', {"Date": DATE}
    answer = await api.call(calls.POST, NAMES, {"content": "Grüße"})
    assert answer == calls.Answer({"id": "56"}, 1_760_281_709.0)
    ((method, path, body, headers),) = raw.requests
    assert (method, path) == ("POST", "/api/v10/channels/20/messages")
    assert json.loads(body) == {"content": "Grüße"}
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == f"Bot {BOT_TOKEN}"
    assert headers["User-Agent"] == calls.AGENT
    assert calls.AGENT.startswith("DiscordBot (https://")


async def test_a_question_has_no_body(raw: Raw, api: Api) -> None:
    await api.call(calls.READ, NAMES, None, {"after": "7", "limit": "100"})
    ((method, path, body, headers),) = raw.requests
    assert (method, path) == ("GET", "/api/v10/channels/20/messages?after=7&limit=100")
    assert body == ""
    assert "Content-Type" not in headers


@pytest.mark.parametrize("route", TABLE, ids=lambda route: str(route.name))
async def test_every_route_is_filled(raw: Raw, api: Api, route: Route) -> None:
    """A call with an interaction's token must not carry the bot's."""
    await api.call(route, NAMES)
    ((method, path, _, headers),) = raw.requests
    assert method == route.method
    assert "{" not in path
    assert "%7B" not in path
    assert ("Authorization" in headers) == route.bot == (HOOK_TOKEN not in path)
    assert route.major in ("", "channel" if route.bot else "token")


async def test_204_is_an_answer_without_a_body(raw: Raw, api: Api) -> None:
    raw.status = 204
    assert (await api.call(calls.TYPING, NAMES)).body is None


@pytest.mark.parametrize("date", ["yesterday", "", "Sun, 99 Oct 2025 15:08:29 GMT"])
async def test_a_date_that_is_none_is_ours(raw: Raw, api: Api, date: str) -> None:
    raw.headers = {"Date": date}
    assert (await api.call(calls.CHANNEL, NAMES)).time > 1_760_281_709.0


@pytest.mark.parametrize(
    ("status", "kind", "body"),
    [
        (200, "text/html", "<html>Log in to the hotel's network</html>"),
        (200, "application/json", "{"),
        (200, "application/json", '"{}"'),
        (500, "application/json", '{"code": 0, "message": "500: Internal Server Error"}'),
        (502, "text/html", "<html>cloudflare</html>"),
        (503, "text/plain", "upstream connect error"),
        (504, "text/html", ""),
        (408, "text/html", ""),
        (200, "application/gzip", "?"),
    ],
)
async def test_odd_answers_are_no_answer(
    raw: Raw, api: Api, status: int, kind: str, body: str
) -> None:
    raw.status, raw.kind, raw.body = status, kind, body
    assert isinstance(await failed(api), Unreachable)
    assert len(raw.requests) == 1


async def test_a_body_that_is_not_what_its_header_says(raw: Raw, api: Api) -> None:
    raw.headers = {"Content-Encoding": "gzip"}
    assert isinstance(await failed(api), Unreachable)


async def test_deep_json_is_no_answer(raw: Raw, api: Api) -> None:
    raw.body = "[" * 200_000
    assert isinstance(await failed(api), Unreachable)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(raw: Raw, api: Api, status: int) -> None:
    """They would carry the token somewhere else, or make a GET of a POST."""
    raw.status, raw.headers = status, {"Location": f"{raw.url}/elsewhere"}
    assert isinstance(await failed(api), Unreachable)
    assert len(raw.requests) == 1


@pytest.mark.parametrize("route", [calls.POST, calls.EDIT_ORIGINAL, calls.RESPOND])
async def test_an_answer_that_does_not_come(raw: Raw, api: Api, route: Route) -> None:
    raw.gate = asyncio.Event()
    began = asyncio.get_running_loop().time()
    error = await failed(api, route)
    raw.gate.set()
    assert isinstance(error, Unreachable)
    assert "in time" in str(error)
    assert 0.25 < asyncio.get_running_loop().time() - began < 5.0


@pytest.mark.parametrize("route", [calls.POST, calls.EDIT_ORIGINAL, calls.RESPOND])
async def test_a_connection_that_is_cut(raw: Raw, api: Api, route: Route) -> None:
    raw.cut = True
    assert isinstance(await failed(api, route), Unreachable)


@pytest.mark.parametrize("route", [calls.POST, calls.EDIT_FOLLOW_UP, calls.RESPOND])
async def test_nobody_there(route: Route) -> None:
    async with aiohttp.ClientSession() as session:
        error = await failed(Api(BOT_TOKEN, "http://127.0.0.1:9/api", session), route)
    assert isinstance(error, Unreachable)


@pytest.mark.parametrize("route", [calls.POST, calls.EDIT_FOLLOW_UP, calls.RESPOND])
async def test_a_server_of_another_kind(route: Route) -> None:
    """aiohttp's error for it holds the whole address, with the token of an interaction."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api"
    async with server, aiohttp.ClientSession() as session:
        error = await failed(Api(BOT_TOKEN, url, session), route)
    assert isinstance(error, Unreachable)
    assert route.name in str(error)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, {"code": 10008, "message": "Unknown Message"}, PartGone),
        (403, {"code": 50013, "message": "Missing Permissions"}, Refused),
        (404, {"code": 10015, "message": "Unknown Webhook"}, Refused),
        (400, {"code": 50083, "message": "Thread is archived"}, Refused),
        (
            400,
            {"code": 50035, "errors": {"content": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH"}]}}},
            TooLarge,
        ),
    ],
)
@pytest.mark.parametrize("route", [calls.EDIT, calls.EDIT_FOLLOW_UP])
async def test_refusals_are_core_errors(
    raw: Raw, api: Api, route: Route, status: int, body: object, kind: type[DeliveryError]
) -> None:
    raw.status, raw.body = status, json.dumps(body)
    assert type(await failed(api, route)) is kind


async def test_after_401_nothing_is_called_with_the_bot_token(raw: Raw, api: Api) -> None:
    raw.status, raw.body = 401, '{"message": "401: Unauthorized", "code": 0}'
    first = await failed(api)
    assert isinstance(first, LockedOut)
    assert TOKEN_ADVICE in str(first)
    raw.status = 200
    for _ in range(20):
        for route in (calls.POST, calls.EDIT, calls.READ, calls.COMMANDS):
            assert str(await failed(api, route)) == str(first)
    assert len(raw.requests) == 1
    await api.call(calls.EDIT_ORIGINAL, NAMES)
    await api.call(calls.RESPOND, NAMES)
    assert len(raw.requests) == 3


async def test_asked_whether_the_token_is_taken_again_calls_go_on(raw: Raw, api: Api) -> None:
    raw.status = 401
    first = await failed(api)
    assert await failed(api, calls.ME) is not first, "it was asked"
    raw.status = 200
    assert isinstance(await failed(api), LockedOut)
    await api.call(calls.ME, NAMES)
    await api.call(calls.POST, NAMES)
    assert len(raw.requests) == 4


async def test_the_refusal_that_is_repeated_does_not_grow(raw: Raw, api: Api) -> None:
    raw.status = 401
    first = await failed(api)
    again = [len(traceback.extract_tb((await failed(api)).__traceback__)) for _ in range(5)]
    assert len(set(again)) == 1
    assert isinstance(first, LockedOut)


async def test_401_for_an_interaction_is_about_the_interaction(raw: Raw, api: Api) -> None:
    raw.status, raw.body = 401, '{"message": "Invalid Webhook Token", "code": 50027}'
    for _ in range(2):
        assert "is over" in str(await failed(api, calls.EDIT_ORIGINAL))
    raw.status, raw.body = 200, "{}"
    await api.call(calls.POST, NAMES)
    assert len(raw.requests) == 3


async def test_a_known_wait_is_told_and_not_called(raw: Raw, api: Api) -> None:
    raw.headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "30"}
    await api.call(calls.EDIT, NAMES)
    error = await failed(api, calls.EDIT)
    assert isinstance(error, RateLimited)
    assert 25 < error.retry_after <= 30 + ROUNDED
    await api.call(calls.EDIT, {**NAMES, "channel": "21"})
    await api.call(calls.TYPING, NAMES)
    assert len(raw.requests) == 3


async def test_every_interaction_has_its_own_budget(raw: Raw, api: Api) -> None:
    raw.headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "30"}
    await api.call(calls.EDIT_ORIGINAL, NAMES)
    await api.call(calls.EDIT_ORIGINAL, {**NAMES, "token": "another"})
    assert isinstance(await failed(api, calls.EDIT_ORIGINAL), RateLimited)
    assert len(raw.requests) == 2


async def test_headers_of_refusals_count_too(raw: Raw, api: Api) -> None:
    raw.status, raw.body = 404, '{"code": 10008}'
    raw.headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "30"}
    assert isinstance(await failed(api, calls.EDIT), PartGone)
    assert isinstance(await failed(api, calls.EDIT), RateLimited)


@pytest.mark.parametrize(
    ("headers", "body", "wait", "elsewhere"),
    [
        ({"Via": "1.1 google"}, '{"retry_after": 0.75, "global": false}', 0.75, False),
        ({"Via": "1.1 google"}, '{"retry_after": 1.5, "global": true}', 1.5, True),
        ({"Via": "1.1 google", "Retry-After": "12"}, "{", 12.0, True),
        ({}, "error code: 1015", BANNED, True),
    ],
)
async def test_429_in_any_dress(
    raw: Raw, api: Api, headers: dict[str, str], body: str, wait: float, elsewhere: bool
) -> None:
    raw.status, raw.headers, raw.body = 429, headers, body
    error = await failed(api, calls.EDIT)
    assert isinstance(error, RateLimited)
    assert (error.retry_after, error.narrow) == (wait, '"global": true' not in body)
    raw.status, raw.headers, raw.body = 200, {}, "{}"
    assert isinstance(await failed(api, calls.EDIT), RateLimited)
    if elsewhere:
        assert isinstance(await failed(api, calls.CHANNEL), RateLimited)
    else:
        await api.call(calls.CHANNEL, NAMES)
    assert len(raw.requests) == 2 - elsewhere


async def test_the_shared_limit_is_kept_at_once_too(raw: Raw, api: Api) -> None:
    tasks = [api.call(calls.READ, {"channel": str(n)}) for n in range(GLOBAL + 15)]
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert all(isinstance(error, RateLimited) for error in refused)
    assert (len(refused), len(raw.requests)) == (15, GLOBAL)
    await api.call(calls.EDIT_ORIGINAL, NAMES)


async def test_two_processes_of_one_bot_stay_within_its_limit(raw: Raw) -> None:
    loop = asyncio.get_running_loop()
    budget, began = OwnBudget(loop.time), loop.time()
    assert TOGETHER.burst + TOGETHER.rate <= GLOBAL
    async with aiohttp.ClientSession() as session:
        both = [Api(BOT_TOKEN, raw.url, session, budget=budget) for _ in range(2)]
        reads = [api.call(calls.READ, {"channel": str(n)}) for n in range(30) for api in both]
        outcomes = await asyncio.gather(*reads, return_exceptions=True)
        took = loop.time() - began
        refused = [outcome for outcome in outcomes if isinstance(outcome, RateLimited)]
        assert len(raw.requests) == 60 - len(refused)
        assert TOGETHER.burst < len(raw.requests) <= TOGETHER.burst + TOGETHER.rate * took
        await both[0].call(calls.EDIT_ORIGINAL, NAMES)  # has a limit of its own


@pytest.mark.parametrize("everything", [True, False])
async def test_a_refusal_of_everything_is_one_for_all_processes(raw: Raw, everything: bool) -> None:
    budget = OwnBudget(asyncio.get_running_loop().time)
    async with aiohttp.ClientSession() as session:
        one, other = (Api(BOT_TOKEN, raw.url, session, budget=budget) for _ in range(2))
        raw.status, raw.headers = 429, {"Via": "1.1 google"}
        raw.body = json.dumps({"retry_after": 30.0, "global": everything})
        assert isinstance(await failed(one), RateLimited)
        raw.status, raw.body = 200, "{}"
        if everything:
            assert isinstance(await failed(other), RateLimited)
        else:
            await other.call(calls.POST, NAMES)
    assert len(raw.requests) == (1 if everything else 2)


class Counted(OwnBudget):
    """A budget that grants everything, and counts what it is told."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.taken = self.gone_through = 0

    async def take(self, allowance: Allowance, kind: Kind, unseen: Unseen = NOTHING) -> float:
        self.taken += 1
        return 0.0

    async def refused(self, allowance: Allowance, retry_after: float) -> None:
        raise AssertionError("nothing is refused here")

    async def succeeded(self, allowance: Allowance) -> None:
        self.gone_through += 1


async def test_the_limit_hears_of_each_call_with_the_bot_token(raw: Raw) -> None:
    budget = Counted()
    async with aiohttp.ClientSession() as session:
        api = Api(BOT_TOKEN, raw.url, session, budget=budget)
        for route in (calls.READ, calls.POST, calls.EDIT_ORIGINAL):
            await api.call(route, NAMES)
    assert (budget.taken, budget.gone_through) == (2, 2)
