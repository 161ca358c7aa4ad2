"""Every stage by its name, and the mark that plays a case on those it applies to."""

from collections.abc import Mapping
from types import MappingProxyType

import pytest

from core.errors import DeliveryError, LockedOut, Undeliverable
from tests.contract.threads import command_stages, discord_stages, local_stages, slack_stages
from tests.contract.threads.stage import Stage, Trait

STAGES: Mapping[str, type[Stage]] = MappingProxyType(
    {
        "slack-channel": slack_stages.SlackInChannel,
        "slack-direct": slack_stages.SlackInDirect,
        "discord-mention": discord_stages.DiscordOnMention,
        "discord-thread": discord_stages.DiscordInThread,
        "discord-channel": discord_stages.DiscordWithoutThreads,
        "discord-direct": discord_stages.DiscordInDirect,
        "discord-command": command_stages.DiscordByCommand,
        "discord-command-thread": command_stages.DiscordByCommandInThread,
        "discord-outside": command_stages.DiscordOutside,
        "web": local_stages.WebPage,
        "console": local_stages.Console,
    }
)


def on(*traits: Trait) -> pytest.MarkDecorator:
    """Plays a case on every stage with all these traits; nothing is skipped."""
    names = [name for name, stage in STAGES.items() if stage.traits >= set(traits)]
    assert names, traits
    return pytest.mark.parametrize("stage", names, indirect=True)


def endings(edits: bool = False) -> pytest.MarkDecorator:
    """Plays a case on every stage for each of its endings. edits: of those, where edits fail."""
    cases = [
        pytest.param(name, way, id=f"{name}-{way}")
        for name, stage in STAGES.items()
        for way, fails in stage.endings.items()
        if fails or not edits
    ]
    return pytest.mark.parametrize(("stage", "way"), cases, indirect=["stage"])


def refusal(way: str) -> type[DeliveryError]:
    """What a call raises after such an end: a revoked token is not the thread's end, but ours."""
    return LockedOut if way == "revoked" else Undeliverable
