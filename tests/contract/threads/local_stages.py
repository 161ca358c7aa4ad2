"""The page in the browser, read over a real socket, and the terminal."""

import asyncio
import io
import json
from typing import ClassVar

import aiohttp

from adapters.console.app import ConsolePlatform, ConsoleThread
from adapters.web.app import WebPlatform
from adapters.web.rooms import WebThread
from bots.server import Health, serve
from core.types import Outcome, Prompt, Verdict
from tests.contract.threads.stage import Stage, Trait
from tests.fakes.exchanges import FixedExchanges


class WebPage(Stage):
    """The playground."""

    traits = frozenset({Trait.REPLACES, Trait.PARTS, Trait.MANY, Trait.DEDUPES})

    async def start(self) -> None:
        """A server with the page's routes."""
        self.prompts: list[Prompt] = []
        self.web = WebPlatform(self._accept, lambda _: False, FixedExchanges(), about={})
        serving = serve("127.0.0.1", 0, self.web.routes(), Health())
        port = await self.stack.enter_async_context(serving)
        session = aiohttp.ClientSession(f"http://127.0.0.1:{port}")
        self.session = await self.stack.enter_async_context(session)

    async def _accept(self, prompt: Prompt) -> bool:
        self.prompts.append(prompt)
        return True

    async def ask(self, text: str = "what is a fence?") -> Prompt:
        """Somebody asks on a page of their own."""
        body = {"id": "mark", "text": text}
        name = f"room{len(self.prompts)}"
        async with self.session.post(f"/api/threads/{name}", json=body) as answer:
            assert answer.status == 202
        return self.prompts[-1]

    def open(self, prompt: Prompt) -> WebThread:
        """From the platform."""
        return self.web.open(prompt)

    async def shown(self, prompt: Prompt) -> list[str]:
        """What a page shows that is opened now."""
        return [each["text"] for each in await self._entries(prompt) if each["who"] == "assistant"]

    async def _entries(self, prompt: Prompt) -> list[dict[str, str]]:
        name = prompt.thread.partition(":")[2]
        async with asyncio.timeout(5), self.session.get(f"/api/threads/{name}") as stream:
            found: list[dict[str, str]] = []
            buffer = b""
            while not any(each["id"] == "you-mark" for each in found):
                buffer += await stream.content.readany()
                blocks = buffer.split(b"\n\n")[:-1]
                found = [json.loads(block.removeprefix(b"data: ")) for block in blocks]
            return found


class Terminal(io.TextIOWrapper):
    """What a terminal is to Python: bytes of UTF-8, and nothing else is taken."""

    def __init__(self) -> None:
        self.screen = io.BytesIO()
        super().__init__(self.screen, encoding="utf-8", errors="strict", write_through=True)

    def isatty(self) -> bool:
        """It is one."""
        return True

    @property
    def text(self) -> str:
        """Everything that was written."""
        return self.screen.getvalue().decode()


class Console(Stage):
    """The terminal: one conversation, one growing text that can't be taken back."""

    traits: ClassVar[frozenset[Trait]] = frozenset({Trait.STATUS})

    async def start(self) -> None:
        """A terminal."""
        self.out, self.err = Terminal(), Terminal()
        self.asked: asyncio.Queue[Prompt] = asyncio.Queue()
        self.console = ConsolePlatform("name", self._accept, self.out, self.err)
        self.waiting: asyncio.Task[Outcome] | None = None
        self.stack.push_async_callback(self._conclude)

    async def _accept(self, prompt: Prompt) -> bool:
        await self.asked.put(prompt)
        return True

    async def ask(self, text: str = "what is a fence?") -> Prompt:
        """Somebody types a line."""
        self.waiting = asyncio.create_task(self.console.ask(text, live=True))
        self.prompt = await self.asked.get()
        return self.prompt

    def open(self, prompt: Prompt) -> ConsoleThread:
        """From the platform."""
        return self.console.open(prompt)

    async def shown(self, prompt: Prompt) -> list[str]:
        """What stands in the terminal."""
        return [self.out.text] if self.out.text else []

    async def status(self, prompt: Prompt) -> bool:
        """The line that the first words replace."""
        return bool(self.err.text.rpartition("\x1b[K")[2])

    async def _conclude(self) -> None:
        if self.waiting:
            await self.open(self.prompt).concluded(Outcome(verdict=Verdict.COMPLETE))
            await self.waiting
