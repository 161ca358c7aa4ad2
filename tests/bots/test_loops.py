"""The service runs on uvloop, and on Python's own loop where that is missing."""

import asyncio
import sys

import pytest
import uvloop
from structlog.testing import capture_logs

from bots import commands
from bots.loops import factory


def test_the_faster_loop_is_taken() -> None:
    made = factory()
    assert made is not None
    loop = made()
    assert isinstance(loop, uvloop.Loop)
    loop.close()


def test_without_it_a_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with capture_logs() as logs:
        assert factory() is None
    assert [line["event"] for line in logs] == ["loop.plain"]


def test_the_command_runs_on_the_loop_it_is_given() -> None:
    async def work() -> int:
        return int(isinstance(asyncio.get_running_loop(), uvloop.Loop))

    assert commands._guarded(work, uvloop.new_event_loop) == 1
    assert commands._guarded(work) == 0
