"""One use of the app by a person: a command, a button or a sent form, and what came of it."""

import time
from dataclasses import dataclass, field
from typing import Literal

from tests.emulators.discord_rules import Json
from tests.emulators.discord_world import World

Kind = Literal["slash", "menu", "button", "form"]
# Interaction types and response types, interactions/receiving-and-responding.
COMMAND, COMPONENT, SUBMIT = 2, 3, 5
ANSWER, DEFER, DEFER_UPDATE, UPDATE, MODAL = 4, 5, 6, 7, 9
ACK_TIMEOUT, TOKEN_LIFE = 3.0, 900.0
FOLLOWUPS_OUTSIDE = 5


@dataclass
class Interaction:
    """A person used the app.

    asker, channel: ids. outside: the bot isn't there, the person installed the app for themselves.
    body: the payload as it was sent; delivered: somebody was there to take it. made: monotonic
    seconds. acked_after: seconds, None until then. response: its type, 0 until then. modal: the
    form that was opened. message_id: the original answer, "" without one; messages: all answers.
    ephemeral: the texts that only the asker saw, every state. source: the message with the button.
    opener: the interaction that opened this form; submissions: of the form that this one opened.
    hidden: a deferred answer is for the asker only. followups: how many were sent.
    refused_again: how often it was acknowledged once more (40060).
    """

    id: str
    token: str
    kind: Kind
    asker: str
    channel: str
    body: Json
    world: World = field(repr=False)
    outside: bool = False
    delivered: bool = False
    made: float = field(default_factory=time.monotonic)
    acked_after: float | None = None
    response: int = 0
    modal: Json | None = None
    message_id: str = ""
    messages: list[str] = field(default_factory=list)
    ephemeral: list[str] = field(default_factory=list)
    source: str = ""
    followups: int = 0
    refused_again: int = 0
    hidden: bool = False
    opener: "Interaction | None" = field(default=None, repr=False)
    submissions: list["Interaction"] = field(default_factory=list, repr=False)

    @property
    def type(self) -> int:
        """Discord's interaction type."""
        return {"button": COMPONENT, "form": SUBMIT}.get(self.kind, COMMAND)

    @property
    def age(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self.made

    @property
    def thinking(self) -> bool:
        """Whether the asker still sees "thinking..."."""
        message = self.world.messages.get(self.message_id)
        return message is not None and message.loading

    def text(self) -> str | None:
        """What the original answer shows now: "" while thinking, None without one."""
        message = self.world.messages.get(self.message_id)
        return None if message is None else message.content

    def meta(self) -> Json:
        """The interaction metadata that its answers carry."""
        body: Json = {
            "id": self.id,
            "type": self.type,
            "user": self.body["user"] if "user" in self.body else self.body["member"]["user"],
            "authorizing_integration_owners": self.body["authorizing_integration_owners"],
        }
        data = self.body["data"]
        if "name" in data:
            body["name"] = data["name"]
        if "target_id" in data:
            body["target_message_id"] = data["target_id"]
        if self.kind == "button":
            body["interacted_message_id"] = self.source
        if self.opener is not None:
            body["triggering_interaction_metadata"] = self.opener.meta()
        return body
