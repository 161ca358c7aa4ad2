"""What arrives gathers until it is drawn or at its end; with TLS and on uvloop too."""

import asyncio
import select
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack, aclosing, suppress

import pytest

from core.deepseek import gathering
from core.deepseek.client import DeepSeek
from core.errors import Failure
from core.types import CompletionRequest, Message, Role
from tests.contract.deepseek.conftest import Scenario
from tests.contract.deepseek.raw import Answer, options, serving
from tests.contract.deepseek.scripted import (
    COMMENT,
    DONE,
    END,
    HEAD,
    LAST,
    NEVER,
    Asked,
    Crowd,
    Scripted,
    begun,
    patient,
    word,
)


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is handed on for having lain or stood still."""
    monkeypatch.setattr(gathering, "HOLD", NEVER)
    monkeypatch.setattr(gathering, "STILL", NEVER)


def test_what_waits_is_handed_out_when_it_is_drawn(
    play: Callable[[Scenario], None], unhurried: None
) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        async with begun(tls) as (server, asked):
            for text, whole in (("b", "ab"), ("c", "abc"), ("d", "abcd")):
                came = asked.came
                await server.say(word(text))
                await asyncio.sleep(3 * gathering.TICK)
                assert asked.came > came  # whoever shows it was told
                assert asked.text == whole[:-1]
                assert asked.request.arrivals.draw()
                await asyncio.sleep(0)
                assert asked.text == whole
            assert not asked.request.arrivals.draw()
            await server.say(END, DONE, b"0\r\n\r\n")
            await asked.ends()
            assert (asked.text, asked.failure) == ("abcd", None)

    play(scenario)


def test_what_the_kernel_has_since_the_last_look_is_drawn_too(
    unhurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with begun() as (server, asked):
            await server.say(word("b"))
            assert (asked.came, asked.text) == (0, "a")
            assert asked.request.arrivals.draw()
            await asyncio.sleep(0)
            assert asked.text == "ab"

    monkeypatch.setattr(gathering, "TICK", 3600.0)
    asyncio.run(scenario())


def test_what_is_drawn_is_told_of_though_it_is_more_than_may_wait_here(
    unhurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with begun() as (server, asked):
            await server.say(word("b"))
            assert asked.request.arrivals.draw()
            await asyncio.sleep(0)
            assert asked.text == "ab"

    monkeypatch.setattr(gathering, "TICK", 3600.0)
    monkeypatch.setattr(gathering, "HELD", 1)
    asyncio.run(scenario())


@pytest.mark.parametrize("apart", [False, True])
def test_the_end_is_noticed_at_the_next_look(
    play: Callable[[Scenario], None], unhurried: None, apart: bool
) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        async with begun(tls) as (server, asked):
            for _ in range(3):  # what a word's size is has been learned
                await server.say(word("a"))
                asked.request.arrivals.draw()
            for number in range(3):
                await server.say(word("b" * number + "b"))
            assert asked.text == "aaaa"
            cut = END.index(b"reason")
            last = (END[:cut], END[cut:]) if apart else (END, DONE)
            for piece in last:
                await server.say(piece)
            ticks = asked.client._gatherer.ticks
            await asked.has("aaaabbbbbb")
            assert asked.client._gatherer.ticks - ticks <= 1

    play(scenario)


@pytest.mark.parametrize("rudely", [False, True])
def test_a_peer_that_dies_while_nothing_is_read_is_noticed(
    play: Callable[[Scenario], None], unhurried: None, rudely: bool
) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        async with begun(tls) as (server, asked):
            await server.say(word("b"))
            await server.die(rudely=rudely)
            await asked.ends()
            assert asked.failure is not None
            assert asked.failure.failure is Failure.TRUNCATED
            assert rudely or asked.text == "ab"  # a reset may take what wasn't read with it

    play(scenario)


@pytest.mark.parametrize("why", ["HOLD", "STILL", "HELD"])
def test_what_many_have_is_handed_on_a_few_at_a_time(
    play: Callable[[Scenario], None], unhurried: None, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(gathering, "_FEW", 2)
    few = {"HOLD": 6 * gathering.TICK, "STILL": 3, "HELD": len(word("b")) - 1}

    async def scenario(tls: ssl.SSLContext | None) -> None:
        if why == "HELD" and tls is None:
            return  # what waits in the kernel isn't held here
        server = Crowd()
        served = serving(server.answer, tls)
        async with served as raw, DeepSeek(patient(raw)) as client, AsyncExitStack() as stack:
            everybody = [Asked(client) for _ in range(12)]
            stack.callback(lambda: [each.task.cancel() for each in everybody])
            await server.say(12, HEAD, word("a"))
            for each in everybody:
                await each.has("a")
            await server.say(12, word("b"))
            began, done = client._gatherer.ticks, 0
            async with asyncio.timeout(5):
                while done < 12:
                    done = sum(each.text == "ab" for each in everybody)
                    assert done <= 2 * (client._gatherer.ticks - began), "not all at once"
                    await asyncio.sleep(0.001)

    monkeypatch.setattr(gathering, why, few[why])
    play(scenario)


def test_what_stands_still_or_has_lain_is_handed_on(play: Callable[[Scenario], None]) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        server = Scripted()
        async with serving(server.answer, tls) as raw, DeepSeek(options(raw)) as client:
            asked = Asked(client)
            await server.say(HEAD, word("a"))
            await asked.has("a")
            await server.say(word("b"))
            await asked.has("ab")
            asked.task.cancel()

    play(scenario)


def test_words_that_come_together_are_left_where_they_are(
    unhurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    fetch = gathering.Gathering._fetch

    def counted(each: gathering.Gathering) -> None:
        read.append(each.number)
        fetch(each)

    async def scenario() -> None:
        async with begun() as (server, asked):
            await server.say(word("b"))
            await asyncio.sleep(3 * gathering.TICK)  # what a word's size is has been learned
            monkeypatch.setattr(gathering.Gathering, "_fetch", counted)
            for number in range(1, 5):
                await server.say(*[word("c")] * number)
                await asyncio.sleep(3 * gathering.TICK)
            assert read == []
            await server.say(word("d"), END, DONE, LAST)
            await asked.ends()
            assert asked.text == "ab" + 10 * "c" + "d"

    asyncio.run(scenario())


def test_a_stream_of_slow_words_is_read_less_often_than_each_word(
    play: Callable[[Scenario], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        async with begun(tls) as (server, asked):
            (each,) = [*asked.client._gatherer._paused.values(), *asked.client._gatherer._wrapped]
            for _ in range(6):
                await server.say(word("b"))
                await asyncio.sleep((gathering.STILL + 3) * gathering.TICK)
            assert each._still == 4 * gathering.STILL
            came = len(asked.text)
            await server.say(word("b"))
            await asked.has("a" + 6 * "b" + "b")
            assert came < len(asked.text)

    play(scenario)


def test_a_paused_stream_that_says_nothing_is_stalled(play: Callable[[Scenario], None]) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        server = Scripted()
        limits = {"idle_timeout": 0.8, "progress_timeout": 5.0}
        async with serving(server.answer, tls) as raw, DeepSeek(options(raw, **limits)) as client:
            asked = Asked(client)
            await server.say(HEAD, word("a"))
            for _ in range(20):  # that something comes is enough, though it is no word
                await asyncio.sleep(0.03)
                await server.say(COMMENT)
            assert not asked.task.done()
            await asked.ends()
            assert asked.failure is not None
            assert asked.failure.failure is Failure.STALLED
            assert "Not a byte" in asked.failure.message

    play(scenario)


def test_what_waits_after_a_long_silence_has_ended_it(
    play: Callable[[Scenario], None], unhurried: None
) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        server = Scripted()
        limits = {"idle_timeout": 1.2, "progress_timeout": 5.0}
        async with serving(server.answer, tls) as raw, DeepSeek(options(raw, **limits)) as client:
            asked = Asked(client)
            await server.say(HEAD, word("a"))
            await asked.has("a")
            await asyncio.sleep(0.9)
            await server.say(word("b"))
            await asyncio.sleep(0.5)
            await server.say(END, DONE, LAST)
            await asked.ends()
            assert asked.failure is None
            assert asked.text == "ab"

    play(scenario)


def test_what_waits_when_the_time_is_up_still_counts(
    play: Callable[[Scenario], None], unhurried: None
) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        server = Scripted()
        async with (
            serving(server.answer, tls) as raw,
            DeepSeek(patient(raw, turn_timeout=0.4)) as client,
        ):
            asked = Asked(client)
            await server.say(HEAD, word("a"))
            await asked.has("a")
            await server.say(word("b"))
            await asked.ends()
            assert asked.failure is not None
            assert asked.failure.failure is Failure.STALLED
            assert asked.text == "ab"

    play(scenario)


def flood(words: int) -> Answer:
    """All at once, far more than is buffered anywhere."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD + word("0 "))
        await asyncio.sleep(0.02)
        for number in range(1, words):
            writer.write(word(f"{number} "))
            if number % 500 == 0:
                await writer.drain()
        writer.write(END + DONE + b"0\r\n\r\n")
        await writer.drain()

    return answer


