"""Figures that the guides promise are those of the code, and the limits of the platforms."""

from pathlib import Path

import pytest

from adapters.discord import earlier, typist
from adapters.discord import missed as discord_missed
from adapters.slack import missed as slack_missed
from adapters.slack import thread as slack_thread

ROOT = Path(__file__).parents[2]
DISCORD, SLACK = "docs/discord.md", "docs/slack.md"


@pytest.mark.parametrize(
    ("figure", "stated", "guide", "promise"),
    [
        (discord_missed.LATE / 60, 15, DISCORD, "Questions not older than 15 minutes"),
        (discord_missed.REACH / 3600, 72, DISCORD, "72 hours at most"),
        (earlier.EARLIER, 200, DISCORD, "the last 200 messages at most"),
        (earlier.CHAIN, 20, DISCORD, "back along the replies, 20 at most"),
        (slack_missed.LATE / 60, 15, SLACK, "What is up to 15 minutes old"),
        (slack_missed.REACH / 3600, 72, SLACK, "72 hours and 1,000 messages of a place at most"),
        (slack_missed.MESSAGES, 1_000, SLACK, "72 hours and 1,000 messages of a place at most"),
        (slack_missed.MARGIN / 60, 15, SLACK, "begins 15 minutes before the newest question"),
        (slack_thread.EARLIER, 200, SLACK, "the last 200 messages at most"),
    ],
)
def test_a_promised_figure_is_the_codes(
    figure: float, stated: int, guide: str, promise: str
) -> None:
    assert promise in " ".join((ROOT / guide).read_text().split())
    assert f"{stated:,}" in promise
    assert figure == stated


def test_discord_is_told_again_that_we_type_before_it_stops_showing_it() -> None:
    shown = 10.0  # seconds: the endpoint "Trigger Typing Indicator"
    assert 0.5 * shown < typist.TYPING <= shown - 1.0
