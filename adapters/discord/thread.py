"""One Discord thread, direct message or channel, for one answer."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import structlog

from adapters.discord import calls, forms, limits, refusals
from adapters.discord.calls import Api, Route
from adapters.discord.earlier import said_before
from adapters.discord.hook import DEAD, Hook
from adapters.discord.ids import Address, Bot, guild_of, nonce, split_part_id
from adapters.discord.lost import KNOWN_FOR, SLACK, Behind, behind
from adapters.discord.markup import measure
from adapters.discord.opening import Opening, Spawn
from adapters.discord.posts import Posts
from adapters.discord.refusals import Refused
from adapters.discord.typist import Typist
from adapters.discord.waiting import mark
from core.errors import (
    DeliveryError,
    PartGone,
    RateLimited,
    Undeliverable,
    Unreachable,
    Unshowable,
    Untouchable,
)
from core.types import ASIDE, Allowance, Left, Limits, Outcome, PartId, Prompt, Remembered

log = structlog.get_logger()

SIZE = 1_900
"""UTF-16 units of a message; Discord takes 2,000
(docs.discord.com/developers/resources/message)."""

GAP, ANSWER_GAP = 0.95, 0.38
"""Least seconds between two calls on one message: by the bot token, by an interaction's token."""
SILENT = 1.075
"""The same times this where no header says what is left: else a sixth call comes too early."""

