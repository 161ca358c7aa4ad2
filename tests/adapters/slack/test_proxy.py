"""The socket goes through a proxy if its address should; the SDK would read the environment."""

import logging

import pytest

from core.errors import Unreachable
from core.proxies import Proxies
from tests.adapters.slack.conftest import Inbox, Make
from tests.emulators.proxy import ProxyServer
from tests.emulators.slack import SlackServer


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "HTTP_PROXY", "https_proxy"])
async def test_a_socket_on_this_machine_is_opened_directly(
    name: str, slack: SlackServer, make: Make, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ProxyServer({}) as proxy:
        monkeypatch.setenv(name, proxy.url)
        platform = make(proxies=Proxies(https=proxy.url, http=proxy.url))
        await platform.connect()
        slack.workspace.say("alice", slack.workspace.direct("alice"), "hello")
        await slack.wait_for(lambda: inbox.taken)
        await slack.sockets.refresh("warning")
        await slack.wait_for(lambda: slack.record.called_with("apps.connections.open")[1:])
        await platform.close()
        assert not proxy.asked


@pytest.mark.parametrize(
    ("spared", "asked", "told"),
    [
        ("", {"socket.test"}, r"came back from socket.test through the proxy 127\S+ \(HTTPS"),
        ("slack.com,.socket.test", set(), "is wss:// let through"),
    ],
)
async def test_a_socket_that_is_not_let_through_is_told_without_its_address(
    spared: str,
    asked: set[str],
    told: str,
    slack: SlackServer,
    make: Make,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slack.sockets.address = "wss://socket.test"
    async with ProxyServer({}, "me:canary") as proxy:
        proxy.refusing = 403
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        platform = make(proxies=Proxies(https=proxy.url, spared=spared))
        with caplog.at_level(logging.DEBUG), pytest.raises(Unreachable, match=told):
            await platform.connect()
        assert proxy.hosts == asked
    assert "Failed to connect" in caplog.text
    assert "canary" not in caplog.text
    assert "ticket" not in caplog.text
