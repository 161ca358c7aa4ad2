"""The cheapest virtual clock: a loop without a selector's system calls, and so without sockets."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Jump(selectors.SelectSelector):
    """Waits for nothing: what it is asked to wait for is added to the time."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Nothing is ever ready; time passes."""
        if timeout is None:
            raise RuntimeError("deadlock: nothing is scheduled and nothing can happen any more")
        if timeout > 0:
            self.now += timeout
        return []


class LeanLoop(asyncio.SelectorEventLoop):
    """A loop for coroutines only. Its time begins at 0.0 seconds and jumps to the next timer."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Virtual seconds."""
        return self._jump.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """The result of `main` in virtual time. Fails on a deadlock and on tasks left behind."""
    loop = LeanLoop()
    try:
        result = loop.run_until_complete(main)
        left = asyncio.all_tasks(loop)
        assert not left, f"tasks left behind: {left}"
        loop.run_until_complete(loop.shutdown_asyncgens())
        return result
    finally:
        loop.close()


def now() -> float:
    """The running loop's time, in seconds."""
    return asyncio.get_running_loop().time()
