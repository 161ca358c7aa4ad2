"""Tells people that their prompt waits for others, and takes the sign away when its turn comes.

Best effort, beside the turns: nothing waits for it, and what can't be told is not told.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from core.ports import ShowsQueued, Thread, Turn, Turns
from core.types import Prompt

log = structlog.get_logger()


class Queueing:
    """The signs that are being shown or taken away just now."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._tasks: set[asyncio.Task[None]] = set()

    def accepted(self, prompt: Prompt, thread: Thread) -> None:
        """A new prompt was stored: say so if it has to wait."""
        if isinstance(thread, ShowsQueued):
            self._spawn(self._show(prompt, thread))

    def begun(self, turn: Turn, thread: Thread) -> None:
        """A turn was claimed: if it had to wait, it doesn't any more."""
        if turn.waited and isinstance(thread, ShowsQueued):
            self._spawn(thread.queued(0))

    async def stop(self) -> None:
        """Leave what is not told yet."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _show(self, prompt: Prompt, thread: ShowsQueued) -> None:
        if not (ahead := await self._turns.ahead(prompt)):
            return
        await thread.queued(ahead)
        # Its turn may have come before the sign was there: then nobody else removes it.
        if not await self._turns.ahead(prompt):
            await thread.queued(0)

    def _spawn(self, telling: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(telling)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.warning("prompt.wait_not_shown", error=repr(error))
