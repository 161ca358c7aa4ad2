"""The gateway goes through a proxy if its address should, and so does each login."""

import pytest

from core.errors import Barred, Unreachable
from core.proxies import Proxies
from tests.adapters.discord.conftest import Make
from tests.emulators.discord import DiscordServer
from tests.emulators.proxy import ProxyServer


async def test_a_gateway_on_this_machine_is_reached_directly(
    discord: DiscordServer, make: Make
) -> None:
    async with ProxyServer({}) as proxy:
        platform = make(proxies=Proxies(https=proxy.url, http=proxy.url))
        await platform.connect()
        await discord.gateway.drop()
        await discord.wait_for(lambda: discord.gateway.resumed)
        await platform.close()
        assert not proxy.asked


@pytest.mark.parametrize(
    ("status", "spared", "asked", "error", "told"),
    [
        (403, "", {"gateway.test"}, Unreachable, r"refuses the way to gateway.test \(403\)"),
        (407, "", {"gateway.test"}, Barred, "does not accept our user and password"),
        (403, "gateway.test", set(), Unreachable, "ClientConnectorDNSError"),
    ],
)
async def test_a_gateway_that_is_not_let_through_is_told(
    status: int, spared: str, asked: set[str], error: type[Exception], told: str, make: Make
) -> None:
    async with ProxyServer({}, "me:canary") as proxy:
        proxy.refusing = status
        proxies = Proxies(https=proxy.url, spared=spared)
        platform = make(gateway_url="wss://gateway.test/", proxies=proxies)
        with pytest.raises(Unreachable, match=told) as caught:
            await platform.connect()
        assert type(caught.value) is error
        assert "canary" not in str(caught.value)
        assert proxy.hosts == asked
        await platform.close()
