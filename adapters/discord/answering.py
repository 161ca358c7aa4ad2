"""Commands as they come: acknowledged at once, then asked, forgotten or explained.

Discord wants to hear within 3 seconds that a command was taken, and tells the person that the
application did not respond when it doesn't. So that comes first, before the database.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import structlog

from adapters.discord import calls, commands, refusals
from adapters.discord.calls import Answer, Api
from adapters.discord.commands import Ask, Form, Help, New, Used
from adapters.discord.events import Ignored, words
from adapters.discord.forms import NO_PINGS
from adapters.discord.ids import Bot
from adapters.discord.intake import Intake
from adapters.discord.refusals import Refused
from core.errors import DeliveryError, StoreError, Undeliverable

log = structlog.get_logger()

PATIENCE = 60.0
"""Seconds for which storing a question is tried before the person is asked to ask again."""

_MESSAGE, _DEFERRED, _MODAL = 4, 5, 9  # types of a callback
_EPHEMERAL = 1 << 6
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
_TRIES = 3

HELP = (
    "Hi! I bring DeepSeek into this chat.\n"
    "- `/ask` answers a question. In a channel the answer opens a thread, where you can go on "
    "without the command; in a thread or a direct message I remember what was said.\n"
    "- Mention me in a channel, and I answer in a thread on your message.\n"
    "- Apps > *Ask about this message* in a message's menu asks about that message.\n"
    "- `/new` makes me forget what was said in a thread or a direct message.\n"
    "I can read text, but not attachments."
)
FORGOTTEN = "Done. What was said here before is forgotten; your next question starts afresh."
ANSWERING = "I am still answering here. Please use `/new` once I am done."
NOTHING = "There is nothing to forget: we haven't talked here yet."
ALWAYS_NEW = (
    "In a channel every `/ask` starts afresh anyway. Use `/new` inside a thread or direct message."
)
TROUBLE = "I can't do that right now. Please try again in a moment. (Reference: {reference})"
NOT_TAKEN = "I couldn't take your question just now. Please ask it again. (Reference: {reference})"


class Interactions:
    """Takes the interactions of one session; `take` is called once for each.

    patience: seconds for which storing a question is tried.
    """

    def __init__(self, api: Api, bot: Bot, intake: Intake, *, patience: float = PATIENCE) -> None:
        self._api = api
        self._bot = bot
        self._intake = intake
        self._patience = patience

    async def take(self, interaction: Mapping[str, Any]) -> None:
        """Answer a command, or have it answered."""
        command = commands.read(interaction, self._bot)
        try:
            match command:
                case Ask():
                    await self._ask(command)
                case New():
                    await self._new(command)
                case Help(used):
                    await self._respond(used, _MESSAGE, _private(HELP))
                case Form(used, modal):
                    await self._respond(used, _MODAL, modal)
                case Ignored(why):
                    log.debug("discord.ignored", why=why)
        except DeliveryError as error:
            log.warning("discord.command_failed", reason=str(error))

    async def _ask(self, ask: Ask) -> None:
        """Defer, then commit the question."""
        deferred = None
        try:
            deferred = await self._respond(ask.used, _DEFERRED, {})
        except Undeliverable:
            raise
        except DeliveryError as error:  # it may have landed, and the question is to be answered
            log.warning("discord.not_deferred", reason=str(error))
        answer = await self._answer_of(ask.used, deferred)
        if ask.about:
            ask = replace(ask, text=commands.about(ask.text, await self._quoted(ask)), about="")
        prompt = ask.prompt(answer)
        end = asyncio.get_running_loop().time() + self._patience
        pauses = iter(_PAUSES)
        while True:
            try:
                new = await self._intake.accept(prompt)
            except StoreError as error:
                pause = next(pauses, _PAUSES[-1])
                log.error("discord.not_accepted", reason=str(error), again_in=pause)
                if asyncio.get_running_loop().time() + pause > end:
                    await self._show(ask.used, NOT_TAKEN.format(reference=ask.used.id))
                    return
                await asyncio.sleep(pause)
            else:
                log.info("discord.prompt", identity=prompt.identity, new=new, late=False)
                return

    async def _new(self, new: New) -> None:
        """Forget, and say so to the one who asked."""
        if new.thread is None:
            await self._respond(new.used, _MESSAGE, _private(ALWAYS_NEW))
            return
        await self._respond(new.used, _DEFERRED, {"flags": _EPHEMERAL})
        try:
            done = await self._intake.restart(new.thread)
        except StoreError as error:
            log.error("discord.not_restarted", reason=str(error))
            await self._show(new.used, TROUBLE.format(reference=new.used.id))
            return
        await self._show(new.used, NOTHING if done is None else FORGOTTEN if done else ANSWERING)

    async def _respond(self, used: Used, kind: int, data: Mapping[str, Any]) -> Answer | None:
        """Answer the interaction itself; None when an attempt that seemed lost had landed.

        Raises: DeliveryError.
        """
        names = {"interaction": used.id, "token": used.token}
        body = {"type": kind, "data": {**data, "allowed_mentions": dict(NO_PINGS)}}
        if kind == _MODAL:
            body["data"] = dict(data)
        lost = False
        for left in reversed(range(_TRIES)):
            try:
                query = {"with_response": "true"}
                return await self._api.call(calls.RESPOND, names, body, query)
            except Refused as refused:
                if lost and refused.code == refusals.ACKNOWLEDGED:
                    return None
                raise
            except Undeliverable:
                raise
            except DeliveryError as error:
                if not left:
                    raise
                lost = True
                await asyncio.sleep(max(0.1, error.retry_after))
        return None

    async def _answer_of(self, used: Used, deferred: Answer | None) -> str:
        """Id of the message that waits for the answer; empty when Discord doesn't tell."""
        body = deferred.body if deferred and isinstance(deferred.body, Mapping) else {}
        interaction, resource = body.get("interaction"), body.get("resource")
        if isinstance(interaction, Mapping) and interaction.get("response_message_id"):
            return str(interaction["response_message_id"])
        message = resource.get("message") if isinstance(resource, Mapping) else None
        if isinstance(message, Mapping) and message.get("id"):
            return str(message["id"])
        try:
            found = await self._api.call(calls.ORIGINAL, self._hook(used))
        except DeliveryError as error:
            log.info("discord.answer_unknown", reason=str(error))
            return ""
        return str(found.body.get("id", "")) if isinstance(found.body, Mapping) else ""

    async def _quoted(self, ask: Ask) -> str:
        """The message in question, where the form didn't bring it."""
        names = {"channel": ask.used.channel, "message": ask.about}
        try:
            found = await self._api.call(calls.READ_ONE, names)
        except DeliveryError as error:
            log.info("discord.message_unknown", reason=str(error))
            return ""
        return words(found.body, self._bot) if isinstance(found.body, Mapping) else ""

    async def _show(self, used: Used, text: str) -> None:
        """Fill the message that waits with words of our own."""
        form = {"content": text, "allowed_mentions": dict(NO_PINGS)}
        await self._api.call(calls.EDIT_ORIGINAL, self._hook(used), form)

    def _hook(self, used: Used) -> Mapping[str, str]:
        return {"application": self._bot.application, "token": used.token}


def _private(text: str) -> Mapping[str, Any]:
    """A message that only the one who asked can see."""
    return {"content": text, "flags": _EPHEMERAL}
