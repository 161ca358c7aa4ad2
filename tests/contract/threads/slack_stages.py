"""Slack: a thread in a channel, and one in a direct message."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import aiohttp

from adapters.slack.calls import Api
from adapters.slack.ids import Address, Bot, message_identity, sequence, split_part_id, thread_key
from adapters.slack.thread import SlackThread
from core.types import PartId, Prompt
from tests.contract.threads.stage import LATE, TOKEN, Call, Stage, Trait, Trouble
from tests.emulators.slack import SlackServer
from tests.emulators.slack_app import App
from tests.emulators.slack_faults import Fault
from tests.emulators.slack_markup import masked_links
from tests.emulators.slack_workspace import BOT, BOT_USER, TEAM, Post

_METHODS = {
    Call.POST: "chat.postMessage",
    Call.NEXT: "chat.postMessage",
    Call.EDIT: "chat.update",
    Call.REMOVE: "chat.delete",
    Call.ANY: "*",
}


class SlackInChannel(Stage):
    """A thread under a mention. Slack does not promise to honour `client_msg_id`: here it doesn't,
    so that what was posted must be found."""

    traits = frozenset(Trait) - {Trait.DEDUPES}
    endings: ClassVar[Mapping[str, bool]] = {
        "removed": True,
        "archived": True,
        "revoked": True,
        "locked": False,
    }
    refused = 12_001
    wait = 1.0

    async def start(self) -> None:
        """A workspace, and a session to call it with."""
        app = App(bot_token=TOKEN, client_msg_ids=False)
        server = SlackServer(app, unlimited=True, ack_timeout=0.5)
        self.slack = await self.stack.enter_async_context(server)
        self.session = await self.stack.enter_async_context(aiohttp.ClientSession())

    async def ask(self, text: str = "what is a fence?") -> Prompt:
        """Alice mentions the bot."""
        return self._prompt(self.slack.workspace.say("alice", "general", self._addressed(text)))

    async def say(self, prompt: Prompt, who: str, text: str) -> Prompt:
        """Somebody writes in the thread."""
        at = Address.decode(prompt.address)
        return self._prompt(self.slack.workspace.say(who, at.channel, text, at.thread_ts))

    def open(self, prompt: Prompt) -> SlackThread:
        """A handle with calls of its own."""
        api = Api(TOKEN, self.slack.api_url, self.session, timeout=self.patience())
        return SlackThread(api, Bot(BOT_USER, BOT, TEAM), prompt)

    async def shown(self, prompt: Prompt) -> list[str]:
        """The thread, as a person reads it."""
        return [post.seen for post in self._posts(prompt)]

    @property
    def tokens(self) -> list[str]:
        """Slack's control sequences too."""
        named = ["<!channel>", "<!here>", "<!everyone>", "<!subteam^S012>", "<@U0ALICE000>"]
        return [*super().tokens, *named, "<@U0ALICE000|al>", "<!channel|all>", "<!subteam^S1|x>"]

    def states(self, part: PartId) -> list[str | None]:
        """From the record."""
        return [state.text for state in self.slack.record.history(split_part_id(part)[1])]

    def harm(self) -> list[str]:
        """Masked links too."""
        record, posts = self.slack.record, self.slack.workspace.posts.values()
        masked = [link for p in posts if p.user == BOT_USER for link in masked_links(p.raw)]
        fences = [f"open fence in {ts}" for ts, _ in record.broken_fences()]
        return [seen.what for seen in record.pings + record.unfurls] + fences + masked

    async def status(self, prompt: Prompt) -> bool:
        """The thread's status line."""
        at = Address.decode(prompt.address)
        return bool(self.slack.record.status(at.channel, at.thread_ts))

    def trouble(self, trouble: Trouble, call: Call, times: int = 1) -> None:
        """A planned fault."""
        self.hurried = trouble in (Trouble.LATE, Trouble.LANDS)
        fault = Fault(_METHODS[call], times)
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
                fault.retry_after = int(self.wait)
        self.planned = self.slack.faults.add(fault)

    def calls(self, call: Call) -> int:
        """From the record."""
        made = self.slack.record.calls
        return sum(call is Call.ANY or each.method == _METHODS[call] for each in made)

    async def wait_for(self, predicate: Callable[[], bool]) -> None:
        """As the record is told."""
        await self.slack.wait_for(predicate)

    def delete(self, part: PartId) -> None:
        """An admin deletes it."""
        self.slack.workspace.delete(split_part_id(part)[1])

    def uproot(self, prompt: Prompt) -> None:
        """Alice deletes her question."""
        self.slack.workspace.delete(Address.decode(prompt.address).ts)

    def end(self, prompt: Prompt, way: str) -> None:
        """Somebody puts an end to it."""
        at, workspace = Address.decode(prompt.address), self.slack.workspace
        match way:
            case "removed":
                workspace.expel(at.channel)
            case "archived":
                workspace.channel(at.channel).archived = True
            case "locked":
                workspace.channel(at.channel).locked.add(at.thread_ts)
            case "revoked":
                self.slack.app.token_error = "token_revoked"

    async def go_away(self) -> None:
        """Slack is down."""
        await self.slack.go_away()

    def _addressed(self, text: str) -> str:
        return f"{self.slack.mention} {text}"

    def _posts(self, prompt: Prompt) -> list[Post]:
        at = Address.decode(prompt.address)
        found = self.slack.record.thread(at.channel, at.thread_ts)
        return [post for post in found if post.user == BOT_USER]

    def _prompt(self, ts: str) -> Prompt:
        post = self.slack.workspace.posts[ts]
        return Prompt(
            platform="slack",
            thread=thread_key(TEAM, post.channel, post.root),
            identity=message_identity(TEAM, post.channel, ts),
            sequence=sequence(ts),
            author=post.user,
            text=post.text,
            asked_at=float(ts),
            address=Address(TEAM, post.channel, post.root, ts, post.user).encode(),
        )


class SlackInDirect(SlackInChannel):
    """A thread in the bot's own conversation with Alice."""

    endings: ClassVar[Mapping[str, bool]] = {"revoked": True}

    async def ask(self, text: str = "what is a fence?") -> Prompt:
        """Alice writes to the bot."""
        workspace = self.slack.workspace
        return self._prompt(workspace.say("alice", workspace.direct("alice"), text))

    async def say(self, prompt: Prompt, who: str, text: str) -> Prompt:
        """Nobody else can write here."""
        return await super().say(prompt, "alice", text)
