"""Reading back what was missed, over a raw server that pages as Discord does."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from email.utils import formatdate
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import example, given

from adapters.discord.calls import Api
from adapters.discord.ids import Address, first_after, identity, sequence
from adapters.discord.missed import (
    LATE,
    MARGIN,
    PAGES,
    REACH,
    Known,
    Place,
    Reading,
    places_of,
    to_read,
)
from core.ports import Recent
from core.types import Prompt, ThreadKey
from tests.adapters.discord.payloads import BOT, US, garbage, message, odd
from tests.adapters.discord.payloads import read_back as told

NOW = time.time()


class History:
    """Channels with messages: `after` gives the oldest `limit` behind the id, the newest first.

    clock: of its Date header. refuse: channel -> status, body, headers of the next answers.
    unlisted: what is told of a channel itself; of others, that they are threads. looked_up: which
    were asked for.
    """

    def __init__(self) -> None:
        self.channels: dict[str, list[dict[str, Any]]] = {}
        self.clock = NOW
        self.refuse: dict[str, list[tuple[int, Any, dict[str, str]]]] = {}
        self.asked: list[str] = []
        self.unlisted: dict[str, dict[str, Any]] = {}
        self.looked_up: list[str] = []
        self.moments: list[float] = []
        self.waiting = self.most_waiting = 0
        self.url = ""

    def say(self, channel: str, at: float, content: str = "<@700> hi", **changes: Any) -> str:
        """A message of Alice's; returns its id. at: epoch seconds."""
        log = self.channels.setdefault(channel, [])
        id_ = str(int(first_after(at)) + len(log))
        log.append(told(message(id=id_, channel_id=channel, content=content, **changes)))
        return id_

    async def channel(self, request: web.Request) -> web.Response:
        """docs.discord.com/developers/resources/channel#get-channel."""
        channel = request.match_info["channel"]
        self.looked_up.append(channel)
        told_ = self.unlisted.get(channel, {"id": channel, "type": 11, "parent_id": "20"})
        return web.json_response(told_, status=told_.get("status", 200))

    async def messages(self, request: web.Request) -> web.Response:
        """docs.discord.com/developers/resources/message#get-channel-messages."""
        channel = request.match_info["channel"]
        self.asked.append(channel)
        self.moments.append(asyncio.get_running_loop().time())
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        await asyncio.sleep(0.001)
        self.waiting -= 1
        date = {"Date": formatdate(self.clock, usegmt=True)}
        if self.refuse.get(channel):
            status, body, headers = self.refuse[channel].pop(0)
            return web.json_response(body, status=status, headers=headers | date)
        if channel not in self.channels:
            return web.json_response({"code": 50001, "message": "Missing Access"}, status=403)
        before, limit = int(request.query.get("before", 2**63)), int(request.query["limit"])
        assert 1 <= limit <= 100
        older = [m for m in self.channels[channel] if int(m["id"]) < before]
        older.sort(key=lambda m: int(m["id"]), reverse=True)
        return web.json_response(older[:limit], headers=date)


@pytest.fixture
async def history() -> AsyncIterator[History]:
    server = History()
    application = web.Application()
    application.router.add_get("/api/channels/{channel}/messages", server.messages)
    application.router.add_get("/api/channels/{channel}", server.channel)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/api"
    yield server
    await runner.cleanup()


@pytest.fixture
async def api(history: History) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as session:
        yield Api("secret", history.url, session)


def known(thread: str, at: float, first: float | None = None) -> Recent:
    """A conversation whose newest prompt was asked then, the first one at the same time."""
    newest, oldest = (sequence(first_after(when)) for when in (at, first or at))
    return Recent(ThreadKey(thread), sequence=newest, first=oldest)


LATELY = [known("discord:@100:99", NOW)]  # known, but in no place that can be read


def may(_place: Place) -> bool:
    """Everything can be read."""
    return True


async def missed(api: Api, *places: Place, recent: list[Recent] | None = None) -> list[Prompt]:
    given_ = LATELY if recent is None else recent
    reading = Reading(api, BOT, may, Known(given_, given_, NOW))
    return await flat(reading, reading.wanted(places, given_))


