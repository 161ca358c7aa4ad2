"""What goes wrong all the time during the soak, at random and at a steady rate.

Each that is told by a far end is one the real one may tell: 429s, errors and broken connections of
calls, sockets that close, events that come twice; the API refuses, breaks off or says nothing.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from tests.emulators.deepseek import Call, Reply, error_reply
from tests.emulators.discord_faults import Fault as DiscordFault
from tests.emulators.slack_faults import Fault as SlackFault
from tests.torture.kills import Stage
from tests.torture.load import asked

FIRST_TOKEN = 2
"""Seconds that the service waits for the first word."""
_API = 0.06  # share of the prompts whose first call fails
_PAUSE = (1.5, 4.5)  # seconds from one trouble to the next
_AWAY = 3.0  # seconds after a gateway's end in which a command may find nobody
_SLACK_CALLS = ("chat.postMessage", "chat.update")
_DISCORD_CALLS = (
    "POST /channels/{channel}/messages",
    "PATCH /channels/{channel}/messages/{message}",
)
_FAILURES = {
    "API: 500": error_reply(500, "server_error", "Something broke."),
    "API: 429": error_reply(429, "too_many_requests", "Slow down.", Retry_After="1"),
    "API: connection cut": Reply(pieces=(), ending="cut"),
    "API: nothing said": Reply(pieces=(), ending="stall"),
}


class Stirring:
    """Makes trouble on a stage. made: how often which."""

    def __init__(self, scene: Stage, rng: random.Random) -> None:
        self.made: Counter[str] = Counter()
        self._scene, self._rng = scene, rng
        self._tried: set[tuple[str, str]] = set()
        for name, reply in _FAILURES.items():
            scene.api.script(self._fails(name), reply)

    async def go_on(self) -> None:
        """Until cancelled."""
        acts: dict[str, Callable[[], Awaitable[Any]]] = {
            "Slack: call": self._slack_call,
            "Discord: call": self._discord_call,
            "Slack: socket refreshed": self._scene.slack.sockets.refresh,
            "Slack: event again": self._event_again,
            "Discord: gateway": self._gateway,
        }
        weights = [6, 6, 1, 2, 1]
        while True:
            await asyncio.sleep(self._rng.uniform(*_PAUSE))
            ((name, act),) = self._rng.choices(list(acts.items()), weights)
            await act()
            if not name.endswith(": call"):
                self.made[name] += 1

    def _fails(self, name: str) -> Callable[[Call], bool]:
        """Whether this is the first call for its prompt, and chosen."""

        def chosen(call: Call) -> bool:
            canary = asked(call)
            if (canary, name) in self._tried or self._rng.random() > _API / len(_FAILURES):
                self._tried.add((canary, name))
                return False
            self._tried |= {(canary, each) for each in _FAILURES}
            self._scene.people.failing.append(call)
            self.made[name] += 1
            return True

        return chosen

    async def _slack_call(self) -> None:
        method = self._rng.choice(_SLACK_CALLS)
        kinds: dict[str, dict[str, Any]] = {
            "429": {"retry_after": 1},
            "503": {"status": 503},
            "cut before": {"cut": "before"},
            "cut after": {"cut": "after"},
            "slow": {"delay": 1.5},
        }
        name = self._rng.choice(list(kinds))
        self._scene.slack.faults.add(SlackFault(method, **kinds[name]))
        self.made[f"Slack: {name}"] += 1

    async def _discord_call(self) -> None:
        route = self._rng.choice(_DISCORD_CALLS)
        kinds: dict[str, dict[str, Any]] = {
            "429": {"retry_after": 0.7},
            "502": {"status": 502},
            "cut before": {"cut": "before"},
            "cut after": {"cut": "after"},
            "slow": {"delay": 1.5},
        }
        name = self._rng.choice(list(kinds))
        self._scene.discord.faults.add(DiscordFault(route, **kinds[name]))
        self.made[f"Discord: {name}"] += 1

    async def _event_again(self) -> None:
        """One of the last hundred, acknowledged or not."""
        known = self._scene.slack.deliverer.deliveries[-100:]
        if known:
            self._scene.slack.deliverer.again(self._rng.choice(known).event_id)

    async def _gateway(self) -> None:
        """The connection breaks, or Discord asks for another. Meanwhile it stands still."""
        gateway = self._scene.discord.gateway
        began = time.monotonic()
        await self._rng.choice([gateway.drop, gateway.reconnect])()
        self._scene.troubles.pauses.append((began, began + _AWAY))
