"""What a person types, line by line, without keeping the process when it shall end."""

import asyncio
import codecs
import os
import threading
from contextlib import suppress
from typing import TextIO

_MOST = 65_536  # bytes read at once


class Lines:
    """The lines of a stream, read on a thread of their own from the first `next` on.

    Nothing can wake a thread that waits for a person: so nobody waits for it, and it holds none of
    Python's locks meanwhile, which a process that ends under it would miss.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._come = asyncio.Queue[str | None]()
        self._reader = threading.Thread(target=self._read, name="lines", daemon=True)

    async def next(self) -> str:
        """The next line, without its end; empty at the end of the stream."""
        if self._reader.ident is None:
            self._reader.start()
        line = await self._come.get()
        if line is None:
            self._come.put_nowait(None)
        return line or ""

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder(self._stream.encoding)("replace")
        rest = ""
        with suppress(RuntimeError, OSError):  # the loop is closed, or the terminal is
            while data := os.read(self._stream.fileno(), _MOST):
                *lines, rest = (rest + decoder.decode(data)).split("\n")
                for line in lines:
                    self._tell(line)
            if rest:
                self._tell(rest)
        with suppress(RuntimeError):
            self._tell(None)

    def _tell(self, line: str | None) -> None:
        self._loop.call_soon_threadsafe(self._come.put_nowait, line)
