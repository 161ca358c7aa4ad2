"""The shipped `threadseek run` as a process under measurement."""

import asyncio
import contextlib
import json
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.far_ends.process import FarEnd, far_end

COMMAND: tuple[str, ...] = (str(Path(sys.executable).parent / "threadseek"), "run")
PROBED = (sys.executable, "-m", "benchmarks.probed")
ROOT = Path(__file__).parents[1]


class Service:
    """A running one. port: of its HTTP server. log: where its standard error goes."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, port: int) -> None:
        self.process = process
        self.log = log
        self.port = port
        self.began = time.perf_counter()

    async def ready(self, within: float = 30.0) -> float:
        """Wait for 200 on /readyz; seconds since the start."""
        async with aiohttp.ClientSession() as session, asyncio.timeout(within):
            while True:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with session.get(f"http://127.0.0.1:{self.port}/readyz") as answer:
                        if answer.status == 200:
                            return time.perf_counter() - self.began
                await asyncio.sleep(0.005)

    def cpu(self) -> float:
        """Seconds of processor time so far, all threads together (proc_pid_stat(5))."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> dict[str, float]:
        """MiB that are resident, by "Rss" and "Pss" (proc_pid_smaps(5))."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        sizes = re.findall(r"^(Rss|Pss): +(\d+)", rollup, re.MULTILINE)
        return {name: int(size) / 1024 for name, size in sizes}

    async def probe(self, what: str) -> dict[str, Any]:
        """Ask the probe inside (`PROBED`)."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{what}\n".encode())
        while line := await self.process.stdout.readline():
            if line.startswith(b"{"):
                found: dict[str, Any] = json.loads(line)
                return found
        raise RuntimeError(self.log.read_text()[-2000:])


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@asynccontextmanager
async def running(
    settings: dict[str, str], program: Sequence[str] = PROBED, folder: Path | None = None
) -> AsyncIterator[Service]:
    """Start it in a folder of its own or in the one given; killed at the end."""
    with tempfile.TemporaryDirectory(prefix="threadseek-bench-") as own:
        place = folder or Path(own)
        log, port = Path(own) / "log", _free_port()
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *program,
                cwd=place,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HTTP_PORT": str(port)}
                | settings,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
            )
        service = Service(process, log, port)
        try:
            yield service
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@asynccontextmanager
async def api() -> AsyncIterator[tuple[FarEnd, dict[str, str]]]:
    """The API and the variables for it."""
    async with far_end("deepseek") as end:
        yield end, {"DEEPSEEK_API_KEY": "sk-bench-00000000", "DEEPSEEK_BASE_URL": end.about["url"]}


@asynccontextmanager
async def slack(*, http: bool = False) -> AsyncIterator[tuple[FarEnd, dict[str, str]]]:
    """Slack and the variables for it. http: events come over HTTP, once `subscribe` was asked."""
    async with far_end("slack") as end:
        way = {"SLACK_APP_TOKEN": "xapp-bench-0000"}
        if http:
            way = {"SLACK_SIGNING_SECRET": end.about["secret"]}
        url = {"SLACK_BOT_TOKEN": "xoxb-bench-0000", "SLACK_API_URL": f"{end.about['url']}/api/"}
        yield end, url | way


@asynccontextmanager
async def discord() -> AsyncIterator[tuple[FarEnd, dict[str, str]]]:
    """Discord and the variables for it."""
    async with far_end("discord") as end:
        yield (
            end,
            {
                "DISCORD_BOT_TOKEN": "bench.bench.bench",
                "DISCORD_API_URL": end.about["api"],
                "DISCORD_GATEWAY_URL": end.about["gateway"],
            },
        )
