"""The two far ends of an end-to-end test."""

from collections.abc import AsyncGenerator, AsyncIterator, Generator
from pathlib import Path

import pytest

from tests.contract.store.serving import Cluster, serving
from tests.emulators.deepseek import DeepSeekServer
from tests.emulators.discord import DiscordServer
from tests.emulators.slack import SlackServer
from tests.emulators.slack_app import App

MANIFEST = Path(__file__).parents[2] / "adapters" / "slack" / "manifest.json"
KEY = "sk-e2e-canary-7f3a9c"
PASSWORD = "s3cret-p4ss"


@pytest.fixture
async def api() -> AsyncIterator[DeepSeekServer]:
    """The API, with a key that must never be seen anywhere else."""
    async with DeepSeekServer(key=KEY) as server:
        yield server


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    """A workspace in which the app of our own manifest is installed."""
    import json

    app = App.from_manifest(json.loads(MANIFEST.read_text()))
    async with SlackServer(app) as server:
        yield server


@pytest.fixture
def settings(api: DeepSeekServer, slack: SlackServer) -> dict[str, str]:
    """Variables for Slack over Socket Mode and the API."""
    return {
        "DEEPSEEK_API_KEY": KEY,
        "DEEPSEEK_BASE_URL": api.url,
        "SLACK_BOT_TOKEN": slack.app.bot_token,
        "SLACK_APP_TOKEN": slack.app.app_token,
        "SLACK_API_URL": slack.api_url,
    }


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    """A server in which the bot is installed."""
    async with DiscordServer() as server:
        yield server


@pytest.fixture
def discord_settings(api: DeepSeekServer, discord: DiscordServer) -> dict[str, str]:
    """Variables for Discord and the API; every log line is written."""
    return {
        "DEEPSEEK_API_KEY": KEY,
        "DEEPSEEK_BASE_URL": api.url,
        "DISCORD_BOT_TOKEN": discord.app.token,
        "DISCORD_API_URL": discord.api_url,
        "DISCORD_GATEWAY_URL": discord.gateway_url,
        "LOG_LEVEL": "debug",
    }


@pytest.fixture(scope="module")
def cluster() -> Generator[Cluster, None, None]:
    """A server."""
    with serving() as running_server:
        yield running_server


@pytest.fixture
async def shared(
    cluster: Cluster, settings: dict[str, str]
) -> AsyncGenerator[dict[str, str], None]:
    """The variables of every replica; the database is empty."""
    async with cluster.fresh() as url:
        with_password = url.replace("postgres@", f"postgres:{PASSWORD}@")
        yield {**settings, "DATABASE_URL": with_password, "LOG_LEVEL": "debug"}
