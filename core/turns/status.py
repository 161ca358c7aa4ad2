"""What a person sees before there are words: one line that says the prompt is being worked on."""

import asyncio
from collections.abc import Callable

from core.ports import ShowsStatus, Thread

THINKING = "is thinking…"
REASONING = "is reasoning…"

_REFRESH = 60.0  # seconds; Slack forgets a status after two minutes


class StatusLine:
    """Shows the newest status until the first words are on their way.

    stands: a message of the answer may stand already. Then its words come by an edit, which doesn't
    surely take the line away as a post does.
    """

    def __init__(self, thread: Thread, begun: Callable[[], bool], *, stands: bool) -> None:
        self._thread = thread
        self._begun = begun
        self._stands = stands
        self._text = THINKING
        self._over = self._shown = False
        self._changed = asyncio.Event()

    def set(self, text: str) -> None:
        """Change the line; shown as soon as the last call has returned."""
        if text != self._text:
            self._text = text
            self._changed.set()

    def end(self) -> None:
        """There is nothing to wait for any more: nothing more is shown."""
        self._over = True
        self._changed.set()

    async def run(self) -> None:
        """Show and refresh the line until words are on their way, or `end`."""
        if not isinstance(self._thread, ShowsStatus):
            return
        while not (self._begun() or self._over):
            self._changed.clear()
            self._shown = True
            await self._thread.status(self._text)
            if self._begun():  # the call may have landed after the post that would have ended it
                await self._thread.status("")
                return
            try:
                async with asyncio.timeout(_REFRESH):
                    await self._changed.wait()
            except TimeoutError:
                continue
        if self._shown and self._stands:
            await self._thread.status("")
