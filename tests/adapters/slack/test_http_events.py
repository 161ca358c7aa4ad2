"""HTTP events: what was not signed by Slack just now reaches nobody."""

import asyncio
import io
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from adapters.slack.app import SlackPlatform
from adapters.slack.http_events import MAX_BODY
from tests.adapters.slack.conftest import Inbox, Make
from tests.emulators.slack import SlackServer
from tests.emulators.slack_http_events import Forgery


@pytest.mark.parametrize(
    "how", ["unsigned", "wrong secret", "old", "future", "tampered", "no timestamp"]
)
async def test_forged_requests_reach_nobody(
    slack: SlackServer, http: SlackPlatform, inbox: Inbox, how: Forgery
) -> None:
    payload = _direct(slack, "hello")
    assert await slack.http.forge(payload, how) == 401
    assert inbox.offered == []


async def test_a_replay_after_five_minutes_is_refused_and_before_is_one_prompt(
    slack: SlackServer, http: SlackPlatform, inbox: Inbox
) -> None:
    body = json.dumps(_direct(slack, "hello")).encode()
    for age, status in ((0, 200), (290, 200), (310, 401)):
        assert (await slack.http.post(body, slack.http.signed(body, age=age)))[0] == status
    assert len(inbox.taken) == 1


@pytest.mark.parametrize(
    ("body", "changes", "status"),
    [
        (b"{", {}, 400),
        (b"[]", {}, 400),
        (b"", {}, 200),
        (b"\xff\xfe", {}, 401),
        (b"{}", {"X-Slack-Request-Timestamp": "yesterday"}, 401),
        (b"{}", {"X-Slack-Request-Timestamp": "9" * 400}, 401),
        (b"{}", {"X-Slack-Signature": "v0=\u00e9"}, 401),
        (b"ssl_check=1&token=x", {"X-Slack-Signature": "v0=00"}, 401),
        (b'{"type": "event_callback", "event": {"type": "message"}}', {}, 200),
    ],
)
async def test_odd_requests(
    slack: SlackServer,
    http: SlackPlatform,
    inbox: Inbox,
    body: bytes,
    changes: Mapping[str, str],
    status: int,
) -> None:
    headers = slack.http.signed(body) | dict(changes)
    assert (await slack.http.post(body, headers))[0] == status
    assert inbox.offered == []


async def test_a_signature_that_is_no_text_is_refused(
    slack: SlackServer, http: SlackPlatform, inbox: Inbox
) -> None:
    stamp = slack.http.signed(b"{}")["X-Slack-Request-Timestamp"].encode()
    head = b"X-Slack-Request-Timestamp: %s\r\nX-Slack-Signature: v0=\xff\xfe\r\n" % stamp
    assert b" 401 " in await _raw(slack, head + b"Content-Length: 2\r\n\r\n{}")
    assert inbox.offered == []


async def test_a_request_that_never_ends_is_not_waited_for(
    slack: SlackServer, http: SlackPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.slack.http_events.WITHIN", 0.1)
    assert b" 408 " in await _raw(slack, b"Content-Length: 1000\r\n\r\n{")


async def test_a_huge_request_is_not_read(
    slack: SlackServer, http: SlackPlatform, session: aiohttp.ClientSession, inbox: Inbox
) -> None:
    body = json.dumps(_direct(slack, "x" * MAX_BODY)).encode()
    headers = slack.http.signed(body)
    async with session.post(slack.http.url, data=io.BytesIO(body), headers=headers) as answer:
        assert answer.status == 413
    assert inbox.offered == []


async def test_the_challenge_is_answered(slack: SlackServer, http: SlackPlatform) -> None:
    assert await slack.subscribe(slack.http.url)


async def test_http_serves_only_while_connected(
    slack: SlackServer, http: SlackPlatform, make: Make, inbox: Inbox
) -> None:
    await http.close()
    body = json.dumps(_direct(slack, "hello")).encode()
    assert (await slack.http.post(body, slack.http.signed(body)))[0] == 503
    await http.connect()
    assert (await slack.http.post(body, slack.http.signed(body)))[0] == 200
    assert len(inbox.taken) == 1


async def _raw(slack: SlackServer, rest: bytes) -> bytes:
    """The first line of what is answered to a request, given behind its first header."""
    url = urlsplit(slack.http.url)
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(f"POST {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n".encode() + rest)
    async with asyncio.timeout(5):
        line = await reader.readline()
    writer.close()
    return line


def _direct(slack: SlackServer, text: str) -> dict[str, Any]:
    channel = slack.workspace.direct("alice")
    return slack.payload(
        type="message",
        user="U0ALICE000",
        text=text,
        ts="1760000000.000100",
        channel=channel,
        channel_type="im",
    )
