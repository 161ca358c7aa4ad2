"""A `History` that holds what it is given."""

from collections.abc import Sequence

from core.ports import Turn
from core.types import Conversation, Memory, Remembered, ThreadKey


class FixedHistory:
    """Conversations by key. loads: how often each was asked for."""

    def __init__(self, **threads: Sequence[Remembered]) -> None:
        self._threads = {
            ThreadKey(key.replace("_", ":", 1)): tuple(value) for key, value in threads.items()
        }
        self.loads: list[ThreadKey] = []

    async def load(self, thread: ThreadKey) -> Conversation:
        """What is stored."""
        self.loads.append(thread)
        messages = self._threads.get(thread, ())
        return Conversation(thread, messages, fresh=not messages)

    async def adopt(self, turn: Turn, earlier: Sequence[Remembered], memory: Memory) -> None:
        """Add earlier messages."""
        self._threads[turn.prompt.thread] = tuple(earlier)

    async def restart(self, thread: ThreadKey) -> bool | None:
        """Forget what is stored."""
        return None if self._threads.pop(thread, None) is None else True
