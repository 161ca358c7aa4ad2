"""The replicas of the service that are killed, stopped and started again."""

import asyncio
import random
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.service import Service, start
from tests.torture.troubles import Troubles

READY = "Ready."


class Fleet:
    """So many processes of the shipped command with the same variables, in one folder.

    problems: what one of them should not have done.
    """

    def __init__(
        self, folder: Path, settings: dict[str, str], size: int, troubles: Troubles
    ) -> None:
        self.problems: list[str] = []
        self._folder, self._settings, self._size = folder, settings, size
        self._troubles = troubles
        self._services: list[Service] = []
        self._dead: set[int] = set()

    async def start(self) -> None:
        """Start them all and wait until they are ready."""
        self._services = [await start(self._folder, self._settings) for _ in range(self._size)]
        for each in self._services:
            await each.printed(READY)

    @property
    def address(self) -> str:
        """Where the first of them serves its own pages, with the slash at the end."""
        return self._services[0].address

    def pick(self, rng: random.Random) -> list[int]:
        """Whom to strike: one, or now and then all."""
        if self._size > 1 and rng.random() < 0.2:
            return list(range(self._size))
        return [rng.randrange(self._size)]

    async def ready(self, numbers: Sequence[int]) -> None:
        """Wait until these are."""
        for number in numbers:
            await self._services[number].printed(READY)

    def is_ready(self, numbers: Sequence[int]) -> bool:
        """Whether these have said so."""
        return all(READY in self._services[number].out for number in numbers)

    def kill(self, numbers: Sequence[int]) -> None:
        """kill -9."""
        self.send(numbers, signal.SIGKILL)
        self._dead.update(numbers)
        self._troubles.deaths.append(time.monotonic())

    def send(self, numbers: Sequence[int], what: signal.Signals) -> None:
        """Send it to those that run."""
        for number in numbers:
            process = self._services[number].process
            if process.returncode is None:
                process.send_signal(what)

    def pause(self, numbers: Sequence[int]) -> None:
        """SIGSTOP."""
        self.send(numbers, signal.SIGSTOP)

    async def freeze(self, numbers: Sequence[int], seconds: float) -> None:
        """Have them stand still for that long; they may have been stopped already."""
        began = time.monotonic()
        self.pause(numbers)
        await asyncio.sleep(seconds)
        self.send(numbers, signal.SIGCONT)
        self._troubles.pauses.append((began, time.monotonic()))

    async def replace(self, numbers: Sequence[int]) -> None:
        """Start new ones for those that were killed, or are killed now; not awaited."""
        if not self._dead.issuperset(numbers):
            self.kill(numbers)
        for number in numbers:
            await self._end(number, signal.SIGKILL)
        for number in numbers:
            self._dead.discard(number)
            self._services[number] = await start(self._folder, self._settings)

    async def renew(self, numbers: Sequence[int]) -> None:
        """SIGTERM, and new ones; not awaited."""
        for number in numbers:
            await self._end(number, signal.SIGTERM)
            self._services[number] = await start(self._folder, self._settings)

    async def stop(self) -> None:
        """SIGTERM to all."""
        for number in range(len(self._services)):
            await self._end(number, signal.SIGTERM)

    async def abandon(self) -> None:
        """Leave none behind, whatever happened."""
        for each in self._services:
            await each.end(signal.SIGKILL)

    async def _end(self, number: int, what: signal.Signals) -> None:
        service = self._services[number]
        if number in self._dead:  # a second signal would take the exit code from who waits for it
            await service.process.wait()
        if what is signal.SIGTERM:
            self._troubles.stops.append(time.monotonic())
        code = await service.end(what)
        wanted = -what if what is signal.SIGKILL else 0
        if code != wanted:
            self.problems.append(f"{what.name} ended it with {code}: {service.err[-2000:]}")
        printed = service.out + service.err
        if (at := printed.find("Traceback")) >= 0:
            self.problems.append(f"it printed {printed[max(0, at - 500) : at + 5000]}")
