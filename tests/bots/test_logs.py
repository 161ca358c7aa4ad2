"""Log lines: one an event, no secret in any of them, ours and the libraries' alike."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEAK = """
import logging, sys, structlog
from bots import logs
logs.configure(sys.argv[1], sys.argv[2], ["canary-value-1"])
log = structlog.get_logger()
log.debug("quiet")
log.info("seen", key="canary-value-1", other="xoxb-123456-abcdef", text="one\\r\\ntwo", number=3)
logging.getLogger("somebody.else").warning("token %s", "Bearer sk-abcdef123456")
logging.getLogger("slack_bolt").info("chatter")
try:
    raise ValueError("holds canary-value-1")
except ValueError:
    log.exception("failed")
"""


def lines(level: str, fmt: str, program: str = SPEAK) -> list[str]:
    command = [sys.executable, "-c", program, level, fmt]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout == ""
    return result.stderr.splitlines()


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_no_secret_reaches_a_log(fmt: str) -> None:
    text = "\n".join(lines("debug", fmt))
    assert "seen" in text
    assert "failed" in text
    assert "ValueError" in text
    for secret in ("canary-value-1", "xoxb-123456", "sk-abcdef123456"):
        assert secret not in text


def test_json_is_one_object_a_line() -> None:
    events = [json.loads(line) for line in lines("info", "json")]
    seen = next(event for event in events if event["event"] == "seen")
    assert seen["number"] == 3
    assert seen["text"] == "one\\r\\ntwo"
    assert seen["level"] == "info"
    assert "timestamp" in seen
    assert not [event for event in events if event["event"] in ("quiet", "chatter")]


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_what_others_say_does_not_steer_a_terminal(fmt: str) -> None:
    program = """
import logging, sys
from bots import logs
logs.configure(sys.argv[1], sys.argv[2])
said = "a\\x1b[2Jb\\x9bc\\x08\\u2028d\\n"
logging.getLogger("somebody").warning(said)
try:
    raise ValueError(said)
except ValueError:
    logging.getLogger("somebody").exception("failed", extra={"said": said})
"""
    text = "\n".join(lines("info", fmt, program))
    assert not set("\x1b\x9b\x08\u2028").intersection(text)
    assert text.replace("\\\\", "\\").count("a\\x1b[2Jb\\x9bc\\x08\\u2028d") == 2
    assert "Traceback" in text


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_a_library_s_line_is_an_event_named_after_it(fmt: str) -> None:
    """Its sentence differs each time: what is counted and searched for is the event."""
    line = next(line for line in lines("info", fmt) if "somebody.else" in line)
    if fmt == "json":
        event = json.loads(line)
        assert (event["event"], event["level"]) == ("somebody.else", "warning")
        assert event["message"].startswith("token [secret]")
        assert set(event) == {"event", "message", "level", "timestamp"}
    else:
        assert line.index("somebody.else") < line.index("token")


def test_levels_are_honoured() -> None:
    assert any("quiet" in line for line in lines("debug", "console"))
    assert not any("seen" in line for line in lines("warning", "console"))


def test_configuring_twice_speaks_once() -> None:
    again = "logs.configure(sys.argv[1], sys.argv[2])\nlog = structlog"
    shown = lines("info", "json", SPEAK.replace("log = structlog", again))
    assert sum('"event": "seen"' in line for line in shown) == 1
