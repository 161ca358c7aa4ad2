"""What the command says first."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bots.commands import _banner
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


@pytest.mark.parametrize("arguments", [("config",), ("chat", "hello")])
def test_every_command_that_a_person_reads_names_a_misspelt_variable(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("LOGLEVEL=debug\n")
    command = [str(Path(sys.executable).parent / "threadseek"), *arguments]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "DEEPSEEK_KEY": "x"}
    result = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment
    )
    assert "Warning" not in result.stdout, "it may be read by a program"
    for name in ("LOGLEVEL", "DEEPSEEK_KEY"):
        assert f"Warning        {name} is not a variable of Threadseek" in result.stderr


@pytest.mark.parametrize("level", ["info", "error"])
def test_a_collector_is_told_where_the_playground_is_at_every_level(level: str) -> None:
    program = f"""
from pathlib import Path
from bots import commands, logs
from bots.settings import load
logs.configure("{level}", "json")
commands._banner(load({{"LOG_FORMAT": "json"}}, Path("none")))("Playground  http://here/?key=k")
"""
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    (event,) = map(json.loads, result.stderr.splitlines())
    assert (event["event"], event["line"]) == ("service", "Playground http://here/?key=k")


@pytest.mark.parametrize(
    ("command", "module"),
    [
        ("run", "typer"),
        ("run", "bots.settings"),
        ("chat", "typer"),
        ("chat", "bots.chat"),
    ],
)
def test_ctrl_c_ends_the_command_quietly_from_the_start(
    command: str, module: str, tmp_path: Path
) -> None:
    """While it still imports what it needs, too."""
    program = f"""
import os, signal, sys

class Presses:
    def find_spec(self, name, *_):
        if name == "{module}":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Presses())
sys.argv = ["threadseek", "{command}"]
from bots.cli import main
sys.exit(main())
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HTTP_PORT": "0"}
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=environment,
        timeout=60,
    )
    assert result.returncode == 130
    assert "Traceback" not in result.stderr
