"""Typing is shown from the status to the first words, however long they take."""

import asyncio

import pytest

from adapters.discord import typist
from adapters.discord.ids import Address
from tests.adapters.discord.commanded import app_with_commands, at_hand  # noqa: F401
from tests.adapters.discord.conftest import until
from tests.adapters.discord.given import Given
from tests.emulators.discord import DiscordServer


async def test_we_type_again_and_again_until_the_first_words(
    discord: DiscordServer, given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typist, "TYPING", 0.1)
    monkeypatch.setattr(typist, "LEAST", 0.1)
    prompt = given.mention()
    place = Address.decode(prompt.address).message
    handle = given.thread(prompt)
    await handle.status("thinking")
    await until(lambda: place in discord.world.channels)
    await until(lambda: len(discord.record.typings(place)) >= 3, 10)
    await handle.post("one", "k:0")
    typed = len(discord.record.typings(place))
    await asyncio.sleep(0.5)
    assert len(discord.record.typings(place)) == typed
