"""The recorded shapes in tests/fixtures/slack, and who we are in them."""

import json
from pathlib import Path
from typing import Any

from adapters.slack.ids import Bot

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