async def flat(reading: Reading, wanted: Sequence[Place]) -> list[Prompt]:
    """All prompts of these places, in the order in which they come."""
    return [prompt async for _, found in reading.prompts(wanted) for prompt in found]


def identities(prompts: list[Prompt]) -> list[str]:
    return [prompt.identity.rpartition(":")[2] for prompt in prompts]


def channel(id_: str = "20", **changes: Any) -> Place:
    given_: dict[str, Any] = {"channel": id_, "guild": "10", "thread": False}
    return Place(**(given_ | changes))


async def test_what_was_asked_meanwhile_is_the_prompt_it_would_have_been(
    history: History, api: Api
) -> None:
    id_ = history.say("20", NOW - 60, "<@700> what?")
    history.say("20", NOW - 50, "unrelated", mentions=[])
    history.say("20", NOW - 40, "<@700> hi", author=US)
    (prompt,) = await missed(api, channel())
    assert (prompt.identity, prompt.text, prompt.author) == (identity(id_), "what?", "alice")
    assert prompt.thread == f"discord:10:{id_}"
    assert not prompt.late


async def test_oldest_first_over_many_pages(history: History, api: Api) -> None:
    ids = [history.say("20", NOW - 300 + n) for n in range(250)]
    assert identities(await missed(api, channel())) == ids
    assert history.asked == ["20"] * 3


@pytest.mark.parametrize(("count", "calls"), [(0, 1), (99, 1), (100, 2), (101, 2)])
async def test_no_page_more_than_needed(history: History, api: Api, count: int, calls: int) -> None:
    history.channels["20"] = []
    ids = [history.say("20", NOW - 300 + n) for n in range(count)]
    assert identities(await missed(api, channel())) == ids
    assert len(history.asked) == calls


async def test_one_busy_place_does_not_take_for_ever(history: History, api: Api) -> None:
    said = [history.say("20", NOW - 800 + n / 2) for n in range(PAGES * 100 + 50)]
    assert identities(await missed(api, channel())) == said[50:], "the newest count most"
    assert len(history.asked) == PAGES


async def test_a_page_of_odd_things_ends_it(history: History, api: Api) -> None:
    history.refuse["20"] = [(200, [None, {"id": 5}] * 50, {}), (200, {"id": "5"}, {})]
    assert await missed(api, channel()) == []
    assert await missed(api, channel()) == []
    assert len(history.asked) == 2


async def test_late_by_the_clock_of_discord(history: History, api: Api) -> None:
    """Ours may be wrong by hours, in either direction."""
    history.clock = NOW - 7200
    late = history.say("20", history.clock - LATE - 5)
    fresh = history.say("20", history.clock - LATE + 5)
    recent = [known("discord:@100:99", NOW - 3 * 3600)]
    prompts = await missed(api, channel(), recent=recent)
    assert identities(prompts) == [late, fresh]
    assert [prompt.late for prompt in prompts] == [True, False]


async def test_what_was_said_before_we_came_is_not_ours(history: History, api: Api) -> None:
    history.say("20", NOW - 60)
    after = history.say("20", NOW - 20)
    assert identities(await missed(api, channel(since=NOW - 40))) == [after]


async def test_the_first_start_reads_nothing(history: History, api: Api) -> None:
    history.say("20", NOW - 60)
    assert await missed(api, channel(), recent=[]) == []
    assert history.asked == []


async def test_how_far_back(history: History, api: Api) -> None:
    for place, newest in (("20", NOW - 100), ("21", NOW - 2 * REACH)):
        since = max(newest - MARGIN, NOW - REACH)
        history.say(place, since - 5)
        inside = history.say(place, since + 5)
        recent = [known("discord:@100:99", newest), known("discord:@100:98", newest - 9999)]
        assert identities(await missed(api, channel(place), recent=recent)) == [inside]


