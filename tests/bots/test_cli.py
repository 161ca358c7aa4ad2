"""What the command says first."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bots.cli import _banner
from bots.settings import load


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
