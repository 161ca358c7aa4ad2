"""Fixtures for modules that import them: `discord`, whose app has our commands, and `given`."""

from collections.abc import AsyncIterator

import pytest

from adapters.discord.calls import Api
from tests.adapters.discord.conftest import registered
from tests.adapters.discord.given import Given
from tests.emulators.discord import DiscordServer


@pytest.fixture(name="discord")
async def app_with_commands() -> AsyncIterator[DiscordServer]:
    """The stand-in in the place of the one without commands."""
    async with registered() as server:
        yield server


@pytest.fixture(name="given")
async def at_hand(discord: DiscordServer, api: Api) -> AsyncIterator[Given]:
    """Questions asked there."""
    made = Given(discord, api)
    yield made
    await made.close()