async def test_threads_and_direct_messages_are_read_as_such(history: History, api: Api) -> None:
    in_thread = history.say("30", NOW - 60, "and then?", mentions=[])
    in_direct = history.say("40", NOW - 60, "hello", mentions=[])
    recent = [known("discord:10:30", NOW - 90), known("discord:@me:40", NOW - 90)]
    prompts = {p.thread: p for p in await missed(api, recent=recent)}
    assert set(prompts) == {"discord:10:30", "discord:@me:40"}
    assert prompts[ThreadKey("discord:10:30")].identity == identity(in_thread)
    assert prompts[ThreadKey("discord:10:30")].follow_up
    assert prompts[ThreadKey("discord:@me:40")].identity == identity(in_direct)
    assert not prompts[ThreadKey("discord:@me:40")].follow_up


async def test_what_was_not_listed_is_asked_for_first(history: History, api: Api) -> None:
    """An old conversation may be a channel's; its people talk among themselves."""
    said = {place: history.say(place, NOW - 60, "hm", mentions=[]) for place in ("30", "31", "32")}
    asked = history.say("31", NOW - 50)
    history.unlisted["31"] = {"id": "31", "type": 0, "last_message_id": asked}
    history.unlisted["32"] = {"code": 10003, "status": 404}
    history.unlisted["33"] = {"id": "33", "type": 11, "last_message_id": first_after(NOW - 9999)}
    recent = [known(f"discord:10:{place}", NOW - 90) for place in ("30", "31", "32", "33")]
    prompts = await missed(api, recent=recent)
    assert sorted(identities(prompts)) == sorted([said["30"], asked])
    by_thread = {prompt.thread: prompt for prompt in prompts}
    assert set(by_thread) == {"discord:10:30", f"discord:10:{asked}"}
    assert Address.decode(by_thread[ThreadKey("discord:10:30")].address).parent == "20"
    assert sorted(history.looked_up) == ["30", "31", "32", "33"]
    assert sorted(history.asked) == ["30", "31"], "where nothing was said nothing is read"


async def test_what_people_said_before_they_called_us_is_no_question(
    history: History, api: Api
) -> None:
    history.say("30", NOW - 100, "among ourselves", mentions=[])
    asked = history.say("30", NOW - 100, "<@700> and you?")
    recent = [known("discord:10:30", NOW - 90)]
    assert identities(await missed(api, recent=recent)) == [asked]


async def test_a_follow_up_from_between_two_known_ones_was_missed(
    history: History, api: Api
) -> None:
    """The second one came live, before what was asked in the outage was read back."""
    between = history.say("30", NOW - 100, "and this?", mentions=[])
    recent = [known("discord:10:30", NOW - 90, first=NOW - 200)]
    assert identities(await missed(api, recent=recent)) == [between]


async def test_what_cannot_be_read_is_left_out(history: History, api: Api) -> None:
    id_ = history.say("21", NOW - 60)
    prompts = await missed(api, channel("20"), channel("21"), channel("22"))
    assert identities(prompts) == [id_]
    assert sorted(history.asked) == ["20", "21", "22"]


async def test_a_refused_token_is_not_tried_everywhere(history: History, api: Api) -> None:
    history.refuse = {str(n): [(401, {"message": "401: Unauthorized"}, {})] for n in range(50)}
    assert await missed(api, *(channel(str(n)) for n in range(50))) == []
    assert len(history.asked) <= 4


async def test_a_rate_limit_is_waited_for(history: History, api: Api) -> None:
    id_ = history.say("20", NOW - 60)
    history.refuse["20"] = [(429, {"retry_after": 0.1}, {"Via": "1.1 google"})] * 5
    began = asyncio.get_running_loop().time()
    assert identities(await missed(api, channel())) == [id_]
    assert len(history.asked) == 6
    assert 0.5 <= asyncio.get_running_loop().time() - began < 5.0
    gaps = [b - a for a, b in zip(history.moments, history.moments[1:], strict=False)]
    assert min(gaps) >= 0.09


async def test_a_rate_limit_without_end_is_not_waited_for(history: History, api: Api) -> None:
    history.refuse["20"] = [(429, {"retry_after": 3600}, {"Via": "1.1 google"})]
    history.say("20", NOW - 60)
    id_ = history.say("21", NOW - 60)
    assert identities(await missed(api, channel("20"), channel("21"))) == [id_]


async def test_a_moment_of_trouble_is_waited_out(history: History, api: Api) -> None:
    id_ = history.say("20", NOW - 60)
    history.refuse["20"] = [(502, {}, {})]
    assert identities(await missed(api, channel())) == [id_]


