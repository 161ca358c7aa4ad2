"""Real kills: the shipped command, its database, sockets, and `kill -9` at random moments.

`python -m tests.torture.kills KILLS [SEED] [--postgres]` prints the balance and exits 1 if it is
none. The seed fixes the moments of the kills and what people do, not what the machine makes of
them. With --postgres there are two replicas on a real server; one of them is stopped for longer
than its lease now and then, and the server is torn down and started again.
"""

import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.contract.store.serving import Cluster, serving
from tests.emulators.deepseek import DeepSeekServer
from tests.emulators.discord import NONCE_LIFE, TOKEN_LIFE, DiscordServer
from tests.emulators.discord_limits import Limits as DiscordLimits
from tests.emulators.slack import SlackServer
from tests.emulators.slack_app import App
from tests.emulators.slack_limits import Limits as SlackLimits
from tests.torture.aim import TARGETS, Aim, Target
from tests.torture.books import Books, Report
from tests.torture.fleet import Fleet
from tests.torture.ledger import FileLedger, Ledger, ServerLedger
from tests.torture.load import People
from tests.torture.server import bring_back, tear_down
from tests.torture.troubles import Troubles

KEY = "sk-torture-canary-5d1e"
SLACK_SCALE, SLACK_MINUTE, DISCORD_SCALE = 0.05, 0.2, 0.1
"""Slack brings again after 3 and 15 seconds; its rate budgets refill in 12. Discord takes a new
session every half second, since a refused one would keep it out for five seconds of each short
life; its rate limits and the lives of nonces and tokens are the real ones."""
SETTLED_WITHIN = 600.0
"""Seconds; as long as the platforms make us wait: Discord lets a channel open 50 threads in 300,
and Slack's history is read a place every 2.4 seconds."""
FROZEN, AIMING = 2.0, 4.0
LEASE = 5
"""Seconds, on PostgreSQL: what a dead replica held goes on elsewhere after that."""

Act = Literal["kill", "stop", "restart"]


@dataclass(frozen=True)
class Storm:
    """How it is done. rate: prompts a second. longest: seconds that a life lasts after its start.

    stops: of a replica for longer than its lease; restarts: of the
    database; both only with several replicas, on PostgreSQL. slow: share of the answers that take
    longer than a lease.

    Shares of the lives: aimed, that end at the next post, edit or acknowledgement; of the others
    early, that end while they still start; of the rest frozen, that stand still for two
    seconds; gentle, that end with SIGTERM, which is no kill.
    """

    kills: int
    seed: int = 1
    rate: float = 1.5
    longest: float = 3.0
    aimed: float = 0.4
    early: float = 0.2
    frozen: float = 0.0
    gentle: float = 0.0
    replicas: int = 1
    stops: int = 0
    restarts: int = 0
    slow: float = 0.0
    platforms: tuple[str, ...] = ("slack", "discord")

    def acts(self, rng: random.Random) -> list[Act]:
        """What is done, in order."""
        acts: list[Act] = ["kill"] * self.kills
        acts += ["stop"] * self.stops
        acts += ["restart"] * self.restarts
        rng.shuffle(acts)
        return acts


@dataclass
class Stage:
    """The far ends, the people, the database, the processes, and what was done to them."""

    storm: Storm
    rng: random.Random
    api: DeepSeekServer
    slack: SlackServer
    discord: DiscordServer
    people: People
    books: Books
    aim: Aim
    ledger: Ledger
    fleet: Fleet
    troubles: Troubles
    cluster: Cluster | None


def _far_ends(
    api: DeepSeekServer, slack: SlackServer, discord: DiscordServer, storm: Storm
) -> dict[str, str]:
    """The variables that say where everything is."""
    settings = {
        "DEEPSEEK_API_KEY": KEY,
        "DEEPSEEK_BASE_URL": api.url,
        "SLACK_BOT_TOKEN": slack.app.bot_token,
        "SLACK_APP_TOKEN": slack.app.app_token,
        "SLACK_API_URL": slack.api_url,
    }
    if "discord" in storm.platforms:
        settings |= {
            "DISCORD_BOT_TOKEN": discord.app.token,
            "DISCORD_API_URL": discord.api_url,
            "DISCORD_GATEWAY_URL": discord.gateway_url,
        }
    return settings


@asynccontextmanager
async def stage(
    folder: Path,
    storm: Storm,
    cluster: Cluster | None = None,
    url: str = "",
    more: Mapping[str, str] | None = None,
) -> AsyncIterator[Stage]:
    """Everything, with the service ready. url: of its database on the cluster.

    more: variables of the service.
    """
    async with (
        DeepSeekServer(key=KEY) as api,
        SlackServer(
            App(client_msg_ids=False),  # honouring a repeated one is undocumented
            scale=SLACK_SCALE,
            limits=SlackLimits(scale=SLACK_MINUTE),
            seed=storm.seed,
        ) as slack,
        DiscordServer(scale=DISCORD_SCALE, limits=DiscordLimits(), seed=storm.seed) as discord,
    ):
        discord.context.nonce_life, discord.context.token_life = NONCE_LIFE, TOKEN_LIFE
        rng = random.Random(storm.seed)
        people = People(api, slack, discord, rng, storm.rate, storm.platforms, storm.slow)
        settings = _far_ends(api, slack, discord, storm) | {"SHUTDOWN_GRACE": "1", **(more or {})}
        if cluster is not None:
            settings |= {"DATABASE_URL": url, "LEASE_SECONDS": str(LEASE)}
        troubles = Troubles()
        books, aim = Books(api, slack, discord, people, troubles), Aim(slack, discord)
        ledger = FileLedger(folder) if cluster is None else ServerLedger(url, folder)
        fleet = Fleet(folder, settings, storm.replicas, troubles)
        try:
            await fleet.start()
            moments = random.Random(storm.seed)
            yield Stage(
                storm,
                moments,
                api,
                slack,
                discord,
                people,
                books,
                aim,
                ledger,
                fleet,
                troubles,
                cluster,
            )
        finally:
            await fleet.abandon()


