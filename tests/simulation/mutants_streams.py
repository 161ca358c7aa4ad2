"""Native streams handled wrongly, in one place each.

Every one of these must be noticed, like those of `mutants`.
"""

from collections.abc import Callable, Sequence

from adapters.slack.markup import render
from core.errors import StreamOver, Unreachable
from core.ports import Thread, Turn
from core.store.sql import SqlTurns
from core.types import PartId
from tests.simulation.process import Protocol
from tests.simulation.slack_site import SmallSlackThread


class AppendsAgain(SmallSlackThread):
    """Makes an append again that may have landed."""

    async def append(self, part: PartId, shown: str, text: str) -> None:
        """Once more."""
        try:
            await super().append(part, shown, text)
        except Unreachable:
            await super().append(part, shown, text)


class StreamsOn(SmallSlackThread):
    """Goes on with a stream that is over."""

    async def append(self, part: PartId, shown: str, text: str) -> None:
        """As if it had gone well."""
        try:
            await super().append(part, shown, text)
        except StreamOver:
            return

    async def stop(self, part: PartId, shown: str, text: str) -> None:
        """The same."""
        try:
            await super().stop(part, shown, text)
        except StreamOver:
            return


class PostsTheRest(StreamsOn):
    """Posts anew what a stream that is over doesn't take at its end."""

    async def stop(self, part: PartId, shown: str, text: str) -> None:
        """Or post it."""
        try:
            await SmallSlackThread.stop(self, part, shown, text)
        except StreamOver:
            await self.post(text, f"{part}:0")


class NeverStops(SmallSlackThread):
    """Leaves streams open."""

    async def stop(self, part: PartId, shown: str, text: str) -> None:
        """Only say the rest."""
        await self.append(part, shown, text)


class FindsNoStreams(SmallSlackThread):
    """Doesn't look for a stream whose start got no answer."""

    async def nameless(self, key: str, within: float, after: PartId | None) -> Sequence[PartId]:
        """Only by name."""
        return ()


class KnowsNoMessages(SqlTurns):
    """Takes every message that a lost one may be for it, whosesoever it is."""

    async def strangers(
        self, turn: Turn, parts: Sequence[PartId], *, exclusive: bool
    ) -> Sequence[PartId]:
        """All of them."""
        return parts


class EditsNoStreams(SmallSlackThread):
    """Takes a stream that is open for a message that can't be edited."""

    async def edit(self, part: PartId, text: str) -> None:
        """Or fail."""
        await self._update(part, render(text))


class TrustsTheLast(SmallSlackThread):
    """Takes what was confirmed last for what a message says that can't be touched any more."""

    async def says(self, part: PartId, texts: Sequence[str]) -> str | None:
        """The oldest of what may be there."""
        return texts[0]


class SaysItAgain(SmallSlackThread):
    """Never looks what it says."""

    async def says(self, part: PartId, texts: Sequence[str]) -> str | None:
        """Nobody knows."""
        return None


def _with(kind: type[SmallSlackThread]) -> Callable[[Thread], Thread]:
    """Slack's handles as one of these."""

    def wrap(thread: Thread) -> Thread:
        if isinstance(thread, SmallSlackThread):
            thread.__class__ = kind
        return thread

    return wrap


STREAM_MUTANTS = (
    Protocol("an append repeated", wraps=_with(AppendsAgain)),
    Protocol("a stream gone on with that is over", wraps=_with(StreamsOn)),
    Protocol("a stream that is over followed by a post", wraps=_with(PostsTheRest)),
    Protocol("streams not stopped", wraps=_with(NeverStops)),
    Protocol("open streams taken for messages without edits", wraps=_with(EditsNoStreams)),
)
LOST_STREAM_MUTANTS = (
    Protocol("lost streams not looked for", wraps=_with(FindsNoStreams)),
    Protocol("known messages taken for lost ones", turns=KnowsNoMessages),
)
DOUBTFUL_MUTANTS = (
    Protocol("lost calls taken for calls without an effect", wraps=_with(TrustsTheLast)),
    Protocol("messages in doubt not looked at", wraps=_with(SaysItAgain)),
)
