"""One Discord thread, direct message or channel, for one answer."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import structlog

from adapters.discord import calls, refusals
from adapters.discord.calls import Api, Route
from adapters.discord.events import remembered, replied
from adapters.discord.ids import (
    TOKEN_LIFE,
    Address,
    Bot,
    guild_of,
    nonce,
    part_id,
    split_part_id,
    time_of,
)
from adapters.discord.markup import measure, render
from adapters.discord.refusals import Refused
from core.errors import DeliveryError, PartGone, RateLimited, Undeliverable, Unreachable
from core.types import Allowance, Limits, Outcome, PartId, Prompt, Remembered

log = structlog.get_logger()

SIZE = 1_900
"""UTF-16 units of a message; Discord takes 2,000
(docs.discord.com/developers/resources/message)."""

GAP, ANSWER_GAP = 1.0, 0.44
"""Seconds between two calls on one message: by the bot token, and by an interaction's token."""

HAND_OVER = 60.0
"""Seconds before the end of an interaction's token at which the bot's own token takes over."""

EARLIER, PAGE, CHAIN = 200, 100, 20
"""How many messages before the prompt are read at most, in one call, and along replies."""

TYPING = 9.0
"""Seconds between two signs of typing; Discord shows one for ten."""
TYPING_MOST = 65.0
"""Seconds for which one status types; the engine repeats its status every minute."""

WAITING = "%E2%8F%B3"
"""The reaction on a prompt that waits: an hourglass, as it stands in an address
(docs.discord.com/developers/resources/message#create-reaction)."""
SIGN_PATIENCE = 60.0
"""Seconds for which the reaction is tried: Discord takes one in a quarter of a second."""

SUPPRESS_EMBEDS = 1 << 2
NO_PINGS: Mapping[str, Any] = {"parse": [], "replied_user": False}
"""Sent with every text, edits included: an edit rebuilds who is mentioned
(docs.discord.com/developers/resources/message#edit-message)."""

