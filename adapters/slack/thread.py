"""One Slack thread, for one answer."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeAlias

import structlog

from adapters.slack import budgets, calls, earlier, streams
from adapters.slack.calls import Api, Method
from adapters.slack.events import plain, remembered
from adapters.slack.hints import hint
from adapters.slack.ids import (
    Address,
    Bot,
    is_aside,
    part_id,
    post_id,
    sequence,
    split_part_id,
)
from adapters.slack.markup import growing, measure, render, which
from adapters.slack.names import metadata, posted_as
from adapters.slack.refusals import (
    CONFLICT,
    ENDED,
    ITS_STREAM,
    OVER,
    Garbled,
    NotServed,
    Refused,
)
from adapters.slack.words import own
from core.errors import (
    DeliveryError,
    PartGone,
    Stopped,
    StreamOpen,
    StreamOver,
    Unreachable,
    Untouchable,
)
from core.types import Limits, PartId, Prompt, Remembered

log = structlog.get_logger()

SIZE = 11_000
"""UTF-8 bytes of a message. Slack takes 12,000 characters of `markdown_text`
(docs.slack.dev/reference/methods/chat.update); bytes are never fewer than characters."""

EARLIER = 200
"""How many messages before the prompt count at most: the newest (see `earlier.before`)."""

WAITS = "I'll get to this after the {} before it."

Ours: TypeAlias = tuple[PartId, Mapping[str, Any]]


class SlackThread:
    """Live handle on one thread. Satisfies Thread, ShowsStatus, ShowsQueued, ReadsEarlier, Streams,
    FindsPost, HasNameless, RemovesPart, ReadsPart and Recalls; raises what they say.

    A stream can't be named when it is started, so one whose start got no answer is told by what it
    lacks. That is right because no other message of ours in the thread lacks it: posts, stops and
    edits all name what they write, and a stream that is open elsewhere is somebody's known part.
    The refusals beside a full queue (`is_aside`) are posts.
    """

    exclusive = True  # answers in a thread come one after the other

    def __init__(self, api: Api, bot: Bot, prompt: Prompt) -> None:
        self._api = api
        self._bot = bot
        self._identity = prompt.identity
        self._at = Address.decode(prompt.address)
        self._streams = self._may_have_streamed = not is_aside(prompt)
        self._names: dict[PartId, str] = {}  # of the messages whose key is known
        self._sent: dict[PartId, str] = {}  # what a stream says, where that is known
        self._open: set[PartId] = set()  # streams that this handle started, or met
        self._stopped: set[PartId] = set()  # those of which Slack said that a person ended them
        self._read: tuple[str, Sequence[Ours]] | None = None  # the key and what `find` read for it

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
            stream=budgets.streams(team) if self._may_stream() else None,
        )

    def _may_stream(self) -> bool:
        """Whether a stream may be had here, as far as Slack told."""
        return self._streams and self._api.streams_in(self._at.channel)

    async def post(self, text: str, key: str) -> PartId:
        """Post into the thread. Links are not unfurled: fetching them could carry words out."""
        self._read = None
        identity = post_id(self._identity, key)
        answer = await self._api.call(
            calls.POST,
            channel=self._at.channel,
            thread_ts=self._at.thread_ts,
            markdown_text=render(text),
            unfurl_links=False,
            unfurl_media=False,
            client_msg_id=identity,
            metadata=metadata(identity),
        )
        return self._made(calls.POST, answer, identity)

    def _made(self, method: Method, answer: Mapping[str, Any], name: str) -> PartId:
        """The message that this call made."""
        try:
            part = part_id(answer["channel"], answer["ts"])
        except KeyError as error:
            raise Garbled(f"Slack's answer to {method.name} names no message") from error
        self._names[part] = name
        return part

    async def edit(self, part: PartId, text: str) -> None:
        """Replace the text of a message of ours. A stream is ended first; that there is one of a
        dead process's, Slack tells when its message is edited.
        """
        if part in self._open:
            kept = await self._end_stream(part)
            await self._update_ended(part, render(text), kept)
            return
        try:
            await self._update(part, render(text))
        except Refused as refused:
            if refused.code != CONFLICT:
                raise
            self._open.add(part)
            raise StreamOpen(str(refused)) from refused

    async def _update(self, part: PartId, rendered: str) -> None:
        channel, ts = split_part_id(part)
        await self._api.call(
            calls.UPDATE,
            channel=channel,
            ts=ts,
            markdown_text=rendered,
            metadata=metadata(self._name(part)),
        )

    async def _update_ended(self, part: PartId, rendered: str, kept: str) -> None:
        """`_update`, of a stream that was ended: Slack may take a moment to know it.

        kept: why it was not; empty when it was.
        """
        try:
            await self._update(part, rendered)
        except Refused as refused:
            if refused.code == CONFLICT and kept:
                raise Untouchable(f"Slack won't end the message's stream ({kept})") from refused
            if refused.code == CONFLICT:
                raise Unreachable(f"Slack holds the message for a stream ({CONFLICT})") from refused
            raise

    async def _end_stream(self, part: PartId) -> str:
        """End a stream as it stands; returns why Slack will not, empty when it may have.

        One that can't be ended, Slack ends after five minutes; no other begins where that is so.
        Raises: Stopped, once, when a person has ended it: nothing was changed.
        """
        channel, ts = split_part_id(part)
        closing = streams.ending(self._sent.get(part) or await self._said(part))
        try:
            await self._api.call(
                calls.STOP, channel=channel, ts=ts, metadata=metadata(self._name(part)), **closing
            )
        except Stopped:
            if part not in self._stopped:
                self._heard_stop(part)
                raise
        except Refused as refused:
            if refused.code in ENDED:
                raise
            log.info("slack.stream_not_ended", code=refused.code)
            if refused.code not in ITS_STREAM:
                self._api.no_streams(refused.code, self._at.channel)
                return refused.code
        self._open.discard(part)
        return ""

    async def _said(self, part: PartId) -> str:
        """What Slack says that a message of ours says; empty when it can't be asked now."""
        try:
            message = await earlier.one(self._api, self._at, split_part_id(part)[1])
        except DeliveryError as error:
            log.info("slack.stream_not_read", error=type(error).__name__)
            return ""
        return str(message.get("text") or "") if message else ""

    async def says(self, part: PartId, texts: Sequence[str]) -> str | None:
        """Which of these texts the message says, as it is told in Slack's own markup."""
        message = await earlier.one(self._api, self._at, split_part_id(part)[1])
        return which(plain(own(message)), texts) if message else None

    def _name(self, part: PartId) -> str:
        """What a message of this answer is called in its metadata. Where its key isn't known (a
        dead process made it), it is named as one of the answer's."""
        return self._names.get(part) or self._of_answer

    @property
    def _of_answer(self) -> str:
        return post_id(self._identity, "")

    async def start(self, text: str, key: str) -> PartId:
        """Post into the thread by a stream.

        After a start that got no answer, this handle starts no other: the next try is a post.
        """
        if not self._may_stream():
            raise StreamOver("there are no streams here")
        sent = streams.beginning(text)
        self._read = None
        try:
            answer = await self._api.call(
                calls.START,
                channel=self._at.channel,
                thread_ts=self._at.thread_ts,
                recipient_user_id=self._at.user,
                recipient_team_id=self._at.home or self._at.team,
                markdown_text=sent,
            )
            part = self._made(calls.START, answer, post_id(self._identity, key))
            self._sent[part] = sent
            self._open.add(part)
            return part
        except NotServed as error:
            self._api.no_streams("garbled")
            raise StreamOver(str(error)) from error
        except Unreachable as error:
            self._streams = False
            if isinstance(error, Garbled):
                self._api.no_streams("garbled", seconds=calls.PAUSE)
            raise
        except Refused as refused:
            if refused.code in ENDED:
                raise
            self._api.no_streams(refused.code, self._at.channel)
            raise StreamOver(str(refused)) from refused

    async def append(self, part: PartId, shown: str, text: str) -> None:
        """Send what is new in the rendered text."""
        channel, ts = split_part_id(part)
        whole = growing(text)
        if new := streams.addition(shown, text, whole):
            self._sent.pop(part, None)
            async with self._streaming(part):
                await self._api.call(calls.APPEND, channel=channel, ts=ts, **new)
            self._sent[part] = whole

    async def stop(self, part: PartId, shown: str, text: str) -> None:
        """Send the rest and end the stream, which names the message."""
        channel, ts = split_part_id(part)
        new = streams.addition(shown, text, render(text))
        async with self._streaming(part):
            await self._api.call(
                calls.STOP, channel=channel, ts=ts, metadata=metadata(self._name(part)), **new
            )
        self._open.discard(part)

    @asynccontextmanager
    async def _streaming(self, part: PartId) -> AsyncIterator[None]:
        """A call on an open stream: what Slack may say of its state, as the port says it."""
        try:
            yield
        except Stopped:
            self._heard_stop(part)
            raise
        except Refused as refused:
            if refused.code in ENDED:
                raise
            if refused.code == OVER:
                self._open.discard(part)
            raise StreamOver(str(refused)) from refused

    def _heard_stop(self, part: PartId) -> None:
        self._open.discard(part)
        self._stopped.add(part)

    async def remove(self, part: PartId) -> None:
        """Delete a message of ours; what can't be deleted stays."""
        try:
            await self._delete(part)
        except Refused as refused:
            log.warning("slack.remove_refused", code=refused.code)

    async def _delete(self, part: PartId) -> None:
        """Delete a message, or its stream, should that have to end first."""
        channel, ts = split_part_id(part)
        try:
            await self._api.call(calls.DELETE, channel=channel, ts=ts)
        except PartGone:
            return
        except Refused as refused:
            if refused.code != CONFLICT:
                raise
            with suppress(Stopped):
                await self._end_stream(part)
            await self._api.call(calls.DELETE, channel=channel, ts=ts)

    async def status(self, text: str) -> None:
        """Show "<app> <text>" under the thread; Slack drops it with our next message or after
        two minutes (docs.slack.dev/reference/methods/assistant.threads.setStatus)."""
        await hint(
            self._api,
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
            await hint(
                self._api,
                calls.EPHEMERAL,
                lambda: self._api.call(
                    calls.EPHEMERAL,
                    channel=self._at.channel,
                    thread_ts=self._at.thread_ts,
                    user=self._at.user,
                    text=text,
                ),
            )

    async def earlier(self) -> Sequence[Remembered]:
        """What was said in the thread before the prompt, as it reads now."""
        if self._at.ts == self._at.thread_ts:
            return ()
        said = await earlier.before(self._api, self._at)
        where = self._bot, self._at.team, self._at.channel
        entries = (remembered(message, *where) for message in said)
        return tuple(e for e in entries if e and e.identity != self._identity)[-EARLIER:]

    async def find(self, key: str, known: Collection[PartId] | None = None) -> Sequence[PartId]:
        """The messages posted with this key, by their metadata."""
        name = post_id(self._identity, key)
        found = []
        read = await self._ours()
        self._read = key, read
        for part, message in read:
            if part not in (known or ()) and posted_as(message) in (name, self._of_answer):
                self._names[part] = name
                found.append(part)
        return found

    async def stood(self, key: str) -> bool:
        """Whether it was there when this thread was read last: one read tells that of all that was
        asked behind the prompt for which it was made.
        """
        names = self._api.names.behind(self._at, asyncio.get_running_loop().time())
        if names is None:
            names = {posted_as(message) for _, message in await self._ours()}
        return post_id(self._identity, key) in names or self._of_answer in names

    async def nameless(self, key: str, within: float, after: PartId | None) -> Sequence[PartId]:
        """The streams in the thread, younger than the question, that nobody named: in what `find`
        has just read for this key, else in what is there now."""
        if not self._may_have_streamed:
            return ()
        found = []
        oldest = sequence(split_part_id(after)[1] if after else self._at.ts)
        read, self._read = self._read, None
        for part, message in read[1] if read and read[0] == key else await self._ours():
            younger = sequence(str(message["ts"])) > oldest
            if younger and posted_as(message) is None and not message.get("subtype"):
                self._names.setdefault(part, post_id(self._identity, key))
                found.append(part)
        return found

    async def _ours(self) -> Sequence[Ours]:
        """Our messages in the thread since the question."""
        now = asyncio.get_running_loop().time()
        said, whole = await earlier.replies(
            self._api, self._at, oldest=self._at.ts, include_all_metadata=True
        )
        ours = [
            (part_id(self._at.channel, str(message["ts"])), message)
            for message in said
            if message.get("user") == self._bot.user or message.get("bot_id") == self._bot.bot
        ]
        if whole:
            self._api.names.keep(self._at, {posted_as(message) for _, message in ours}, now)
        return ours
