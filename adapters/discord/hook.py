"""The token of an interaction: what it reaches, and for how long it is used."""

from collections.abc import Callable
from typing import Any

import structlog

from adapters.discord import calls, refusals
from adapters.discord.calls import Api, Route
from adapters.discord.ids import TOKEN_LIFE, Address, Bot, time_of
from adapters.discord.refusals import Refused

log = structlog.get_logger()

HAND_OVER = 60.0
"""Seconds before the end of an interaction's token at which the bot's own token takes over."""

_BARRED = frozenset({refusals.NO_ACCESS, refusals.NO_PERMISSION, refusals.LOCKED})
DEAD = frozenset({refusals.TOKEN_DEAD, refusals.UNKNOWN_WEBHOOK, refusals.UNKNOWN_INTERACTION})


class Hook:
    """The interaction that asked, if one did. wall: seconds since the epoch.

    barred: the bot's own token may not write there, so that this one goes on to its end.
    """

    def __init__(self, api: Api, bot: Bot, at: Address, wall: Callable[[], float]) -> None:
        self._api = api
        self._bot = bot
        self._at = at
        self._wall = wall
        self._works = bool(at.token)
        self.barred = False

    @property
    def used(self) -> bool:
        """Whether what it reaches is written by it, and not by the bot's own token."""
        return not self._at.member or self._lives(0.0 if self.barred else HAND_OVER)

    def reaches(self, channel: str, message: str) -> bool:
        """Whether a message of ours was made by it. channel: of the message; empty: by it alone."""
        return bool(self._at.token) and (not channel or message == self._at.answer)

    def edits(self, message: str) -> Route:
        """The call that edits a message it reaches."""
        original = message == self._at.answer
        return calls.EDIT_ORIGINAL if original else calls.EDIT_FOLLOW_UP

    def takes_over(self, refused: Refused) -> bool:
        """Whether it may go on where the bot's own token was refused so."""
        if refused.code not in _BARRED or not self._at.member or not self._lives(0.0):
            return False
        if not self.barred:
            log.info("discord.goes_on_by_interaction", code=refused.code)
        self.barred = True
        return True

    def hands_over(self, refused: Refused) -> bool:
        """Whether the bot's own token may go on where it was refused so: it is dead."""
        if not self._at.member or refused.code not in DEAD:
            return False
        self._works = False
        return True

    async def call(self, route: Route, form: object, message: str = "") -> Any:
        """A call by it; the body of the answer. Raises: what `Api.call` raises."""
        token = {"application": self._bot.application, "token": self._at.token, "message": message}
        return (await self._api.call(route, token, form)).body

    def _lives(self, spare: float) -> bool:
        """Whether it works for more than so many seconds."""
        return self._works and time_of(self._at.before) + TOKEN_LIFE - spare > self._wall()
