"""The stand-ins that the shipped command answers on: how people ask there, and what they see."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from benchmarks.delivery.sites import LATENCY, SPREAD, Place
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_interaction import Interaction
from tests.emulators.discord_rules import VOICE
from tests.emulators.slack import SlackServer
from tests.emulators.slack_app import App
from tests.emulators.slack_workspace import BOT_USER

States = list[tuple[float, str]]
"""What a message showed, each from so many seconds since the epoch on."""

_MANIFEST = Path(__file__).parents[2] / "adapters" / "slack" / "manifest.json"
_SHOWING = ("POST /channels/{channel}/messages", "PATCH /channels/{channel}/messages/{message}")


class End(ABC):
    """One stand-in. Its calls take as long as those of the laboratory."""

    place: Place
    server: SlackServer | DiscordServer

    def slow_down(self) -> None:
        """From now on calls take their time."""
        self.server.faults.latency["*"] = LATENCY
        self.server.faults.spread = SPREAD

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """The variables of the command."""

    @abstractmethod
    def prepare(self, number: int) -> None:
        """A channel for an answer."""

    @abstractmethod
    def ask(self, number: int, text: str) -> None:
        """Somebody asks in the channel of that answer."""

    @abstractmethod
    def seen(self, number: int) -> Sequence[States]:
        """The messages of the answer, in order."""

    @abstractmethod
    def calls(self) -> tuple[int, int]:
        """Calls that show text so far, refused ones too; and the refused ones."""


class Slack(End):
    """Mentions by Socket Mode; each answer in a channel of its own."""

    place = Place.SLACK

    def __init__(self) -> None:
        self.server: SlackServer = SlackServer(App.from_manifest(json.loads(_MANIFEST.read_text())))
        self._asked: dict[int, tuple[str, str]] = {}

    def settings(self) -> dict[str, str]:
        """See End."""
        return {
            "SLACK_BOT_TOKEN": self.server.app.bot_token,
            "SLACK_APP_TOKEN": self.server.app.app_token,
            "SLACK_API_URL": self.server.api_url,
        }

    def prepare(self, number: int) -> None:
        """See End."""
        self.server.workspace.add_channel(f"live{number}", members=("alice",))

    def ask(self, number: int, text: str) -> None:
        """See End."""
        channel = f"live{number}"
        root = self.server.workspace.say("alice", channel, f"{self.server.mention} {text}")
        self._asked[number] = channel, root

    def seen(self, number: int) -> Sequence[States]:
        """See End."""
        record = self.server.record
        posts = [post for post in record.thread(*self._asked[number]) if post.user == BOT_USER]
        return [
            [(state.time, state.text or "") for state in record.history(post.ts)] for post in posts
        ]

    def calls(self) -> tuple[int, int]:
        """See End."""
        showing = ("chat.postMessage", "chat.update")
        made = [
            call
            for call in self.server.record.calls
            if call.method in showing or call.method.endswith("Stream")
        ]
        return len(made), sum(call.status == 429 for call in made)


class Discord(End):
    """Mentions by the gateway; each answer in a thread of its own."""

    place = Place.THREADS

    def __init__(self) -> None:
        self.server: DiscordServer = DiscordServer()
        self._channels: dict[int, str] = {}
        self._asked: dict[int, str] = {}

    def settings(self) -> dict[str, str]:
        """See End."""
        return {
            "DISCORD_BOT_TOKEN": self.server.app.token,
            "DISCORD_API_URL": self.server.api_url,
            "DISCORD_GATEWAY_URL": self.server.gateway_url,
        }

    def prepare(self, number: int) -> None:
        """See End."""
        self._channels[number] = self.server.world.add_channel(f"live{number}")

    def ask(self, number: int, text: str) -> None:
        """See End."""
        said = f"{self.server.mention} {text}"
        self._asked[number] = self.server.world.say("alice", self._channels[number], said)

    def seen(self, number: int) -> Sequence[States]:
        """See End."""
        places = {self._channels[number], *self._threads(number)}
        return [
            [(state.time, state.text or "") for state in self.server.record.history(message)]
            for message in self.server.record.bot_messages()
            if self.server.world.messages[message].channel in places
        ]

    def calls(self) -> tuple[int, int]:
        """See End."""
        made = [
            call
            for call in self.server.record.calls
            if call.route in _SHOWING or "webhooks" in call.route
        ]
        return len(made), sum(call.status == 429 for call in made)

    def _threads(self, number: int) -> set[str]:
        return {self._asked[number]}


class Channel(Discord):
    """Mentions in one channel that takes no threads, a voice channel's chat: each answer is a reply
    to its question."""

    place = Place.SHARED

    def __init__(self) -> None:
        super().__init__()
        self._channel = self.server.world.add_channel("live", VOICE)

    def prepare(self, number: int) -> None:
        """See End."""
        self._channels[number] = self._channel

    def seen(self, number: int) -> Sequence[States]:
        """See End."""
        question = self._channel, self._asked[number]
        return [
            [(state.time, state.text or "") for state in self.server.record.history(message)]
            for message in self.server.record.bot_messages()
            if self.server.world.messages[message].reply_to == question
        ]


class Commands(Discord):
    """/ask; each answer by its interaction, in a channel of its own."""

    place = Place.COMMANDS

    def __init__(self) -> None:
        super().__init__()
        self._uses: dict[int, Interaction] = {}

    def ask(self, number: int, text: str) -> None:
        """See End."""
        channel = self._channels[number]
        self._uses[number] = self.server.interactions.slash("alice", channel, "ask", prompt=text)

    def _threads(self, number: int) -> set[str]:
        return {self._uses[number].message_id}


ENDS: dict[Place, type[Slack] | type[Discord] | type[Channel] | type[Commands]] = {
    Place.SLACK: Slack,
    Place.THREADS: Discord,
    Place.SHARED: Channel,
    Place.COMMANDS: Commands,
}
