"""What adapters owe the protocol, broken on purpose in one place each, before their calls.

Every one of these must be noticed, like those of `mutants`.
"""

from collections.abc import Mapping
from typing import Any

from adapters.discord import calls as discord
from adapters.discord.calls import Answer
from adapters.discord.limits import Buckets
from core.errors import LockedOut, PartGone, RateLimited, TooLarge, Undeliverable, Unreachable
from tests.simulation.process import Protocol
from tests.simulation.wire import Line, Named


class NamesNoPosts(Line):
    """Posts have neither metadata nor a nonce that counts: lost ones are posted again."""

    async def call(self, what: Named, *args: Any, **named: Any) -> Any:
        """Without the names."""
        named = {key: value for key, value in named.items() if key != "client_msg_id"}
        if "metadata" in named:
            named["metadata"] = {"event_type": "threadseek", "event_payload": {"id": "none"}}
        given = [_without_nonce(arg) for arg in args]
        return await super().call(what, *given, **named)


def _without_nonce(arg: Any) -> Any:
    if isinstance(arg, Mapping) and "enforce_nonce" in arg:
        return {**arg, "nonce": f"{id(arg)}"}
    return arg


class HeedsNoHeaders(Line):
    """Forgets at once what Discord says about its buckets."""

    async def call(self, what: Named, *args: Any, **named: Any) -> Any:
        """With a memory of nothing."""
        if hasattr(self._api, "_buckets"):
            self._api._buckets = Buckets()
        return await super().call(what, *args, **named)


class HopesForBetter(Line):
    """Takes a definite no for a failure that passes."""

    async def call(self, what: Named, *args: Any, **named: Any) -> Any:
        """As unreachable."""
        try:
            return await super().call(what, *args, **named)
        except Undeliverable as error:
            raise Unreachable(str(error)) from error


class LeavesThreadsAsleep(Line):
    """Never opens an archived thread again."""

    async def call(self, what: Named, *args: Any, **named: Any) -> Any:
        """Say that it did."""
        if what is discord.CHANGE_CHANNEL:
            return Answer({}, 0.0)
        return await super().call(what, *args, **named)


class TakesTimeOutsForNo(Line):
    """Takes a call that was cut off for one that is refused."""

    async def call(self, what: Named, *args: Any, **named: Any) -> Any:
        """As a definite no."""
        try:
            return await super().call(what, *args, **named)
        except Unreachable as error:
            raise Undeliverable(str(error)) from error


class MissesDeletions(Line):
    """Takes a message that somebody deleted for edited."""

    async def call(self, what: Named, *args: Any, **named: Any) -> Any:
        """As if nothing had been deleted."""
        try:
            return await super().call(what, *args, **named)
        except PartGone as error:
            raise RateLimited(1.0) from error


class KnowsNoSize(Line):
    """Takes a text that is too long for one that is refused for good."""

    async def call(self, what: Named, *args: Any, **named: Any) -> Any:
        """As a definite no."""
        try:
            return await super().call(what, *args, **named)
        except TooLarge as error:
            raise Undeliverable(str(error)) from error


class GoesOnWithItsToken(Line):
    """Forgets that the bot token is refused."""

    async def call(self, what: Named, *args: Any, **named: Any) -> Any:
        """With it all the same."""
        self._api.refused = None
        return await super().call(what, *args, **named)


class TakesTheTokenForTheChannel(Line):
    """Takes a refused bot token for a definite no to this text."""

    async def call(self, what: Named, *args: Any, **named: Any) -> Any:
        """As a definite no."""
        try:
            return await super().call(what, *args, **named)
        except LockedOut as error:
            raise Undeliverable(str(error)) from error


ADAPTER_MUTANTS = (
    Protocol("a refused token used", line=GoesOnWithItsToken),
    Protocol("answers given up for a token", line=TakesTheTokenForTheChannel),
    Protocol("posts without names", line=NamesNoPosts),
    Protocol("rate headers not heeded", line=HeedsNoHeaders),
    Protocol("refusals taken for failures", line=HopesForBetter),
    Protocol("archived threads left asleep", line=LeavesThreadsAsleep),
    Protocol("failures taken for refusals", line=TakesTimeOutsForNo),
    Protocol("deletions missed", line=MissesDeletions),
    Protocol("size refused for good", line=KnowsNoSize),
)
