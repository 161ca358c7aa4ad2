"""What a person types or a pipe brings, without keeping the process when it shall end.

Nothing can wake a thread that waits for either: so nobody waits for it, and it holds none of
Python's locks meanwhile, which a process that ends under it would miss.
"""

import asyncio
import codecs
import os
import sys
import termios
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

MOST = 8 * 1024 * 1024
"""Bytes that are read of what belongs to one question: no model takes as many."""

_AT_ONCE = 65_536  # bytes
_EDITING = (
    "tab: tab-insert",  # and no names of files
    *("$if term=dumb", "$else", "set enable-bracketed-paste on", "$endif"),
)
"""What is asked of readline, in its own words."""
_NO_PASTE = "\x1b[?2004l"  # takes back what readline asks of a terminal for the last of these


class Lines:
    """The lines of a stream, read on a thread of their own from the first `next` on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._come = asyncio.Queue[str | None]()
        self._reader = threading.Thread(target=self._read, name="lines", daemon=True)

    async def next(self) -> str | None:
        """The next line, without its end; None at the end of the stream."""
        if self._reader.ident is None:
            self._reader.start()
        line = await self._come.get()
        if line is None:
            self._come.put_nowait(None)
        return line

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder(self._stream.encoding)("replace")
        rest = ""
        with suppress(RuntimeError, OSError):  # the loop is closed, or the terminal is
            while data := os.read(self._stream.fileno(), _AT_ONCE):
                *lines, rest = (rest + decoder.decode(data)).split("\n")
                for line in lines:
                    self._tell(line)
            if rest:
                self._tell(rest)
        with suppress(RuntimeError):
            self._tell(None)

    def _tell(self, line: str | None) -> None:
        self._loop.call_soon_threadsafe(self._come.put_nowait, line)


class Typing:
    """What a person types on a terminal that stands at both ends, edited as in a shell: a question
    may be of any length, and of several lines where they are pasted. A Python that has no readline
    takes it line by line, and no more of each than the system does.
    """

    def __init__(self, prompt: str) -> None:
        self._prompt = prompt
        self._modes = termios.tcgetattr(sys.stdin)
        with suppress(ImportError):
            import readline

            for line in _EDITING:
                readline.parse_and_bind(line)

    async def next(self) -> str | None:
        """What was typed, without the end of its line; None when there will be no more (Ctrl-D)."""
        try:
            return await _aside(lambda: input(self._prompt))
        except asyncio.CancelledError:
            self._leave()
            raise

    def _leave(self) -> None:
        """The terminal as it was, since who reads from it can't be ended."""
        with suppress(OSError, termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSANOW, self._modes)
            print(_NO_PASTE, end="", flush=True)  # noqa: T201


async def whole(stream: TextIO) -> str:
    """All that a stream brings, or the beginning of more than `MOST` bytes."""

    def read() -> str:
        found = bytearray()
        while len(found) < MOST and (data := os.read(stream.fileno(), _AT_ONCE)):
            found += data
        return found.decode(stream.encoding, "replace")

    return await _aside(read) or ""


async def _aside(read: Callable[[], str]) -> str | None:
    """What that gives, on a thread of its own; None at the end of what it reads, or if it can't."""
    loop = asyncio.get_running_loop()
    come = asyncio.Queue[str | None]()

    def work() -> None:
        found: str | None = None
        with suppress(EOFError, OSError):
            found = read()
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(come.put_nowait, found)

    threading.Thread(target=work, name="reading", daemon=True).start()
    return await come.get()
