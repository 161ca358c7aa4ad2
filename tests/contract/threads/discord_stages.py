"""Discord: the thread made for a mention, one that was there, a channel, a direct message."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar

import aiohttp

from adapters.discord.calls import Api
from adapters.discord.events import read
from adapters.discord.ids import Address, Bot, channel_of, split_part_id
from adapters.discord.posts import Posts
from adapters.discord.thread import DiscordThread
from core.types import PartId, Prompt
from tests.contract.threads.stage import LATE, SOON, TOKEN, Call, Stage, Trait, Trouble
from tests.emulators import discord_wire as wire
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_app import App
from tests.emulators.discord_faults import Fault
from tests.emulators.discord_markup import pings
from tests.emulators.discord_rules import BOT, CREATE_THREADS, GUILD, LOADING, MANAGED_ROLE

_NOBODY = {"parse": [], "replied_user": False}
_MESSAGES = "/channels/{channel}/messages"


class DiscordOnMention(Stage):
    """A mention in a channel: the answer gets a thread of its own."""

    traits = frozenset(Trait)
    endings: ClassVar[Mapping[str, bool]] = {
        "removed": True,
        "deleted": True,
        "locked": False,
        "revoked": True,
        "unseen": True,
    }
    refused = 2_001
    wait = cooling = 0.05
    routes: ClassVar[Mapping[Call, str]] = {
        Call.POST: f"POST {_MESSAGES}",
        Call.NEXT: f"POST {_MESSAGES}",
        Call.EDIT: f"PATCH {_MESSAGES}/{{message}}",
        Call.REMOVE: f"DELETE {_MESSAGES}/{{message}}",
        Call.ANY: "*",
    }

    async def start(self) -> None:
        """A server, and a session to call it with."""
        server = DiscordServer(App(token=TOKEN), unlimited=True)
        self.discord = await self.stack.enter_async_context(server)
        self.session = await self.stack.enter_async_context(aiohttp.ClientSession())
        self.tasks: list[asyncio.Task[None]] = []
        self.stack.push_async_callback(self._end_tasks)

    async def _end_tasks(self) -> None:
        """Whatever goes on beside the calls must not have failed."""
        for task in self.tasks:
            task.cancel()
        for ended in await asyncio.gather(*self.tasks, return_exceptions=True):
            assert ended is None or isinstance(ended, asyncio.CancelledError), repr(ended)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.tasks.append(asyncio.create_task(work))
        return self.tasks[-1]

    async def ask(self, text: str = "what is a fence?") -> Prompt:
        """Alice mentions the bot."""
        return self._prompt(self._say("alice", "general", f"{self.discord.mention} {text}"))

    async def say(self, prompt: Prompt, who: str, text: str) -> Prompt:
        """Somebody writes in the thread."""
        return self._prompt(self._say(who, channel_of(prompt.thread), text))

    def open(self, prompt: Prompt) -> DiscordThread:
        """A handle with calls and rate limits of its own."""
        api = Api(TOKEN, self.discord.api_url, self.session, timeout=self.patience())
        return DiscordThread(api, self._bot(), prompt, self._spawn, Posts())

    async def shown(self, prompt: Prompt) -> list[str]:
        """The thread; nothing while there is none."""
        where = self._place(prompt)
        known = where in self.discord.world.channels
        return self.discord.record.visible(where) if known else []

    @property
    def tokens(self) -> list[str]:
        """People, roles, channels, commands."""
        world = self.discord.world
        alice, channel = world.user("alice").id, world.channel("random").id
        role = world.add_role("keepers", "alice")
        return [
            *super().tokens,
            *(f"<@{alice}>", f"<@!{alice}>", f"<@&{role}>", f"<#{channel}>", f"<@&{MANAGED_ROLE}>"),
        ]

    def states(self, part: PartId) -> list[str | None]:
        """From the record, without what only waited and what only got its thread."""
        history = self.discord.record.history(split_part_id(part)[1])
        told = [state for state in history if not state.flags & LOADING]
        return [
            state.text
            for before, state in zip([None, *told], told, strict=False)
            if before is None or before.text != state.text or before.flags == state.flags
        ]

    def harm(self) -> list[str]:
        """Masked links too."""
        record = self.discord.record
        fences = [f"open fence in {id_}" for id_, _ in record.broken_fences()]
        texts = [s.text or "" for id_ in record.bot_messages() for s in record.history(id_)]
        masked = [text for text in texts if "](http" in text]
        return (
            [seen.what for seen in record.pings + record.embeds] + fences + masked + self._trust()
        )

    def _trust(self) -> list[str]:
        """Calls in which a ping was kept off by one of its two bars only: what Discord is told to
        let through, and the text itself."""
        sent = [call.body for call in self.discord.record.calls if isinstance(call.body, dict)]
        texts = [body for body in sent if body.get("content")]
        trusting = [repr(body) for body in texts if body.get("allowed_mentions") != _NOBODY]
        world = self.discord.world
        roles = world.guilds[GUILD].roles
        for text in (body["content"] for body in texts):
            found = pings(
                text,
                None,
                everything=True,
                reply=False,
                may_everyone=True,
                users=world.users,
                roles=roles,
            )
            trusting += found.listed()
        return trusting

    async def status(self, prompt: Prompt) -> bool:
        """Whether there was any typing since the bot's last message."""
        ours = [self.discord.record.history(i) for i in self.discord.record.bot_messages()]
        since = max((states[0].time for states in ours), default=0.0)
        end = time.monotonic() + SOON
        while not self._typed_after(prompt, since):
            if not self.tasks or self.tasks[-1].done() or time.monotonic() > end:
                return False
            await asyncio.sleep(0.01)
        return True

    def _typed_after(self, prompt: Prompt, since: float) -> bool:
        where = self._place(prompt)
        if where not in self.discord.world.channels:
            return False
        return any(at > since for at in self.discord.record.typings(where))

    def trouble(self, trouble: Trouble, call: Call, times: int = 1) -> None:
        """A planned fault."""
        self.hurried = trouble in (Trouble.LATE, Trouble.LANDS)
        fault = Fault(self.routes[call], times)
        match trouble:
            case Trouble.CUT_BEFORE:
                fault.cut = "before"
            case Trouble.CUT_AFTER:
                fault.cut = "after"
            case Trouble.LATE:
                fault.reply_delay = LATE
            case Trouble.LANDS:
                fault.delay = LATE
            case Trouble.BROKEN:
                fault.status = 503
            case Trouble.LIMITED:
                fault.retry_after = self.wait
        self.planned = self.discord.faults.add(fault)

    def calls(self, call: Call) -> int:
        """From the record."""
        made = self.discord.record.calls
        return sum(call is Call.ANY or each.route == self.routes[call] for each in made)

    async def wait_for(self, predicate: Callable[[], bool]) -> None:
        """As the record is told."""
        await self.discord.wait_for(predicate)

    def delete(self, part: PartId) -> None:
        """A moderator deletes it."""
        self.discord.world.delete(split_part_id(part)[1])

    def uproot(self, prompt: Prompt) -> None:
        """Alice deletes her question."""
        self.discord.world.delete(Address.decode(prompt.address).message)

    def end(self, prompt: Prompt, way: str) -> None:
        """Somebody puts an end to it."""
        world, where = self.discord.world, self._place(prompt)
        match way:
            case "removed":
                world.kick_bot()
            case "deleted":
                world.delete_channel(where)
            case "locked":
                world.archive(where, lock=True)
            case "revoked":
                self.discord.app.token = "another.token"
            case "unseen":
                world.deny(world.channel(where).parent or where, -1)
            case "closed":
                world.user("alice").closed = True

    async def go_away(self) -> None:
        """Discord is down."""
        await self.discord.go_away()

    def _bot(self) -> Bot:
        return Bot(BOT, BOT, "threadseek", frozenset({MANAGED_ROLE}))

    def _place(self, prompt: Prompt) -> str:
        return channel_of(prompt.thread)

    def _say(self, who: str, where: str, text: str) -> str:
        return self.discord.world.say(who, where, text)

    def _prompt(self, id_: str) -> Prompt:
        """As the adapter reads it from the gateway's event."""
        world = self.discord.world
        message = world.messages[id_]
        thread = world.channels[message.channel].is_thread
        found = read(wire.message_event(world, message), self._bot(), thread=thread)
        assert isinstance(found, Prompt), found
        return found