def test_a_flood_for_a_slow_reader_stays_in_order(play: Callable[[Scenario], None]) -> None:
    words = 12_000

    async def scenario(tls: ssl.SSLContext | None) -> None:
        async with serving(flood(words), tls) as raw, DeepSeek(options(raw)) as client:
            request = CompletionRequest(messages=(Message(Role.USER, "Hello"),))
            text, number = "", 0
            async with aclosing(client.stream(request)) as chunks:
                async for chunk in chunks:
                    text, number = text + chunk.text, number + 1
                    if number % 3 == 0:
                        await asyncio.sleep(0.01)
            assert text == "".join(f"{each} " for each in range(words))
            assert raw.connections == 1

    play(scenario)


def test_where_nothing_can_gather_all_is_read_as_it_comes(
    play: Callable[[Scenario], None], unhurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        server = Scripted()
        async with serving(server.answer, tls) as raw, DeepSeek(patient(raw)) as client:
            asked = Asked(client)
            await server.say(HEAD, word("a"))
            await server.say(word("b"))
            await asked.has("ab")
            assert not asked.request.arrivals.draw()
            asked.task.cancel()

    with monkeypatch.context() as patched:
        patched.setattr(gathering.Gatherer, "__enter__", lambda self: self)
        play(scenario)


def test_nothing_is_left_behind(play: Callable[[Scenario], None]) -> None:
    async def scenario(tls: ssl.SSLContext | None) -> None:
        server = Scripted()
        async with serving(server.answer, tls) as raw, DeepSeek(options(raw)) as client:
            asked = Asked(client)
            await server.say(HEAD, word("a"))
            await asked.has("a")
            gatherer = asked.client._gatherer
            assert len(gatherer._paused) + len(gatherer._wrapped) == 1
            asked.task.cancel()
            with suppress(asyncio.CancelledError):
                await asked.task
            assert not gatherer._paused
            assert not gatherer._wrapped
            await asyncio.sleep(2 * gathering.TICK)
            assert gatherer._timer is None

    play(scenario)


def test_the_kernel_of_this_test_has_what_is_tested() -> None:
    assert hasattr(select, "epoll")
