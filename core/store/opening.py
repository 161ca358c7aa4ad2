"""What the store asks of a database, and which one a DATABASE_URL opens."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeVar, TypeVarTuple

from sqlalchemy import Connection

from core.store.clock import Clock, Uptime
from core.store.database import PATIENCE, Database
from core.store.files import is_postgres

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Transactions(Protocol):
    """An open database: transactions as functions, whole or not at all.

    exclusive: no other process can have it open so, hence whoever held a lease is no more.
    place: where it is, for a person to read, without a password. clock: what "now" is in it.
    uptime: for waits that outlive a process.
    """

    exclusive: bool
    place: str
    clock: Clock
    uptime: Callable[[], Uptime]

    async def read(
        self, fn: Callable[[Connection, *Ts], T], *args: *Ts, patience: float = PATIENCE
    ) -> T:
        """Run a transaction that only reads, on one snapshot. Raises: StoreBusy, StoreUnusable."""

    async def write(
        self, fn: Callable[[Connection, *Ts], T], *args: *Ts, patience: float = PATIENCE
    ) -> T:
        """Run a transaction and commit it; whatever it raises rolls it back.

        patience: seconds. A caller that is cancelled leaves what has begun to end by itself.
        Raises: StoreBusy, StoreUnusable, and what `fn` raises.
        """

    async def problem(self) -> str:
        """What keeps prompts from being stored now, or soon will; "" for nothing. Never raises."""

    async def probe(self) -> None:
        """Write what changes nothing. Raises: StoreBusy, StoreUnusable, as any write would now."""

    async def drop_backups(self, age: float) -> int:
        """Delete what this program copied of it `age` seconds ago or earlier; returns how many.

        Raises: StoreUnusable.
        """

    def sole(self, name: str) -> AbstractAsyncContextManager[None]:
        """Within it, nobody else gets past this for the same name; who dies lets go of it.

        Raises: InUse, StoreBusy, StoreUnusable.
        """

    def tell(self) -> None:
        """Let the others who share it know that there is work; returns at once, never fails."""

    def listening(self, wake: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Within it, `wake` is called when others tell of work. A hint: some may be missed."""


@asynccontextmanager
async def open_database(url: str, *, exclusive: bool = True) -> AsyncGenerator[Transactions, None]:
    """Open the database of a DATABASE_URL, made or migrated first if it has to be.

    exclusive: as `Database.open` says; a PostgreSQL database is always shared.
    Raises: StoreBusy, StoreUnusable.
    """
    if is_postgres(url):
        from core.store.postgres import PostgresDatabase

        async with PostgresDatabase.open(url) as shared:
            yield shared
    else:
        async with Database.open(url, exclusive=exclusive) as database:
            yield database
