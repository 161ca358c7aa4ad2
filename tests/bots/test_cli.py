"""What the command says first."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bots.cli import _banner
from bots.settings import load

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_misspelt_variable_is_named_to_people_and_to_collectors(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded = load({"DEEPSEEK_APIKEY": "x", "LOG_FORMAT": log_format}, Path("none"))
    with capture_logs() as events:
        _banner(loaded)
    said = capsys.readouterr().out + "".join(
        event["line"] for event in events if event["log_level"] == "warning"
    )
    assert said.count("DEEPSEEK_APIKEY") == 1


@pytest.mark.parametrize("level", ["info", "error"])
def test_a_collector_is_told_where_the_playground_is_at_every_level(level: str) -> None:
    program = f"""
from pathlib import Path
from bots import cli, logs
from bots.settings import load
logs.configure("{level}", "json")
cli._banner(load({{"LOG_FORMAT": "json"}}, Path("none")))("Playground  http://here/?key=k")
"""
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    (event,) = map(json.loads, result.stderr.splitlines())
    assert (event["event"], event["line"]) == ("service", "Playground http://here/?key=k")
