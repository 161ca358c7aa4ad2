"""An answer of 100,000 characters in Discord: all of it arrives, in order, in whole blocks."""

from pathlib import Path

import pytest

from tests.e2e.seen_discord import answers
from tests.e2e.service import running
from tests.emulators.deepseek import DeepSeekServer, Reply
from tests.emulators.discord import DiscordServer

LINES = [f"line {number:05d} = {'x' * 40}" for number in range(1_900)]
BLOCK = "```python\n" + "\n".join(LINES) + "\n```"


@pytest.mark.timeout(300)
async def test_one_enormous_code_block(
    tmp_path: Path, api: DeepSeekServer, discord: DiscordServer, discord_settings: dict[str, str]
) -> None:
    assert len(BLOCK) > 100_000
    pieces = tuple(BLOCK[at : at + 2_000] for at in range(0, len(BLOCK), 2_000))
    api.script("everything", Reply(pieces=pieces))
    async with running(tmp_path, discord_settings) as service:
        place = discord.world.say("alice", "general", f"{discord.mention} tell me everything")
        await service.printed("turn.settled", 240)
    parts = answers(discord, place)
    assert all(part.startswith("```python\n") and part.endswith("\n```") for part in parts)
    assert all(len(part) <= 2_000 for part in parts)
    shown = [line for part in parts for line in part.splitlines() if not line.startswith("```")]
    assert shown == LINES
    assert not discord.record.broken_fences()
    assert not discord.record.pings
    assert len(api.calls) == 1
