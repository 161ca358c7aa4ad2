"""The import contracts: kept as the tree stands, broken by every violation planted in a copy."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("bots", "core", "adapters", "migrations")

VIOLATIONS = {
    "core imports an adapter": ("core/turns/engine.py", "import adapters.web.app"),
    "an adapter imports bots": ("adapters/web/app.py", "import bots.settings"),
    "an adapter imports another": ("adapters/web/app.py", "import adapters.slack.ids"),
    "turns know the store": ("core/turns/engine.py", "import core.store.sql"),
    "turns know the client": ("core/turns/asking.py", "import core.deepseek.client"),
    "delivery knows turns": ("core/delivery/writer.py", "import core.turns.engine"),
    "the store knows turns": ("core/store/sql.py", "import core.turns.engine"),
    "ports know what satisfies them": ("core/ports.py", "import core.store.sql"),
    "core knows a platform's SDK": ("core/turns/engine.py", "import slack_sdk"),
    "SQL outside the store": ("bots/wiring.py", "import sqlalchemy"),
    "a pure module reads a clock": ("core/delivery/reply.py", "import time"),
    "a pure module knows the loop": ("core/turns/window.py", "import asyncio"),
    "a pure module of an adapter does I/O": ("adapters/slack/events.py", "import aiohttp"),
    "a pure module knows its platform's SDK": ("adapters/discord/events.py", "import discord"),
    "a new package of core without a place": ("core/extra/__init__.py", ""),
    "a new adapter without a place": ("adapters/teams/__init__.py", ""),
}


def contracts(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, root / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def test_the_tree_keeps_its_contracts(copy: Path) -> None:
    result = contracts(copy)
    assert result.returncode == 0, result.stdout
    assert "0 broken" in result.stdout


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_caught(copy: Path, name: str) -> None:
    where, line = VIOLATIONS[name]
    path = copy / where
    before = path.read_text() if path.exists() else None
    path.parent.mkdir(exist_ok=True)
    path.write_text((before or '"""Planted."""\n') + f"\n{line}\n")
    try:
        result = contracts(copy)
    finally:
        if before is None:
            shutil.rmtree(path.parent)
        else:
            path.write_text(before)
    assert result.returncode == 1, result.stdout
