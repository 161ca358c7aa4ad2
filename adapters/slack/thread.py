"""One Slack thread, for one answer."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from adapters.slack import budgets, calls
from adapters.slack.calls import Api, Method
from adapters.slack.events import remembered
from adapters.slack.ids import Address, Bot, part_id, post_id, split_part_id
from adapters.slack.markup import measure, render
from adapters.slack.refusals import Refused
from core.errors import DeliveryError, PartGone, Unreachable
from core.types import Limits, PartId, Prompt, Remembered

log = structlog.get_logger()

SIZE = 11_000
"""UTF-8 bytes of a message. Slack takes 12,000 characters of `markdown_text`
(docs.slack.dev/reference/methods/chat.update); bytes are never fewer than characters."""

EARLIER = 200
"""How many messages before the prompt are read at most: the newest ones."""

PAGE = 200
"""Messages in one page of a thread; Slack recommends no more
(docs.slack.dev/reference/methods/conversations.replies)."""

PAGES = 25
"""Pages of one thread that are read at most: a thread of 5,000 messages."""

WAITS = "I'll get to this after the {} before it."

EVENT_TYPE = "threadseek"
"""Name of the metadata on our messages. Every member can read metadata, so it holds only a UUID."""

NEVER = frozenset(
    {
        "unknown_method",
        "method_deprecated",
        "method_not_supported_for_channel_type",
        "feature_not_enabled",
        "missing_scope",
        "no_permission",
        "not_allowed",
        "not_allowed_token_type",
    }
)
"""Refusals that no later call of the same method would escape."""


class SlackThread:
    """Live handle on one thread. Satisfies Thread, ShowsStatus, ShowsQueued, ReadsEarlier,
    FindsPost and RemovesPart of `core.ports`; raises what they say."""

    def __init__(self, api: Api, bot: Bot, prompt: Prompt) -> None:
        self._api = api
        self._bot = bot
        self._identity = prompt.identity
        self._at = Address.decode(prompt.address)

    @property
    def limits(self) -> Limits:
        """Sizes in UTF-8 bytes of the rendered text. See `budgets` for the rest."""
        team, channel = self._at.team, self._at.channel
        return Limits(
            size=SIZE,
            measure=measure,
            gap=budgets.GAP,
            post=budgets.posts(team, channel),
            edit=budgets.edits(team),
        )

    async def post(self, text: str, key: str) -> PartId:
        """Post into the thread. Links are not unfurled: fetching them could carry words out."""
        identity = post_id(self._identity, key)
        answer = await self._api.call(
            calls.POST,
            channel=self._at.channel,
            thread_ts=self._at.thread_ts,
            markdown_text=render(text),
            unfurl_links=False,
            unfurl_media=False,
            client_msg_id=identity,
            metadata={"event_type": EVENT_TYPE, "event_payload": {"id": identity}},
        )
        try:
            return part_id(answer["channel"], answer["ts"])
        except KeyError as error:
            raise Unreachable("Slack's answer to chat.postMessage names no message") from error

    async def edit(self, part: PartId, text: str) -> None:
        """Replace the text of a message of ours."""
        channel, ts = split_part_id(part)
        await self._api.call(calls.UPDATE, channel=channel, ts=ts, markdown_text=render(text))

    async def remove(self, part: PartId) -> None:
        """Delete a message of ours; what can't be deleted stays."""
        channel, ts = split_part_id(part)
        try:
            await self._api.call(calls.DELETE, channel=channel, ts=ts)
        except PartGone:
            return
        except Refused as refused:
            log.warning("slack.remove_refused", code=refused.code)

    async def status(self, text: str) -> None:
        """Show "<app> <text>" under the thread; Slack drops it with our next message or after
        two minutes (docs.slack.dev/reference/methods/assistant.threads.setStatus)."""
        await self._hint(
            calls.STATUS,
            lambda: self._api.call(
                calls.STATUS,
                channel_id=self._at.channel,
                thread_ts=self._at.thread_ts,
                status=text,
            ),
        )

    async def queued(self, ahead: int) -> None:
        """Tell the one who asked, and nobody else, that the prompt waits. It goes by itself: Slack
        does not keep such messages (docs.slack.dev/reference/methods/chat.postEphemeral)."""
        if ahead:
            text = WAITS.format("one" if ahead == 1 else ahead)
            await self._hint(
                calls.EPHEMERAL,
                lambda: self._api.call(
                    calls.EPHEMERAL,
                    channel=self._at.channel,
                    thread_ts=self._at.thread_ts,
                    user=self._at.user,
                    text=text,
                ),
            )

    async def _hint(self, method: Method, call: Callable[[], Awaitable[object]]) -> None:
        """A call that may fail: it is dropped then, and not made again where it never works."""
        if method in self._api.off:
            return
        try:
            await call()
        except Refused as refused:
            if refused.code in NEVER:
                self._api.off.add(method)
            log.info("slack.hint_refused", method=method.name, code=refused.code)
        except DeliveryError as error:
            log.info("slack.hint_failed", method=method.name, error=type(error).__name__)

    async def earlier(self) -> Sequence[Remembered]:
        """What was said in the thread before the prompt, as it reads now."""
        if self._at.ts == self._at.thread_ts:
            return ()
        newest: deque[Remembered] = deque(maxlen=EARLIER)
        async for message in self._replies(latest=self._at.ts):
            entry = remembered(message, self._bot, self._at.team, self._at.channel)
            if entry and entry.identity != self._identity:
                newest.append(entry)
        return tuple(newest)

    async def find(self, key: str) -> Sequence[PartId]:
        """The messages posted with this key, by their metadata."""
        identity = post_id(self._identity, key)
        found = []
        async for message in self._replies(oldest=self._at.ts, include_all_metadata=True):
            ours = message.get("user") == self._bot.user or message.get("bot_id") == self._bot.bot
            if ours and _posted_as(message) == identity:
                found.append(part_id(self._at.channel, str(message["ts"])))
        return found

    async def _replies(self, **bounds: Any) -> AsyncIterator[Mapping[str, Any]]:
        """The thread's messages between `oldest` and `latest`, oldest first."""
        cursor = ""
        for _ in range(PAGES):
            page = await self._api.call(
                calls.REPLIES,
                channel=self._at.channel,
                ts=self._at.thread_ts,
                limit=PAGE,
                **bounds,
                **({"cursor": cursor} if cursor else {}),
            )
            for message in page.get("messages") or ():
                if isinstance(message, Mapping) and isinstance(message.get("ts"), str):
                    yield message
            cursor = (page.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return


def _posted_as(message: Mapping[str, Any]) -> str | None:
    """The UUID in the metadata of one of our posts."""
    metadata = message.get("metadata") or {}
    if metadata.get("event_type") != EVENT_TYPE:
        return None
    return (metadata.get("event_payload") or {}).get("id")
