"""The shipped command as a process, with nothing set but its configuration variables."""

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

COMMAND = str(Path(sys.executable).parent / "threadseek")
ROOT = Path(__file__).parents[2]


def environment(settings: dict[str, str]) -> dict[str, str]:
    """The variables of a process: a bare environment and the settings given."""
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **settings}


class Service:
    """A running `threadseek run`. out, err: what it has printed so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.out = ""
        self.err = ""
        self._readers = [
            asyncio.create_task(self._read("out", process.stdout)),
            asyncio.create_task(self._read("err", process.stderr)),
        ]
        self._changed = asyncio.Event()

    async def _read(self, name: str, stream: asyncio.StreamReader | None) -> None:
        assert stream is not None
        while line := await stream.readline():
            setattr(self, name, getattr(self, name) + line.decode())
            self._changed.set()

    async def printed(self, text: str, within: float = 60.0) -> str:
        """Wait until a line of either output holds the text; returns the line."""
        async with asyncio.timeout(within):
            while True:
                self._changed.clear()
                for line in (self.out + self.err).splitlines():
                    if text in line:
                        return line
                if self.process.returncode is not None:
                    raise AssertionError(f"it ended: {self.out}\n{self.err}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.2)

    @property
    def address(self) -> str:
        """The playground's address, with the slash at the end."""
        found = re.search(r"Playground +(http://\S+/)", self.out)
        assert found, self.out
        return found[1]

    async def end(self, number: signal.Signals = signal.SIGTERM, within: float = 40.0) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        async with asyncio.timeout(within):
            code = await self.process.wait()
            await asyncio.gather(*self._readers)
        return code


async def start(
    folder: Path, settings: dict[str, str], program: Sequence[str] = (COMMAND,)
) -> Service:
    """Start `threadseek run` in a folder. program: what is run in the command's place."""
    process = await asyncio.create_subprocess_exec(
        *program,
        "run",
        cwd=folder,
        env=environment({"HTTP_PORT": "0", **settings}),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    return Service(process)


@asynccontextmanager
async def running(
    folder: Path, settings: dict[str, str], program: Sequence[str] = (COMMAND,)
) -> AsyncIterator[Service]:
    """A service that is ready; killed at the end if a test left it running."""
    service = await start(folder, settings, program)
    try:
        await service.printed("Ready.")
        yield service
    finally:
        await service.end(signal.SIGKILL)


async def command(
    folder: Path, settings: dict[str, str], *arguments: str, stdin: str = ""
) -> tuple[int, str, str]:
    """Run the command to its end: exit code, standard output, standard error."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        *arguments,
        cwd=folder,
        env=environment(settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(40):
        out, err = await process.communicate(stdin.encode())
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()
