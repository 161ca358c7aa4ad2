"""The conversation in the terminal: prompts from a person's lines, answers written as they grow."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TextIO

from core.delivery.sanitise import clean
from core.errors import Stopped
from core.types import Allowance, Limits, Outcome, PartId, Prompt, StreamLimits, ThreadKey, Verdict

_FREE = Allowance(key="console", burst=1_000, rate=1_000)
_GAP = 0.05  # seconds
_ADDED = replace(_FREE, key="console:stream")
_STREAM = StreamLimits(start=_ADDED, append=_ADDED, stop=_ADDED, gap=_GAP, life=float("inf"))
LIMITS = Limits(size=10_000_000, measure=len, gap=_GAP, post=_FREE, edit=_FREE, stream=_STREAM)


def platform_of(name: str) -> str:
    """The platform under which the conversation `name` is stored.

    One for each name, so that terminals that are open side by side answer only their own prompts.
    """
    return f"console:{name}"


def prompt_of(name: str, text: str, at: float) -> Prompt:
    """The prompt for one line of a person. at: seconds since the epoch."""
    nanoseconds = f"{int(at * 1_000_000_000):020d}"
    return Prompt(
        platform=platform_of(name),
        thread=ThreadKey(f"console:{name}"),
        identity=f"console:{name}:{nanoseconds}",
        sequence=nanoseconds,
        author="",
        text=text,
        asked_at=at,
        address="",
    )


class ConsoleThread:
    """A `Thread` that writes to a terminal, where nothing can be taken back: so it is `Streams`.

    A text that doesn't continue what stands there is written at the end, whole. What `out` doesn't
    take (nobody reads it any more, its disk is full) ends the waiting: there is nobody to answer.
    live: write as the answer grows. text: what has come.
    """

    def __init__(self, out: TextIO, *, live: bool, note: Callable[[str], None]) -> None:
        self._out = out
        self._live = live
        self._note = note
        self._shown = ""
        self._stopped = False
        self.text = ""
        self._refused: OSError | None = None
        self._ended = asyncio.Event()
        self.outcome = Outcome(verdict=Verdict.ERROR)

    @property
    def limits(self) -> Limits:
        """Practically none."""
        return LIMITS

    async def post(self, text: str, key: str) -> PartId:
        """Write the first words."""
        self._note("")
        await self.edit(PartId(key), text)
        return PartId(key)

    async def edit(self, part: PartId, text: str) -> None:
        """Write what has been added. No control character may steer the terminal."""
        self.text = clean(text)
        self._write()

    async def start(self, text: str, key: str) -> PartId:
        """Write the first words."""
        return await self.post(text, key)

    async def append(self, part: PartId, shown: str, text: str) -> None:
        """Write what has been added. Raises: Stopped, once."""
        if self._stopped:
            self._stopped = False
            raise Stopped("the answer was stopped (Ctrl-C)")
        await self.edit(part, text)

    async def stop(self, part: PartId, shown: str, text: str) -> None:
        """Write what has been added. Raises: Stopped, once."""
        await self.append(part, shown, text)

    def interrupt(self) -> bool:
        """The person wants no more of it, as whoever writes next is told; whether they saw any."""
        self._stopped = bool(self._shown)
        return self._stopped

    def leave(self) -> None:
        """Write nothing more."""
        self._live, self._note = False, lambda _: None

    async def status(self, text: str) -> None:
        """Show one line of status where there is a terminal."""
        if not self._shown:
            self._note(text)

    async def concluded(self, outcome: Outcome) -> None:
        """See that the whole text stands there, and end the waiting."""
        self.outcome = outcome
        if self._live and self._shown != self.text:
            self._shown = ""
            self.text = f"\n\n{self.text}"
            self._write()
        self._ended.set()

    async def ended(self) -> Outcome:
        """Wait for the outcome. Raises: OSError, when it can't be written."""
        await self._ended.wait()
        if self._refused:
            raise self._refused
        return self.outcome

    def _write(self) -> None:
        if not (self._live and self.text.startswith(self._shown)):
            return
        try:
            self._out.write(self.text[len(self._shown) :])
            self._out.flush()
        except OSError as error:
            self._live, self._refused = False, error
            self._ended.set()
        self._shown = self.text


class ConsolePlatform:
    """The `Threads` of one terminal: one turn at a time, on the streams given.

    asked: the identity of the question just asked.
    """

    def __init__(
        self, name: str, accept: Callable[[Prompt], Awaitable[bool]], out: TextIO, err: TextIO
    ) -> None:
        self._name = name
        self._accept = accept
        self._out = out
        self._err = err
        self.asked = ""
        self._thread = self._new(live=False)

    def open(self, prompt: Prompt) -> ConsoleThread:
        """The thread of the question just asked; what an earlier life left open is not shown."""
        if prompt.identity == self.asked:
            return self._thread
        return ConsoleThread(self._out, live=False, note=lambda _: None)

    @property
    def text(self) -> str:
        """What has come of the answer to the question just asked."""
        return self._thread.text

    async def ask(self, text: str, *, live: bool) -> Outcome:
        """Ask one question and wait for its outcome. live: write the answer as it grows.

        Raises: OSError, when it can't be written.
        """
        prompt = prompt_of(self._name, text, time.time())
        self._thread = self._new(live=live)
        self.asked = prompt.identity
        await self._accept(prompt)
        return await self._thread.ended()

    def interrupt(self) -> bool:
        """Stop the answer to the question just asked; False when nothing of it stands there."""
        return self._thread.interrupt()

    def leave(self) -> None:
        """Write nothing more of it."""
        self._thread.leave()

    def _new(self, *, live: bool) -> ConsoleThread:
        return ConsoleThread(self._out, live=live, note=self._note if live else lambda _: None)

    def _note(self, text: str) -> None:
        """A status line that the answer's first words replace; only where there is a terminal."""
        with suppress(OSError):
            if self._err.isatty():
                self._err.write(f"\r\x1b[K{text}")
                self._err.flush()
