"""Slack, as far as answers need it: docs.slack.dev/reference/methods says what each call does."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, ClassVar, cast

import aiohttp

from adapters.slack import calls
from adapters.slack.budgets import streams as stream_limits
from adapters.slack.calls import Api
from adapters.slack.ids import Address, Bot, part_id, post_id
from adapters.slack.markup import measure, render
from adapters.slack.thread import SlackThread
from core.types import Limits, PartId, Prompt
from tests.simulation.logs import SECRET
from tests.simulation.loop import now
from tests.simulation.places import EPOCH
from tests.simulation.sites import SMALL, Call, Door, MakeLine, Said, Site, Spawn
from tests.simulation.wire import Wire
from tests.simulation.world import Life

MOST = 12_000
"""Characters of `markdown_text`."""
PAGE = 4
"""Messages of one page of a thread; fewer than asked for, which Slack may give."""
STREAMED = "a stream"
"""Key of messages by streams, which have none."""
_STREAMING = frozenset({calls.START.name, calls.APPEND.name, calls.STOP.name})
_MEASURE = lru_cache(4_096)(measure)
_BOT = Bot(user="UBOT", bot="B1", team="T1")
_MINUTE = 60.0
REVOKED = "token_revoked"
MOST_STREAMED = 13_200
"""Characters of a whole message by a stream (slackapi/bolt-js issue 2509)."""
LIFE = 300.0
"""Seconds after which Slack ends a stream (slackapi/python-slack-sdk issue 1859)."""
_A_PAGE = "a page"
_NO_STREAMS = ("unknown_method", "feature_not_enabled", "channel_type_not_supported", _A_PAGE)
"""What chat.startStream says where there are no streams. The last: 404, of something between."""
_WINDOWS = (1.0, 3.0, 10.0, 30.0)
"""Seconds; administrators choose among minutes."""
_TIERS = {  # calls in a minute: docs.slack.dev/apis/web-api/rate-limits
    calls.UPDATE.name: 50,
    calls.START.name: 20,
    calls.APPEND.name: 100,
    calls.STOP.name: 20,
    calls.DELETE.name: 50,
    calls.REPLIES.name: 50,
    calls.STATUS.name: 600,
    calls.EPHEMERAL.name: 100,
    calls.AUTH.name: 600,
    calls.POST.name: 63,  # a second and channel, and short bursts
}


class SmallSlackThread(SlackThread):
    """The adapter's, with small parts."""

    @property
    def limits(self) -> Limits:
        """The adapter's, but for the size; the same text is measured once."""
        return replace(super().limits, size=SMALL, measure=_MEASURE)


