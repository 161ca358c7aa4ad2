"""Rate budgets, planned faults, and the record of what a person saw."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import AsyncRateLimitErrorRetryHandler
from slack_sdk.web.async_client import AsyncWebClient

from tests.emulators import slack_markup as markup
from tests.emulators.faults import Tail
from tests.emulators.slack import SlackServer
from tests.emulators.slack_faults import Fault
from tests.emulators.slack_limits import Algorithm, Limits

GENERAL = "C0GENERAL0"


class Clock:
    """A clock set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("algorithm", "at_once", "then", "wait"),
    [("bucket", 10, 1, 2), ("fixed", 50, 50, 60), ("sliding", 50, 50, 60)],
)
def test_tier_3_is_fifty_a_minute(algorithm: Algorithm, at_once: int, then: int, wait: int) -> None:
    clock = Clock()
    limits = Limits(algorithm, clock=clock)
    allowed = [limits.refuse("chat.update", "C1") for _ in range(100)]
    assert allowed.index(wait) == at_once
    clock.now += wait
    refused = [limits.refuse("chat.update", "C2") for _ in range(100)]
    assert refused.count(0) in (then, then + 1)
    assert limits.refuse("conversations.replies", "C1") == 0


def test_sliding_forgets_one_by_one_where_fixed_forgets_all() -> None:
    left = {}
    algorithms: tuple[Algorithm, ...] = ("sliding", "fixed")
    for algorithm in algorithms:
        clock = Clock()
        limits = Limits(algorithm, clock=clock)
        for _ in range(25):
            limits.refuse("chat.update", "")
        clock.now += 40
        for _ in range(25):
            limits.refuse("chat.update", "")
        clock.now += 21
        left[algorithm] = [limits.refuse("chat.update", "") for _ in range(60)].count(0)
    assert left == {"sliding": 25, "fixed": 50}


def test_posts_are_one_a_second_in_a_channel_with_a_short_burst() -> None:
    clock = Clock()
    limits = Limits(clock=clock)
    one = [limits.refuse("chat.postMessage", "C1") for _ in range(6)]
    assert one == [0] * 5 + [1]
    assert limits.refuse("chat.postMessage", "C2") == 0
    many = [limits.refuse("chat.postMessage", f"C{n}") for n in range(3, 60)]
    assert many.count(0) == 24


async def test_too_many_calls_get_429_which_the_sdk_waits_out() -> None:
    async with SlackServer(limits=Limits(scale=0.5, burst=2)) as slack:
        client = AsyncWebClient(slack.app.bot_token, slack.api_url)
        ts = (await client.chat_postMessage(channel=GENERAL, text="0"))["ts"]
        for _ in range(2):
            await client.chat_update(channel=GENERAL, ts=ts, text="1")
        with pytest.raises(SlackApiError) as caught:
            await client.chat_update(channel=GENERAL, ts=ts, text="2")
        response = caught.value.response
        assert (response.status_code, response.headers["Retry-After"]) == (429, "1")
        assert response.data == {"ok": False, "error": "ratelimited"}
        client.retry_handlers.append(AsyncRateLimitErrorRetryHandler())
        before = time.monotonic()
        slack.faults.add(Fault("chat.update", retry_after=1))
        await client.chat_update(channel=GENERAL, ts=ts, text="3")
        assert time.monotonic() - before >= 1
        assert [call.status for call in slack.record.called_with("chat.update")] == [
            *(200, 200, 429),
            *(429, 200),
        ]


async def test_planned_faults_are_what_they_say() -> None:
    async with SlackServer(unlimited=True) as slack:
        client = AsyncWebClient(slack.app.bot_token, slack.api_url, retry_handlers=[])
        slack.faults.add(Fault("chat.postMessage", status=503, times=2))
        slack.faults.add(Fault("chat.postMessage", error="fatal_error"))
        for status in (503, 503, 200):
            with pytest.raises(SlackApiError) as caught:
                await client.chat_postMessage(channel=GENERAL, text="x")
            assert caught.value.response.status_code == status
        cuts: tuple[Any, ...] = ("before", "after")
        for cut, messages in zip(cuts, (0, 1), strict=True):
            slack.faults.add(Fault("chat.postMessage", cut=cut))
            with pytest.raises(aiohttp.ClientError):
                await client.chat_postMessage(channel=GENERAL, text=cut)
            assert len(slack.record.bot_messages()) == messages
        calls = slack.record.called_with("chat.postMessage")
        assert [(c.status, c.effect, c.error) for c in calls] == [
            (503, False, ""),
            (503, False, ""),
            (200, False, "fatal_error"),
            (0, False, ""),
            (0, True, ""),
        ]


