"""A platform in memory and a whole engine on it, in virtual time with the real statements."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from sqlalchemy import Connection, func, select

from core.delivery.sharing import OwnBudget
from core.ports import Threads
from core.store.schema import turn
from core.store.sql import SqlHistory, SqlTurns
from core.turns.engine import Engine
from core.turns.means import Means, Policy
from core.turns.window import Room
from core.types import Outcome, PartId, Prompt, Remembered, Role, ThreadKey
from tests.fakes.clock import now
from tests.fakes.completions import ScriptedCompletions
from tests.fakes.store import InlineDatabase
from tests.fakes.thread import AbleThread

POLICY = Policy(system_prompt="Be kind.", room=Room(context=8_000, answer=1_000))


def prompt(
    text: str, number: int = 1, thread: str = "a", author: str = "", **more: object
) -> Prompt:
    """The prompt `number` of a thread."""
    return Prompt(
        platform="fake",
        thread=ThreadKey(f"fake:{thread}"),
        identity=f"fake:{thread}:{number}",
        sequence=f"{number:06d}",
        author=author,
        text=text,
        asked_at=0.0,
        address=f"fake:{thread}",
        **more,  # type: ignore[arg-type]
    )


class Screen(AbleThread):
    """One thread as people see it; it stays while handles and processes come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses: list[tuple[float, str]] = []
        self.before: list[Remembered] = []
        self.outcomes: list[Outcome] = []
        self.waits: list[tuple[float, int]] = []

    async def status(self, text: str) -> None:
        """Keep the line."""
        self.statuses.append((now(), text))

    async def queued(self, ahead: int) -> None:
        """Keep how many were before a prompt."""
        self.waits.append((now(), ahead))

    async def earlier(self) -> Sequence[Remembered]:
        """What was said before the bot came."""
        return self.before

    async def concluded(self, outcome: Outcome) -> None:
        """Keep what became of the turn."""
        self.outcomes.append(outcome)

    def texts(self, part: PartId) -> list[str]:
        """Every state of one message."""
        return [text for _, text in self.states[part]]


class FakePlatform:
    """Screens by thread."""

    def __init__(self) -> None:
        self.screens: dict[ThreadKey, Screen] = {}

    def screen(self, thread: str = "a") -> Screen:
        """The screen of a thread."""
        return self.screens.setdefault(ThreadKey(f"fake:{thread}"), Screen())

    def open(self, asked: Prompt) -> Screen:
        """The live handle."""
        return self.screens.setdefault(ThreadKey(asked.address), Screen())


class Bench:
    """What outlives a process: the database, the platform, the API.

    exclusive: no other process can claim turns.
    """

    def __init__(self, *scripts: Sequence[object], policy: Policy = POLICY) -> None:
        self.database = InlineDatabase()
        self.platform = FakePlatform()
        self.api = ScriptedCompletions(*scripts)  # type: ignore[arg-type]
        self.policy = policy
        self.exclusive = False
        self.turns = SqlTurns(self.database, now)
        self.history = SqlHistory(self.database)

    def means(self) -> Means:
        """Fresh means, as a new process has them."""
        return Means(
            turns=self.turns,
            history=self.history,
            completions=self.api,
            budget=OwnBudget(now),
            policy=self.policy,
            lease=60.0,
            now=now,
            chance=lambda: 0.5,
            exclusive=self.exclusive,
        )

    @asynccontextmanager
    async def process(self, *, grace: float | None = None) -> AsyncIterator[Engine]:
        """A process: it takes over, works, and ends when everything is answered.

        grace: seconds, to end before that.
        """
        platforms: dict[str, Threads] = {"fake": self.platform}
        await self.turns.take_over(["fake"])
        engine = Engine(self.means(), platforms, owner=f"process at {now()}")
        running = asyncio.create_task(engine.run())
        try:
            yield engine
            if grace is None:
                await self._all_answered()
            await engine.stop(grace or 0)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _all_answered(self) -> None:
        async with asyncio.timeout(1_000):
            while await self.database.read(_open_turns):  # noqa: ASYNC110 - time is virtual
                await asyncio.sleep(0.5)

    async def killed_after(self, seconds: float, *prompts: Prompt) -> None:
        """A process that accepts prompts and dies without a word."""
        before = asyncio.all_tasks()
        engine = Engine(self.means(), {"fake": self.platform}, owner=f"doomed at {now()}")
        running = asyncio.create_task(engine.run())
        for asked in prompts:
            await engine.accept(asked)
        await asyncio.sleep(seconds)
        running.cancel()
        doomed = asyncio.all_tasks() - before
        for task in doomed:
            task.cancel()
        await asyncio.gather(*doomed, return_exceptions=True)

    async def sent(self) -> list[list[tuple[str, str]]]:
        """Every request's messages, as pairs."""
        return [[(m.role.value, m.content) for m in r.messages] for r in self.api.requests]


def _open_turns(connection: Connection) -> int:
    statement = select(func.count()).select_from(turn).where(turn.c.settled_at.is_(None))
    return connection.execute(statement).scalar_one()


def named(author: str, text: str, identity: str) -> Remembered:
    """Something a person said before the bot came."""
    return Remembered(Role.USER, text, author=author, identity=identity)


def with_json(policy: Policy) -> Policy:
    """The policy, in JSON mode."""
    return replace(policy, json_object=True)
