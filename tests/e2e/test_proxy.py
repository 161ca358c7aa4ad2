"""Behind a company's proxy: everything goes through it, and its password is seen nowhere."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e import seen, seen_discord
from tests.e2e.conftest import PASSWORD
from tests.e2e.service import Service, command, running, start
from tests.emulators.deepseek import DeepSeekServer
from tests.emulators.discord import DiscordServer
from tests.emulators.proxy import ProxyServer
from tests.emulators.slack import SlackServer

USER = f"threadseek:{PASSWORD}"
HOSTS = {"api.test", "slack.test", "socket.test", "discord.test", "gateway.test", "resume.test"}
VARIABLES = [("HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"), ("https_proxy", "http_proxy", "no_proxy")]


@pytest.fixture
async def proxy(
    api: DeepSeekServer, slack: SlackServer, discord: DiscordServer
) -> AsyncIterator[ProxyServer]:
    """A proxy that wants a user; behind it the far ends, by names that only it knows."""
    slack.sockets.address = "wss://socket.test"
    discord.gateway.address = "wss://resume.test"
    far = {"api.test": api.url}
    far |= dict.fromkeys(("slack.test", "socket.test"), slack.url)
    far |= dict.fromkeys(("discord.test", "gateway.test", "resume.test"), discord.url)
    async with ProxyServer(far, USER) as server:
        yield server


@pytest.fixture
def far(
    settings: dict[str, str],
    discord_settings: dict[str, str],
    proxy: ProxyServer,
    tmp_path: Path,
) -> dict[str, str]:
    """Variables that name the far ends as the proxy knows them."""
    return {
        **settings,
        **discord_settings,
        "DEEPSEEK_BASE_URL": "https://api.test",
        "SLACK_API_URL": "https://slack.test/api/",
        "DISCORD_API_URL": "https://discord.test/api/v10",
        "DISCORD_GATEWAY_URL": "wss://gateway.test/gateway/",
        "SSL_CERT_FILE": proxy.trust(tmp_path),
    }


async def ask_everywhere(slack: SlackServer, discord: DiscordServer) -> None:
    """A question in Slack and one in Discord; both are answered."""
    root = slack.workspace.say("alice", "general", f"{slack.mention} hello there")
    channel = slack.workspace.channel("general").id
    await slack.wait_for(lambda: seen.answers(slack, channel, root), 20)
    place = discord.world.say("alice", "general", f"{discord.mention} hello there")
    await discord.wait_for(lambda: seen_discord.answers(discord, place), 20)


async def until_said(service: Service, *texts: str) -> str:
    """All that was printed, once each text is among it."""
    for text in texts:
        await service.printed(text)
    return service.out + service.err


@pytest.mark.parametrize("names", VARIABLES, ids=lambda names: names[0])
async def test_everything_goes_through_the_proxy(
    names: tuple[str, str, str],
    tmp_path: Path,
    far: dict[str, str],
    proxy: ProxyServer,
    slack: SlackServer,
    discord: DiscordServer,
) -> None:
    async with running(tmp_path, {**far, names[0]: proxy.url}) as service:
        await until_said(service, "connected as @threadseek", "connected as threadseek in 1")
        await ask_everywhere(slack, discord)
        await discord.gateway.drop()
        await discord.wait_for(lambda: discord.gateway.resumed, 20)
        await slack.sockets.refresh("refresh_requested")
        await slack.wait_for(lambda: len(slack.sockets.open) == 1, 20)
        await ask_everywhere(slack, discord)
        assert await service.end(signal.SIGTERM) == 0
    assert proxy.hosts == HOSTS
    assert PASSWORD not in service.out + service.err


@pytest.mark.parametrize("names", VARIABLES, ids=lambda names: names[0])
async def test_nothing_on_this_machine_goes_through_a_proxy(
    names: tuple[str, str, str],
    tmp_path: Path,
    api: DeepSeekServer,
    slack: SlackServer,
    discord: DiscordServer,
    settings: dict[str, str],
    discord_settings: dict[str, str],
) -> None:
    async with ProxyServer({}) as proxy:
        given = {**settings, **discord_settings, **dict.fromkeys(names[:2], proxy.url)}
        async with running(tmp_path, given) as service:
            await ask_everywhere(slack, discord)
            assert await service.end(signal.SIGTERM) == 0
        told = await command(tmp_path, dict.fromkeys(names[:2], proxy.url), "chat", "hello")
    assert told[0] == 0, told
    assert not proxy.asked


@pytest.mark.parametrize("names", VARIABLES, ids=lambda names: names[2])
async def test_what_no_proxy_names_is_reached_directly(
    names: tuple[str, str, str],
    tmp_path: Path,
    far: dict[str, str],
    proxy: ProxyServer,
    slack: SlackServer,
) -> None:
    given = {**far, names[0]: proxy.url, names[2]: "internal.test, .slack.test"}
    async with running(tmp_path, given) as service:
        await until_said(service, "connected as threadseek in 1", "slack.not_connected")
    assert "(ClientConnectorDNSError)" in service.out
    assert proxy.hosts == {"discord.test", "gateway.test"}
    assert not slack.record.calls


async def refused(tmp_path: Path, settings: dict[str, str], *texts: str) -> str:
    """What is said when the far ends can't be reached: it runs all the same."""
    service = await start(tmp_path, settings)
    try:
        await until_said(service, "Ready.", *texts)
        await asyncio.sleep(0.1)
    finally:
        await service.end(signal.SIGKILL)
    said = service.out + service.err
    assert PASSWORD not in said
    assert "Traceback" not in said
    return said