async def known(scene: Stage) -> None:
    """Ask on each platform and wait until that is stored: from then on Discord is read back."""
    scene.people.greet()
    async with asyncio.timeout(20):
        while len(await scene.ledger.turns()) < len(scene.people.prompts):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)


def possible(target: Target, storm: Storm) -> bool:
    """Whether there are such moments."""
    return target != "command" or "discord" in storm.platforms


async def kill(scene: Stage) -> None:
    """Let some run for a while, perhaps not to their first words, and kill them."""
    storm, rng, fleet = scene.storm, scene.rng, scene.fleet
    victims = fleet.pick(rng)
    if rng.random() < storm.aimed:
        target = rng.choice([target for target in TARGETS if possible(target, storm)])
        if target == "command":  # which are rare, and lost on a process that only starts
            await fleet.ready(victims)
            scene.people.command()
        await scene.aim.wait(target, lambda: fleet.kill(victims), AIMING)
    elif rng.random() < storm.early:
        await asyncio.sleep(rng.uniform(0.05, 1.2))
    else:
        pause = rng.uniform(0.05, storm.longest)
        await fleet.ready(victims)
        if "discord" in storm.platforms and rng.random() < 0.5:
            scene.people.command()
        await asyncio.sleep(pause)
        if rng.random() < storm.frozen:
            await fleet.freeze(victims, FROZEN)
            await asyncio.sleep(rng.uniform(0, 0.5))
    await fleet.replace(victims)


async def stop(scene: Stage) -> None:
    """Stop one, while it answers if it does, for longer than its lease, and let it go on."""
    rng, fleet = scene.rng, scene.fleet
    one = [rng.randrange(scene.storm.replicas)]
    await fleet.ready(range(scene.storm.replicas))
    await scene.aim.wait("edit", lambda: fleet.pause(one), AIMING)
    await fleet.freeze(one, LEASE + rng.uniform(1, 4))
    await asyncio.sleep(rng.uniform(0.5, 2))


async def restart(scene: Stage) -> None:
    """Tear the database down under load and bring it back."""
    assert scene.cluster is not None
    await scene.fleet.ready(range(scene.storm.replicas))
    began = time.monotonic()
    await tear_down(scene.cluster)
    await asyncio.sleep(scene.rng.uniform(0, 3))
    await bring_back(scene.cluster)
    scene.troubles.pauses.append((began, time.monotonic()))
    await asyncio.sleep(scene.rng.uniform(0.5, 2))


async def act(scene: Stage, what: Act) -> None:
    """Do it; a kill may be a graceful end instead, which is done beside it."""
    if what == "stop":
        await stop(scene)
    elif what == "restart":
        await restart(scene)
    else:
        victims = scene.fleet.pick(scene.rng)
        if scene.fleet.is_ready(victims) and scene.rng.random() < scene.storm.gentle:
            await scene.fleet.renew(victims)
        await kill(scene)


async def settled(scene: Stage) -> bool:
    """Whether every prompt that must be answered is, and Slack brings none any more."""
    if not scene.books.delivered():
        return False
    return not scene.books.outstanding(await scene.ledger.turns())


async def settle(scene: Stage) -> None:
    """Wait until every prompt that must be answered is; gives up after a time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLED_WITHIN):
            while not await settled(scene):  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.25)


async def under_load(scene: Stage, acts: list[Act]) -> None:
    """Do all this while people ask."""
    asking = asyncio.create_task(scene.people.ask_on())
    for what in acts:
        await act(scene, what)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def torture(
    folder: Path, storm: Storm, cluster: Cluster | None = None, url: str = ""
) -> Report:
    """Kill it so many times under load, let it settle, and balance the books."""
    began = time.monotonic()
    async with stage(folder, storm, cluster, url) as scene:
        await known(scene)
        await under_load(scene, storm.acts(scene.rng))
        calm = time.monotonic()
        await settle(scene)
        settling = time.monotonic() - calm
        await scene.fleet.stop()
        report = await scene.books.balance(scene.ledger)
    report.seconds, report.settling = time.monotonic() - began, settling
    report.wrong += scene.fleet.problems
    return report


async def on_a_server(folder: Path, storm: Storm, cluster: Cluster) -> Report:
    """Two replicas or more on a database of their own."""
    async with cluster.fresh() as url:
        return await torture(folder, storm, cluster, url)


def storm_of(kills: int, seed: int, *, postgres: bool) -> Storm:
    """What `make torture` and `make torture-postgres` play."""
    if not postgres:
        return Storm(kills, seed, frozen=0.1, gentle=0.1)
    tenth = max(1, kills // 10)
    return Storm(kills, seed, gentle=0.1, replicas=2, stops=tenth, restarts=tenth, slow=0.1)


def main() -> int:
    """Play one storm in a temporary folder and print the report."""
    numbers = [int(word) for word in sys.argv[1:] if not word.startswith("-")]
    kills, seed = numbers[0], numbers[1] if len(numbers) > 1 else 1
    postgres = "--postgres" in sys.argv
    storm = storm_of(kills, seed, postgres=postgres)
    with tempfile.TemporaryDirectory() as folder:
        if postgres:
            with serving() as cluster:
                report = asyncio.run(on_a_server(Path(folder), storm, cluster))
        else:
            report = asyncio.run(torture(Path(folder), storm))
    sys.stdout.write(f"{report}\n")
    return 0 if report.balanced else 1


if __name__ == "__main__":
    sys.exit(main())