NO_MORE = "_Discord lets me say no more here._"
"""Beneath the last message of an answer that can't go on; SIZE leaves room for it."""
WITHHELD = "A filter here doesn't let me show this answer. Please ask differently."
THE_REST = "_A filter here doesn't let me show the rest._"
"""Said instead of an answer with words that Discord doesn't show, and beneath what is shown."""
PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds after the tries to say that, or more if Discord says so."""

_FIRST = ":0"  # how the key of a reply's first post ends (core.ports.Thread.post)
_NO_HISTORY = 160002
_OUT = frozenset({refusals.NO_ACCESS, refusals.UNKNOWN_CHANNEL})


class DiscordThread:
    """Live handle on one conversation. Satisfies Thread, ShowsStatus, ShowsQueued, ReadsEarlier,
    FindsPost, HasNameless, RemovesPart, Retracts, Concludes of `core.ports`, Prepares, Continues
    and Withholds of `core.placing`; raises what they say.

    What a command asked is answered in the message that Discord made for it, by the interaction's
    token while that works, and all of it where the bot's own token may not write.
    spawn: runs what goes on beside the calls, until the platform closes. posts: what Discord told
    of our posts. wall: seconds since the epoch.
    """

    def __init__(
        self,
        api: Api,
        bot: Bot,
        prompt: Prompt,
        spawn: Spawn,
        posts: Posts,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._api = api
        self._bot = bot
        self._identity = prompt.identity
        self._guild = guild_of(prompt.thread)
        self._at = Address.decode(prompt.address)
        # Such refusals reply to their questions. Else others may be answered in the same channel.
        self.exclusive = ASIDE in prompt.thread and bool(self._at.message)
        self._posts = posts
        self._hook = Hook(api, bot, self._at, wall)
        self._last: tuple[PartId, str] | None = None  # the latest message, and its text
        self._unshown: tuple[PartId | None, str] = None, ""  # the message that was refused, or key
        self._opening = Opening(api, self._at, prompt, spawn)
        self._typist = Typist(api, self._opening, spawn)

    @property
    def limits(self) -> Limits:
        """Sizes in UTF-16 units of the rendered text.

        Measured: five edits in five seconds a channel (a thread is one), five calls in two seconds
        an interaction; what Discord's headers say is obeyed besides (see `limits`). Where the bot
        isn't, or may not write, as it turns out, new messages are calls on the interaction as well,
        so that none comes sooner.
        """
        place, gap = f"discord:{self._opening.expected}", GAP
        edit = Allowance(f"{place}:edit", burst=5, rate=1.0, within=limits.ANSWERS)
        post = Allowance(f"{place}:post", burst=5, rate=1.0, within=limits.ANSWERS)
        if self._hook.used:
            edit = Allowance(f"discord:answer:{self._at.before}", burst=5, rate=2.5)
            gap = ANSWER_GAP
            post = post if self._at.member and not self._hook.barred else edit
        if self._api.silent:
            gap *= SILENT
        return Limits(size=SIZE, measure=measure, gap=gap, post=post, edit=edit)

    def left(self, part: PartId) -> Left | None:
        """What the headers said last."""
        channel, message = split_part_id(part)
        by_hook = self._hook.used and self._hook.reaches(channel, message)
        route = self._hook.edits(message) if by_hook else calls.EDIT
        return self._api.left(route, {"channel": channel, "token": self._at.token})

    def continues(self, parts: Sequence[PartId]) -> None:
        """Where it was begun it goes on: a thread that was deleted meanwhile is not opened anew."""
        if parts:
            self._opening.settle(split_part_id(parts[0])[0])

    async def prepare(self) -> None:
        """Have the thread of a question opened; a command's answer needs none to begin."""
        if not (self._at.token or self._at.answer):
            await self._opening.place()

    async def post(self, text: str, key: str) -> PartId:
        """Post a new message; the first one of a command's answer fills the one that waits."""
        self._typist.stop()
        try:
            part = await self._begin(forms.form(text), key)
        except Unshowable:
            self._unshown = None, key
            raise
        except Undeliverable as error:
            await self._say_no_more(error)
            raise
        self._last = part, text
        return part

    async def _begin(self, form: dict[str, Any], key: str) -> PartId:
        """A new message, by the token that may."""
        if (self._at.token or self._at.answer) and key.endswith(_FIRST):
            return await self._answer(form, key)
        channel = await self._opening.place()
        if self._at.member and not self._hook.barred:
            try:
                return await self._post(channel, form, key)
            except Refused as refused:
                if not self._hook.takes_over(refused):
                    raise
        try:
            return forms.part(await self._hook.call(calls.FOLLOW_UP, form))
        except Refused as refused:
            self._hook.hands_over(refused)  # what is left to say isn't tried by it
            raise

    async def _say_no_more(self, error: Undeliverable) -> None:
        """Nothing more can be posted: say so beneath what is shown, where that can be."""
        if self._last is None:
            return
        part, text = self._last
        by_hook = self._hook.used and self._hook.reaches(*split_part_id(part))
        if isinstance(error, Refused) and error.code in (DEAD if by_hook else _OUT):
            return  # it would be refused again
        await self._say_beneath(part, f"{text}\n\n{NO_MORE}")

    async def withheld(self) -> None:
        """Words of it are none that Discord shows: say so beneath what is shown, or instead."""
        if self._last:
            part, text = self._last
            await self._say_beneath(part, f"{text.rstrip()}\n\n{THE_REST}")
        else:  # nothing of it, but what a former process wrote, which nobody knows any more
            await self._say_beneath(self._unshown[0], WITHHELD, self._unshown[1])

    async def _say_beneath(self, part: PartId | None, text: str, key: str = "") -> None:
        """Have the message say this, or a new one with this key; where that can't be, the log."""
        for wait in PAUSES:
            try:
                if part is None:
                    await self._begin(forms.form(text), key)
                else:
                    await self._rewrite(*split_part_id(part), forms.form(text))
                return
            except (RateLimited, Unreachable) as error:
                await asyncio.sleep(min(max(wait, error.retry_after), PAUSES[-1]))
            except DeliveryError:
                break
        log.info("discord.broke_off_unsaid")

    async def _post(self, channel: str, form: Mapping[str, Any], key: str) -> PartId:
        """Post by the bot's own token."""
        named = {**form, "nonce": nonce(self._identity, key), "enforce_nonce": True}
        if self._replies(channel):
            reference = {"message_id": self._at.message, "fail_if_not_exists": False}
            named["message_reference"] = reference
        try:
            found = await self._api.call(calls.POST, {"channel": channel}, named)
        except Refused as refused:
            if refused.code != _NO_HISTORY or "message_reference" not in named:
                raise
            del named["message_reference"]
            found = await self._api.call(calls.POST, {"channel": channel}, named)
        part = forms.part(found.body, channel)
        if not forms.shows(found.body, form):
            # A former attempt had landed, and its nonce makes Discord return that one.
            await self._rewrite(*split_part_id(part), form)
        return part

    def _replies(self, channel: str) -> bool:
        """Whether a post there is a reply to the question: where it gets no thread, and where it is
        refused beside others, which are told from each other by that.
        """
        told = self.exclusive or bool(self._at.message and self._at.opens)
        return told and channel == self._at.channel

    async def edit(self, part: PartId, text: str) -> None:
        """Replace the text of a message of ours."""
        channel, message = split_part_id(part)
        latest = self._last is None or int(message) >= int(split_part_id(self._last[0])[1])
        try:
            await self._rewrite(channel, message, forms.form(text))
        except Unshowable:
            self._unshown = part, ""
            raise
        if latest:
            self._last = part, text
        await self._opening.on_answer()

    async def remove(self, part: PartId) -> None:
        """Delete a message of ours; what can't be deleted stays."""
        channel, message = split_part_id(part)
        try:
            await self._reached(channel, message, None, calls.DELETE)
        except PartGone:
            return
        except Refused as refused:
            if refused.code != refusals.UNKNOWN_CHANNEL:  # else it went with its thread
                log.warning("discord.remove_refused", code=refused.code)

    async def status(self, text: str) -> None:
        """Show that we are typing; a command's answer shows that we are thinking by itself."""
        if not text or self._at.token:
            self._typist.stop()
            return
        self._typist.start()

    async def queued(self, ahead: int) -> None:
        """Put an hourglass on a message that waits, or take it away; a command has "thinking…"."""
        if not self._at.token:
            await mark(self._api, self._at, self._guild, waits=ahead > 0)

    async def earlier(self) -> Sequence[Remembered]:
        """What was said in the thread before the prompt, or along the replies that led to it."""
        return await said_before(self._api, self._bot, self._at)

    async def find(self, key: str, known: Collection[PartId] | None = None) -> Sequence[PartId]:
        """The messages posted with this key, where Discord told it or still does.

        Where it doesn't, the same key posted again gives the same message for some minutes.
        """
        if not self._has_nonce(key):
            return ()
        wanted = nonce(self._identity, key)
        if (told := self._posts.of(wanted)) or self._api.hides_nonces:
            return told
        found = await self._behind()
        self._api.hides_nonces = found.hides_nonces(self._bot.user)
        return found.named(wanted)

    async def nameless(self, key: str, within: float, after: PartId | None) -> Sequence[PartId]:
        """Our posts behind the question that are too old for their nonce to be known again."""
        if not self._has_nonce(key) or within < KNOWN_FOR - SLACK:
            return ()
        found = await self._behind()
        here = self._replies(found.channel)
        parts = found.nameless(self._bot.user, self._at.message if here else "", within)
        if (
            self._at.opens and not here and not self._hook.barred
        ):  # it may be from before the thread could be opened
            found = await behind(self._api, self._at.channel, self._at.before)
            parts += found.nameless(self._bot.user, self._at.message, within)
        oldest = int(split_part_id(after)[1]) if after else 0
        return tuple(part for part in parts if int(split_part_id(part)[1]) > oldest)

    def _has_nonce(self, key: str) -> bool:
        """Whether the post of this key is one by the bot's own token."""
        by_hook = not self._at.member or self._hook.barred
        return not by_hook and not (self._at.token and key.endswith(_FIRST))

    async def _behind(self) -> Behind:
        """What was said since the question, where it is answered."""
        channel = self._opening.expected if await self._opening.likely() else self._at.channel
        try:
            return await behind(self._api, channel, self._at.before)
        except Refused as refused:
            if self._hook.takes_over(refused):  # what it posted isn't known by a nonce
                return Behind(channel, (), 0.0)
            if refused.code != refusals.UNKNOWN_CHANNEL or channel == self._at.channel:
                raise
        # No thread was opened, or none could be.
        return await behind(self._api, self._at.channel, self._at.before)

    async def retract(self, key: str) -> None:
        """Remove a post that reading doesn't find: for some minutes, the same nonce posted again
        gives the message that is there already. Where there is none, "…" shows for a moment.
        """
        if not self._has_nonce(key):
            return
        channel = self._opening.expected
        form = forms.form("…") | {"nonce": nonce(self._identity, key), "enforce_nonce": True}
        try:
            found = await self._api.call(calls.POST, {"channel": channel}, form)
        except Undeliverable as error:
            log.info("discord.nothing_to_retract", reason=str(error))
            return
        await self.remove(forms.part(found.body, channel))

    async def concluded(self, _outcome: Outcome) -> None:
        """The answer is shown; it gets its thread now if it has none yet."""
        self._typist.stop()
        await self._opening.concluded()

    async def _answer(self, form: dict[str, Any], key: str) -> PartId:
        """Fill the message that waits for a command's answer."""
        try:
            found = await self._rewrite(self._at.channel, self._at.answer, form)
        except (Refused, Untouchable) as refused:
            gone = isinstance(refused, Refused) and refused.code == refusals.UNKNOWN_CHANNEL
            if not self._at.member or gone:
                raise
            # The token is dead and the bot's own is not let near the message that waits.
            log.info("discord.answer_posted_anew", reason=str(refused))
            return await self._post(self._at.channel, form, key)
        part = forms.part(found, self._at.channel)
        await self._opening.on_answer()
        return part

    async def _rewrite(self, channel: str, message: str, form: Mapping[str, Any]) -> Any:
        """Edit a message; returns it. Its thread is opened again when it was archived."""
        try:
            return await self._reached(channel, message, form, calls.EDIT)
        except Refused as refused:
            if refused.code != refusals.ARCHIVED or not self._at.member:
                raise
        names = {"channel": channel or self._at.channel}
        await self._api.call(calls.CHANGE_CHANNEL, names, {"archived": False})
        try:
            return await self._reached(channel, message, form, calls.EDIT)
        except Refused as refused:
            if refused.code != refusals.ARCHIVED:
                raise
            # It could be opened, so this is no refusal for good.
            raise Unreachable("the thread was archived again at once") from refused

    async def _reached(self, channel: str, message: str, form: object, route: Route) -> Any:
        """Edit or delete a message by the token that reaches it; the body of the answer. route: of
        the bot's own token.
        """
        hook, mine = self._hook, self._hook.reaches(channel, message)
        by_hook = hook.edits(message) if route is calls.EDIT else calls.DELETE_FOLLOW_UP
        if mine and hook.used:
            try:
                return await hook.call(by_hook, form, message)
            except Refused as refused:
                if not message or not hook.hands_over(refused):
                    raise
        names = {"channel": channel or self._at.channel, "message": message}
        try:
            return (await self._api.call(route, names, form)).body
        except Refused as refused:
            if not (mine and hook.takes_over(refused)):
                raise
        return await hook.call(by_hook, form, message)
