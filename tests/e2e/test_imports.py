"""What the shipped command loads: nothing that its configuration doesn't need."""

import re
import sys
from pathlib import Path

from tests.e2e.service import COMMAND, command, running

LISTING = (sys.executable, "-X", "importtime", COMMAND)


async def imported(folder: Path, settings: dict[str, str]) -> set[str]:
    """The modules and packages of a service that is ready, and has made its database."""
    async with running(folder, settings, LISTING) as service:
        pass
    return set(re.findall(r"^import time: .*\| +([\w.]+)$", service.err, re.MULTILINE))


async def test_with_slack_alone(tmp_path: Path, settings: dict[str, str]) -> None:
    modules = await imported(tmp_path, settings)
    assert {"slack_bolt", "aiosqlite", "bots.wiring"} <= modules
    unneeded = {"discord", "adapters.discord", "asyncpg", "alembic", "bots.offline", "rich.text"}
    assert unneeded & modules == set()


async def test_with_discord_alone(tmp_path: Path, discord_settings: dict[str, str]) -> None:
    modules = await imported(tmp_path, discord_settings)
    assert "discord" in modules
    assert {"slack_bolt", "slack_sdk", "adapters.slack", "asyncpg", "alembic"} & modules == set()


async def test_without_a_platform(tmp_path: Path) -> None:
    modules = await imported(tmp_path, {})
    assert "bots.offline" in modules
    assert {"slack_sdk", "discord"} & modules == set()


async def test_help_loads_no_service(tmp_path: Path) -> None:
    settings = {"PYTHONPROFILEIMPORTTIME": "1"}
    code, out, err = await command(tmp_path, settings, "--help")
    assert code == 0
    assert all(word in out for word in ("run", "Slack", "Discord", "terminal"))
    modules = set(re.findall(r"\| +([\w.]+)$", err, re.MULTILINE))
    assert "typer" in modules
    assert {"asyncio", "pydantic", "structlog", "sqlalchemy", "aiohttp"} & modules == set()
