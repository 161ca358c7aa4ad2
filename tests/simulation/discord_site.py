"""Discord, as far as answers need it: docs.discord.com/developers says what each route does."""

import asyncio
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import lru_cache
from typing import Any, ClassVar, cast

import aiohttp

from adapters.discord import calls, refusals
from adapters.discord.calls import Api
from adapters.discord.ids import TOKEN_LIFE, Address, Bot, nonce, part_id, time_of
from adapters.discord.ids import identity as identity_of
from adapters.discord.markup import measure, render
from adapters.discord.posts import Posts
from adapters.discord.thread import DiscordThread
from core.types import Limits, PartId, Prompt
from tests.simulation.logs import SECRET
from tests.simulation.loop import now
from tests.simulation.places import CHANNEL, EPOCH, snowflake
from tests.simulation.sites import FOLLOW_UP, SMALL, Call, Door, MakeLine, Said, Site, Spawn
from tests.simulation.wire import Wire
from tests.simulation.world import Life

MOST = 2_000
"""UTF-16 units of a message."""
NONCE_LIVES = 300.0
"""Seconds for which a nonce is known again: "the past few minutes"."""
ROOMS, SECONDS = (5, 5, 2), 5.0
"""What fits into a bucket, which nobody may rely on, and when it is full again."""
_MEASURE = lru_cache(4_096)(measure)
_BY_BOT = "/api/channels/"
_BOT = Bot(user="1", application="1")
_SHOWING = (calls.POST, calls.EDIT, calls.EDIT_ORIGINAL, calls.FOLLOW_UP, calls.EDIT_FOLLOW_UP)
_EDITS = (calls.EDIT.name, calls.EDIT_ORIGINAL.name)
_SHOW = frozenset(route.name for route in _SHOWING)


class SmallDiscordThread(DiscordThread):
    """The adapter's, with small parts."""

    @property
    def limits(self) -> Limits:
        """The adapter's, but for the size; the same text is measured once."""
        return replace(super().limits, size=SMALL, measure=_MEASURE)


@dataclass(slots=True)
class _Window:
    """A bucket until `reset`. told: when a process heard that nothing is left in it."""

    reset: float
    left: int
    told: dict[int, float] = field(default_factory=dict)


