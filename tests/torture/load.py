"""People who go on asking on Slack and Discord, whatever happens to the process that answers.

Every prompt carries a canary of its own, and every API call for it gets an answer of its own, so
that each text that is seen anywhere tells whose it is, and which call it came from.
"""

import asyncio
import random
import re
import time
from dataclasses import dataclass, field

from tests.emulators.deepseek import Call, DeepSeekServer, Reply
from tests.emulators.discord import DiscordServer
from tests.emulators.discord_interaction import Interaction
from tests.emulators.slack import SlackServer

PEOPLE = ("alice", "bob")
CANARY = re.compile(r"\bq\d{5}z\b")
CHANNELS = 4
OPEN_THREADS = 5
MOST_IN_THREAD = 5
COMMANDS = 0.35
"""Share of the questions on Discord that are asked with /ask."""
_SLOW = 8.0  # seconds
_CALLS = 4  # answers that are ready for a prompt: one more than it may cost


@dataclass
class Prompt:
    """One question. canary: in its text and its answers. id: of the message that asks.

    place: where its answer is looked for, a thread's key. answers: the exact text that each API
    call for it gives. command: the use of /ask that brought it, None for a message. at: when it
    was asked, monotonic seconds.
    """

    canary: str
    id: str
    place: str
    answers: tuple[str, ...]
    command: Interaction | None = None
    at: float = field(default_factory=time.monotonic)


@dataclass
class Thread:
    """A conversation of a platform. channel: where it lives. root: its first message.

    After a command in a channel that is its answer, "" until Discord shows one.

    prompts: in the order in which they were asked. direct: people write to the bot alone.
    name: what it is called before it has a root.
    """

    platform: str
    channel: str
    root: str
    prompts: list[Prompt] = field(default_factory=list)
    direct: bool = False
    name: str = ""

    @property
    def key(self) -> str:
        """Its name among all threads."""
        return f"{self.platform} {self.channel} {self.name or self.root}"


