"""What the settings make of the engine."""

import asyncio
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import structlog
from prometheus_client import REGISTRY

from bots import connecting, wiring
from bots.server import Health
from bots.settings import load
from bots.wiring import core_of, engine_of
from core.deepseek.options import Options
from core.errors import ConfigurationError, RateLimited
from core.ports import Threads
from core.store.database import Database
from core.store.sql import SqlTurns
from core.turns import metrics
from core.types import ThreadKey
from tests.fakes.platform import FakePlatform, prompt


async def test_there_are_places_for_all_that_ask_the_api_and_more(tmp_path: Path) -> None:
    variables = {"DEEPSEEK_API_KEY": "sk-1", "DATABASE_URL": f"sqlite:///{tmp_path}/a.db"}
    for asked, places in (({}, 128), ({"DEEPSEEK_CONCURRENCY": "2500"}, 2596)):
        settings = load({**variables, **asked}, Path("none")).settings
        async with core_of(settings) as core, engine_of(core, {}) as engine:
            assert engine._slots._value == places


@pytest.mark.parametrize(
    ("variable", "given", "value"),
    [
        ("DEEPSEEK_API_KEY", "sk-2", "sk-2"),
        ("DEEPSEEK_TEMPERATURE", "1.5", 1.5),
        ("DEEPSEEK_MAX_TOKENS", "77", 77),
        ("DEEPSEEK_N", "3", 3),
        ("DEEPSEEK_RESPONSE_FORMAT", "text", "text"),
        ("DEEPSEEK_EXTRA_BODY", '{"top_p": 0.5}', {"top_p": 0.5}),
        ("DEEPSEEK_STREAM", "false", False),
        ("DEEPSEEK_CONCURRENCY", "7", 7),
        ("DEEPSEEK_CONNECT_TIMEOUT", "1.25", 1.25),
        ("DEEPSEEK_IDLE_TIMEOUT", "2.25", 2.25),
        ("DEEPSEEK_FIRST_TOKEN_TIMEOUT", "3.25", 3.25),
        ("DEEPSEEK_PROGRESS_TIMEOUT", "4.25", 4.25),
        ("DEEPSEEK_TURN_TIMEOUT", "5.25", 5.25),
    ],
)
def test_each_variable_of_the_model_reaches_the_client(
    variable: str, given: str, value: object
) -> None:
    def options(environ: dict[str, str]) -> Options:
        settings = load(environ, Path("none")).settings
        return wiring._client_options(settings, "https://api.example", "a-model")

    field = variable.removeprefix("DEEPSEEK_").lower()
    before, after = options({}), options({variable: given})
    assert getattr(before, field) != value == getattr(after, field)
    assert replace(after, **{field: getattr(before, field)}) == before, "and no other field"


async def test_the_shards_that_were_asked_for_are_discords(tmp_path: Path) -> None:
    variables = {"DISCORD_BOT_TOKEN": "a.b.c", "DATABASE_URL": f"sqlite:///{tmp_path}/a.db"}
    for asked, count in (({}, 0), ({"DISCORD_SHARDS": "3"}, 3)):
        settings = load({**variables, **asked}, Path("none")).settings
        async with (
            core_of(settings) as core,
            engine_of(core, {}) as engine,
            aiohttp.ClientSession() as session,
        ):
            platform = await wiring._discord(settings, core, engine, session)
            assert platform is not None
            assert platform._count == count


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "off: set SLACK_BOT_TOKEN and SLACK_APP_TOKEN (docs/slack.md)"),
        ({"SLACK_APP_TOKEN": "xapp-1"}, "off: set SLACK_BOT_TOKEN, too (docs/slack.md)"),
        ({"SLACK_SIGNING_SECRET": "1"}, "off: set SLACK_BOT_TOKEN, too (docs/slack.md)"),
        (
            {"SLACK_BOT_TOKEN": "xoxb-1"},
            "off: set SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP events), too",
        ),
    ],
)
def test_only_what_is_missing_for_slack_is_asked_for(given: dict[str, str], said: str) -> None:
    assert wiring._slack_off(load(given, Path("none")).settings) == said


async def test_what_a_dead_process_held_of_any_platform_is_free_at_the_start(
    tmp_path: Path,
) -> None:
    file, names = tmp_path / "a.db", ("web", "slack", "discord")
    loaded = load({"DATABASE_URL": f"sqlite:///{file}", "HTTP_PORT": "0"}, Path("none"))
    async with Database.open(loaded.settings.database_url) as database:
        turns = SqlTurns(database)
        for name in names:
            asked = prompt("hi", thread=name)
            await turns.accept(replace(asked, platform=name, thread=ThreadKey(f"{name}:a")))
            assert await turns.claim("dead", [name], 500.0)
    async with wiring.service(loaded, lambda _line: None):
        with closing(sqlite3.connect(file)) as look:
            held = look.execute("SELECT platform FROM conversation WHERE owner = 'dead'").fetchall()
    assert held == []


