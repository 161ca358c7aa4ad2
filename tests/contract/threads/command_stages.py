"""Discord's commands: in a channel, in a thread, and where the bot itself is not."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from adapters.discord import calls
from adapters.discord.answering import Interactions
from adapters.discord.calls import Api
from adapters.discord.commands import COMMANDS
from adapters.discord.ids import Address, channel_of
from core.errors import PartGone
from core.ports import Recent
from core.types import Prompt, ThreadKey
from tests.contract.threads.discord_stages import DiscordOnMention
from tests.contract.threads.stage import TOKEN, Call, Trait
from tests.emulators import discord_markup as markup
from tests.emulators.discord_rules import BOT

_HOOK = "/webhooks/{app}/{token}"
_ORIGINAL = f"PATCH {_HOOK}/messages/@original"


class Desk:
    """Takes the questions. prompts: in the order in which they came."""

    def __init__(self) -> None:
        self.prompts: list[Prompt] = []

    async def accept(self, prompt: Prompt) -> bool:
        """Keep it."""
        self.prompts.append(prompt)
        return True

    async def restart(self, thread: ThreadKey) -> bool | None:
        """Nothing was stored."""
        return None

    async def recent(self, since: float) -> Sequence[Recent]:
        """Nothing was stored."""
        return ()


class DiscordByCommand(DiscordOnMention):
    """`/ask` in a channel: the message that waits is filled, a thread goes on from it.

    Its first post and what changes it go by the interaction's token, which outlives the bot's own
    access, and posts the rest where the bot was removed or sees nothing.
    """

    traits = frozenset(Trait) - {Trait.READS, Trait.STATUS}
    endings: ClassVar[Mapping[str, bool]] = dict.fromkeys(("deleted", "locked", "revoked"), False)
    uprooted = PartGone
    routes: ClassVar[Mapping[Call, str]] = {
        **DiscordOnMention.routes,
        Call.POST: _ORIGINAL,
        Call.EDIT: _ORIGINAL,
        Call.REMOVE: f"DELETE {_HOOK}/messages/{{message}}",
    }

    async def start(self) -> None:
        """Register the commands."""
        await super().start()
        self.desk = Desk()
        self.api = Api(TOKEN, self.discord.api_url, self.session)
        await self.api.call(calls.SET_COMMANDS, {"application": BOT}, COMMANDS)

    async def ask(self, text: str = "what is a fence?") -> Prompt:
        """Alice uses the command."""
        return await self._use("general", text)

    async def _use(self, where: str, text: str) -> Prompt:
        used = self.discord.interactions.slash("alice", where, "ask", prompt=text)
        await Interactions(self.api, self._bot(), self.desk).take(used.body)
        return self.desk.prompts[-1]

    def uproot(self, prompt: Prompt) -> None:
        """A moderator deletes what waits for the answer."""
        self.discord.world.delete(Address.decode(prompt.address).answer)

    async def shown(self, prompt: Prompt) -> list[str]:
        """The answer in the channel, then what the thread on it shows."""
        answer = self.discord.world.messages.get(Address.decode(prompt.address).answer)
        first = markup.seen(answer) if answer is not None and not answer.loading else ""
        return ([first] if first else []) + await super().shown(prompt)


class DiscordByCommandInThread(DiscordByCommand):
    """`/ask` in a thread: everything stays there."""

    async def ask(self, text: str = "what is a fence?") -> Prompt:
        """Alice uses the command in a thread of hers."""
        return await self._use(self.discord.world.open_thread("alice", "general", "F", 11), text)

    async def shown(self, prompt: Prompt) -> list[str]:
        """The thread, without what only waits."""
        return [text for text in await DiscordOnMention.shown(self, prompt) if text]


class DiscordOutside(DiscordByCommandInThread):
    """`/ask` among friends, by somebody who installed the app for themselves.

    Only the interaction's token works here, for five more messages, and Discord has no key by which
    one whose answer was lost could be told from another.
    """

    traits = DiscordByCommand.traits - {Trait.MANY, Trait.MENDS}
    endings: ClassVar[Mapping[str, bool]] = {"expired": True}
    routes: ClassVar[Mapping[Call, str]] = {
        **DiscordByCommand.routes,
        Call.NEXT: f"POST {_HOOK}",
    }

    async def start(self) -> None:
        """Alice installs the app and talks with Bob."""
        await super().start()
        self.discord.interactions.install("alice")
        self.group = self.discord.interactions.group("alice", "bob")

    async def ask(self, text: str = "what is a fence?") -> Prompt:
        """Alice uses the command there."""
        return await self._use(self.group, text)

    def end(self, prompt: Prompt, way: str) -> None:
        """The fifteen minutes are over."""
        assert channel_of(prompt.thread) == self.group
        for used in self.discord.interactions.all:
            used.made -= 16 * 60
