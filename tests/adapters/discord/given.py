"""A question asked in the stand-in, answered by our thread through the real writer."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp

from adapters.discord import calls, commands
from adapters.discord.answering import Interactions
from adapters.discord.calls import Api
from adapters.discord.events import read
from adapters.discord.ids import EPOCH, Address
from adapters.discord.posts import Posts
from adapters.discord.thread import DiscordThread
from core.delivery.reply import Reply
from core.delivery.sharing import OwnBudget
from core.delivery.writer import Writer
from core.ports import Posted
from core.types import PartId, Prompt
from tests.adapters.discord.conftest import US, Inbox
from tests.emulators import discord_wire as wire
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_interaction import Interaction
from tests.emulators.discord_limits import Limits
from tests.emulators.discord_rules import BOT

POST = "POST /channels/{channel}/messages"
EDIT = "PATCH /channels/{channel}/messages/{message}"
HOOK = "PATCH /webhooks/{app}/{token}/messages/@original"
OPEN = "POST /channels/{channel}/messages/{message}/threads"
WORDS = [f"word{number} " for number in range(60)]
WHOLE = "".join(WORDS).strip()
MINUTE_14 = 14 * 60.0


class Journal:
    """Remembers the parts. announced: when each was, by the loop's clock."""

    def __init__(self) -> None:
        self.parts: dict[int, PartId] = {}
        self.announced: list[float] = []

    async def held(self) -> bool:
        return True

    async def announce(self, _index: int, *, named: bool) -> None:
        self.announced.append(asyncio.get_running_loop().time())

    async def posted(self, index: int, part: PartId, *, only: bool) -> None:
        self.parts[index] = part

    async def strangers(self, parts: Sequence[PartId], *, exclusive: bool) -> Sequence[PartId]:
        return [part for part in parts if part not in self.parts.values()]

    async def stored(self) -> None:
        pass

    async def delivered(self, _seconds: float) -> None:
        return


class Given:
    """A question asked in the stand-in, as our adapter understands it."""

    def __init__(self, discord: DiscordServer, api: Api) -> None:
        self.discord, self.api = discord, api
        self.tasks: list[asyncio.Task[None]] = []

    def mention(self, text: str = "count") -> Prompt:
        """Alice mentions the bot in #general."""
        world = self.discord.world
        id_ = world.say("alice", "general", f"{self.discord.mention} {text}")
        prompt = read(wire.message_event(world, world.messages[id_], nonce=False), US, thread=False)
        assert isinstance(prompt, Prompt)
        return prompt

    async def ask(self, where: str = "general") -> tuple[Interaction, Prompt]:
        """Alice uses /ask, which is deferred."""
        inbox = Inbox()
        asked = self.discord.interactions.slash("alice", where, "ask", prompt="count")
        await Interactions(self.api, US, inbox).take(asked.body)
        return asked, inbox.taken[0]

    def thread(self, prompt: Prompt) -> DiscordThread:
        """The handle for answering."""

        return DiscordThread(self.api, US, prompt, self._spawn, Posts())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self.tasks.append(task)
        return task

    async def close(self) -> None:
        """End what runs beside the answers."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def answer(
        self,
        prompt: Prompt,
        pieces: Sequence[str] = WORDS,
        pause: float = 0.04,
        parts: Sequence[Posted] = (),
    ) -> Journal:
        """Write an answer that comes in pieces, until it is shown."""
        thread, journal = self.thread(prompt), Journal()
        reply = Reply(thread.limits, parts)
        now = asyncio.get_running_loop().time
        writer = Writer(
            thread,
            reply,
            OwnBudget(now),
            journal,
            now,
            key=prompt.identity,
            random=random.Random(1).random,
            quiescence=0.2,
        )
        writing = asyncio.create_task(writer.run())
        try:
            for piece in pieces:
                reply.add(piece)
                writer.wake()
                await asyncio.sleep(pause)
            reply.finish()
            writer.wake()
            async with asyncio.timeout(20):
                while not (writing.done() or reply.done):
                    await asyncio.wait({writing}, timeout=0.01)
        finally:
            if not writing.done():
                writing.cancel()  # it would make sure once more after some seconds
            await asyncio.gather(writing, return_exceptions=True)
        if not writing.cancelled():
            writing.result()
        return journal


@asynccontextmanager
async def fresh(token_life: float = 900.0) -> AsyncIterator[Given]:
    """A stand-in of its own. token_life: of its interactions' tokens, in seconds."""
    async with (
        DiscordServer(scale=token_life / 900, limits=Limits()) as discord,
        aiohttp.ClientSession() as session,
    ):
        api = Api(discord.app.token, discord.api_url, session)
        await api.call(calls.SET_COMMANDS, {"application": BOT}, list(commands.COMMANDS))
        discord.context.nonce_life = 300.0
        given = Given(discord, api)
        yield given
        await given.close()


def older(prompt: Prompt, seconds: float) -> Prompt:
    """The prompt as if its interaction had been made so long ago."""
    at = Address.decode(prompt.address)
    made = int((time.time() - seconds - EPOCH) * 1000) << 22
    return replace(prompt, address=replace(at, before=str(made)).encode())
