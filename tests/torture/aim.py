"""Kills that are aimed: at the moment in which a platform has taken something and not said so."""

import asyncio
import contextlib
import signal
from typing import Literal

from tests.e2e.service import Service
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_rules import BOT
from tests.emulators.discord_world import Happened
from tests.emulators.slack import SlackServer
from tests.emulators.slack_workspace import BOT_USER, Change

Target = Literal["acknowledgement", "post", "edit"]
TARGETS: tuple[Target, ...] = ("acknowledgement", "post", "edit")


class Aim:
    """Watches both platforms and kills the service in the very step in which they act.

    A post or an edit is shown then, and the service is dead before it can know. An acknowledgement
    of Slack's event has just been read: what it stands for must be in the database already.
    """

    def __init__(self, slack: SlackServer, discord: DiscordServer) -> None:
        self._slack = slack
        self._service: Service | None = None
        self._target: Target = "post"
        self._fired = asyncio.Event()
        slack.workspace.listeners.append(self._in_slack)
        discord.world.listeners.append(self._in_discord)

    async def kill(self, service: Service, target: Target, within: float) -> bool:
        """Kill at the next such moment and wait for the end; False when there was none in time."""
        self._service, self._target = service, target
        self._fired.clear()
        watching = asyncio.create_task(self._acknowledged(within))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._fired.wait(), within)
        self._service = None
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        if self._fired.is_set():
            await service.process.wait()
        return self._fired.is_set()

    def _fire(self, target: Target) -> None:
        if self._service is not None and target == self._target:
            self._service.process.send_signal(signal.SIGKILL)
            self._service = None
            self._fired.set()

    def _in_slack(self, change: Change) -> None:
        if change.post.user == BOT_USER and change.after is not None:
            self._fire("post" if change.before is None else "edit")

    def _in_discord(self, happened: Happened) -> None:
        message = happened.message
        if message is not None and message.author == BOT and not message.system:
            if happened.name == "MESSAGE_CREATE":
                self._fire("post")
            elif happened.name == "MESSAGE_UPDATE":
                self._fire("edit")

    async def _acknowledged(self, within: float) -> None:
        before = self._count()
        await self._slack.wait_for(lambda: self._count() > before, within)
        self._fire("acknowledgement")

    def _count(self) -> int:
        return sum(delivery.acked for delivery in self._slack.deliverer.deliveries)