_FIRST = ":0"  # how the key of a reply's first post ends (core.ports.Thread.post)
_DEAD = frozenset({refusals.TOKEN_DEAD, refusals.UNKNOWN_WEBHOOK, refusals.UNKNOWN_INTERACTION})
_NO_HISTORY = 160002

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class DiscordThread:
    """Live handle on one conversation. Satisfies Thread, ShowsStatus, ShowsQueued, ReadsEarlier,
    FindsPost, RemovesPart and Concludes of `core.ports`; raises what they say.

    What a command asked is answered in the message that Discord made for it, by the interaction's
    token while that works. spawn: runs what goes on beside the calls, until the platform closes.
    """

    def __init__(self, api: Api, bot: Bot, prompt: Prompt, spawn: Spawn) -> None:
        self._api = api
        self._bot = bot
        self._identity = prompt.identity
        self._direct = prompt.author == ""
        self._guild = guild_of(prompt.thread)
        self._at = Address.decode(prompt.address)
        self._spawn = spawn
        self._token_works = bool(self._at.token)
        self._opening = asyncio.Lock()
        self._opened: bool | None = None if self._at.opens else False
        self._typing: asyncio.Task[None] | None = None
        self._typing_until = 0.0

    @property
    def limits(self) -> Limits:
        """Sizes in UTF-16 units of the rendered text.

        Measured: five edits in five seconds a channel (a thread is one), five calls in two seconds
        an interaction; what Discord's headers say is obeyed besides (see `limits`).
        """
        if self._by_interaction():
            edit = Allowance(f"discord:answer:{self._at.before}", burst=1, rate=2.3)
            gap = ANSWER_GAP
        else:
            edit = Allowance(f"discord:{self._place_expected()}:edit", burst=1, rate=0.98)
            gap = GAP
        post = Allowance(f"discord:{self._place_expected()}:post", burst=2, rate=0.6)
        return Limits(size=SIZE, measure=measure, gap=gap, post=post, edit=edit)

    async def post(self, text: str, key: str) -> PartId:
        """Post a new message; the first one of a command's answer fills the one that waits."""
        self._stop_typing()
        form = _form(text)
        if self._at.token and key.endswith(_FIRST):
            return await self._answer(form)
        channel = await self._place()
        if not self._at.member:
            return _part(await self._follow_up(calls.FOLLOW_UP, form))
        form |= {"nonce": nonce(self._identity, key), "enforce_nonce": True}
        if self._at.message and self._at.opens and channel == self._at.channel:
            form["message_reference"] = {
                "message_id": self._at.message,
                "fail_if_not_exists": False,
            }
        try:
            found = await self._api.call(calls.POST, {"channel": channel}, form)
        except Refused as refused:
            if refused.code != _NO_HISTORY or "message_reference" not in form:
                raise
            del form["message_reference"]
            found = await self._api.call(calls.POST, {"channel": channel}, form)
        return _part(found.body, channel)

    async def edit(self, part: PartId, text: str) -> None:
        """Replace the text of a message of ours."""
        channel, message = split_part_id(part)
        await self._rewrite(channel, message, _form(text))
        await self._open_on_answer()

    async def remove(self, part: PartId) -> None:
        """Delete a message of ours; what can't be deleted stays."""
        channel, message = split_part_id(part)
        try:
            if self._at.member:
                await self._api.call(calls.DELETE, {"channel": channel, "message": message})
            else:
                await self._follow_up(calls.DELETE_FOLLOW_UP, None, message)
        except PartGone:
            return
        except Refused as refused:
            log.warning("discord.remove_refused", code=refused.code)

    async def status(self, text: str) -> None:
        """Show that we are typing; a command's answer shows that we are thinking by itself."""
        if not text or self._at.token:
            self._stop_typing()
            return
        self._typing_until = asyncio.get_running_loop().time() + TYPING_MOST
        if self._typing is None or self._typing.done():
            self._typing = self._spawn(self._type())

    async def queued(self, ahead: int) -> None:
        """Put an hourglass on a message that waits, or take it away; a command has "thinking…".

        One after the other in a channel: a burst would only run into the limit of reactions.
        """
        if not self._at.token:
            async with self._api.reacting.setdefault(self._at.channel, asyncio.Lock()):
                await self._react(calls.REACT if ahead else calls.UNREACT)

    async def _react(self, route: Route) -> None:
        """The reaction, or its end; what Discord won't have is left. It may say no to the end of
        one that isn't there: nobody keeps what was shown."""
        if route is calls.REACT and self._guild in self._api.no_reactions:
            return
        names = {**self._here(), "message": self._at.before, "emoji": WAITING}
        loop = asyncio.get_running_loop()
        end = loop.time() + SIGN_PATIENCE
        while loop.time() < end:
            try:
                await self._api.call(route, names)
                return
            except RateLimited as error:
                wait = error.retry_after
            except Unreachable:
                wait = 1.0
            except DeliveryError as error:
                self._no_sign(error)
                return
            await asyncio.sleep(wait)

    def _no_sign(self, error: DeliveryError) -> None:
        """Without the permission no more is put in this server, until the next start."""
        if isinstance(error, Refused) and error.code == refusals.NO_PERMISSION:
            self._api.no_reactions.add(self._guild)
        log.info("discord.no_waiting_sign", reason=str(error))

    async def earlier(self) -> Sequence[Remembered]:
        """What was said in the thread before the prompt, or along the replies that led to it."""
        if self._at.replied:
            return await self._chain()
        if self._at.opens or self._direct or not self._at.member:
            return ()
        entries: list[Remembered] = []
        before = self._at.before
        for _ in range(EARLIER // PAGE):
            query = {"before": before, "limit": str(PAGE)}
            page = (await self._api.call(calls.READ, self._here(), None, query)).body
            messages = [m for m in page if isinstance(m, Mapping)] if isinstance(page, list) else []
            entries += filter(None, (remembered(message, self._bot) for message in messages))
            if len(messages) < PAGE:
                break
            before = str(messages[-1]["id"])
        return tuple(reversed(entries))

    async def find(self, key: str) -> Sequence[PartId]:
        """The messages posted with this key, where Discord still tells it.

        Where it doesn't, the same key posted again gives the same message for some minutes.
        """
        if not self._at.member or (self._at.token and key.endswith(_FIRST)):
            return ()
        channel, wanted = await self._place(), nonce(self._identity, key)
        query = {"after": self._at.before, "limit": str(PAGE)}
        page = (await self._api.call(calls.READ, {"channel": channel}, None, query)).body
        messages = page if isinstance(page, list) else []
        found = [m for m in messages if isinstance(m, Mapping) and m.get("nonce") == wanted]
        return tuple(part_id(channel, str(message["id"])) for message in reversed(found))

    async def concluded(self, _outcome: Outcome) -> None:
        """The answer is shown; it gets its thread now if it has none yet."""
        self._stop_typing()
        await self._open_on_answer()

    def _here(self) -> Mapping[str, str]:
        return {"channel": self._at.channel}

    def _by_interaction(self) -> bool:
        """Whether the interaction's token still reaches its answer."""
        if not self._at.member:
            return True
        left = time_of(self._at.before) + TOKEN_LIFE - HAND_OVER - time.time()
        return self._token_works and left > 0

    def _place_expected(self) -> str:
        """Where new messages go, unless no thread can be opened there."""
        return (self._at.answer or self._at.message) if self._at.opens else self._at.channel

    async def _answer(self, form: dict[str, Any]) -> PartId:
        """Fill the message that waits for a command's answer."""
        try:
            found = await self._rewrite(self._at.channel, self._at.answer, form)
        except Refused as refused:
            if not self._at.member or refused.code == refusals.UNKNOWN_CHANNEL:
                raise
            # The token is dead and the bot's own is not let near the message that waits.
            log.info("discord.answer_posted_anew", code=refused.code)
            found = (await self._api.call(calls.POST, self._here(), form)).body
            return _part(found, self._at.channel)
        part = _part(found, self._at.channel)
        await self._open_on_answer()
        return part

    async def _rewrite(self, channel: str, message: str, form: Mapping[str, Any]) -> Any:
        """Edit a message by the token that reaches it; returns it."""
        if message == self._at.answer and self._at.token and self._by_interaction():
            try:
                return await self._follow_up(calls.EDIT_ORIGINAL, form)
            except Refused as refused:
                if not self._at.member or refused.code not in _DEAD or not message:
                    raise
                self._token_works = False
        if not self._at.member:
            return await self._follow_up(calls.EDIT_FOLLOW_UP, form, message)
        names = {"channel": channel, "message": message}
        try:
            return (await self._api.call(calls.EDIT, names, form)).body
        except Refused as refused:
            if refused.code != refusals.ARCHIVED:
                raise
        await self._api.call(calls.CHANGE_CHANNEL, {"channel": channel}, {"archived": False})
        return (await self._api.call(calls.EDIT, names, form)).body

    async def _follow_up(self, route: Route, form: object, message: str = "") -> Any:
        """A call by the interaction's token."""
        token = {"application": self._bot.application, "token": self._at.token, "message": message}
        return (await self._api.call(route, token, form)).body

    async def _place(self) -> str:
        """Where new messages go; opens the thread if there is to be one."""
        opened = await self._open(self._at.answer or self._at.message)
        return self._place_expected() if opened else self._at.channel

    async def _open_on_answer(self) -> None:
        """Open the thread in which a conversation begun by a command goes on.

        The text is shown whether that works or not; it is tried again after the next text.
        """
        if not self._at.answer:
            return
        try:
            await self._open(self._at.answer)
        except DeliveryError as error:
            log.info("discord.thread_later", reason=str(error))

    async def _open(self, message: str) -> bool:
        """Open a thread on the message, once; whether there is one."""
        async with self._opening:
            if self._opened is None:
                self._opened = await self._opens(message)
            return self._opened

    async def _opens(self, message: str) -> bool:
        names = {"channel": self._at.channel, "message": message}
        try:
            await self._api.call(calls.OPEN_THREAD, names, {"name": self._at.opens})
        except PartGone as gone:
            if message == self._at.answer:
                raise
            raise Undeliverable("the question was deleted before it was answered") from gone
        except Refused as refused:
            if refused.status == refusals.UNAUTHORIZED or refused.code == refusals.UNKNOWN_CHANNEL:
                raise
            if refused.code != refusals.THREAD_EXISTS:
                log.warning("discord.no_thread", code=refused.code, reason=str(refused))
                return False
        return True

    async def _chain(self) -> Sequence[Remembered]:
        """The messages that were replied to, from the first to the one before the prompt."""
        entries: list[Remembered] = []
        message = self._at.replied
        for _ in range(CHAIN):
            try:
                found = await self._api.call(calls.READ_ONE, {**self._here(), "message": message})
            except PartGone:
                break
            entry = remembered(found.body, self._bot) if isinstance(found.body, Mapping) else None
            if entry:
                entries.append(entry)
            message = replied(found.body) if isinstance(found.body, Mapping) else ""
            if not message:
                break
        return tuple(reversed(entries))

    async def _type(self) -> None:
        """Keep typing until somebody stops it or for as long as one status may last."""
        loop = asyncio.get_running_loop()
        while loop.time() < self._typing_until:
            try:
                await self._api.call(calls.TYPING, {"channel": await self._place()})
            except Undeliverable as error:
                log.info("discord.not_typing", reason=str(error))
                return
            except DeliveryError as error:
                log.debug("discord.not_typing", reason=str(error))
            await asyncio.sleep(TYPING)

    def _stop_typing(self) -> None:
        if self._typing:
            self._typing.cancel()
            self._typing = None


def _form(text: str) -> dict[str, Any]:
    """What every text is sent with: no pings, no embeds."""
    return {"content": render(text), "flags": SUPPRESS_EMBEDS, "allowed_mentions": dict(NO_PINGS)}


def _part(message: object, channel: str = "") -> PartId:
    """The id of a message that Discord returned. channel: empty when only the token reaches it."""
    if not isinstance(message, Mapping) or "id" not in message:
        raise Unreachable("Discord's answer names no message")
    return part_id(channel, str(message["id"]))
