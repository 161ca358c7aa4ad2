"""Real kills: the shipped command, a database file, sockets, and `kill -9` at random moments.

`python -m tests.torture.kills KILLS [SEED]` prints the balance and exits 1 if it is none. The seed
fixes the moments of the kills and what people do, not what the machine makes of them.
"""

import asyncio
import contextlib
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.service import Service, start
from tests.emulators.deepseek import DeepSeekServer
from tests.emulators.discord import NONCE_LIFE, DiscordServer
from tests.emulators.discord_limits import Limits as DiscordLimits
from tests.emulators.slack import SlackServer
from tests.emulators.slack_app import App
from tests.emulators.slack_limits import Limits as SlackLimits
from tests.torture.aim import TARGETS, Aim
from tests.torture.books import Books, Report, turns
from tests.torture.load import People

KEY = "sk-torture-canary-5d1e"
SLACK_SCALE, SLACK_MINUTE, DISCORD_SCALE = 0.05, 0.2, 0.1
"""Slack brings again after 3 and 15 seconds; its rate budgets refill in 12. Discord takes a new
session every half second, since a refused one would keep it out for five seconds of each short
life; its rate limits and the life of its nonces are the real ones."""
SETTLED_WITHIN = 120.0
FROZEN, AIMING = 2.0, 4.0


@dataclass(frozen=True)
class Storm:
    """How it is done. rate: prompts a second. longest: seconds that a life lasts after its start.

    wave: kills until it may settle; kills are a multiple of it, or fewer.

    Shares of the lives: aimed, that end at the next post, edit or acknowledgement; of the others
    early, that end while they still start; of the rest frozen, that stand still for two
    seconds; gentle, that end with SIGTERM, which is no kill.
    """

    kills: int
    seed: int = 1
    wave: int = 20
    rate: float = 1.5
    longest: float = 3.0
    aimed: float = 0.4
    early: float = 0.2
    frozen: float = 0.0
    gentle: float = 0.0


@dataclass
class Stage:
    """The far ends, the people, and where the database lies."""

    folder: Path
    people: People
    books: Books
    aim: Aim
    settings: dict[str, str]
    problems: list[str] = field(default_factory=list)


@asynccontextmanager
async def stage(folder: Path, storm: Storm) -> AsyncIterator[Stage]:
    """Everything but the service."""
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
        discord.context.nonce_life = NONCE_LIFE
        people = People(api, slack, discord, random.Random(storm.seed), storm.rate)
        settings = {
            "DEEPSEEK_API_KEY": KEY,
            "DEEPSEEK_BASE_URL": api.url,
            "SLACK_BOT_TOKEN": slack.app.bot_token,
            "SLACK_APP_TOKEN": slack.app.app_token,
            "SLACK_API_URL": slack.api_url,
            "DISCORD_BOT_TOKEN": discord.app.token,
            "DISCORD_API_URL": discord.api_url,
            "DISCORD_GATEWAY_URL": discord.gateway_url,
            "SHUTDOWN_GRACE": "1",
        }
        books, aim = Books(api, slack, discord, people), Aim(slack, discord)
        yield Stage(folder, people, books, aim, settings)


async def known(scene: Stage) -> None:
    """Ask on each platform and wait until that is stored: from then on Discord is read back."""
    scene.people.greet()
    async with asyncio.timeout(20):
        while len(turns(scene.folder)) < len(scene.people.prompts):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0.05)


async def live(service: Service, aim: Aim, rng: random.Random, storm: Storm) -> bool:
    """Let it run for a while, perhaps not to its first words, perhaps frozen in the middle.

    Returns whether it was killed by then, by an aimed kill.
    """
    if rng.random() < storm.aimed:
        return await aim.kill(service, rng.choice(TARGETS), AIMING)
    if rng.random() < storm.early:
        await asyncio.sleep(rng.uniform(0.05, 1.2))
        return False
    pause = rng.uniform(0.05, storm.longest)
    await service.printed("Ready.")
    await asyncio.sleep(pause)
    if rng.random() < storm.frozen:
        service.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(FROZEN)
        service.process.send_signal(signal.SIGCONT)
        await asyncio.sleep(rng.uniform(0, 0.5))
    return False


async def end(service: Service, number: signal.Signals) -> list[str]:
    """End it. Returns what it should not have done."""
    code = await service.end(number)
    wanted = -number if number is signal.SIGKILL else 0
    problems = [] if code == wanted else [f"{number.name} ended it with {code}"]
    crashed = [line for line in service.err.splitlines() if "Traceback" in line]
    return problems + [f"it printed {line}" for line in crashed]


async def settle(scene: Stage) -> None:
    """Wait until every prompt that must be answered is; gives up after a time."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLED_WITHIN):
            while not scene.books.delivered() or scene.books.outstanding(turns(scene.folder)):  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.25)


async def wave(scene: Stage, service: Service, rng: random.Random, storm: Storm) -> Service:
    """Kill it many times while people ask; returns the last one, which lives."""
    asking = asyncio.create_task(scene.people.ask_on())
    killed = 0
    while killed < min(storm.wave, storm.kills):
        dead = await live(service, scene.aim, rng, storm)
        gentle = not dead and "Ready." in service.out and rng.random() < storm.gentle
        killed += not gentle
        scene.problems += await end(service, signal.SIGTERM if gentle else signal.SIGKILL)
        service = await start(scene.folder, scene.settings)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    return service


async def torture(folder: Path, storm: Storm) -> Report:
    """Kill it so many times under load, let it settle after each wave, and balance the books."""
    began, rng, settling = time.monotonic(), random.Random(storm.seed), 0.0
    async with stage(folder, storm) as scene:
        service = await start(folder, scene.settings)
        await service.printed("Ready.")
        await known(scene)
        for _ in range(-(-storm.kills // storm.wave)):
            service = await wave(scene, service, rng, storm)
            calm = time.monotonic()
            await settle(scene)
            settling += time.monotonic() - calm
        scene.problems += await end(service, signal.SIGTERM)
        report = scene.books.balance(folder)
    report.kills = storm.kills
    report.seconds, report.settling = time.monotonic() - began, settling
    report.wrong += scene.problems
    return report


def main() -> int:
    """Play one storm in a temporary folder and print the report."""
    kills, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(torture(Path(folder), Storm(kills, seed, frozen=0.1, gentle=0.1)))
    sys.stdout.write(f"{report}\n")
    return 0 if report.balanced else 1


if __name__ == "__main__":
    sys.exit(main())
