"""Where people write: what the platforms' own identities and addresses look like. Pure."""

import random

from adapters.discord import ids as discord
from adapters.slack import ids as slack

EPOCH = 1_800_000_000.0
"""The platforms' clocks at the schedule's 0.0 seconds, in seconds since the Unix epoch."""
CHANNEL = "70"
"""The Discord channel in which threads are opened."""
_TEAM = "T1"
_KINDS = ("thread", "opens", "direct", "command", "command", "elsewhere")
_OLDER = (0.0, 0.0, 770.0, 830.0, 850.0)
"""Seconds that a command is older than its prompt: its token hands over or dies meanwhile."""


def snowflake(at: float, number: int) -> str:
    """A Discord id made at `at` virtual seconds. number: tells apart what was made then."""
    return str(int(discord.first_after(EPOCH + at)) + number)


def asked_at(platform: str, address: str) -> float:
    """Virtual seconds at which a prompt was asked, or earlier, by its address."""
    if platform == "slack":
        return float(slack.Address.decode(address).ts) - EPOCH
    return discord.time_of(discord.Address.decode(address).before) - EPOCH


def may_change(platform: str, address: str) -> bool:
    """Whether a person can edit and delete this; nobody can what is no message."""
    return platform == "slack" or bool(discord.Address.decode(address).message)


class Places:
    """The conversations of a schedule and the next address in each."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._roots: dict[str, str] = {}
        self._kinds: dict[str, str] = {}

    def address(self, platform: str, thread: str, number: int, at: float) -> tuple[str, str]:
        """Identity and address of the prompt `number` of a schedule, asked in `thread`."""
        return (self._slack if platform == "slack" else self._discord)(thread, number, at)

    def _slack(self, thread: str, number: int, at: float) -> tuple[str, str]:
        ts = f"{EPOCH + at:.3f}{number:03d}"
        root = self._roots.setdefault(thread, ts)
        channel = f"C{thread[-1]}"
        address = slack.Address(_TEAM, channel, root, ts, "U1")
        return slack.message_identity(_TEAM, channel, ts), address.encode()

    def _discord(self, thread: str, number: int, at: float) -> tuple[str, str]:
        kind = self._kinds.setdefault(thread, self._rng.choice(_KINDS))
        id_ = snowflake(at, number)
        if kind in ("direct", "thread"):
            address = discord.Address(
                channel=f"8{thread[-1]}", before=id_, message=id_, thread=kind == "thread"
            )
        elif kind == "opens":
            address = self._opening(thread, id_)
        elif kind == "command":
            address = self._commanded(thread, at, number)
        else:
            used = self._used(at, number)
            address = discord.Address(
                channel=f"9{thread[-1]}", before=used, token=f"token{used}", member=False
            )
        return discord.identity(address.before), address.encode()

    def _opening(self, thread: str, id_: str) -> discord.Address:
        """A question in a channel, and those in the thread on it."""
        root = self._roots.setdefault(thread, id_)
        if root == id_:
            return discord.Address(channel=CHANNEL, before=id_, message=id_, opens=discord.QUESTION)
        return discord.Address(channel=root, before=id_, message=id_, thread=True)

    def _commanded(self, thread: str, at: float, number: int) -> discord.Address:
        """A command whose answer gets a thread, and what is asked there with or without one."""
        root = self._roots.get(thread)
        if root and self._rng.random() < 0.5:
            id_ = snowflake(at, number)
            return discord.Address(channel=root, before=id_, message=id_, thread=True)
        used, answer = self._used(at, number), snowflake(at, number + 100)
        self._roots.setdefault(thread, answer)
        return discord.Address(
            channel=root or CHANNEL,
            before=used,
            opens="" if root else "A question",
            answer=answer,
            token=f"token{used}",
            thread=bool(root),
        )

    def _used(self, at: float, number: int) -> str:
        return snowflake(at - self._rng.choice(_OLDER), number)
