"""What the adapter asks of the core: take a prompt, start afresh, say what was talked in lately,
hear what people change.
"""

from collections.abc import Sequence
from typing import Protocol

from core import ports
from core.ports import Recent
from core.types import Prompt, ThreadKey


class Intake(Protocol):
    """Joined from the engine and the store. Every method raises StoreError."""

    async def accept(self, prompt: Prompt) -> bool:
        """Commit a prompt; False when it is known already or a follow-up to nothing."""

    async def restart(self, thread: ThreadKey) -> bool | None:
        """Begin a conversation afresh; False: an answer is under way, None: there is none."""

    async def recent(self, since: float) -> Sequence[Recent]:
        """The conversations with a turn received since then (epoch seconds), newest first."""


class Edits(ports.Edits, Protocol):
    """Is told of whole threads, too."""

    async def withdraw_thread(self, thread: ThreadKey) -> None:
        """The thread was deleted, and with it every message in it."""

    async def withdraw_threads(self, within: str, naming: Sequence[str]) -> None:
        """All these threads were; which they are is told as for `core.ports.Turns.threads`."""