async def test_counters_begin_at_nought_for_each_platform_that_is_on(tmp_path: Path) -> None:
    given = {
        "DATABASE_URL": f"sqlite:///{tmp_path / 'a.db'}",
        "HTTP_PORT": "0",
        "SLACK_BOT_TOKEN": "xoxb-1",
        "SLACK_SIGNING_SECRET": "1",
        "SLACK_API_URL": "http://127.0.0.1:9/",
    }
    for name in ("web", "slack"):
        with suppress(KeyError):
            metrics.PARKED.remove(name)
    async with wiring.service(load(given, Path("none")), lambda _line: None):
        for name in ("web", "slack"):
            labels = {"platform": name}
            assert REGISTRY.get_sample_value("threadseek_turns_parked_total", labels) == 0, name
    assert REGISTRY.get_sample_value("threadseek_turns_parked_total", {"platform": "none"}) is None


async def test_a_row_that_can_not_be_read_turns_readiness_red(tmp_path: Path) -> None:
    file, said = tmp_path / "a.db", list[str]()
    loaded = load({"DATABASE_URL": f"sqlite:///{file}", "HTTP_PORT": "0"}, Path("none"))
    async with Database.open(loaded.settings.database_url) as database:
        await SqlTurns(database).accept(prompt("hi"))
    with closing(sqlite3.connect(file)) as damaged:
        damaged.execute("UPDATE turn SET files = '{'")
        damaged.execute("UPDATE conversation SET platform = 'web'")
        damaged.commit()
    async with wiring.service(loaded, said.append), aiohttp.ClientSession() as session:
        (url,) = (line.split()[1] for line in said if line.startswith("Playground"))
        async with asyncio.timeout(10):
            while (found := await _ready(session, url))[0] == 200:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.05)
    status, parts = found
    assert (status, parts["database"]) == (503, "ok")
    assert parts["engine"].startswith("no turn can be claimed (JSONDecodeError")


async def _ready(session: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, str]]:
    async with session.get(f"{url.rstrip('/')}/readyz") as answer:
        return answer.status, (await answer.json())["parts"]


class Clumsy(FakePlatform):
    """Its first try to connect meets a mistake of ours."""

    name = "clumsy"

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__()
        self.failure = failure or LookupError("nobody thought of this")
        self.tries: list[float] = []

    async def connect(self) -> str:
        """The second try works."""
        self.tries.append(asyncio.get_running_loop().time())
        if len(self.tries) == 1:
            raise self.failure
        return "as a bot"

    async def close(self) -> None:
        """Nothing is open."""

    def problem(self) -> str:
        """None."""
        return ""


async def test_a_mistake_in_connecting_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "PAUSES", (0.1, 0.1))
    settings = load({"DATABASE_URL": f"sqlite:///{tmp_path}/a.db"}, Path("none")).settings
    platform, platforms, health, said = Clumsy(), dict[str, Threads](), Health(), list[str]()
    async with core_of(settings) as core, engine_of(core, platforms) as engine:
        connected = connecting.connected(platform, platforms, engine, health, said.append)
        async with connected, asyncio.timeout(10):
            assert await health.report() == {"clumsy": "LookupError('nobody thought of this')"}
            while not platforms:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.05)
            assert await health.report() == {"clumsy": "ok"}
    assert said == [
        "not connected yet (LookupError('nobody thought of this')); trying again",
        "connected as a bot",
    ]


async def test_connecting_waits_for_as_long_as_the_platform_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "PAUSES", (0.1, 0.1))
    settings = load({"DATABASE_URL": f"sqlite:///{tmp_path}/a.db"}, Path("none")).settings
    platform, platforms = Clumsy(RateLimited(0.7)), dict[str, Threads]()
    async with core_of(settings) as core, engine_of(core, platforms) as engine:
        connected = connecting.connected(platform, platforms, engine, Health(), lambda _line: None)
        async with connected, asyncio.timeout(10):
            while not platforms:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.05)
    first, second = platform.tries
    assert second - first >= 0.69


async def test_a_platform_that_refuses_us_is_an_error_in_the_log(tmp_path: Path) -> None:
    settings = load({"DATABASE_URL": f"sqlite:///{tmp_path}/a.db"}, Path("none")).settings
    platform, platforms, said = Clumsy(), dict[str, Threads](), list[str]()
    platform.failure = ConfigurationError(["CLUMSY_TOKEN: refused; make another"])
    async with core_of(settings) as core, engine_of(core, platforms) as engine:
        with structlog.testing.capture_logs() as log:
            async with connecting.connected(platform, platforms, engine, Health(), said.append):
                pass
    assert said == ["off: CLUMSY_TOKEN: refused; make another"]
    (line,) = (line for line in log if line["event"] == "clumsy.off")
    assert (line["log_level"], line["fix"]) == ("error", "CLUMSY_TOKEN: refused; make another")
