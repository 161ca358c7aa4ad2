"""A person at a terminal: the shipped command on a real one of the system (a pty)."""

import asyncio
import os
import pty
import termios
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e.service import COMMAND, environment

CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """shown: everything that has been written on it."""

    def __init__(self, process: asyncio.subprocess.Process, ours: int) -> None:
        self.process = process
        self.shown = ""
        self._ours = ours
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(ours, self._read)

    async def types(self, keys: str | bytes) -> None:
        """Press these keys, more of them than the system holds perhaps."""
        data = keys.encode() if isinstance(keys, str) else keys
        while data:
            data = data[await asyncio.to_thread(os.write, self._ours, data[:1024]) :]

    def modes(self) -> list[int]:
        """How the system treats what is typed."""
        return [mode for mode in termios.tcgetattr(self._ours) if isinstance(mode, int)]

    async def shows(self, text: str, times: int = 1) -> None:
        """Wait until that stands on it so often."""
        async with asyncio.timeout(20):
            while self.shown.count(text) < times:
                self._changed.clear()
                await self._changed.wait()

    async def ended(self) -> int:
        """Wait for the end of the command; returns the exit code."""
        async with asyncio.timeout(20):
            return await self.process.wait()

    def _read(self) -> None:
        try:
            self.shown += os.read(self._ours, 65_536).decode(errors="replace")
        except OSError:  # the other side is closed
            asyncio.get_running_loop().remove_reader(self._ours)
        self._changed.set()


@asynccontextmanager
async def terminal(
    folder: Path, settings: dict[str, str], *arguments: str
) -> AsyncGenerator[Terminal, None]:
    """The command on a terminal, as the foreground process of a session of its own."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        cwd=folder,
        env=environment(settings),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        preexec_fn=lambda: os.login_tty(theirs),
    )
    os.close(theirs)
    made = Terminal(process, ours)
    try:
        yield made
    finally:
        asyncio.get_running_loop().remove_reader(ours)
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)
