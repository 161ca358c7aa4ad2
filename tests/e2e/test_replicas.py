"""Several processes of one bot on PostgreSQL: one takes, any answers, none does twice."""

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from tests.contract.store.serving import Cluster, connected, until
from tests.e2e import seen, seen_discord
from tests.e2e.conftest import MANIFEST
from tests.e2e.service import Service, running
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_interaction import Interaction
from tests.emulators.slack import SlackServer
from tests.emulators.slack_app import App

TAKEN_OVER = 30.0
"""Seconds in which the shard of who died is another's: the lease, a look and a new session."""


@pytest.fixture
async def discord() -> AsyncIterator[DiscordServer]:
    """Without rate limits: a load is to end soon."""
    async with DiscordServer(unlimited=True) as server:
        yield server


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    """Without rate limits; what is not acknowledged comes again within a second or so."""
    app = App.from_manifest(json.loads(MANIFEST.read_text()))
    async with SlackServer(app, scale=0.005, unlimited=True) as server:
        yield server


@pytest.fixture
async def both(
    cluster: Cluster, settings: dict[str, str], discord_settings: dict[str, str]
) -> AsyncGenerator[dict[str, str], None]:
    """The variables of every replica, for both platforms; the database is empty."""
    async with cluster.fresh() as url:
        yield {**settings, **discord_settings, "DATABASE_URL": url}


@pytest.fixture
def only_discord(both: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in both.items() if not name.startswith("SLACK_")}


async def state(service: Service) -> tuple[int, str]:
    """What /readyz says, and of Discord."""
    async with (
        aiohttp.ClientSession(service.address) as session,
        session.get("/readyz") as answer,
    ):
        return answer.status, (await answer.json())["parts"]["discord"]


async def holds(service: Service, within: float) -> None:
    """Wait until the shard is this process's."""

    async def ours() -> bool:
        return await state(service) == (200, "ok")

    await until(ours, within)


def shows(used: Interaction, text: str) -> bool:
    return used.text() == text


def answered_once(slack: SlackServer, root: str, text: str) -> bool:
    return seen.answers(slack, slack.workspace.channel("general").id, root) == [text]


def told_once(discord: DiscordServer, place: str, text: str) -> bool:
    return seen_discord.answers(discord, place) == [text]


async def test_a_command_is_taken_once_and_the_shard_of_who_is_killed_is_taken_over(
    tmp_path: Path, discord: DiscordServer, only_discord: dict[str, str]
) -> None:
    say, slash = discord.world.say, discord.interactions.slash
    async with running(tmp_path, only_discord) as first, running(tmp_path, only_discord) as second:
        assert await state(first) == (200, "ok")
        assert await state(second) == (200, "standby")
        assert discord.app.command_writes == 1
        used = [slash("alice", "general", "ask", prompt=str(number)) for number in range(6)]
        for number, one in enumerate(used):
            await discord.wait_for(partial(shows, one, f"Question 1 was: {number}"), 15)
        asked = say("alice", "general", f"{discord.mention} before")
        await seen_discord.last_answer(discord, asked, "Question 1 was: before")
        await first.end(signal.SIGKILL)
        missed = say("alice", "general", f"{discord.mention} meanwhile")
        killed = time.monotonic()
        await holds(second, TAKEN_OVER)
        assert time.monotonic() - killed < TAKEN_OVER
        await seen_discord.last_answer(discord, missed, "Question 1 was: meanwhile")
        used.append(slash("alice", "general", "ask", prompt="after"))
        await discord.wait_for(lambda: used[-1].text() == "Question 1 was: after", 15)
        for place in (asked, missed):
            assert len(seen_discord.answers(discord, place)) == 1
        assert sum(one.refused_again for one in used) == 0
        assert await second.end(signal.SIGTERM) == 0
    seen_discord.calm(discord)
    assert len(discord.gateway.identifies) == 2


async def test_who_is_paused_past_its_lease_takes_nothing_of_what_is_another_s(
    tmp_path: Path, discord: DiscordServer, only_discord: dict[str, str]
) -> None:
    slash = discord.interactions.slash
    async with running(tmp_path, only_discord) as first, running(tmp_path, only_discord) as second:
        first.process.send_signal(signal.SIGSTOP)
        await holds(second, TAKEN_OVER)
        assert discord.gateway.connected == 2, "the other one's socket is still there"
        used = [slash("alice", "general", "ask", prompt="one")]
        await discord.wait_for(partial(shows, used[0], "Question 1 was: one"), 15)
        first.process.send_signal(signal.SIGCONT)
        await discord.wait_for(lambda: discord.gateway.connected == 1, 10)
        used.append(slash("alice", "general", "ask", prompt="two"))
        await discord.wait_for(partial(shows, used[1], "Question 1 was: two"), 15)
        assert sum(one.refused_again for one in used) == 0
        assert (await state(first), await state(second)) == ((200, "standby"), (200, "ok"))


