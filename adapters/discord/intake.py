"""What the adapter asks of the core: take a prompt, start afresh, say what was talked in lately."""

from collections.abc import Sequence
from typing import Protocol

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
