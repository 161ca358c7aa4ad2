"""What was called and what a person saw, moment by moment. Times are seconds since the epoch."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.emulators import slack_markup as markup
from tests.emulators.slack_workspace import BOT_USER, Change, Post, Workspace


@dataclass(frozen=True)
class Call:
    """One API call as it was answered. response: the JSON, or the text of a non-JSON answer.

    status 0: the connection was cut instead of an answer. effect: whether the method ran.
    """

    time: float
    method: str
    args: dict[str, Any]
    status: int
    response: dict[str, Any] | str
    effect: bool

    @property
    def ok(self) -> bool:
        """Whether the client was told that it worked."""
        return isinstance(self.response, dict) and bool(self.response.get("ok"))

    @property
    def error(self) -> str:
        """Slack's error code, "" without one."""
        return str(self.response.get("error", "")) if isinstance(self.response, dict) else ""


@dataclass(frozen=True)
class State:
    """What a message showed from `time` on. text None: deleted. edited: it is marked "(edited)".

    raw: the same in wire form. open_fence: a code block is left open, by no stream.
    """

    time: float
    text: str | None
    edited: bool = False
    raw: str = ""
    open_fence: bool = False


@dataclass(frozen=True)
class Status:
    """The status line of a thread from `time` on; text "" when it went. why: who changed it."""

    time: float
    text: str
    why: str


@dataclass(frozen=True)
class Seen:
    """Something in the bot's message `ts` that it should not do: a ping, an unfurled link."""

    time: float
    channel: str
    ts: str
    what: str


class Record:
    """The record and the questions tests ask of it. status_life: seconds a status lasts."""

    def __init__(self, workspace: Workspace, status_life: float) -> None:
        self.calls: list[Call] = []
        self.pings: list[Seen] = []
        self.unfurls: list[Seen] = []
        self.ephemerals: list[dict[str, Any]] = []
        self.prompts: list[dict[str, Any]] = []
        self.titles: list[dict[str, Any]] = []
        self.reactions: list[dict[str, Any]] = []
        self._workspace, self._status_life = workspace, status_life
        self._states: dict[str, list[State]] = {}
        self._statuses: dict[tuple[str, str], list[Status]] = {}
        self._expiries: dict[tuple[str, str], asyncio.TimerHandle] = {}
        self._waiting: list[asyncio.Future[None]] = []
        workspace.listeners.append(self._changed)

    # Written by the server.

    def _changed(self, change: Change) -> None:
        post, now = change.post, time.time()
        self._states.setdefault(post.ts, []).append(_state(change.after, now))
        if post.user == BOT_USER and change.after is not None:
            for ping in markup.pings(post.raw):
                self.pings.append(Seen(now, post.channel, post.ts, ping))
            if change.before is None:
                self.set_status(post.channel, post.root, "", "posted")
        self.ring()

    def called(self, call: Call) -> None:
        """Keep a call."""
        self.calls.append(call)
        self.ring()

    def unfurled(self, post: Post) -> None:
        """Keep the links of a message that was posted with previews on."""
        for url in markup.urls(post.raw):
            self.unfurls.append(Seen(time.time(), post.channel, post.ts, url))

    def set_status(self, channel: str, thread_ts: str, text: str, why: str) -> None:
        """Set ("" clears) a thread's status; it goes by itself after its life."""
        key = (channel, thread_ts)
        if key in self._expiries:
            self._expiries.pop(key).cancel()
        if not text and not self.status(channel, thread_ts):
            return
        self._statuses.setdefault(key, []).append(Status(time.time(), text, why))
        if text:
            self._expiries[key] = asyncio.get_running_loop().call_later(
                self._status_life, self.set_status, channel, thread_ts, "", "expired"
            )
        self.ring()

    def ring(self) -> None:
        """Wake everybody in `wait_for`: something changed."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    def close(self) -> None:
        """Stop the timers."""
        for timer in self._expiries.values():
            timer.cancel()

    # Asked by tests.

    def called_with(self, method: str) -> list[Call]:
        """The calls of one method, oldest first."""
        return [call for call in self.calls if call.method == method]

    def thread(self, channel: str, thread_ts: str) -> list[Post]:
        """The thread as it stands: root and replies, oldest first."""
        return self._workspace.thread(self._workspace.channel(channel).id, thread_ts)

    def visible(self, channel: str, thread_ts: str) -> list[str]:
        """What the bot's messages in a thread show now, oldest first."""
        return [p.seen for p in self.thread(channel, thread_ts) if p.user == BOT_USER]

    def history(self, ts: str) -> list[State]:
        """All that a message ever showed, in order."""
        return list(self._states.get(ts, ()))

    def statuses(self, channel: str, thread_ts: str) -> list[Status]:
        """All that a thread's status line ever showed, in order."""
        return list(self._statuses.get((self._workspace.channel(channel).id, thread_ts), ()))

    def status(self, channel: str, thread_ts: str) -> str:
        """The status line of a thread now, "" when there is none."""
        shown = self.statuses(channel, thread_ts)
        return shown[-1].text if shown else ""

    def bot_messages(self) -> list[str]:
        """ts of every message the bot ever showed, deleted ones included, oldest first."""
        return [ts for ts, by in self._workspace.authors.items() if by == BOT_USER]

    def broken_fences(self) -> list[tuple[str, State]]:
        """Every state of the bot's messages in which a code block was left open."""
        bad = ((ts, state) for ts in self.bot_messages() for state in self.history(ts))
        return [(ts, state) for ts, state in bad if state.open_fence]

    def went_back(self, ts: str) -> list[State]:
        """States that show a text again which another one had replaced: flicker."""
        states = self.history(ts)
        seen: list[str | None] = []
        back = []
        for state in states:
            if state.text in seen[:-1] and state.text != seen[-1]:
                back.append(state)
            seen.append(state.text)
        return back

    async def wait_for(self, predicate: Callable[[], Any], timeout: float = 5.0) -> Any:
        """Wait until the predicate is true; returns what it returned.

        It is asked again after each change of the workspace or the record. Raises AssertionError
        with the latest calls after `timeout` seconds.
        """
        end = asyncio.get_running_loop().time() + timeout
        while not (result := predicate()):
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            left = end - asyncio.get_running_loop().time()
            done, _ = await asyncio.wait([waiter], timeout=max(0.0, left))
            self._waiting.remove(waiter)
            if not done:
                latest = [(c.method, c.args, c.response) for c in self.calls[-5:]]
                raise AssertionError(f"not within {timeout} s; the latest calls: {latest}")
        return result


def _state(post: Post | None, now: float) -> State:
    if post is None:
        return State(now, None)
    # A stream can only be added to, so what it opened is closed when it comes.
    fence = not post.streaming and markup.has_open_fence(
        post.raw, markdown=post.markdown is not None
    )
    return State(now, post.seen, post.edited, post.raw, fence)
