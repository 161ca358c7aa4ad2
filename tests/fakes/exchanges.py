"""Stored turns that are what they are given as."""

from collections.abc import Sequence

from core.ports import Exchange
from core.types import ThreadKey


class FixedExchanges:
    """Turns by conversation, where the page asks for them.

    threads: may be changed meanwhile. error: is raised instead. reads: how often each conversation
    was asked for.
    """

    def __init__(self, **threads: Sequence[Exchange]) -> None:
        self.threads = {
            ThreadKey(key.replace("_", ":", 1)): tuple(value) for key, value in threads.items()
        }
        self.error: Exception | None = None
        self.reads: list[ThreadKey] = []

    async def __call__(self, thread: ThreadKey, limit: int) -> Sequence[Exchange]:
        """What is stored, the newest ones."""
        self.reads.append(thread)
        if self.error:
            raise self.error
        return self.threads.get(thread, ())[-limit:]
