"""One reply and its writer against a thread in memory."""

import asyncio
import random
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

import pytest

from core.budget import Budget
from core.delivery.reply import Reply
from core.delivery.sharing import OwnBudget
from core.delivery.writer import Writer
from core.errors import LostClaim
from core.ports import Posted
from core.types import PartId
from tests.fakes.clock import now, run
from tests.fakes.thread import FakeThread


class Record:
    """A journal that remembers what it was told, in order. known: parts of other prompts too.

    lost_after: after so many entries somebody else has the claim.
    """

    lost_after = sys.maxsize

    def __init__(self) -> None:
        self.entries: list[tuple[int, str | None]] = []
        self.waits: list[float] = []
        self.known: set[PartId] = set()
        self.outcome = asyncio.Event()
        self.outcome.set()

    async def held(self) -> bool:
        return True

    async def announce(self, index: int, *, named: bool) -> None:
        if len(self.entries) >= self.lost_after:
            raise LostClaim("somebody else has it")
        self.entries.append((index, None))

    async def posted(self, index: int, part: PartId, *, only: bool) -> None:
        self.known.add(part)
        self.entries.append((index, part))

    async def strangers(self, parts: Sequence[PartId], *, exclusive: bool) -> Sequence[PartId]:
        return [part for part in parts if part not in self.known]

    async def stored(self) -> None:
        await self.outcome.wait()

    async def delivered(self, seconds: float) -> None:
        self.waits.append(seconds)


class Session:
    """One reply, its writer and everything around it. Make it inside a running loop."""

    def __init__(
        self,
        thread: FakeThread,
        posted: tuple[Posted, ...] = (),
        budget: Budget | None = None,
        patience: float = 900.0,
        settles_in: float | None = None,
        chance: Callable[[], float] | None = None,
    ) -> None:
        self.thread = thread
        self.journal = Record()
        self.reply = Reply(thread.limits, posted)
        self.writer = Writer(
            thread,
            self.reply,
            budget or OwnBudget(now),
            self.journal,
            now,
            key="turn",
            random=chance or random.Random(1).random,
            patience=patience,
            settles_in=settles_in,
        )

    async def stream(self, pieces: Iterable[str], pause: float = 0.0, notice: str = "") -> None:
        """Write while the pieces arrive, `pause` seconds apart, until everything is shown."""

        async def read() -> None:
            for piece in pieces:
                await asyncio.sleep(pause)
                self.reply.add(piece)
                self.writer.wake()
            self.reply.finish(notice)
            self.writer.wake()

        async with asyncio.TaskGroup() as group:
            group.create_task(read())
            group.create_task(self.writer.run())


def raised(main: Coroutine[Any, Any, None]) -> BaseException:
    """The only exception out of the task group inside `main`."""
    with pytest.raises(ExceptionGroup) as caught:
        run(main)
    (error,) = caught.value.exceptions
    assert isinstance(error, BaseException)
    return error


def words(count: int) -> list[str]:
    return [f"word{number} " for number in range(count)]