async def test_a_late_request_lands_after_its_client_gave_up() -> None:
    async with SlackServer(unlimited=True) as slack:
        client = AsyncWebClient(slack.app.bot_token, slack.api_url, retry_handlers=[])
        ts = (await client.chat_postMessage(channel=GENERAL, text="0"))["ts"]
        slack.faults.tails.append(Tail("chat.update", share=1.0, low=0.4, high=0.4))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.chat_update(channel=GENERAL, ts=ts, text="partial")
        slack.faults.clear()
        await client.chat_update(channel=GENERAL, ts=ts, text="partial and final")
        await slack.wait_for(lambda: slack.record.history(ts)[-1].text == "partial")
        shown = [state.text for state in slack.record.history(ts)]
        assert shown == ["0", "partial and final", "partial"]
        slack.faults.latency["*"] = 0.05
        slack.faults.add(Fault("chat.update", reply_delay=0.05))
        before = time.monotonic()
        await client.chat_update(channel=GENERAL, ts=ts, text="partial and final")
        assert time.monotonic() - before >= 0.1
        assert [state.text for state in slack.record.went_back(ts)] == ["partial and final"]


async def test_pings_unfurls_and_open_fences_are_found() -> None:
    async with SlackServer(unlimited=True) as slack:
        client = AsyncWebClient(slack.app.bot_token, slack.api_url)
        quiet: dict[str, Any] = {"channel": GENERAL, "unfurl_links": False, "unfurl_media": False}
        await client.chat_postMessage(**quiet, text="see https://a.b and &lt;!channel&gt;")
        assert (slack.record.pings, slack.record.unfurls) == ([], [])
        posted = await client.chat_postMessage(channel=GENERAL, text="see https://a.b")
        assert [seen.what for seen in slack.record.unfurls] == ["https://a.b"]
        message = {"channel": GENERAL, "ts": posted["ts"]}
        await client.chat_update(**message, markdown_text="<!here> ```\nopen")
        assert [seen.what for seen in slack.record.pings] == ["<!here>"]
        assert slack.record.broken_fences() == []
        await client.chat_update(**message, markdown_text="```python\nprint(1)")
        await client.chat_update(**message, markdown_text="```python\nprint(1)\n```")
        assert [s.text for _, s in slack.record.broken_fences()] == ["```python\nprint(1)"]
        with pytest.raises(AssertionError, match="not within"):
            await slack.wait_for(lambda: False, timeout=0.01)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<!channel> <!here|here> <!everyone>", ["<!channel>", "<!here|here>", "<!everyone>"]),
        ("<!subteam^S012|@team> `<@U12>`", ["<!subteam^S012|@team>", "<@U12>"]),
        ("@channel (@here) @Everyone", ["@channel", "@here", "@Everyone"]),
        ("`@channel` a@here.com @channels @\u200bhere &lt;!channel&gt; <#C1>", []),
    ],
)
def test_what_pings(text: str, expected: list[str]) -> None:
    assert markup.pings(text) == expected


def test_what_a_person_reads() -> None:
    wire = (
        "<@U1|bob> <@U2> <#C1|general> <!channel> <!subteam^S1|@team> <https://a.b|label> &amp;lt;"
    )
    assert markup.unescape(wire) == "@bob @U2 #general @channel @team label &lt;"
    assert markup.unescape("<https://a.b> <!date^1^x|today>") == "https://a.b today"
    assert markup.typed("a <b> & <@U1>") == "a &lt;b&gt; &amp; <@U1>"
    assert markup.unescape(markup.escape("a <b> &amp;")) == "a <b> &amp;"


@pytest.mark.parametrize(
    ("text", "markdown", "is_open"),
    [
        ("```a```", False, False),
        ("x ```a", False, True),
        ("~~~\n```\n~~~", True, False),
        ("````\n```\n", True, True),
        ("```py\n```js\n", True, True),
        ("inline ``` is no fence", True, False),
        ("```a``` is a span", True, False),
        ("   ```\nx\n  ```  ", True, False),
    ],
)
def test_open_fences(text: str, markdown: bool, is_open: bool) -> None:
    assert markup.has_open_fence(text, markdown) is is_open


def test_links() -> None:
    assert markup.urls("`https://a.b` ```https://c.d``` <https://e.f|x>") == ["https://e.f"]
    masked = "[x](https://a.b) <https://a.b|x> `[x](https://a.b)` <https://a.b> [x] (y)"
    assert markup.masked_links(masked) == ["[x](https://a.b)", "<https://a.b|x>"]
