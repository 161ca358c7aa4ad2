"""Connects a platform, now or as soon as it can be, and says what keeps it from that."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

import structlog

from bots.server import Health
from core.errors import Barred, ConfigurationError, DeliveryError, RateLimited
from core.ports import Threads
from core.turns.engine import Engine

log = structlog.get_logger()

PAUSES = (1.0, 60.0)
"""Seconds between two tries: the first, the longest; more where the platform says so."""

Say = Callable[[str], None]


class Platform(Threads, Protocol):
    """A platform that is connected to, and may be away for a while."""

    name: str

    async def connect(self) -> str:
        """Let events in; returns who we are there, and lines that an operator should read.

        Raises: ConfigurationError when it is refused, DeliveryError when it may work later.
        """

    async def close(self) -> None:
        """Let nothing more in. Threads keep working."""

    def problem(self) -> str:
        """What keeps events from coming in now; empty when nothing does, `standby` when they come
        in at another process.
        """


@asynccontextmanager
async def connected(
    platform: Platform, platforms: dict[str, Threads], engine: Engine, health: Health, say: Say
) -> AsyncIterator[None]:
    """A platform, connected now or as soon as it can be; a refused token leaves the rest on."""
    state = {"problem": "connecting"}
    tried = asyncio.Event()

    async def problem() -> str:
        return state["problem"] or platform.problem()

    async def connect() -> None:
        pause, longest = PAUSES
        while True:
            try:
                who = await platform.connect()
            except (ConfigurationError, Barred) as refused:
                state["problem"] = f"off: {refused}"
                say(state["problem"])
                log.error(f"{platform.name}.off", fix=str(refused))
                return
            except Exception as error:
                ours = None if isinstance(error, DeliveryError) else error
                reason = repr(ours) if ours else str(error)
                if not tried.is_set():
                    say(f"not connected yet ({reason}); trying again")
                state["problem"] = reason
                tried.set()
                event = f"{platform.name}.not_connected"
                told = error.retry_after if isinstance(error, RateLimited) else 0.0
                wait = max(pause, told)
                log.warning(event, reason=reason, again_in=wait, exc_info=ours)
                await asyncio.sleep(wait)
                pause = min(longest, pause * 2)
            else:
                platforms[platform.name] = platform
                engine.wake()
                state["problem"] = ""
                say(f"connected {who}")
                return

    health.part(platform.name, problem)
    connecting = asyncio.create_task(connect(), name=platform.name)
    first = asyncio.create_task(tried.wait())
    try:
        await asyncio.wait({connecting, first}, return_when=asyncio.FIRST_COMPLETED)
        yield
    finally:
        for task in (connecting, first):
            task.cancel()
        await asyncio.gather(connecting, first, return_exceptions=True)
        await platform.close()
