"""One cell in real time: the shipped command, asked by so many people at once."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.delivery.answers import Answer
from benchmarks.delivery.cells import Cell, answers
from benchmarks.delivery.traces import letters
from benchmarks.delivery_live.ends import ENDS, End
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply

PATIENCE = 90.0
"""Seconds after the last token within which an answer has to be whole."""


async def live(cell: Cell, seed: int) -> list[Answer]:
    """The answers as they were seen, with the traces and the starts of the laboratory's cell."""
    wanted = answers(cell, seed)
    end = ENDS[cell.place]()
    with TemporaryDirectory() as folder:
        async with DeepSeekServer() as api, end.server:
            for answer in wanted:
                end.prepare(answer.number)
                reply = Reply(pieces=answer.trace.texts, times=answer.trace.times)
                api.script(_name(answer), reply)
            settings = {
                "DEEPSEEK_API_KEY": api.key,
                "DEEPSEEK_BASE_URL": api.url,
                **end.settings(),
            }
            async with running(Path(folder), settings):
                end.slow_down()
                before = end.calls()
                await asyncio.gather(*(_asked(answer, end, api) for answer in wanted))
                calls, refused = end.calls()
        # Which answer a call was for isn't told: the means are right when one has them all.
        wanted[0].calls, wanted[0].refused = calls - before[0], refused - before[1]
    return wanted


def _name(answer: Answer) -> str:
    return f"number {answer.number:03}"


async def _asked(answer: Answer, end: End, api: DeepSeekServer) -> None:
    """Ask, wait for the whole answer, and fill in what was seen."""
    await asyncio.sleep(answer.start)
    end.ask(answer.number, f"Tell me {_name(answer)}")
    deadline = asyncio.get_running_loop().time() + answer.trace.times[-1] + PATIENCE
    while not whole(end.seen(answer.number), answer):
        if asyncio.get_running_loop().time() > deadline:
            break
        await asyncio.sleep(0.2)
    (sent,) = [call.sent_at for call in api.calls if _name(answer) in call.last]
    answer.start = sent[0]
    answer.whole = whole(end.seen(answer.number), answer)
    answer.steps = steps(end.seen(answer.number), answer)


def whole(messages: Sequence[Sequence[tuple[float, str]]], answer: Answer) -> bool:
    """Whether the messages, as they stand, are the answer: nothing lost or doubled."""
    return _solid([states[-1][1] for states in messages if states]) == answer.trace.solid


def steps(
    messages: Sequence[Sequence[tuple[float, str]]], answer: Answer
) -> list[tuple[float, int]]:
    """When how many letters of the answer were visible."""
    changes = sorted(
        (time, number, text) for number, states in enumerate(messages) for time, text in states
    )
    shown = [""] * len(messages)
    found = []
    for time, number, text in changes:
        shown[number] = text
        if answer.trace.solid.startswith(_solid(shown)):  # and no "thinking", say
            found.append((time, sum(map(letters, shown))))
    return found


def _solid(texts: Sequence[str]) -> str:
    return "".join("".join(texts).split())
