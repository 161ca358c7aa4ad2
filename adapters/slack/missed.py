"""What was asked while nobody listened: read back from Slack, and accepted once.

Slack delivers an event four times within about six minutes and then never again. So the history
of the places we know is read after every start, after every loss of the socket, after our own store
refused an event and no later delivery of it was taken, and when Slack says that it dropped some.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from typing import Any

import structlog

from adapters.slack import calls
from adapters.slack.calls import Api
from adapters.slack.early import Early
from adapters.slack.events import read
from adapters.slack.ids import Bot, is_ts, place_of, sequence, thread_key
from adapters.slack.reading import patiently
from core.errors import DeliveryError, LockedOut, RateLimited, StoreError, Unreachable
from core.ports import Recent
from core.types import Prompt, ThreadKey

log = structlog.get_logger()

LATE = 15 * 60.0
"""Seconds after which a question that was missed gets one line instead of an answer."""
REACH = 72 * 3600.0
"""Seconds that are read back at most."""
MARGIN = 15 * 60.0
"""Seconds before the newest question we know in which one may have been missed all the same."""
KNOWN = 30 * 86_400.0
"""Seconds for which a conversation counts as one in which something may have been asked."""
CHANNELS, THREADS = 50, 100
"""Places that are read at most in one round, newest first."""
PAGE, MESSAGES = 200, 1_000
"""Messages in a page, and of a place, at most; an app that is sold outside Slack's Marketplace gets
15 in a page (docs.slack.dev/reference/methods/conversations.history)."""
FREE, GAP = 5, 2.4
"""Calls of a round made at once, then seconds between two: half of Slack's 50 a minute, since the
answers read threads too."""
SETTLE = 10.0
"""Seconds between the sign that something was missed and the reading."""
REMEMBERED = 5_000
_AGAIN = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)  # seconds between two tries of a call
_COMMIT = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds between two tries to store a prompt

Accept = Callable[[Prompt], Awaitable[bool]]
Known = Callable[[float], Awaitable[Sequence[Recent]]]
Message = Mapping[str, Any]


async def nothing_known(_since: float) -> Sequence[Recent]:
    """For a platform that reads nothing back."""
    return ()


@dataclass(frozen=True, slots=True)
class Place:
    """A channel, or the thread under `root`. after: epoch seconds; what is older isn't read."""

    team: str
    channel: str
    after: float
    root: str = ""


@dataclass(slots=True)
class Found:
    """Threads that were met in the channels: of questions to us, and other people's."""

    ours: list[Place] = field(default_factory=list)
    others: list[Place] = field(default_factory=list)


def channels_of(recent: Iterable[Recent], began: float, now: float) -> list[Place]:
    """The channels of these conversations, in their order.

    began: when an outage began; infinite when only the newest question of a place says so.
    """
    newest: dict[tuple[str, str], float] = {}
    for known in recent:
        key = place_of(known.thread)[:2]
        newest[key] = max(newest.get(key, 0.0), float(known.sequence))
    return [
        Place(team, channel, _after(asked, began, now))
        for (team, channel), asked in list(newest.items())[:CHANNELS]
    ]


def threads_of(recent: Iterable[Recent], found: Found, began: float, now: float) -> list[Place]:
    """Where replies are looked for: new questions' threads, known ones, then other people's."""
    threads = {(place.channel, place.root): place for place in found.ours}
    for known in recent:
        team, channel, root = place_of(known.thread)
        after = _after(float(known.sequence), began, now)
        threads.setdefault((channel, root), Place(team, channel, after, root))
    for place in found.others:
        threads.setdefault((place.channel, place.root), place)
    return list(threads.values())[:THREADS]


def _after(newest: float, began: float, now: float) -> float:
    """Where reading begins: before an outage, or before the newest question when we start."""
    return max((began if began < float("inf") else newest) - MARGIN, now - REACH)


def as_told(message: Message, team: str, channel: str) -> dict[str, Any]:
    """A message of the history as the payload of the event that told of it."""
    event = {**message, "type": "message", "channel": channel}
    return {"type": "event_callback", "context_team_id": team, "event": event}