@dataclass
class DiscordSite(Site):
    """Posts are told of when they are made, mostly; later the same nonce gives them again.

    met: address of each prompt. made: messages by nonce. opened: threads opened on messages.
    replies: what a message replies to. no_threads: none may be opened. room: calls that fit into a
    bucket.
    """

    met: dict[str, Address] = field(default_factory=dict)
    made: dict[str, tuple[PartId, float]] = field(default_factory=dict)
    opened: set[str] = field(default_factory=set)
    replies: dict[PartId, object] = field(default_factory=dict)
    no_threads: bool = field(init=False)
    room: int = field(init=False)
    _ends: list[tuple[Life, Posts]] = field(default_factory=list)
    _windows: dict[tuple[str, str], _Window] = field(default_factory=dict)
    _ids: int = 0

    reasons: ClassVar[tuple[str, ...]] = ("50001", "50013", "10003")
    documented: ClassVar[int] = MOST

    def __post_init__(self) -> None:
        super().__post_init__()
        self.no_threads = self.world.rng.random() < self.world.weather.closed
        self.room = self.world.rng.choice(ROOMS)

    def render(self, text: str) -> str:
        """As sent; Discord trims it."""
        return render(text).strip()

    def connect(self, life: Life, spawn: Spawn, line: MakeLine) -> Door:
        """Over one session of a process."""
        session = cast(aiohttp.ClientSession, Wire(self, life))
        api, posts = Api(SECRET, "http://discord/api", session), Posts()
        self._ends.append((life, posts))

        def open_(prompt: Prompt) -> DiscordThread:
            calls_ = cast(Api, line(api, self, life, prompt.identity))
            wall = self.world.wall
            thread = SmallDiscordThread(calls_, _BOT, prompt, spawn, posts, wall=wall)
            self.meet(prompt, thread.limits)
            return thread

        asking = cast(Api, line(api, self, life, ""))
        return Door(open_, lambda: asking.call(calls.ME, {}))

    def refuses_token(self, said: Said) -> bool:
        """By status; an interaction's token has a code of its own."""
        return said[0] == refusals.UNAUTHORIZED and not said[2]["code"]

    def arrives(self, call: Call, *, asks: bool) -> None:
        """I12: by the bot's own token, as the adapter's allowances say; else by the headers."""
        if asks or call.path.startswith(_BY_BOT):
            super().arrives(call, asks=asks)
        if asks:
            return
        at, limits = self.met[call.identity], self.limits[call.identity]
        if call.name == calls.POST.name:
            self.spend(call, limits.post)
        elif call.name == calls.EDIT.name and not at.token:
            self.spend(call, limits.edit)

    def meet(self, prompt: Prompt, limits: Limits) -> None:
        """A process opens the conversation of a prompt."""
        super().meet(prompt, limits)
        self.met.setdefault(prompt.identity, Address.decode(prompt.address))

    def ends(self, call: Call) -> bool:
        """Whether nothing comes after this call's refusal: where the message that waits for a
        command's answer can't be edited, there is still a post; where the bot may not write, the
        interaction's token goes on for as long as it works.
        """
        at = self.met[call.identity]
        waits = at.answer and call.name in _EDITS
        _, reason = self.closed.get(self.threads[call.identity], (0.0, ""))
        lives = bool(at.token) and EPOCH + now() < time_of(at.before) + TOKEN_LIFE
        goes_on = lives and reason != str(refusals.UNKNOWN_CHANNEL)
        return call.name in _SHOW and not waits and not goes_on

    def answer(self, call: Call) -> Said:
        """What Discord says to a route, with the state of its bucket."""
        key = (call.name, _major(call))
        window = self._windows.get(key)
        if window is None or now() >= window.reset:
            window = self._windows[key] = _Window(now() + SECONDS, self.room)
        if window.left <= 0:
            self.world.hits["discord: bucket empty"] += 1
            if call.sent >= window.told.get(call.life.number, float("inf")):
                self.world.wrong(f"I12 the headers were not heeded: {call.name}")
            return self.too_many(call, window.reset - now())
        window.left -= 1
        status, body = self._done(call)
        headers = {
            "X-RateLimit-Bucket": call.name,
            "X-RateLimit-Remaining": str(window.left),
            "X-RateLimit-Reset-After": f"{window.reset - now() + 0.001:.3f}",
            "Date": formatdate(EPOCH + now(), usegmt=True),
        }
        return status, headers, body

    def heard(self, call: Call, said: Said, *, asks: bool) -> None:
        """The headers came through."""
        super().heard(call, said, asks=asks)
        window = self._windows.get((call.name, _major(call)))
        if window and window.left <= 0:
            window.told.setdefault(call.life.number, now())

    def too_many(self, call: Call, wait: float) -> Said:
        """The route's bucket, now and then everything."""
        everything = self.world.rng.random() < 0.1
        headers = {"Via": "1.1 google", "Retry-After": str(wait)}
        if everything:
            headers["X-RateLimit-Global"] = "true"
        return 429, headers, {"retry_after": wait, "global": everything}

    def _done(self, call: Call) -> tuple[int, Any]:
        """The route itself, once there is room for it."""
        match call.method, *call.path.removeprefix("/api/").split("/"):
            case _, "webhooks", _, token, *rest:
                return self._by_token(call, token, rest)
            case _ if self.is_locked():
                return _no(refusals.UNAUTHORIZED, 0)
            case _, "users", "@me":
                return 200, {"id": _BOT.user}
            case _, "channels", channel, *rest:
                return self._by_bot(call, channel, rest)
        raise AssertionError(call.path)

    def _by_token(self, call: Call, token: str, rest: list[str]) -> tuple[int, Any]:
        """An interaction's own routes, for as long as its token works."""
        at = self.met[call.identity]
        assert token == at.token, "the token of another interaction"
        if EPOCH + now() >= time_of(at.before) + TOKEN_LIFE:
            self.world.hits["an interaction's token was over"] += 1
            if not at.member:
                self.refused.add(call.identity)
            return _no(401, refusals.TOKEN_DEAD)
        if not rest:
            text = str(call.args["content"]).strip()
            return _unfit(text, self.most) or (200, self._new(call, "", FOLLOW_UP, text))
        original = part_id(at.channel if at.member else "", at.answer or f"{int(at.before) + 1}")
        part = original if rest[-1] == "@original" else part_id("", rest[-1])
        if call.method == "DELETE":
            return (204, None) if self.remove(part) else _no(404, refusals.UNKNOWN_MESSAGE)
        return self._original(call, part) if part == original else self._edited(call, part)

    def _original(self, call: Call, part: PartId) -> tuple[int, Any]:
        """The message that waits for the answer, or holds it."""
        if part in self.messages:
            return self._edited(call, part)
        text = str(call.args["content"]).strip()
        if refusal := _unfit(text, self.most):
            return refusal
        self.create(call, part, f"{call.identity}:0", text)
        return 200, self._json(part)

    def _by_bot(self, call: Call, channel: str, rest: list[str]) -> tuple[int, Any]:
        """The routes of a channel."""
        thread = self.threads[call.identity]
        if reason := self.closing(call, thread):
            code = int(reason)
            return _no(404 if code == refusals.UNKNOWN_CHANNEL else 403, code)
        if not self._exists(channel):
            return _no(404, refusals.UNKNOWN_CHANNEL)
        match call.method, *rest:
            case "POST", "messages":
                return self._post(call, channel)
            case "PATCH" | "DELETE", "messages", id_:
                return self._change(call, channel, id_)
            case "POST", "messages", id_, "threads":
                return self._open_thread(call, id_)
            case "GET", "messages":
                return 200, self._page(call, channel)
            case "GET", "messages", id_:
                return self._one(channel, id_)
            case ("PATCH",):
                self.archived.discard(thread)
                return 200, {}
        return 204, None  # a reaction, or typing

    def _post(self, call: Call, channel: str) -> tuple[int, Any]:
        """A message, or the one that this nonce made some minutes ago."""
        text, name = str(call.args["content"]).strip(), str(call.args["nonce"])
        if refusal := _unfit(text, self.most):
            return refusal
        part, at = self.made.get(name, (PartId(""), 0.0))
        if part and now() - at < NONCE_LIVES:
            self.spare(call, self.limits[call.identity].edit)  # it is brought up to date
            return 200, self._json(part)
        if part:
            self.world.hits["nonce known no more"] += 1
        self.archived.discard(self.threads[call.identity])
        keys = (f"{call.identity}:{index}" for index in range(9))
        key = next((key for key in keys if nonce(call.identity, key) == name), name)
        message = self._new(call, channel, key, text, call.args.get("message_reference"))
        self.made[name] = part_id(channel, message["id"]), now()
        for life, posts in self._ends:
            if life.alive and not self.world.out(self.name) and not self.world.happens("untold"):
                delay = self.world.rng.uniform(0.05, 0.5)
                told = message | {"nonce": name}
                asyncio.get_running_loop().call_later(delay, posts.heard, told)
        return 200, message

    def _new(
        self, call: Call, channel: str, key: str, text: str, reference: object = None
    ) -> dict[str, Any]:
        """A message is made. reference: which it replies to."""
        self._ids += 1
        part = part_id(channel, snowflake(now(), 500 + self._ids))
        if reference:
            self.replies[part] = reference
        self.create(call, part, key, text)
        return self._json(part)

    def _change(self, call: Call, channel: str, id_: str) -> tuple[int, Any]:
        """An edit or a deletion by the bot's own token."""
        part, at = part_id(channel, id_), self.met[call.identity]
        asleep = self.threads[call.identity] in self.archived
        if call.method == "DELETE":
            return (204, None) if self.remove(part) else _no(404, refusals.UNKNOWN_MESSAGE)
        if asleep and (at.thread or channel != at.channel):
            self.spare(call, self.limits[call.identity].edit)  # it is opened and edited again
            return _no(400, refusals.ARCHIVED)
        return self._original(call, part) if id_ == at.answer else self._edited(call, part)

    def _edited(self, call: Call, part: PartId) -> tuple[int, Any]:
        text = str(call.args["content"]).strip()
        if refusal := _unfit(text, self.most):
            return refusal
        if not self.rewrite(call, part, text):
            return _no(404, refusals.UNKNOWN_MESSAGE)
        return 200, self._json(part)

    def _open_thread(self, call: Call, id_: str) -> tuple[int, Any]:
        """A thread on a message; its id is the message's."""
        if self._exists(id_):
            self.world.hits["thread opened twice"] += 1
            return _no(400, refusals.THREAD_EXISTS)
        if self.no_threads:
            return _no(403, refusals.NO_PERMISSION)
        if identity_of(id_) in self.world.erased:
            self.world.hits["no question to open a thread on"] += 1
            self.refused.add(call.identity)
            return _no(404, refusals.UNKNOWN_MESSAGE)
        if any(p.endswith(f":{id_}") and m.gone for p, m in self.messages.items()):
            return _no(404, refusals.UNKNOWN_MESSAGE)
        self.opened.add(id_)
        return 201, {"id": id_}

    def _exists(self, channel: str) -> bool:
        """Whether there is this channel: where people write there is one."""
        return channel in self.opened or channel in {CHANNEL, *self._places()}

    def _places(self) -> set[str]:
        return {at.channel for at in self._addresses().values()}

    def _addresses(self) -> dict[str, Address]:
        """Of all that was asked here so far."""
        for identity, prompt in self.world.prompts.items():
            if prompt.platform == self.name and identity not in self.met:
                self.met[identity] = Address.decode(prompt.address)
        return self.met

    def _one(self, channel: str, id_: str) -> tuple[int, Any]:
        """One message, with the thread that was opened on it."""
        found = [message for message in self._said_in(channel) if message["id"] == id_]
        if not found:
            return _no(404, refusals.UNKNOWN_MESSAGE)
        return 200, found[0] | ({"thread": {"id": id_}} if id_ in self.opened else {})

    def _page(self, call: Call, channel: str) -> list[dict[str, Any]]:
        """The newest messages between the bounds, newest first. A nonce is not told again."""
        after, before = int(call.args.get("after", 0)), int(call.args.get("before", 1 << 63))
        found = [m for m in self._said_in(channel) if after < int(m["id"]) < before]
        return sorted(found, key=lambda m: -int(m["id"]))[: int(call.args["limit"])]

    def _said_in(self, channel: str) -> list[dict[str, Any]]:
        """What stands in a channel, in no order."""
        asked = [
            {"id": at.message, "type": 0, "content": prompt.text, "author": {"id": "2"}}
            for identity, at in self._addresses().items()
            for prompt in (self.world.prompts.get(identity),)
            if prompt and at.message and at.channel == channel
            if identity not in self.world.erased
        ]
        return asked + [
            self._json(part)
            for part, shown in self.messages.items()
            if part.startswith(f"{channel}:") and not shown.gone
        ]

    def _json(self, part: PartId) -> dict[str, Any]:
        channel, _, id_ = part.partition(":")
        text = self.messages[part].texts[-1]
        author = {"id": _BOT.user}
        body = {"id": id_, "channel_id": channel, "type": 0, "content": text, "author": author}
        if reference := self.replies.get(part):
            body |= {"type": 19, "message_reference": reference}
        if self.messages[part].key == FOLLOW_UP or id_ in self._answers():
            body["webhook_id"] = _BOT.application
        return body

    def _answers(self) -> set[str]:
        """The messages that Discord made for the answers of commands."""
        return {at.answer for at in self._addresses().values() if at.token}


def _major(call: Call) -> str:
    """The parameter that has a bucket of its own: a channel, or an interaction's token."""
    parts = call.path.removeprefix("/api/").split("/")
    return parts[2] if parts[0] == "webhooks" else parts[1]


def _unfit(text: str, most: int) -> tuple[int, Any] | None:
    """Why a text is refused."""
    if len(text.encode("utf-16-le")) // 2 <= most:
        return None
    errors = {"content": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH"}]}}
    return 400, {"code": refusals.INVALID_FORM, "message": "Invalid Form Body", "errors": errors}


def _no(status: int, code: int) -> tuple[int, Any]:
    return status, {"code": code, "message": "no"}
