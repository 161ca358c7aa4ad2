"""Strikes that are aimed: at the moment in which a platform has taken something and not said so."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Literal

from tests.emulators.discord import DiscordServer
from tests.emulators.discord_rules import BOT
from tests.emulators.discord_world import Happened
from tests.emulators.slack import SlackServer
from tests.emulators.slack_workspace import BOT_USER, Change

Target = Literal["acknowledgement", "command", "post", "edit"]
TARGETS: tuple[Target, ...] = ("acknowledgement", "command", "post", "edit")


class Aim:
    """Watches the platforms and strikes in the very step in which they act.

    A post or an edit is shown then, and a killed service is dead before it can know. A command has
    just been acknowledged, which comes before storing it. An acknowledgement of Slack's event has
    just been read: what it stands for must be in the database already.
    """

    def __init__(self, slack: SlackServer, discord: DiscordServer) -> None:
        self._slack = slack
        self._strike: Callable[[], None] | None = None
        self._target: Target = "post"
        self._struck = asyncio.Event()
        slack.workspace.listeners.append(self._in_slack)
        discord.world.listeners.append(self._in_discord)

    async def wait(self, target: Target, strike: Callable[[], None], within: float) -> bool:
        """Strike at the next such moment; False when there was none in so many seconds."""
        self._strike, self._target = strike, target
        self._struck.clear()
        watching = asyncio.create_task(self._acknowledged(within))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._struck.wait(), within)
        self._strike = None
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        return self._struck.is_set()

    def _fire(self, target: Target) -> None:
        if self._strike is not None and target == self._target:
            self._strike()
            self._strike = None
            self._struck.set()

    def _in_slack(self, change: Change) -> None:
        if change.post.user == BOT_USER and change.after is not None:
            self._fire("post" if change.before is None else "edit")

    def _in_discord(self, happened: Happened) -> None:
        message = happened.message
        if message is None or message.author != BOT or message.system:
            return
        if happened.name == "MESSAGE_CREATE":
            self._fire("command" if message.loading else "post")
        elif happened.name == "MESSAGE_UPDATE":
            self._fire("edit")

    async def _acknowledged(self, within: float) -> None:
        before = self._count()
        await self._slack.wait_for(lambda: self._count() > before, within)
        self._fire("acknowledgement")

    def _count(self) -> int:
        return sum(delivery.acked for delivery in self._slack.deliverer.deliveries)
