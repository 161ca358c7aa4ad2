"""Questions about what a person saw in Discord, moment by moment."""

from itertools import pairwise

from tests.emulators.discord import DiscordServer


def answers(discord: DiscordServer, channel: str) -> list[str]:
    """The bot's messages in a place as they stand, oldest first; none where there is no such."""
    return discord.record.visible(channel) if channel in discord.world.channels else []


async def last_answer(discord: DiscordServer, channel: str, text: str, within: float = 15) -> None:
    """Wait until the newest message of the bot reads so."""
    await discord.wait_for(lambda: answers(discord, channel)[-1:] == [text], within)


def calm(discord: DiscordServer) -> None:
    """Nothing that a person saw was wrong at any moment, and nothing that Discord got."""
    record = discord.record
    assert not record.pings
    assert not record.embeds
    assert not record.broken_fences()
    for message in record.bot_messages():
        assert not record.went_back(message), record.history(message)
    refused = [(c.path, c.response) for c in record.calls if 400 <= c.status < 500]
    assert not refused, refused


def one_at_a_time(discord: DiscordServer, gap: float) -> None:
    """Edits of one message were at least so many seconds apart, the last one excepted."""
    by_message: dict[str, list[float]] = {}
    for call in discord.record.calls:
        if call.method == "PATCH" and "messages" in call.path:
            by_message.setdefault(call.path, []).append(call.time)
    for times in by_message.values():
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert all(each > gap for each in gaps[:-1]), gaps


def edits(discord: DiscordServer, message: str) -> list[str]:
    """All texts that a message showed, in order."""
    return [state.text or "" for state in discord.record.history(message)]