async def test_many_places_are_all_read_and_few_at_once(history: History, api: Api) -> None:
    """More than a second's calls: all of them wait for the same second to pass."""
    ids = [history.say(str(n), NOW - 60 - n % 7) for n in range(70)]
    prompts = await missed(api, *(channel(str(n)) for n in range(70)))
    assert sorted(identities(prompts)) == sorted(ids)
    assert 1 < history.most_waiting <= 4


async def test_who_stops_listening_stops_the_reading(history: History, api: Api) -> None:
    for n in range(40):
        history.say(str(n), NOW - 60)
    places = [channel(str(n)) for n in range(40)]
    reading = Reading(api, BOT, may, Known(LATELY, LATELY, NOW)).prompts(places)
    async for _, (prompt,) in reading:
        assert prompt.text == "hi"
        break
    await reading.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0.02)
    asked = len(history.asked)
    await asyncio.sleep(0.05)
    assert len(history.asked) == asked < 40


GUILD_CREATE = {
    "id": "10",
    "channels": [
        {"id": "20", "type": 0, "last_message_id": "5"},
        {"id": "21", "type": 0, "last_message_id": None},
        {"id": "22", "type": 4},
        {"id": "23", "type": 2, "last_message_id": "7"},
    ],
    "threads": [{"id": "30", "type": 11, "parent_id": "20", "last_message_id": "6"}, None],
}


def test_the_places_of_a_server() -> None:
    assert list(places_of(GUILD_CREATE, 9.0)) == [
        Place("20", "10", thread=False, last="5", since=9.0),
        Place("23", "10", thread=False, last="7", since=9.0),
        Place("30", "10", thread=True, last="6", since=9.0, parent="20"),
    ]


@example(GUILD_CREATE, 5)
@given(odd(GUILD_CREATE), garbage("id", "type", "last_message_id", "channels", "threads"))
def test_odd_servers_are_survived(guild: dict[str, Any], channels: Any) -> None:
    for whole in (guild, GUILD_CREATE | {"channels": channels}):
        assert all(isinstance(place, Place) for place in places_of(whole, 0.0))


def test_only_what_changed_is_read() -> None:
    places = [channel("20", last="100"), channel("21", last="101"), channel("22")]
    assert [place.channel for place in to_read(places, [], "100")] == ["21", "22"]


def test_numbers_are_compared_as_numbers() -> None:
    assert to_read([channel(last="1000")], [], "999")
    assert not to_read([channel(last="999")], [], "1000")


def test_what_we_know_is_read_besides() -> None:
    recent = [
        known("discord:10:30", NOW),
        known("discord:@me:40", NOW),
        known("discord:10:31", NOW),
        known("discord:@100:50", NOW),  # where we are not
    ]
    active = Place("31", "10", thread=True, last="5", since=3.0)
    assert to_read([active], recent, "4") == [
        active,
        Place("30", "10", thread=False, listed=False),
        Place("40", "", thread=False),
    ]
    assert active not in to_read([active], recent, "5")


async def test_a_command_that_was_never_stored_is_not_left_thinking(
    history: History, api: Api
) -> None:
    ours = {"id": BOT.user, "username": "threadseek", "bot": True}
    waits: dict[str, Any] = {"author": ours, "type": 20, "flags": 128, "content": ""}
    asked: dict[str, Any] = {"id": first_after(NOW - 101), "user": {"id": "5", "username": "alice"}}
    id_ = history.say("20", NOW - 100, **waits, interaction_metadata=asked)
    history.say("20", NOW - 90, **(waits | {"flags": 0}), interaction_metadata=asked)
    history.say("20", NOW - 80, **waits)
    lately = Known(LATELY, LATELY, NOW)
    (prompt,) = await flat(Reading(api, BOT, may, lately, age=95.0), [channel()])
    assert prompt.identity == identity(asked["id"]), "as it would have been stored"
    assert prompt.late
    assert Address.decode(prompt.address).answer == id_
    young = Reading(api, BOT, may, lately, age=120.0)
    assert await flat(young, [channel()]) == [], "it may be ours"