class Backlog:
    """Takes live prompts in, notices what may have been missed, and reads it back beside them.

    accept: commits a prompt. known: the conversations with a turn since then, newest first.
    settle, gap: seconds, as SETTLE and GAP.
    """

    def __init__(
        self, api: Api, accept: Accept, known: Known, settle: float = SETTLE, gap: float = GAP
    ) -> None:
        self._api = api
        self._accept = accept
        self._known = known
        self._settle = settle
        self._gap = gap
        self._recent: Sequence[Recent] = ()
        self._first: dict[ThreadKey, str] = {}  # the sequence from which on a thread was ours
        self._refused: dict[str, float] = {}  # identity -> when it was asked
        self._lost = float("inf")  # since when events did not reach us
        self._offset = time.time() - time.monotonic()
        self._early = Early()
        self._up = asyncio.Event()
        self._up.set()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._calls = 0

    async def look(self) -> None:
        """Keep what is known before anything new comes in. Raises: Unreachable."""
        try:
            self._recent = await self._known(time.time() - KNOWN)
        except StoreError as error:
            raise Unreachable("the database can't be read") from error
        self._ours(self._recent)

    def start(self, bot: Bot) -> None:
        """Events come in from now on: read back what was asked before."""
        self._task = asyncio.create_task(self._run(bot), name="slack.missed")
        self._task.add_done_callback(_ended)

    async def close(self) -> None:
        """Read nothing more."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def linked(self, up: bool) -> None:
        """The socket was lost, or another one is there."""
        if up:
            self._up.set()
        else:
            self._up.clear()
            # A clock that was set forward in the meantime would hide what is missed from now on.
            self.missed(min(time.time(), time.monotonic() + self._offset))

    def missed(self, since: float) -> None:
        """Events since then (epoch seconds) did not reach us: they are read back."""
        self._lost = min(self._lost, since)
        self._wake.set()

    async def take(self, prompt: Prompt) -> bool:
        """Accept a live prompt. Raises: what accepting raises; it is looked for later then."""
        new = await self._offered(prompt)
        if new:
            await self._follow(prompt)
        elif prompt.follow_up:
            self._early.keep(prompt, time.monotonic())
            # Its question may have been stored while the store said no.
            await self._follow_ups(prompt.thread)
        return new

    async def become(self, prompt: Prompt) -> bool:
        """`take`, of a message that an edit made a question: what was said behind it until now was
        for other people.
        """
        new = await self._offered(prompt)
        if new:
            self._early.pop(prompt.thread, prompt.sequence, time.monotonic())
            self._ours([prompt])
        return new

    async def _offered(self, prompt: Prompt) -> bool:
        """Have a live prompt accepted. Raises: what accepting raises."""
        try:
            new = await self._accept(prompt)
        except Exception:
            if len(self._refused) < REMEMBERED:
                self._refused[prompt.identity] = prompt.asked_at
            self._wake.set()
            raise
        self._refused.pop(prompt.identity, None)
        return new

    async def _follow(self, prompt: Prompt) -> None:
        """A prompt is stored; so may be what overtook it."""
        self._ours([prompt])
        await self._follow_ups(prompt.thread)

    async def _follow_ups(self, thread: ThreadKey) -> None:
        """Offer once more what came before the thread was known to be ours."""
        if (since := self._first.get(thread)) is None:
            return
        for early in self._early.pop(thread, since, time.monotonic()):
            try:
                new = await self._offered(early)
            except Exception as error:  # noqa: BLE001 - it is read back then
                log.error("slack.not_accepted", error=type(error).__name__)
            else:
                log.info("slack.prompt", identity=early.identity, new=new)

    def _ours(self, seen: Iterable[Recent | Prompt]) -> None:
        """Keep from when on these threads are known to be ours."""
        for known in seen:
            since = known.first if isinstance(known, Recent) else known.sequence
            self._first[known.thread] = min(since, self._first.get(known.thread, since))
            if len(self._first) > REMEMBERED:
                del self._first[next(iter(self._first))]

    async def _run(self, bot: Bot) -> None:
        """One round for the start, then one for every time something was missed."""
        await self._round(bot, self._recent, float("inf"))
        self._recent = ()
        while True:
            await self._wake.wait()
            await asyncio.sleep(self._settle)
            await self._up.wait()
            self._wake.clear()
            began = min(self._lost, *self._refused.values(), float("inf"))
            self._lost = float("inf")
            self._refused.clear()
            if began < float("inf"):
                await self._round(bot, await self._known_now(), began)

    async def _known_now(self) -> Sequence[Recent]:
        """The conversations of late, as soon as the store can say."""
        for pause in chain(_COMMIT, repeat(_COMMIT[-1])):
            try:
                return await self._known(time.time() - KNOWN)
            except StoreError as error:
                log.error("slack.not_read_back", again_in=pause, reason=str(error))
                await asyncio.sleep(pause)
        return ()

    async def _round(self, bot: Bot, recent: Sequence[Recent], began: float) -> None:
        """Read all places once: the channels, then the threads. Nothing without conversations."""
        self._calls = 0
        self._ours(recent)
        found = Found()
        channels = channels_of(recent, began, time.time())
        try:
            for place in channels:
                await self._read(place, self._channel(place, bot, found))
            threads = threads_of(recent, found, began, time.time())
            for place in threads:
                await self._read(place, self._thread(place, bot))
        except LockedOut as refused:  # the token is no good; nothing else would work either
            log.error("slack.not_read_back", reason=str(refused))
        else:
            log.info("slack.read_back", channels=len(channels), threads=len(threads))

    async def _read(self, place: Place, prompts: AsyncIterator[Prompt]) -> None:
        """Accept what was asked in one place; one that can't be read is left out.

        Raises: LockedOut when no place can be.
        """
        try:
            async for prompt in prompts:
                await self._commit(prompt)
        except LockedOut:
            raise
        except DeliveryError as error:
            log.info("slack.place_not_read", channel=place.channel, reason=str(error))

    async def _channel(self, place: Place, bot: Bot, found: Found) -> AsyncIterator[Prompt]:
        """The questions at the root of a channel, the newest page first, each oldest first."""
        async for page in self._pages(place):
            newest_first = sorted(page, key=lambda message: sequence(message["ts"]), reverse=True)
            prompts = []
            for message in newest_first:
                root = message.get("thread_ts", message["ts"])
                reply = root != message["ts"]  # one that was sent to the channel as well
                prompt = None if reply else _asked(message, place, bot)
                if is_ts(root) and (reply or message.get("reply_count")):
                    (found.ours if prompt else found.others).append(replace(place, root=root))
                if prompt:
                    prompts.append(prompt)
            for prompt in reversed(prompts):
                yield prompt

    async def _thread(self, place: Place, bot: Bot) -> AsyncIterator[Prompt]:
        """The questions in one thread, oldest first.

        What people said before they called us was not for us: a follow-up counts after something
        that was asked of us or said by us.
        """
        since = self._first.get(thread_key(place.team, place.channel, place.root))
        ours = False
        async for page in self._pages(place):
            for message in page:
                prompt = _asked(message, place, bot)
                late_enough = ours or (since is not None and sequence(message["ts"]) > since)
                if prompt and (late_enough or not prompt.follow_up):
                    ours = True
                    if prompt.asked_at > place.after:
                        yield prompt
                ours = ours or message.get("user") == bot.user

    async def _pages(self, place: Place) -> AsyncIterator[list[Message]]:
        """The messages of a place newer than its `after`, page by page as Slack gives them."""
        cursor = ""
        count = 0
        while count < MESSAGES:
            more = {"cursor": cursor} if cursor else {}
            page = await self._page(place, {"oldest": f"{place.after:.6f}", "limit": PAGE, **more})
            listed = page.get("messages")
            messages = [
                message
                for message in (listed if isinstance(listed, list) else ())
                if isinstance(message, Mapping) and is_ts(message.get("ts"))
            ]
            yield messages
            count += len(messages)
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor or not messages:
                return

    async def _page(self, place: Place, bounds: Mapping[str, Any]) -> dict[str, Any]:
        """One call, as often as it takes. Raises: DeliveryError.

        After a rate limit twice the time is waited: the other half is for the answers' own calls,
        which hear of those of threads, as we do of theirs.
        """
        pauses = iter(_AGAIN)
        while True:
            await asyncio.sleep(self._gap if self._calls >= FREE else 0)
            self._calls += 1
            try:
                if place.root:
                    where = {"channel": place.channel, "ts": place.root}
                    return await patiently(self._api, 0, **where, **bounds)
                return await self._api.call(calls.HISTORY, channel=place.channel, **bounds)
            except RateLimited as limited:
                log.info("slack.read_back_waits", seconds=2 * limited.retry_after)
                await asyncio.sleep(2 * limited.retry_after)
            except Unreachable:
                pause = next(pauses, None)
                if pause is None:
                    raise
                await asyncio.sleep(pause)

    async def _commit(self, prompt: Prompt) -> None:
        """Store a prompt, however long the store takes: nobody brings it again."""
        late = time.time() - prompt.asked_at > LATE
        for pause in chain(_COMMIT, repeat(_COMMIT[-1])):
            try:
                new = await self._accept(replace(prompt, late=late))
            except StoreError as error:
                log.error("slack.not_accepted", again_in=pause, reason=str(error))
                await asyncio.sleep(pause)
            except Exception as error:  # noqa: BLE001 - one odd prompt must not end the reading
                log.error("slack.not_accepted", error=type(error).__name__)
                return
            else:
                if new:
                    await self._follow(prompt)
                    log.info("slack.prompt", identity=prompt.identity, new=new, late=late)
                return


def _asked(message: Message, place: Place, bot: Bot) -> Prompt | None:
    """The prompt that this message would have been."""
    outcome = read(as_told(message, place.team, place.channel), bot)
    return outcome if isinstance(outcome, Prompt) else None


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("slack.broken", error=type(error).__name__, exc_info=error)
