"""The recorded shapes in tests/fixtures/slack, who we are in them, and prompts of the stand-in."""

import json
from pathlib import Path
from typing import Any

from adapters.slack.ids import Address, Bot, message_identity, sequence, thread_key
from core.types import Prompt
from tests.emulators.slack import SlackServer
from tests.emulators.slack_workspace import TEAM

BOT = Bot(user="U0BOT", bot="B0BOT", team="T0ACME", name="threadseek", workspace="Acme")
FOLDER = Path(__file__).parents[2] / "fixtures" / "slack"


def payload(name: str, **changes: Any) -> dict[str, Any]:
    """A recorded payload; changes: of its event, None takes a field away."""
    body: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())
    for field, value in changes.items():
        body["event"][field] = value
        if value is None:
            del body["event"][field]
    return body


def prompt(slack: SlackServer, ts: str, channel: str = "general") -> Prompt:
    """The prompt that the message `ts` would be."""
    where = slack.workspace.channel(channel).id
    post = slack.workspace.posts[ts]
    address = Address(TEAM, where, post.root, ts, post.user)
    return Prompt(
        platform="slack",
        thread=thread_key(TEAM, where, post.root),
        identity=message_identity(TEAM, where, ts),
        sequence=sequence(ts),
        author=post.user,
        text=post.text,
        asked_at=float(ts),
        address=address.encode(),
    )
