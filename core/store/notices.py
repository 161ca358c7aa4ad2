"""Word of new work between the processes that share a database: LISTEN and NOTIFY.

A hint that saves waiting for the next poll, and nothing more: what is lost while a connection is
away is found by polling. Docs: https://www.postgresql.org/docs/current/sql-notify.html
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import structlog

from core.store import postgres_failures as failures
from core.store.server import Server

if TYPE_CHECKING:
    from asyncpg import Connection  # type: ignore[import-untyped]

CHANNEL = "threadseek"
_TOGETHER = 0.02  # seconds: prompts that come within are told of at once
_ALIVE = 30.0  # seconds of silence after which the connection is tried
_ANSWER = 5.0  # seconds for the server to take a notice
_PAUSES = (0.1, 10.0)  # seconds between two connections: the first, the longest

_log = structlog.get_logger()


class Notices:
    """The two directions of one connection."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._told = asyncio.Event()

    def tell(self) -> None:
        """Send word to the others, if this process listens too."""
        self._told.set()

    @asynccontextmanager
    async def listening(self, wake: Callable[[], None]) -> AsyncGenerator[None, None]:
        """Call `wake` on word of others, and after every time that some may have been missed."""
        running = asyncio.create_task(self._run(wake), name="notices")
        try:
            yield
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    async def _run(self, wake: Callable[[], None]) -> None:
        pause, longest = _PAUSES
        while True:
            try:
                connection = await self._server.connect()
                pause = _PAUSES[0]
                try:
                    await self._exchange(connection, wake)
                finally:
                    connection.terminate()
            except Exception as error:  # noqa: BLE001 - a mistake of ours is tried again, too
                known = failures.of_database(error)
                reason = failures.explain(error, self._server.place) if known else repr(error)
                _log.warning("database.not_listening", reason=str(reason), again_in=pause)
            await asyncio.sleep(pause)
            pause = min(longest, pause * 2)

    async def _exchange(self, connection: "Connection[Any]", wake: Callable[[], None]) -> None:
        """Listen and tell until the connection is lost."""

        def heard(_connection: object, _pid: int, _channel: str, _text: object) -> None:
            wake()

        connection.add_termination_listener(lambda _: self._told.set())
        await connection.add_listener(CHANNEL, heard)
        wake()
        while True:
            statement = "SELECT 1"
            with suppress(TimeoutError):
                async with asyncio.timeout(_ALIVE):
                    await self._told.wait()
                    statement = f"NOTIFY {CHANNEL}"
            self._told.clear()
            await connection.execute(statement, timeout=_ANSWER)
            await asyncio.sleep(_TOGETHER)
