"""The import contracts: kept as the tree stands, broken by every violation planted in a copy."""

import shutil
import subprocess
import sys
import tomllib
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
    "a pure module knows a clock by another": (
        "core/turns/window.py",
        "import core.turns.engine",
    ),
    "a pure module knows a socket by another": (
        "core/deepseek/wire.py",
        "import core.deepseek.client",
    ),
    "a pure module knows the loop by another": (
        "core/delivery/reply.py",
        "import core.delivery.writer",
    ),
    "a pure module of an adapter knows its calls": (
        "adapters/slack/events.py",
        "import adapters.slack.calls",
    ),
    "a pure module of an adapter knows the loop": ("adapters/discord/posts.py", "import asyncio"),
    "a new package of core without a place": ("core/extra/__init__.py", ""),
    "a new adapter without a place": ("adapters/teams/__init__.py", ""),
}

IMPURE = {
    "core": {"bodies", "proxies"},
    "core.deepseek": {"broken", "client", "gate", "gathering"},
    "core.delivery": {"calling", "clearing", "failing", "finding", "lanes", "looking", "writer"},
    "core.turns": {
        *("answering", "asking", "engine", "journal", "means", "metrics", "patience"),
        *("queueing", "restored", "status", "telling"),
    },
    "adapters.slack": {
        *("app", "budgets", "calls", "earlier", "hints", "http_events", "missed", "quiet"),
        *("reading", "socket_mode", "thread"),
    },
    "adapters.discord": {
        *("answering", "app", "calls", "connection", "earlier", "gateway", "holding", "hook"),
        *("incoming", "intake", "lost", "missed", "opening", "quiet", "reading", "session"),
        *("shards", "starts", "thread", "typist", "waiting"),
    },
}
"""Modules that may touch clock, loop, socket or database, or call what does."""


def undecided(root: Path) -> set[str]:
    """Modules that are neither said to be pure nor in `IMPURE`, or that are gone."""
    settings = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    (pure,) = (c["source_modules"] for c in settings["contracts"] if "pure" in c["name"])
    decided = {*pure, *(f"{place}.{name}" for place in IMPURE for name in IMPURE[place])}
    found = {
        f"{place}.{path.stem}"
        for place in IMPURE
        for path in (root / place.replace(".", "/")).glob("*.py")
        if path.stem != "__init__"
    }
    return found ^ decided


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


def test_each_module_is_said_to_be_pure_or_not_to_be(copy: Path) -> None:
    assert undecided(copy) == set(), "put it into pyproject.toml, or into IMPURE"
    planted = copy / "core/delivery/fresh_new.py"
    planted.write_text('"""Planted."""\n\nimport time\n')
    try:
        assert undecided(copy) == {"core.delivery.fresh_new"}
    finally:
        planted.unlink()
