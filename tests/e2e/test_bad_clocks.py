"""The clock of the machine is set by an hour while answers run."""

import asyncio
import sys
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from core.turns.notices import LATE
from tests.e2e import set_clock
from tests.e2e.disks import becomes
from tests.e2e.seen import answers, calm, until
from tests.e2e.service import running
from tests.e2e.test_bad_days import http, over_http
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.slack import SlackServer

WITHIN = 60.0  # seconds
READ_BACK = 45.0  # seconds; Slack's own next delivery comes after 60
HOUR = 3600.0
LONG = tuple(f"word{number} " for number in range(120))


@dataclass
class Clock:
    """What the machine's clock is off by, in a file."""

    path: Path
    program: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.set(0.0)
        self.program = [sys.executable, set_clock.__file__, str(self.path)]

    def set(self, seconds: float) -> None:
        """Set it, whole at once."""
        new = self.path.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self.path)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """A clock that is right."""
    return Clock(tmp_path / "clock")


async def asked_on_the_page(address: str, text: str) -> str:
    """Ask in a thread of the playground; what the thread shows when the answer is there."""
    shown = ""
    async with aiohttp.ClientSession(address) as session:
        async with session.post("api/threads/t", json={"id": text, "text": text}) as answer:
            assert answer.status == 202
        async with session.get("api/threads/t") as stream, asyncio.timeout(WITHIN):
            while f"was: {text}" not in shown:
                shown += (await stream.content.readline()).decode()
    return shown


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["forwards", "backwards"])
async def test_answers_that_run_are_not_disturbed_and_threads_go_on(
    step: float,
    clock: Clock,
    tmp_path: Path,
    api: DeepSeekServer,
    slack: SlackServer,
    settings: dict[str, str],
) -> None:
    api.script("count", Reply(pieces=LONG, delay=0.08))
    general = slack.workspace.channel("general").id
    say = slack.workspace.say
    async with running(tmp_path, settings, clock.program) as service:
        await asked_on_the_page(service.address, "one")
        root = say("bob", "general", f"{slack.mention} count")
        await slack.wait_for(lambda: answers(slack, general, root), WITHIN)
        say("bob", "general", "and then", thread_ts=root)
        clock.set(step)
        other = say("alice", "general", f"{slack.mention} hello")
        await slack.wait_for(lambda: answers(slack, general, other), WITHIN)
        assert "Question 2 was: two" in await asked_on_the_page(service.address, "two")
        await slack.wait_for(lambda: len(answers(slack, general, root)) == 2, WITHIN)
        clock.set(0.0)
        assert "Question 3 was: three" in await asked_on_the_page(service.address, "three")
        await until(lambda: service.err.count("turn.settled") == 6, WITHIN)
        assert await service.end() == 0
    first, second = answers(slack, general, root)
    assert first.strip() == "".join(LONG).strip()
    assert "Question 2 was" in second
    assert len(answers(slack, general, other)) == 1
    assert len(api.calls) == 6
    calm(slack)


async def test_what_is_missed_after_a_step_is_read_back(
    clock: Clock, tmp_path: Path, slack: SlackServer, settings: dict[str, str]
) -> None:
    """By a clock that is an hour ahead it is late, and gets the line for late questions."""
    general = slack.workspace.channel("general").id
    async with running(tmp_path, settings, clock.program) as service:
        root = slack.workspace.say("bob", "general", f"{slack.mention} hello")
        await slack.wait_for(lambda: answers(slack, general, root), WITHIN)
        clock.set(HOUR)
        await slack.go_away()
        await becomes(service, "slack", "the socket is down")
        missed = slack.workspace.say("alice", "general", f"{slack.mention} anybody there?")
        await until(lambda: len(slack.deliverer.of(missed)) >= 2, WITHIN)
        await slack.come_back()
        await slack.wait_for(lambda: answers(slack, general, missed), READ_BACK)
    assert answers(slack, general, missed) == [LATE]


@pytest.mark.parametrize("step", [HOUR, -HOUR], ids=["ahead", "behind"])
async def test_a_wrong_clock_refuses_events_over_http_and_says_so(
    step: float,
    clock: Clock,
    tmp_path: Path,
    slack: SlackServer,
    settings: dict[str, str],
) -> None:
    general = slack.workspace.channel("general").id
    say = slack.workspace.say
    async with running(tmp_path, http(settings, slack), clock.program) as service:
        await over_http(slack, service)
        before = say("bob", "general", f"{slack.mention} hello")
        await slack.wait_for(lambda: answers(slack, general, before), WITHIN)
        clock.set(step)
        refused = [say("alice", "general", f"{slack.mention} hello {n}") for n in range(3)]
        await until(lambda: all(len(slack.deliverer.of(ts)) >= 2 for ts in refused), WITHIN)
        assert {d.status for ts in refused for d in slack.deliverer.of(ts) if d.failure} == {401}
        side = "ahead of" if step > 0 else "behind"
        await becomes(service, "slack", f"{side} Slack's, so all events are refused: set it right")
        line = await service.printed("slack.clock")
        assert "360" in line or "359" in line
        assert service.err.count("slack.clock") == 1
        clock.set(0.0)
        after = say("bob", "general", f"{slack.mention} and now?")
        await becomes(service, "slack", "ok")
        await slack.wait_for(
            lambda: all(answers(slack, general, ts) for ts in (*refused, after)), READ_BACK
        )
    assert [len(answers(slack, general, ts)) for ts in (*refused, after)] == [1] * 4
