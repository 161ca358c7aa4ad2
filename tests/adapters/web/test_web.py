"""The page's way in and out, over a real socket."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from adapters.web.app import WebPlatform
from adapters.web.rooms import LIMITS, Rooms
from bots.server import Health, serve
from core.delivery.reply import Reply
from core.errors import StoreBusy
from core.ports import Exchange
from core.types import Outcome, Prompt, ThreadKey, Verdict
from tests.fakes.exchanges import FixedExchanges

JSON = {"Content-Type": "application/json"}


class Desk:
    """What stands behind the page: keeps the prompts it is given."""

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []
        self.error: Exception | None = None

    async def accept(self, prompt: Prompt) -> bool:
        if self.error:
            raise self.error
        known = {other.identity for other in self.prompts}
        self.prompts.append(prompt)
        return prompt.identity not in known


@asynccontextmanager
async def page(
    accept: Callable[[Prompt], Awaitable[bool]],
    key: str = "",
    stored: FixedExchanges | None = None,
    *,
    of_json: bool = False,
    stopped: frozenset[str] = frozenset(),
) -> AsyncIterator[tuple[WebPlatform, str, aiohttp.ClientSession]]:
    about = {"text": "Answers come from </script> somewhere.", "offline": True}
    web = WebPlatform(
        accept, stopped.__contains__, stored or FixedExchanges(), json=of_json, about=about, key=key
    )
    async with (
        serve("127.0.0.1", 0, web.routes(), Health()) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield web, f"127.0.0.1:{port}", session


async def ask(session: aiohttp.ClientSession, body: Any, name: str = "t1", **headers: str) -> int:
    data = body if isinstance(body, str) else json.dumps(body)
    async with session.post(
        f"/api/threads/{name}", data=data, headers={**JSON, **headers}
    ) as answer:
        return answer.status


async def events(response: aiohttp.ClientResponse, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(5):
        while len(found) < count:
            line = await response.content.readline()
            if line.startswith(b"data: "):
                found.append(json.loads(line[6:]))
    return found


async def test_the_page_is_served_and_can_not_be_broken_out_of() -> None:
    async with page(Desk().accept) as (_, _, session), session.get("/") as answer:
        text = await answer.text()
        assert answer.status == 200
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "\\u003c/script>" in text
        assert "{{about}}" not in text


async def test_a_prompt_is_accepted_once() -> None:
    desk = Desk()
    async with page(desk.accept) as (_, _, session):
        assert await ask(session, {"id": "a1", "text": "hello"}) == 202
        assert await ask(session, {"id": "a1", "text": "hello"}) == 202
    first, again = desk.prompts
    assert first.identity == again.identity == "web:t1:a1"
    assert (first.platform, first.thread, first.text, first.author) == (
        "web",
        "web:t1",
        "hello",
        "",
    )
    assert first.sequence < again.sequence


@pytest.mark.parametrize(
    "body",
    ["", "[]", "{", {"text": "x"}, {"id": "a"}, {"id": "a b", "text": "x"}, {"id": "a", "text": 1}],
)
async def test_bad_input_gets_a_clear_error(body: Any) -> None:
    desk = Desk()
    async with page(desk.accept) as (_, _, session):
        assert await ask(session, body) == 400
        assert await ask(session, {"id": "a", "text": "x" * 400_001}) == 413
        assert await ask(session, {"id": "a", "text": "x"}, name="a.b") == 400
    assert not desk.prompts


@pytest.mark.parametrize(
    ("data", "headers"),
    [
        ("{}", {"Host": "["}),
        ("{}", {"Origin": "http://[x"}),
        ("[" * 200_000, {}),
        ("{}", {"Content-Type": "application/json; charset=nope"}),
        ("{}", {"Content-Encoding": "gzip"}),
    ],
)
async def test_what_can_not_be_read_is_told_to_who_sent_it_and_is_no_error_of_ours(
    data: str, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    async with (
        page(desk.accept) as (_, _, session),
        session.post("/api/threads/t1", data=data, headers={**JSON, **headers}) as answer,
    ):
        assert answer.status == 400
        assert (await answer.json())["error"]
    assert "Error handling request" not in caplog.text
    assert not desk.prompts


async def test_a_body_that_is_too_large_is_told_as_what_the_page_can_show() -> None:
    body = io.BytesIO(json.dumps({"id": "a", "text": "x" * 2**21}).encode())
    async with (
        page(Desk().accept) as (_, _, session),
        session.post("/api/threads/t1", data=body, headers=JSON) as answer,
    ):
        assert answer.status == 413
        assert "at most 400,000" in (await answer.json())["error"]


async def test_a_body_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.web.app._WITHIN", 0.1)

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(5)

    async with (
        page(Desk().accept) as (_, _, session),
        session.post("/api/threads/t1", data=endless(), headers=JSON) as answer,
    ):
        assert answer.status == 408
        assert "slow" in (await answer.json())["error"]


async def test_who_asks_is_not_told_where_the_database_is() -> None:
    desk = Desk()
    desk.error = StoreBusy("The database /srv/chat/threadseek.db is locked")
    async with (
        page(desk.accept) as (_, _, session),
        session.post("/api/threads/t1", json={"id": "a", "text": "x"}) as answer,
    ):
        assert answer.status == 503
        said = await answer.text()
    assert "try again" in said
    assert "threadseek.db" not in said


async def test_who_watches_is_told_the_same_and_can_try_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stored = FixedExchanges(web_t1=[Exchange("web:t1:a", "old", "reply")])
    stored.error = StoreBusy("The database /srv/chat/threadseek.db is locked")
    async with page(Desk().accept, stored=stored) as (_, _, session):
        async with session.get("/api/threads/t1") as answer:
            assert answer.status == 503
            said = (await answer.json())["error"]
        assert "threadseek.db" not in said
        assert "Error handling request" not in caplog.text
        stored.error = None
        assert [event["text"] for event in await shown(session, 2)] == ["old", "reply"]


async def test_other_sites_and_other_hosts_are_refused() -> None:
    desk = Desk()
    good = {"id": "a", "text": "x"}
    async with page(desk.accept) as (_, address, session):
        assert await ask(session, good, Host="evil.example") == 403
        assert await ask(session, good, Origin="https://evil.example") == 403
        assert await ask(session, good, **{"Content-Type": "text/plain"}) == 400
        async with session.get("/api/threads/t1", headers={"Host": "evil.example:80"}) as answer:
            assert answer.status == 403
        assert not desk.prompts
        assert await ask(session, good, Origin=f"http://{address}") == 202
        assert await ask(session, good, Host=f"localhost:{address.split(':')[1]}") == 202


async def test_beyond_this_machine_a_key_is_needed() -> None:
    async with page(Desk().accept, key="k3y") as (web, _, session):
        for target, status in (("/", 403), ("/?key=wrong", 403), ("/?key=k3y", 200)):
            async with session.get(target, headers={"Host": "bot.example"}) as answer:
                assert answer.status == status
        assert await ask(session, {"id": "a", "text": "x"}) == 403
        assert await ask(session, {"id": "a", "text": "x"}, **{"X-Key": "k3y"}) == 202
        assert web.address("0.0.0.0", 80) == "http://localhost:80/?key=k3y"


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "localhost"),
        ("::1", "[::1]"),
        ("::", "[::1]"),
        ("2001:db8::7", "[2001:db8::7]"),
        ("bot.example", "bot.example"),
    ],
)
async def test_the_address_is_one_that_a_browser_can_open(host: str, shown: str) -> None:
    """`localhost` may be 127.0.0.1 alone, where nothing listens then."""
    async with page(Desk().accept) as (web, _, _):
        assert web.address(host, 8080) == f"http://{shown}:8080/"


async def test_watchers_see_what_is_stored_then_each_newer_state() -> None:
    desk = Desk()
    stored = FixedExchanges(web_t1=[Exchange("web:t1:z", "old", "reply")])
    async with page(desk.accept, stored=stored) as (web, _, session):
        async with session.get("/api/threads/t1") as stream:
            assert [event["text"] for event in await events(stream, 2)] == ["old", "reply"]
            await ask(session, {"id": "a", "text": "new"})
            thread = web.open(desk.prompts[0])
            await thread.status("is thinking…")
            part = await thread.post("Hel", "key:0")
            await thread.edit(part, "Hello")
            seen = await events(stream, 3)
            assert [event["who"] for event in seen][:2] == ["user", "status"]
            last = seen[-1] if seen[-1]["text"] == "Hello" else (await events(stream, 1))[0]
            assert (last["who"], last["text"]) == ("assistant", "Hello")
            await thread.concluded(Outcome(verdict=Verdict.COMPLETE))
            over = (await events(stream, 1))[0]
            assert (over["who"], over["text"], over["of"]) == ("status", "", "")
        async with session.get("/api/threads/t1") as stream:
            assert [event["text"] for event in await events(stream, 4)] == [
                "old",
                "reply",
                "new",
                "Hello",
            ]
        async with session.get("/api/threads/t2") as stream:
            await ask(session, {"id": "b", "text": "other"}, name="t2")
            assert [event["text"] for event in await events(stream, 1)] == ["other"]


async def shown(session: aiohttp.ClientSession, count: int) -> list[dict[str, Any]]:
    """What a page shows that is opened now."""
    async with session.get("/api/threads/t1") as stream:
        return await events(stream, count)


async def test_a_room_made_anew_is_the_room_that_was_there() -> None:
    """The ids, too: a page that stayed open while the service restarted shows nothing twice."""
    long = "word " * 25_000
    outcomes = {"a": ("Half", "_It broke off._"), "b": ("", "It failed."), "c": (long, "_Over._")}
    desk = Desk()
    async with page(desk.accept) as (web, _, session):
        for mark, (text, notice) in outcomes.items():
            await ask(session, {"id": mark, "text": f"ask {mark}"})
            thread, reply = web.open(desk.prompts[-1]), Reply(LIMITS)
            reply.add(text)
            reply.finish(notice)
            while delivery := reply.due(0.0):
                key = f"{desk.prompts[-1].identity}:{delivery.index}"
                reply.delivered(delivery, await thread.post(delivery.text, key), 0.0)
        live = await shown(session, 7)
    exchanges = [Exchange(f"web:t1:{mark}", f"ask {mark}", *of) for mark, of in outcomes.items()]
    async with page(desk.accept, stored=FixedExchanges(web_t1=exchanges)) as (_, _, session):
        assert await shown(session, 7) == live


async def test_what_was_said_before_anybody_looked_is_newer_than_what_is_stored() -> None:
    desk = Desk()
    async with page(desk.accept) as (_, _, session):
        await ask(session, {"id": "b", "text": "second"})
    exchanges = [Exchange("web:t1:a", "first", "one"), Exchange("web:t1:b", "second")]
    stored = FixedExchanges(web_t1=exchanges)
    async with page(desk.accept, stored=stored) as (web, _, session):
        await web.open(desk.prompts[0]).post("two", "web:t1:b:0")
        texts = [event["text"] for event in await shown(session, 4)]
        assert texts == ["first", "one", "second", "two"]
        await shown(session, 4)
        assert stored.reads == ["web:t1"], "once for all who look"


async def test_what_was_erased_is_shown_no_more_to_who_comes_later() -> None:
    """Who looks on has it on their screen."""
    stored = FixedExchanges(web_t1=[Exchange("web:t1:a", "first", "one")])
    rooms, here = Rooms(stored, json=False), ThreadKey("web:t1")

    async def seen() -> list[str]:
        await rooms.load(here)
        with rooms.watch(here) as changes:
            return [event["text"] for event in await changes.next()]

    await rooms.load(here)
    with rooms.watch(here):
        stored.threads.clear()
        rooms.forget()
        assert await seen() == ["first", "one"]
    rooms.forget()
    assert await seen() == []


async def test_json_that_was_stored_is_shown_as_it_was() -> None:
    stored = FixedExchanges(web_t1=[Exchange("web:t1:a", "ask", "{}")])
    async with page(Desk().accept, stored=stored, of_json=True) as (_, _, session):
        assert (await shown(session, 2))[1]["text"] == "```json\n{}\n```"


async def test_a_prompt_that_waits_is_marked_until_its_turn_comes() -> None:
    desk = Desk()
    async with page(desk.accept) as (web, _, session):
        await ask(session, {"id": "a", "text": "x"})
        (prompt,) = desk.prompts
        await web.open(prompt).queued(2)
        await ask(session, {"id": "a", "text": "x"})
        marked = {"id": "you-a", "who": "user", "text": "x", "ahead": 2}
        async with session.get("/api/threads/t1") as stream:
            assert await events(stream, 1) == [marked], "for who comes later, too"
            await web.open(prompt).queued(0)
            assert await events(stream, 1) == [{**marked, "ahead": 0}]
        await web.open(replace(prompt, identity="web:t1:gone")).queued(1)


async def test_a_prompt_that_comes_again_with_another_text_is_not_shown() -> None:
    """It was never asked: the first one is answered."""
    desk = Desk()
    async with page(desk.accept) as (_, _, session):
        async with session.get("/api/threads/t1") as stream:
            await ask(session, {"id": "a", "text": "first"})
            assert [event["text"] for event in await events(stream, 1)] == ["first"]
            assert await ask(session, {"id": "a", "text": "another"}) == 202
            await ask(session, {"id": "b", "text": "next"})
            assert [event["text"] for event in await events(stream, 1)] == ["next"]
        assert [event["text"] for event in await shown(session, 2)] == ["first", "next"]


async def test_a_stored_thread_is_shown_however_many_are_watched() -> None:
    stored = FixedExchanges(web_t1=[Exchange("web:t1:a", "first", "one")])
    rooms = Rooms(stored, json=False)
    with ExitStack() as open_pages:
        for number in range(201):
            open_pages.enter_context(rooms.watch(ThreadKey(f"web:other{number}")))
        await rooms.load(ThreadKey("web:t1"))
        with rooms.watch(ThreadKey("web:t1")) as changes:
            assert [event["text"] for event in await changes.next()] == ["first", "one"]


async def test_what_is_refused_is_shown_where_it_was_asked() -> None:
    desk = Desk()
    async with page(desk.accept) as (web, _, session):
        await ask(session, {"id": "a", "text": "x"})
        aside = ThreadKey(f"{desk.prompts[0].thread}#web:t1:a")
        await web.open(replace(desk.prompts[0], thread=aside)).post("no", "key:0")
        async with session.get("/api/threads/t1") as stream:
            assert [event["text"] for event in await events(stream, 2)] == ["x", "no"]


async def test_the_same_key_gives_the_same_part() -> None:
    desk = Desk()
    async with page(desk.accept) as (web, _, session):
        await ask(session, {"id": "a", "text": "x"})
        thread = web.open(desk.prompts[0])
        assert await thread.post("1", "turn:0") == await thread.post("2", "turn:0")
        assert await thread.post("1", "turn:1") != await thread.post("2", "turn:0")


async def test_the_server_names_a_port_in_use() -> None:
    async with serve("127.0.0.1", 0, [], Health()) as port:
        with pytest.raises(Exception, match=f"HTTP_PORT: 127.0.0.1:{port}"):
            async with serve("127.0.0.1", port, [], Health()):
                pass
