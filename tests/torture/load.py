"""People who go on asking on Slack and Discord, whatever happens to the process that answers.

Every prompt carries a canary of its own and gets an answer of its own, so that each text that is
seen anywhere tells whose it is.
"""

import asyncio
import random
import re
from dataclasses import dataclass, field

from tests.emulators.deepseek import Call, DeepSeekServer, Reply
from tests.emulators.discord import DiscordServer
from tests.emulators.slack import SlackServer

CANARY = re.compile(r"\bq\d{5}z\b")
CHANNELS = 4
OPEN_THREADS = 5
MOST_IN_THREAD = 5


@dataclass
class Prompt:
    """One question. canary: in its text and its answer. id: of the message that asks.

    place: where its answer is looked for, a thread's key. pieces: the chunks of its answer.
    """

    canary: str
    id: str
    place: str
    pieces: tuple[str, ...]

    @property
    def answer(self) -> str:
        """The exact text that must be shown."""
        return "".join(self.pieces)


@dataclass
class Thread:
    """A conversation of a platform. channel: where it lives. root: its first message.

    prompts: in the order in which they were asked. direct: people write to the bot alone.
    """

    platform: str
    channel: str
    root: str
    prompts: list[Prompt] = field(default_factory=list)
    direct: bool = False

    @property
    def key(self) -> str:
        """Its name among all threads."""
        return f"{self.platform} {self.channel} {self.root}"


class People:
    """Asks at a steady rate. rate: prompts a second on both platforms together."""

    def __init__(
        self,
        api: DeepSeekServer,
        slack: SlackServer,
        discord: DiscordServer,
        rng: random.Random,
        rate: float,
    ) -> None:
        self.threads: list[Thread] = []
        self.prompts: dict[str, Prompt] = {}
        self._api, self._slack, self._discord = api, slack, discord
        self._rng, self._rate = rng, rate
        self._slack_channels = [
            slack.workspace.add_channel(f"room{n}", "channel", ("alice", "bob"))
            for n in range(CHANNELS)
        ]
        self._discord_channels = [discord.world.add_channel(f"room{n}") for n in range(CHANNELS)]
        self._turn_of = 0

    async def ask_on(self) -> None:
        """Ask until cancelled, on one platform and then on the other."""
        while True:
            self.ask(("slack", "discord")[self._turn_of % 2])
            self._turn_of += 1
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) / self._rate)

    def ask(self, platform: str) -> Prompt:
        """One more question: in an open thread or, when there are too few, in a new one."""
        here = [t for t in self.threads if t.platform == platform and self._goes_on(t)]
        if len(here) < OPEN_THREADS or self._rng.random() < 0.2:
            who = self._rng.choice(("alice", "bob"))
            return self._begin(platform, who, direct=self._rng.random() < 0.15)
        return self._follow(self._rng.choice(here))

    def greet(self) -> None:
        """A first question in Slack, and on Discord one of each person directly.

        A direct conversation that the service never saw can't be found by reading back.
        """
        self._begin("slack", "alice", direct=False)
        for who in ("alice", "bob"):
            self._begin("discord", who, direct=True)

    def _goes_on(self, thread: Thread) -> bool:
        if len(thread.prompts) >= MOST_IN_THREAD:
            return False
        return thread.platform == "slack" or thread.root in self._discord.world.channels

    def _new(self) -> tuple[str, tuple[str, ...]]:
        canary = f"q{len(self.prompts):05d}z"
        count = self._rng.randint(8, 30)
        pieces = (f"About {canary}: ", *(f"word{n} " for n in range(count)), f"and {canary}.")
        self._api.script(
            lambda call: asked(call) == canary,
            Reply(pieces=pieces, delay=self._rng.uniform(0.02, 0.05)),
        )
        return canary, pieces

    def _keep(self, thread: Thread, id_: str, canary: str, pieces: tuple[str, ...]) -> Prompt:
        prompt = Prompt(canary, id_, thread.key, pieces)
        thread.prompts.append(prompt)
        self.prompts[canary] = prompt
        return prompt

    def _begin(self, platform: str, who: str, *, direct: bool) -> Prompt:
        canary, pieces = self._new()
        if platform == "slack":
            world = self._slack.workspace
            channel = world.direct(who) if direct else self._rng.choice(self._slack_channels)
            text = f"what of {canary}?" if direct else f"{self._slack.mention} what of {canary}?"
            id_ = world.say(who, channel, text)
            thread = Thread("slack", channel, id_, direct=direct)
        else:
            there = self._discord
            channel = (
                there.world.direct(who) if direct else self._rng.choice(self._discord_channels)
            )
            text = f"what of {canary}?" if direct else f"{there.mention} what of {canary}?"
            id_ = there.world.say(who, channel, text)
            thread = self._direct(channel) if direct else Thread("discord", channel, id_)
        if thread not in self.threads:
            self.threads.append(thread)
        return self._keep(thread, id_, canary, pieces)

    def _direct(self, channel: str) -> Thread:
        known = (t for t in self.threads if t.platform == "discord" and t.root == channel)
        return next(known, Thread("discord", channel, channel, direct=True))

    def _follow(self, thread: Thread) -> Prompt:
        canary, pieces = self._new()
        who = self._rng.choice(("alice", "bob"))
        if thread.platform == "slack":
            plain = thread.direct or (self._taken(thread) and self._rng.random() < 0.5)
            text = f"and {canary}?" if plain else f"{self._slack.mention} and {canary}?"
            if thread.direct:
                who = self._slack.workspace.channels[thread.channel].name
            id_ = self._slack.workspace.say(who, thread.channel, text, thread_ts=thread.root)
        else:
            if thread.direct:
                who = next(
                    name
                    for name in ("alice", "bob")
                    if self._discord.world.direct(name) == thread.channel
                )
            id_ = self._discord.world.say(who, thread.root, f"and {canary}?")
        return self._keep(thread, id_, canary, pieces)

    def _taken(self, thread: Thread) -> bool:
        """Whether the service said that it has the first message: then no mention is needed."""
        return any(delivery.acked for delivery in self._slack.deliverer.of(thread.root))


def asked(call: Call) -> str:
    """The canary of the prompt that a request is for; questions that got no answer come before."""
    return "".join(CANARY.findall(call.last)[-1:])
