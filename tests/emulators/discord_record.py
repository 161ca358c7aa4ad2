"""What was called and what a person saw, moment by moment. Times are seconds since the epoch."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.emulators import discord_markup as markup
from tests.emulators.discord_rules import BOT, SUPPRESS_EMBEDS
from tests.emulators.discord_world import Happened, Message, World

_INVALID = (401, 403, 429)


@dataclass(frozen=True)
class Call:
    """One REST call as it was answered.

    route: as "POST /channels/{channel}/messages", names: what stood in its braces. body: the JSON,
    or the text of something else. headers: of the request, names in lower case, no token.
    status 0: the connection was cut instead of an answer. effect: whether the route ran.
    """

    time: float
    method: str
    route: str
    path: str
    names: dict[str, str]
    body: Any
    headers: dict[str, str]
    status: int
    response: Any
    effect: bool

    @property
    def ok(self) -> bool:
        """Whether the client was told that it worked."""
        return 200 <= self.status < 300

    @property
    def error(self) -> int:
        """Discord's error code, 0 without one."""
        known = isinstance(self.response, dict) and not self.ok
        return int(self.response.get("code") or 0) if known else 0


@dataclass(frozen=True)
class State:
    """What a message showed from `time` on. text None: deleted. edited: it is marked "(edited)".

    open_fence: a code block is left open.
    """

    time: float
    text: str | None
    flags: int = 0
    edited: bool = False
    open_fence: bool = False


@dataclass(frozen=True)
class Seen:
    """Something in the bot's message `id` that it should not do: a ping, a previewed link."""

    time: float
    channel: str
    id: str
    what: str


class Record:
    """The record and the questions tests ask of it."""

    def __init__(self, world: World) -> None:
        self.calls: list[Call] = []
        self.pings: list[Seen] = []
        self.embeds: list[Seen] = []
        self._world = world
        self._states: dict[str, list[State]] = {}
        self._messages: dict[str, Message] = {}
        self._typings: dict[str, list[float]] = {}
        self._waiting: list[asyncio.Future[None]] = []
        world.listeners.append(self._happened)

    # Written by the server.

    def _happened(self, happened: Happened) -> None:
        message = happened.message
        if happened.name == "MESSAGE_DELETE" and message is not None:
            self._gone(message.id)
        elif message is not None:
            self._shown(message)
        elif happened.name in ("THREAD_DELETE", "CHANNEL_DELETE"):
            for each in list(self._messages.values()):
                if each.channel in self._world.gone_channels:
                    self._gone(each.id)
        self.ring()

    def _shown(self, message: Message) -> None:
        now, text = time.time(), markup.seen(message)
        fence, edited = markup.has_open_fence(text), message.edited is not None
        state = State(now, text, message.flags, edited, fence)
        self._states.setdefault(message.id, []).append(state)
        self._messages[message.id] = message
        if message.author != BOT or message.flags & SUPPRESS_EMBEDS:
            return
        known = {(seen.id, seen.what) for seen in self.embeds}
        for url in markup.urls(message.content):
            if (message.id, url) not in known:
                self.embeds.append(Seen(now, message.channel, message.id, url))

    def _gone(self, id_: str) -> None:
        states = self._states.get(id_)
        if states and states[-1].text is not None:
            states.append(State(time.time(), None))

    def called(self, call: Call) -> None:
        """Keep a call."""
        self.calls.append(call)
        self.ring()

    def typed(self, channel: str) -> None:
        """Keep that the bot started to type."""
        self._typings.setdefault(channel, []).append(time.time())
        self.ring()

    def pinged(self, message: Message, pings: markup.Pings) -> None:
        """Keep whom a message of the bot pinged."""
        for what in pings.listed():
            self.pings.append(Seen(time.time(), message.channel, message.id, what))

    def ring(self) -> None:
        """Wake everybody in `wait_for`: something changed."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    # Asked by tests.

    def called_with(self, route: str) -> list[Call]:
        """The calls of one route, oldest first."""
        return [call for call in self.calls if call.route == route]

    @property
    def invalid(self) -> int:
        """Answers that count towards a ban: 401, 403, 429 (10,000 in ten minutes are too many)."""
        return sum(call.status in _INVALID for call in self.calls)

    @property
    def too_fast(self) -> list[Call]:
        """The calls that were answered 429."""
        return [call for call in self.calls if call.status == 429]

    def visible(self, channel: str) -> list[str]:
        """What the bot's messages in a channel show now, oldest first; its system notes don't."""
        here = self._world.history(self._world.channel(channel).id)
        return [markup.seen(m) for m in here if m.author == BOT and not m.system]

    def history(self, id_: str) -> list[State]:
        """All that a message ever showed, in order."""
        return list(self._states.get(id_, ()))

    def typings(self, channel: str) -> list[float]:
        """When the bot started to type in a channel."""
        return list(self._typings.get(self._world.channel(channel).id, ()))

    def bot_messages(self) -> list[str]:
        """Ids of every message the bot ever showed, deleted ones included, oldest first."""
        return [m.id for m in self._messages.values() if m.author == BOT and not m.system]

    def broken_fences(self) -> list[tuple[str, State]]:
        """Every state of the bot's messages in which a code block was left open."""
        bad = ((id_, state) for id_ in self.bot_messages() for state in self.history(id_))
        return [(id_, state) for id_, state in bad if state.open_fence]

    def went_back(self, id_: str) -> list[State]:
        """States that show a text again which another one had replaced: flicker."""
        seen: list[str | None] = []
        back = []
        for state in self.history(id_):
            if state.text in seen[:-1] and state.text != seen[-1]:
                back.append(state)
            seen.append(state.text)
        return back

    async def wait_for(self, predicate: Callable[[], Any], timeout: float = 5.0) -> Any:
        """Wait until the predicate is true; returns what it returned.

        It is asked again after each change of the world or the record. Raises AssertionError with
        the latest calls after `timeout` seconds.
        """
        end = asyncio.get_running_loop().time() + timeout
        while not (result := predicate()):
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            left = end - asyncio.get_running_loop().time()
            done, _ = await asyncio.wait([waiter], timeout=max(0.0, left))
            self._waiting.remove(waiter)
            if not done:
                latest = [(c.route, c.path, c.body, c.status, c.response) for c in self.calls[-5:]]
                raise AssertionError(f"not within {timeout} s; the latest calls: {latest}")
        return result