class People:
    """Asks at a steady rate. rate: prompts a second on all platforms together.

    slow: share of the answers that take longer than a lease of the torture. failing: the calls
    that the API was told to fail, each of which has to be made again.
    """

    def __init__(
        self,
        api: DeepSeekServer,
        slack: SlackServer,
        discord: DiscordServer,
        rng: random.Random,
        rate: float,
        platforms: tuple[str, ...] = ("slack", "discord"),
        slow: float = 0.0,
    ) -> None:
        self.threads: list[Thread] = []
        self.prompts: dict[str, Prompt] = {}
        self.failing: list[Call] = []
        self.platforms = platforms
        self._api, self._slack, self._discord = api, slack, discord
        self._rng, self._rate, self._slow = rng, rate, slow
        self._slack_channels = [
            slack.workspace.add_channel(f"room{n}", "channel", ("alice", "bob"))
            for n in range(CHANNELS)
        ]
        self.discord_channels = [discord.world.add_channel(f"room{n}") for n in range(CHANNELS)]
        self._turn_of = 0

    async def ask_on(self) -> None:
        """Ask until cancelled, on one platform and then on the next."""
        while True:
            self.ask(self.platforms[self._turn_of % len(self.platforms)])
            self._turn_of += 1
            await asyncio.sleep(self._rng.uniform(0.5, 1.5) / self._rate)

    def ask(self, platform: str) -> Prompt:
        """One more question: in an open thread or, when there are too few, in a new one."""
        self.learn()
        here = [t for t in self.threads if t.platform == platform and self._goes_on(t)]
        if len(here) < OPEN_THREADS or self._rng.random() < 0.2:
            direct = self._rng.random() < 0.15
            return self._begin(platform, self._rng.choice(PEOPLE), direct=direct)
        return self._follow(self._rng.choice(here))

    def greet(self) -> None:
        """A first question in Slack, and on Discord one of each person directly.

        A direct conversation that the service never saw can't be found by reading back.
        """
        self._begin("slack", "alice", direct=False)
        for who in PEOPLE if "discord" in self.platforms else ():
            self._begin("discord", who, direct=True)

    def command(self) -> None:
        """Use /ask in a channel of Discord."""
        if self._discord.app.commands:
            self._command(self._rng.choice(PEOPLE), self._rng.choice(self.discord_channels))

    def learn(self) -> None:
        """Find the threads that answers to commands have opened meanwhile."""
        for thread in self.threads:
            command = thread.prompts[0].command if thread.prompts else None
            if not thread.root and command is not None:
                thread.root = command.message_id

    def _goes_on(self, thread: Thread) -> bool:
        if len(thread.prompts) >= MOST_IN_THREAD:
            return False
        return thread.platform == "slack" or thread.root in self._discord.world.channels

    def _new(self) -> tuple[str, tuple[str, ...]]:
        canary = f"q{len(self.prompts):05d}z"
        words = [f"word{n} " for n in range(self._rng.randint(8, 30))]
        slow = self._rng.random() < self._slow
        delay = _SLOW / len(words) if slow else self._rng.uniform(0.02, 0.05)
        takes = [
            (f"About {canary}: ", f"take {take}, ", *words, f"and {canary}.")
            for take in range(_CALLS)
        ]
        replies = (Reply(pieces=pieces, delay=delay) for pieces in takes)
        self._api.script(lambda call: asked(call) == canary, *replies)
        return canary, tuple("".join(pieces) for pieces in takes)

    def _keep(self, thread: Thread, prompt: Prompt) -> Prompt:
        prompt.place = thread.key
        thread.prompts.append(prompt)
        self.prompts[prompt.canary] = prompt
        if thread not in self.threads:
            self.threads.append(thread)
        return prompt

    def _begin(self, platform: str, who: str, *, direct: bool) -> Prompt:
        if platform == "slack":
            return self._begin_in_slack(who, direct=direct)
        world = self._discord.world
        channel = world.direct(who) if direct else self._rng.choice(self.discord_channels)
        if direct:
            return self._in_discord(self._direct(channel), who, channel, "what of {}?")
        if self._commands():
            return self._command(who, channel)
        canary, answers = self._new()
        id_ = world.say(who, channel, f"{self._discord.mention} what of {canary}?")
        return self._keep(Thread("discord", channel, id_), Prompt(canary, id_, "", answers))

    def _command(self, who: str, channel: str) -> Prompt:
        canary, answers = self._new()
        used = self._slash(who, channel, f"what of {canary}?")
        thread = Thread("discord", channel, "", name=used.id)
        return self._keep(thread, Prompt(canary, used.id, "", answers, used))

    def _begin_in_slack(self, who: str, *, direct: bool) -> Prompt:
        canary, answers = self._new()
        world = self._slack.workspace
        channel = world.direct(who) if direct else self._rng.choice(self._slack_channels)
        text = f"what of {canary}?" if direct else f"{self._slack.mention} what of {canary}?"
        id_ = world.say(who, channel, text)
        thread = Thread("slack", channel, id_, direct=direct)
        return self._keep(thread, Prompt(canary, id_, "", answers))

    def _direct(self, channel: str) -> Thread:
        known = (t for t in self.threads if t.platform == "discord" and t.root == channel)
        return next(known, Thread("discord", channel, channel, direct=True))

    def _follow(self, thread: Thread) -> Prompt:
        who = self._rng.choice(PEOPLE)
        if thread.platform == "slack":
            return self._follow_in_slack(thread, who)
        if thread.direct:
            direct = self._discord.world.direct
            who = next(name for name in PEOPLE if direct(name) == thread.channel)
        return self._in_discord(thread, who, thread.root, "and {}?")

    def _follow_in_slack(self, thread: Thread, who: str) -> Prompt:
        canary, answers = self._new()
        plain = thread.direct or (self._taken(thread) and self._rng.random() < 0.5)
        text = f"and {canary}?" if plain else f"{self._slack.mention} and {canary}?"
        if thread.direct:
            who = self._slack.workspace.channels[thread.channel].name
        id_ = self._slack.workspace.say(who, thread.channel, text, thread_ts=thread.root)
        return self._keep(thread, Prompt(canary, id_, "", answers))

    def _in_discord(self, thread: Thread, who: str, channel: str, words: str) -> Prompt:
        """Ask where no mention is needed, by a message or by the command."""
        canary, answers = self._new()
        if self._commands():
            used = self._slash(who, channel, words.format(canary))
            return self._keep(thread, Prompt(canary, used.id, "", answers, used))
        id_ = self._discord.world.say(who, channel, words.format(canary))
        return self._keep(thread, Prompt(canary, id_, "", answers))

    def _commands(self) -> bool:
        """Whether the next question on Discord is a command, which is registered by then.

        Most people don't try when the bot is shown as offline: nothing could be learned from it.
        """
        discord = self._discord
        if not discord.app.commands or self._rng.random() > COMMANDS:
            return False
        return discord.gateway.connected > 0 or self._rng.random() < 0.1

    def _slash(self, who: str, channel: str, text: str) -> Interaction:
        return self._discord.interactions.slash(who, channel, "ask", prompt=text)

    def _taken(self, thread: Thread) -> bool:
        """Whether the service said that it has the first message: then no mention is needed."""
        return any(delivery.acked for delivery in self._slack.deliverer.of(thread.root))


def asked(call: Call) -> str:
    """The canary of the prompt that a request is for; questions that got no answer come before."""
    return "".join(CANARY.findall(call.last)[-1:])
