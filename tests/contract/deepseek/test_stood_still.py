"""The process stood still (stopped, or asleep with its machine) for longer than a clock allows."""

import asyncio
import ssl
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from core.deepseek import client as module
from core.deepseek.client import DeepSeek
from core.errors import Clock, Failure
from tests.contract.deepseek.conftest import Scenario
from tests.contract.deepseek.raw import options, serving, whole
from tests.contract.deepseek.scripted import DONE, END, HEAD, LAST, Asked, Scripted, word

pytestmark = pytest.mark.parametrize("play", ["uvloop", "asyncio, TLS"], indirect=True)

LIMIT = 0.8
LATE = 0.2
STOOD = LIMIT + 2 * LATE
REST = END + DONE + LAST
MANY = b"".join(word(f"{number} ") for number in range(1500))  # more than is read at once
WHOLE = whole(b'{"choices":[{"message":{"content":"ab"}}]}')
PATIENT = {"idle_timeout": 9.0, "first_token_timeout": 9.0, "progress_timeout": 9.0}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LATE", LATE)


@asynccontextmanager
async def asked_of(
    tls: ssl.SSLContext | None, **limits: Any
) -> AsyncGenerator[tuple[Scripted, Asked], None]:
    """A server that was asked. limits: on the client's patience, where it has any."""
    server = Scripted()
    given = {**PATIENT, **limits}
    async with serving(server.answer, tls) as raw, DeepSeek(options(raw, **given)) as client:
        yield server, Asked(client)


async def stand_still(server: Scripted, *, meanwhile: bytes = b"", after: bytes = b"") -> None:
    """Nothing runs for a while; what the server says meanwhile lies in the kernel when it does."""
    await asyncio.sleep(0.1)
    writer = await server.writer()
    writer.write(meanwhile)
    time.sleep(STOOD)  # noqa: ASYNC251 that is what is looked at
    if after:
        await asyncio.sleep(0.1)
        writer.write(after)


@pytest.mark.parametrize(
    "limits",
    [{"idle_timeout": LIMIT, "progress_timeout": LIMIT}, {"turn_timeout": LIMIT}],
    ids=["silence", "turn"],
)
@pytest.mark.parametrize("when", ["meanwhile", "after"])
def test_what_came_meanwhile_or_comes_behind_it_is_the_answer(
    play: Callable[[Scenario], None], limits: dict[str, float], when: str
) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        async with asked_of(tls, **limits) as (server, asked):
            await server.say(HEAD, word("a"))
            await asked.has("a")
            said: dict[str, Any] = {when: MANY + REST}
            await stand_still(server, **said)
            await asked.ends()
            assert asked.failure is None
            assert asked.text.endswith(" 1499 ")

    play(scenario)


@pytest.mark.parametrize(
    ("stream", "limits", "answer"),
    [
        (True, {"idle_timeout": LIMIT, "first_token_timeout": LIMIT}, HEAD + word("ab") + REST),
        (False, {"turn_timeout": LIMIT}, WHOLE),
    ],
    ids=["stream", "whole"],
)
@pytest.mark.parametrize("when", ["meanwhile", "after"])
def test_an_answer_that_had_not_begun_is_not_lost(
    play: Callable[[Scenario], None],
    stream: bool,
    limits: dict[str, float],
    answer: bytes,
    when: str,
) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        async with asked_of(tls, stream=stream, **limits) as (server, asked):
            said: dict[str, Any] = {when: answer}
            await stand_still(server, **said)
            await asked.ends()
            assert asked.failure is None
            assert asked.text == "ab"

    play(scenario)


@pytest.mark.parametrize(
    ("limits", "clock"),
    [
        ({"idle_timeout": LIMIT}, Clock.IDLE),
        ({"progress_timeout": LIMIT}, Clock.PROGRESS),
        ({"turn_timeout": LIMIT}, Clock.TURN),
    ],
    ids=["idle", "progress", "turn"],
)
def test_who_is_silent_behind_it_too_is_noticed_in_time(
    play: Callable[[Scenario], None], limits: dict[str, float], clock: Clock
) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        async with asked_of(tls, **limits) as (server, asked):
            await server.say(HEAD, word("a"))
            await asked.has("a")
            await stand_still(server)
            woke = time.monotonic()
            await asked.ends()
            assert LIMIT / 2 < time.monotonic() - woke < 3 * LIMIT
            assert asked.failure is not None
            assert (asked.failure.failure, asked.failure.clock) == (Failure.STALLED, clock)

    play(scenario)
