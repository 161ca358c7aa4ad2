"""What the settings make of the engine."""

from pathlib import Path

from bots.settings import load
from bots.wiring import core_of, engine_of


async def test_there_are_places_for_all_that_ask_the_api_and_more(tmp_path: Path) -> None:
    variables = {"DEEPSEEK_API_KEY": "sk-1", "DATABASE_URL": f"sqlite:///{tmp_path}/a.db"}
    for asked, places in (({}, 128), ({"DEEPSEEK_CONCURRENCY": "2500"}, 2596)):
        settings = load({**variables, **asked}, Path("none")).settings
        async with core_of(settings) as core, engine_of(core, {}) as engine:
            assert engine._slots._value == places