class DiscordInThread(DiscordOnMention):
    """A thread that somebody opened: the answer goes right there."""

    traits = frozenset(Trait) - {Trait.ROOTED}

    async def ask(self, text: str = "what is a fence?") -> Prompt:
        """Alice mentions the bot in a thread of hers."""
        opened = self.discord.world.open_thread("alice", "general", "Fences", 11)
        return self._prompt(self._say("alice", opened, f"{self.discord.mention} {text}"))


class DiscordWithoutThreads(DiscordOnMention):
    """A channel in which the bot may open no threads: it replies there."""

    traits = frozenset(Trait) - {Trait.READS, Trait.MANY}
    endings: ClassVar[Mapping[str, bool]] = {
        "removed": True,
        "deleted": True,
        "revoked": True,
        "unseen": True,
    }

    async def start(self) -> None:
        """Take the permission away."""
        await super().start()
        self.discord.world.deny("general", CREATE_THREADS)

    def _place(self, prompt: Prompt) -> str:
        return Address.decode(prompt.address).channel


class DiscordInDirect(DiscordOnMention):
    """A direct message. What was said there before was said to the bot, so nothing is read."""

    traits = frozenset(Trait) - {Trait.READS, Trait.ROOTED}
    endings: ClassVar[Mapping[str, bool]] = {"closed": False, "revoked": True}

    async def ask(self, text: str = "what is a fence?") -> Prompt:
        """Alice (then Bob, ...) writes to the bot."""
        world = self.discord.world
        known = any("alice" in world.users[m.author].name for m in world.messages.values())
        who = "bob" if known else "alice"
        return self._prompt(self._say(who, world.direct(who), text))