async def test_a_wrong_password_is_told_at_the_start_and_not_tried_again(
    tmp_path: Path, far: dict[str, str], proxy: ProxyServer
) -> None:
    proxy.user = "threadseek:another"
    given = {**far, "HTTPS_PROXY": f"http://{USER}@{proxy.place}"}
    said = await refused(tmp_path, given, "slack.off", "discord.off")
    for platform in ("Slack", "Discord"):
        (line,) = (line for line in said.splitlines() if line.startswith(f"{platform} "))
        assert f"off: the proxy {proxy.place} (HTTPS_PROXY)" in line and "407" in line
    assert sorted(proxy.asked) == ["discord.test:443", "slack.test:443"]


async def test_a_proxy_that_lets_nobody_through_is_named_and_tried_again(
    tmp_path: Path, far: dict[str, str], proxy: ProxyServer, slack: SlackServer
) -> None:
    proxy.refusing = 403
    far["HTTPS_PROXY"] = proxy.url
    service = await start(tmp_path, far)
    try:
        said = await until_said(service, "slack.not_connected", "discord.not_connected")
        for host in ("slack.test", "discord.test"):
            assert f"proxy {proxy.place} (HTTPS_PROXY) refuses the way to {host} (403)" in said
        assert "NO_PROXY" in said
        proxy.refusing = 0
        await until_said(service, "connected as @threadseek", "connected as threadseek in 1")
    finally:
        await service.end(signal.SIGKILL)
    assert PASSWORD not in service.out + service.err


async def test_a_proxy_that_is_down_is_named(tmp_path: Path, far: dict[str, str]) -> None:
    given = {**far, "HTTPS_PROXY": f"http://{USER}@127.0.0.1:9"}
    said = await refused(tmp_path, given, "slack.not_connected", "discord.not_connected")
    assert said.count("the proxy 127.0.0.1:9 (HTTPS_PROXY) can't be reached") >= 4


async def test_a_far_end_that_nobody_vouches_for_is_not_talked_to(
    tmp_path: Path, far: dict[str, str], proxy: ProxyServer, slack: SlackServer
) -> None:
    given = {**far, "HTTPS_PROXY": proxy.url, "SSL_CERT_FILE": ""}
    said = await refused(tmp_path, given, "slack.not_connected", "discord.not_connected")
    assert "SSL_CERT_FILE" in said
    assert proxy.tunnels
    assert not slack.record.calls


@pytest.mark.parametrize(
    ("status", "fix"),
    [(407, "write the proxy's user and password into HTTPS_PROXY"), (403, "HTTPS_PROXY")],
)
async def test_a_person_in_a_terminal_is_told_of_the_proxy(
    status: int, fix: str, tmp_path: Path, far: dict[str, str], proxy: ProxyServer
) -> None:
    proxy.refusing = status
    given = {**far, "HTTPS_PROXY": proxy.url, "LOG_LEVEL": "info"}
    code, out, err = await command(tmp_path, given, "chat", "hello")
    assert code == 1
    assert fix in err
    assert len(proxy.asked) == (1 if status == 407 else 3)
    assert PASSWORD not in out + err


async def test_the_proxy_in_force_is_shown_without_its_password(tmp_path: Path) -> None:
    given = {"https_proxy": f"http://{USER}@proxy.test:3128", "NO_PROXY": "10.0.0.0/8"}
    code, out, err = await command(tmp_path, given, "config")
    assert code == 0
    assert "http://proxy.test:3128" in out and "10.0.0.0/8" in out
    assert PASSWORD not in out + err