class Load:
    """Questions on both platforms at once, a pair every so many seconds, until told to stop."""

    def __init__(self, slack: SlackServer, discord: DiscordServer) -> None:
        self.slack, self.discord = slack, discord
        self.asked: dict[str, str] = {}
        self.told: dict[str, str] = {}
        self._stop = asyncio.Event()

    async def run(self, every: float) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            text = f"number {number}"
            mention = self.slack.mention
            self.asked[self.slack.workspace.say("alice", "general", f"{mention} {text}")] = text
            said = self.discord.world.say("bob", "general", f"{self.discord.mention} {text}")
            self.told[said] = text
            try:
                await asyncio.wait_for(self._stop.wait(), every)
            except TimeoutError:
                continue

    def stop(self) -> None:
        self._stop.set()

    async def answered(self, within: float) -> None:
        """Wait until each has its whole answer, and nothing but that."""
        for root, text in self.asked.items():
            wanted = partial(answered_once, self.slack, root, f"Question 1 was: {text}")
            await self.slack.wait_for(wanted, within)
        for place, text in self.told.items():
            wanted = partial(told_once, self.discord, place, f"Question 1 was: {text}")
            await self.discord.wait_for(wanted, within)

    def repeated(self) -> list[str]:
        """What has more than one answer."""
        channel = self.slack.workspace.channel("general").id
        on_slack = [seen.answers(self.slack, channel, root) for root in self.asked]
        on_discord = [seen_discord.answers(self.discord, place) for place in self.told]
        return [text for texts in (*on_slack, *on_discord) for text in texts[1:]]


@pytest.mark.timeout(300)
async def test_replicas_restarted_one_after_the_other_under_load_lose_and_repeat_nothing(
    tmp_path: Path, slack: SlackServer, discord: DiscordServer, both: dict[str, str]
) -> None:
    load = Load(slack, discord)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running(tmp_path, both))
        second = await stack.enter_async_context(running(tmp_path, both))
        loading = asyncio.create_task(load.run(0.8))
        try:
            await asyncio.sleep(3)
            assert await first.end(signal.SIGTERM) == 0
            await holds(second, TAKEN_OVER)  # the third would take part in this, if it were there
            third = await stack.enter_async_context(running(tmp_path, both))
            await asyncio.sleep(2)
            assert await second.end(signal.SIGTERM) == 0
            await holds(third, TAKEN_OVER)
            await asyncio.sleep(2)
        finally:
            load.stop()
            await loading
        await load.answered(90)
        assert load.repeated() == []
        async with connected(both["DATABASE_URL"]) as other:
            rows = await other.fetch("SELECT identity, attempts FROM turn")
        assert len(rows) == len(load.asked) + len(load.told)
        assert Counter(row["attempts"] for row in rows).keys() <= {1, 2}
        assert await third.end(signal.SIGTERM) == 0
    sockets = {delivery.socket for root in load.asked for delivery in slack.deliverer.of(root)}
    assert len(sockets - {None, 0}) >= 3, "Slack gave of its events to each that was there"
    assert len(load.told) > 10


async def test_http_events_through_a_balancer_to_two_one_of_which_dies(
    tmp_path: Path, slack: SlackServer, both: dict[str, str]
) -> None:
    names = ("DISCORD_", "SLACK_APP")
    variables = {name: value for name, value in both.items() if not name.startswith(names)}
    variables["SLACK_SIGNING_SECRET"] = slack.app.signing_secret
    async with running(tmp_path, variables) as first, running(tmp_path, variables) as second:
        assert await slack.subscribe(first.address + "slack/events")
        slack.http.behind = [each.address + "slack/events" for each in (first, second)]
        roots = []
        for number in range(12):
            if number == 6:
                await first.end(signal.SIGKILL)
            text = f"{slack.mention} number {number}"
            roots.append(slack.workspace.say("alice", "general", text))
            await asyncio.sleep(0.05)
        for number, root in enumerate(roots):
            text = f"Question 1 was: number {number}"
            await slack.wait_for(partial(answered_once, slack, root, text), 90)
        accepted = [(each.out + each.err).count("slack.prompt") for each in (first, second)]
        assert all(accepted), "both took events"
        assert await second.end(signal.SIGTERM) == 0