@dataclass
class SlackSite(Site):
    """Posts carry their name as metadata and are found by it; nothing is recognised again.

    Streams get theirs when they end. streamless: why there are none; halted: those that a person
    ended; unended: those that Slack doesn't end for us. window: seconds in which a message can be
    edited.
    """

    streamless: str = ""
    halted: set[PartId] = field(default_factory=set)
    unended: set[PartId] = field(default_factory=set)
    window: float = float("inf")
    metadata: dict[PartId, Mapping[str, Any]] = field(default_factory=dict)
    _made: dict[tuple[str, str], deque[float]] = field(default_factory=dict)

    finds: ClassVar[bool] = True
    reasons: ClassVar[tuple[str, ...]] = (*("is_archived", "channel_not_found", "not_in_channel"),)
    documented: ClassVar[int] = MOST

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.world.rng.random() < self.world.weather.streamless:
            self.streamless = self.world.rng.choice(_NO_STREAMS)
        if self.world.happens("window"):
            self.window = self.world.rng.choice(_WINDOWS)

    def render(self, text: str) -> str:
        """As sent. Nobody sees blanks at the end."""
        return render(text).rstrip()

    def connect(self, life: Life, spawn: Spawn, line: MakeLine) -> Door:
        """Over one session of a process."""
        session = cast(aiohttp.ClientSession, Wire(self, life))
        api = Api(SECRET, "http://slack/api/", session)

        def open_(prompt: Prompt) -> SlackThread:
            calls_ = cast(Api, line(api, self, life, prompt.identity))
            thread = SmallSlackThread(calls_, _BOT, prompt)
            self.meet(prompt, thread.limits)
            return thread

        asking = cast(Api, line(api, self, life, ""))
        return Door(open_, lambda: asking.call(calls.AUTH))

    def ends(self, call: Call) -> bool:
        """A text that is refused."""
        return call.name in (calls.POST.name, calls.UPDATE.name) or call.name in _STREAMING

    def refuses_token(self, said: Said) -> bool:
        """By name."""
        return bool(said[2].get("error") == REVOKED) if isinstance(said[2], Mapping) else False

    def arrives(self, call: Call, *, asks: bool) -> None:
        """I12, for the methods that have an allowance."""
        super().arrives(call, asks=asks)
        if self.ends(call):
            limits, streams = self.limits[call.identity], stream_limits(_BOT.team)
            allowances = {
                calls.POST.name: limits.post,
                calls.START.name: streams.start,
                calls.APPEND.name: streams.append,
                calls.STOP.name: streams.stop,
            }
            self.spend(call, allowances.get(call.name, limits.edit))

    def answer(self, call: Call) -> Said:
        """What Slack says to a method."""
        if self._too_fast(call):
            return self.too_many(call, 10.0)
        if self.is_locked():
            return _no(REVOKED)
        return self._done(call) if call.identity else _yes()

    def _done(self, call: Call) -> Said:
        """The method itself, once there is room for it."""
        if reason := self.closing(call, self.threads[call.identity]):
            return _no(reason)
        if call.name in _STREAMING:
            return self._stream(call)
        match call.name:
            case calls.POST.name:
                return self._post(call)
            case calls.UPDATE.name:
                return self._update(call)
            case calls.DELETE.name:
                there = self.remove(part_id(call.args["channel"], call.args["ts"]))
                return _yes() if there else _no("message_not_found")
            case calls.REPLIES.name:
                return self._replies(call)
            case _:
                return _yes()

    def _update(self, call: Call) -> Said:
        """chat.update: not while the message is a stream. It keeps metadata that isn't given."""
        part, text = part_id(call.args["channel"], call.args["ts"]), call.args["markdown_text"]
        if refusal := _unfit(text, self.most):
            return _no(refusal)
        if self._is_open(part):
            self.world.hits["slack: edited while a stream"] += 1
            if part in self.unended:
                self.stick(call, part)
            return _no("streaming_state_conflict")
        shown = self.messages.get(part)
        if shown and not shown.gone and now() > shown.at + self.window:
            self.stick(call, part)
            return _no("edit_window_closed")
        if not self.rewrite(call, part, text.rstrip()):
            return _no("message_not_found")
        self.metadata[part] = call.args.get("metadata", self.metadata.get(part, {}))
        self.messages[part].sealed_at = None
        return _yes(channel=call.args["channel"], ts=call.args["ts"])

    def _is_open(self, part: PartId) -> bool:
        shown = self.messages.get(part)
        if shown is None or shown.gone or shown.sealed_at is None:
            return False
        return now() < shown.sealed_at

    def _stream(self, call: Call) -> Said:
        """chat.startStream, appendStream, stopStream."""
        text = call.args.get("markdown_text", "")
        if len(text) > self.most:
            return _no("msg_too_long")
        if call.name == calls.START.name:
            return self._start(call, text)
        part = part_id(call.args["channel"], call.args["ts"])
        shown = self.messages.get(part)
        if shown is None or shown.gone:
            return _no("message_not_found")
        if part in self.halted:
            self.world.hits["slack: told that a person ended a stream"] += 1
            return _no("stopped_by_user")
        if not self._is_open(part):
            self.world.hits["slack: told that a stream is over"] += 1
            return _no("message_not_in_streaming_state")
        whole = shown.texts[-1] + text
        if len(whole) > min(MOST_STREAMED, self.most):
            return _no("msg_blocks_too_long")
        if call.name == calls.STOP.name:
            return self._stop(call, part, whole.rstrip())
        if not text.strip():
            return _no("no_text")
        self.rewrite(call, part, whole)
        return _yes(channel=call.args["channel"], ts=call.args["ts"])

    def _stop(self, call: Call, part: PartId, text: str) -> Said:
        """chat.stopStream; without a text it says nothing of what is there."""
        if part in self.unended:
            return _no("user_not_found")
        shown = self.messages[part]
        by = call.by if call.args.get("markdown_text") else shown.by
        self.rewrite(call, part, text)
        shown.by, shown.sealed_at = by, None
        self.metadata[part] = call.args.get("metadata", {})
        return _yes(channel=call.args["channel"], ts=call.args["ts"])

    def _start(self, call: Call, text: str) -> Said:
        """chat.startStream: it takes no name."""
        if self.streamless == _A_PAGE:
            return 404, {}, f"<html>Nothing here {SECRET}</html>"
        if self.streamless:
            self.world.hits["slack: no streams"] += 1
            return _no(self.streamless)
        for name in ("recipient_team_id", "recipient_user_id"):
            if not call.args.get(name):
                return _no(f"missing_{name}")
        rng = self.world.rng
        channel, ts, part = self._new(call)
        self.create(call, part, STREAMED, text)
        lasts = rng.uniform(0.1, 2.0) if self.world.happens("sealed") else LIFE
        self.messages[part].sealed_at = now() + lasts
        if self.world.happens("unended"):
            self.unended.add(part)
        if self.world.happens("halted"):
            asyncio.get_running_loop().call_later(rng.uniform(0.2, 8.0), self._halt, part)
        return _yes(channel=channel, ts=ts)

    def _halt(self, part: PartId) -> None:
        """A person ends a stream by Slack's button."""
        if self._is_open(part):
            self.halted.add(part)
            self.messages[part].by_people = True
            self.messages[part].sealed_at = None

    def too_many(self, call: Call, wait: float) -> Said:
        """Retry-After holds whole seconds."""
        seconds = str(max(1, round(wait)))
        return 429, {"Retry-After": seconds}, {"ok": False, "error": "ratelimited"}

    def _too_fast(self, call: Call) -> bool:
        """Whether this is more than the method's tier takes, of all processes together."""
        channel = call.args["channel"] if call.name == calls.POST.name else ""
        made = self._made.setdefault((call.name, channel), deque())
        while made and made[0] <= now() - _MINUTE:
            made.popleft()
        if len(made) >= _TIERS[call.name]:
            self.world.hits["slack: more than its tier"] += 1
            return True
        made.append(now())
        return False

    def _post(self, call: Call) -> Said:
        """chat.postMessage. That `client_msg_id` made two posts one is not documented."""
        text = call.args["markdown_text"]
        if refusal := _unfit(text, self.most):
            return _no(refusal)
        channel, ts, part = self._new(call)
        name = call.args["metadata"]["event_payload"]["id"]
        keys = (f"{call.identity}:{index}" for index in range(9))
        key = next((key for key in keys if post_id(call.identity, key) == name), name)
        self.metadata[part] = call.args["metadata"]
        self.create(call, part, key, text.rstrip())
        return _yes(channel=channel, ts=ts)

    def _new(self, call: Call) -> tuple[str, str, PartId]:
        """Channel, ts and id of a new message."""
        channel, ts = call.args["channel"], f"{EPOCH + now():.3f}{500 + len(self.messages):03d}"
        return channel, ts, part_id(channel, ts)

    def _replies(self, call: Call) -> Said:
        """A page of conversations.replies: the root always, then what lies between the bounds."""
        args = call.args
        asked = [
            {"user": at.user, "ts": at.ts, "text": prompt.text, "type": "message"}
            for identity, prompt in self.world.prompts.items()
            if prompt.platform == self.name and identity not in self.world.erased
            for at in (Address.decode(prompt.address),)
            if (at.channel, at.thread_ts) == (args["channel"], args["ts"])
        ]
        ours: list[dict[str, Any]] = [
            {"user": _BOT.user, "ts": ts, "text": shown.texts[-1], "type": "message"}
            | ({"metadata": self.metadata.get(part)} if "include_all_metadata" in args else {})
            for part, shown in self.messages.items()
            for channel, _, ts in (part.partition(":"),)
            if channel == args["channel"] and not shown.gone
        ]
        oldest, latest = args.get("oldest", "0"), args.get("latest", "9")
        ends = (oldest, latest) if "inclusive" in args else ()
        found = [
            message
            for message in sorted([*asked, *ours], key=lambda message: str(message["ts"]))
            for ts in (str(message["ts"]),)
            if ts == args["ts"] or oldest < ts < latest or ts in ends
        ]
        behind = [m for m in found if str(m["ts"]) > args.get("cursor", "0")]
        page = behind[:PAGE]
        cursor = str(page[-1]["ts"]) if len(behind) > PAGE else ""
        return _yes(messages=page, response_metadata={"next_cursor": cursor})


def _unfit(text: str, most: int) -> str:
    """Why a text is refused."""
    if len(text) > most:
        return "msg_too_long"
    return "" if text.strip() else "no_text"


def _yes(**facts: object) -> Said:
    return 200, {}, {"ok": True, **facts}


def _no(reason: str) -> Said:
    return 200, {}, {"ok": False, "error": reason}
