"""What the tests of the store are made of."""

import asyncio
import resource
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import Connection, Select, event, insert, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.util import await_

from core.lifecycle import State
from core.ports import History, Turn, Turns
from core.store import leases
from core.store.clock import Uptime
from core.store.database import Database
from core.store.opening import Transactions
from core.store.schema import conversation, turn
from core.store.sql import SqlHistory, SqlTurns
from core.types import Memory, Outcome, Prompt, Remembered, Role, ThreadKey, Usage, Verdict

LEASE = 30.0
HERE = ("slack",)
THREAD = ThreadKey("slack:T1:C1:100")

COMPLETE = Outcome(verdict=Verdict.COMPLETE, text="Forty-two.")
SPOKEN = (Remembered(Role.USER, "What is it?", "Ann"), Remembered(Role.ASSISTANT, "Forty-two."))
FULL = Outcome(
    verdict=Verdict.LENGTH,
    text="**bold** — ünïcode 🙂",
    notice="(cut off)",
    candidates=("one", "two"),
    reasoning="let me see",
    usage=Usage(10, 20, 30, 4, 5),
    finish_reason="length",
    model="deepseek-v3",
    response_id="r-1",
    trace_id="t-1",
)


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def prompt(number: int, thread: str = THREAD, **changes: object) -> Prompt:
    """The prompt `number` of a thread, in the platform's order."""
    made = Prompt(
        platform="slack",
        thread=ThreadKey(thread),
        identity=f"{thread}/{number}",
        sequence=f"{number:06}",
        author="Ann",
        text=f"question {number}",
        asked_at=1_700_000_000.25 + number,
        address='{"channel": "C1"}',
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@dataclass
class Clock:
    """Seconds since the epoch, moved by hand.

    step: by how much somebody set the wall clock wrong. boot: what `uptime` counts from.
    """

    now: float = 1_700_000_000.0
    step: float = 0.0
    boot: str = "this boot"

    def __call__(self) -> float:
        return self.now + self.step

    def uptime(self) -> Uptime:
        return Uptime(self.now, self.boot)


@dataclass
class Store:
    """An open store."""

    database: Transactions
    turns: SqlTurns
    history: SqlHistory
    clock: Clock = field(default_factory=Clock)

    async def claim(self, owner: str = "worker", platforms: tuple[str, ...] = HERE) -> Turn:
        """The next turn, which there has to be."""
        turn = await self.turns.claim(owner, platforms, LEASE)
        assert turn is not None
        return turn

    async def free_turn(self) -> Turn | None:
        return await self.turns.claim("worker", HERE, LEASE)

    async def void(self, platforms: tuple[str, ...] = HERE) -> int:
        """Free what was held, as if whoever held it were known to be no more."""
        return await self.database.write(leases.take_over, platforms)

    async def say(self, turn: Turn, *entries: Remembered) -> None:
        """Answer the turn."""
        await self.turns.answer(turn, COMPLETE, entries or SPOKEN, Memory())


Opening: TypeAlias = Callable[[], AbstractAsyncContextManager[Store]]
"""Opens the store of one test, again and again."""


@asynccontextmanager
async def opened(path: Path, clock: Clock | None = None) -> AsyncGenerator[Store, None]:
    """A store on a file."""
    clock = clock or Clock()
    async with Database.open(url_of(path)) as database:
        store = Store(
            database, SqlTurns(database, clock, clock.uptime), SqlHistory(database), clock
        )
        _turns: Turns = store.turns
        _history: History = store.history
        yield store


@contextmanager
def no_file_beyond(size: int) -> Generator[None]:
    """The system lets no file of this process grow beyond so many bytes, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def settle_many(conn: Connection, count: int) -> None:
    """Turns long settled, ten to a conversation; turn n was received n seconds after the epoch."""
    conn.execute(
        insert(conversation),
        [
            {"id": 1 + n, "platform": "slack", "thread": f"old {n}", "created_at": 1.0}
            for n in range(count // 10)
        ],
    )
    asked = prompt(0)
    conn.execute(
        insert(turn),
        [
            {
                "conversation_id": 1 + n // 10,
                "identity": f"old {n}",
                "sequence": f"{n:06}",
                "author": asked.author,
                "text": asked.text,
                "address": asked.address,
                "files": [],
                "follow_up": False,
                "asked_at": 1.0,
                "state": State.CANCELLED,
                "received_at": float(n),
                "settled_at": float(n),
            }
            for n in range(count)
        ],
    )


@contextmanager
def traced(conn: Connection) -> Generator[list[str]]:
    """The statements that reach the database meanwhile."""
    seen: list[str] = []
    if conn.dialect.name == "sqlite":
        driver: Any = conn.connection.dbapi_connection
        driver.set_trace_callback(seen.append)
        yield seen
        driver.set_trace_callback(None)
        return

    def note(_conn: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    def told(logged: Any) -> None:
        seen.append(logged.query)

    event.listen(conn, "before_cursor_execute", note)
    server: Any = conn.connection.driver_connection
    server.add_query_logger(told)  # does not hear of what SQLAlchemy prepared
    yield seen
    await_(asyncio.sleep(0))  # the last one is told of a moment later
    server.remove_query_logger(told)
    event.remove(conn, "before_cursor_execute", note)


def plan_of(conn: Connection, query: Select[*tuple[Any, ...]]) -> list[str]:
    """What SQLite does for the query, step by step."""
    sql = query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
    return [row.detail for row in conn.execute(text(f"EXPLAIN QUERY PLAN {sql}"))]
