"""A far end as a process: started, asked by lines of JSON on its standard input, ended."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

Answer = Callable[[dict[str, Any]], Awaitable[Any]]


class FarEnd:
    """A running one. about: what it said of itself when it was ready."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.about: dict[str, Any] = {}
        self._turn = asyncio.Lock()

    async def ask(self, do: str, **more: Any) -> Any:
        """Have it do something; returns what it says to it."""
        async with self._turn:
            assert self.process.stdin and self.process.stdout
            self.process.stdin.write(json.dumps({"do": do, **more}).encode() + b"\n")
            return json.loads(await self.process.stdout.readline())


@asynccontextmanager
async def far_end(kind: str) -> AsyncIterator[FarEnd]:
    """Start one: slack, discord or deepseek."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"benchmarks.far_ends.{kind}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**26,
    )
    try:
        end = FarEnd(process)
        assert process.stdout
        end.about = json.loads(await process.stdout.readline())
        yield end
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def obey(about: dict[str, Any], answer: Answer) -> None:
    """The far end's side: say what it is, then answer each line until the input ends."""
    print(json.dumps(about), flush=True)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=2**26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        print(json.dumps(await answer(json.loads(line))), flush=True)


async def paced(rate: float, count: int, do: Callable[[int], Awaitable[None]]) -> None:
    """Do something `count` times at an even rate, each beside the others, and await them all."""
    clock = asyncio.get_running_loop().time
    start, tasks = clock(), []
    for number in range(count):
        if (wait := start + number / rate - clock()) > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.ensure_future(do(number)))
    await asyncio.gather(*tasks)
