"""An answer in the messages of another bot, none of which is longer than its place takes."""

from bisect import bisect_right

from benchmarks.delivery.answers import Answer
from benchmarks.delivery.clients import Client, send
from benchmarks.delivery.sites import Method, Site


def room(answer: Answer, limit: int, start: int = 0) -> int:
    """How many tokens are visible when a message that begins after `start` of them is full.

    limit: its characters. Kindly: spaces at its end take no room.
    """
    texts, characters = answer.trace.texts, answer.trace.characters
    ends = range(start + 1, answer.size + 1)
    most = characters[start] + limit
    return start + bisect_right(
        ends, most, key=lambda end: characters[end - 1] + len(texts[end - 1].rstrip())
    )


class Messages:
    """Messages of which the last one grows; one that is full is sealed, and stays visible.

    limit: characters of one, if it isn't what the place takes. lines: it ends with the last line
    that fits; else anywhere. shown: tokens that are visible. posted: the last message is there.
    room: tokens that are visible when it is full.
    """

    def __init__(
        self,
        answer: Answer,
        site: Site,
        client: Client,
        *,
        limit: int | None = None,
        lines: bool = False,
    ) -> None:
        self._answer, self._site, self._client = answer, site, client
        self._limit, self._lines = limit or site.most, lines
        self._begin(0)
        self.shown = 0

    def characters(self, tokens: int) -> int:
        """What the last message has, or would have if so many tokens were visible."""
        return self._answer.trace.characters[tokens] - self._answer.trace.characters[self._start]

    async def show(self, tokens: int) -> None:
        """Make so many visible, in further messages if need be. Raises: Refused."""
        while tokens > self.room:
            end = self._end()
            if not self.posted or self.shown != end:
                await self._send(end)
            self._begin(end)
        await self._send(tokens)

    def _begin(self, start: int) -> None:
        self._start, self.posted = start, False
        self.room = room(self._answer, self._limit, start)

    def _end(self) -> int:
        """Where a message that has no room for all is cut."""
        texts = self._answer.trace.texts
        fitting = range(self.room, self._start, -1) if self._lines else ()
        return next((end for end in fitting if "\n" in texts[end - 1]), self.room)

    async def _send(self, tokens: int) -> None:
        method = Method.EDIT if self.posted else Method.POST
        await send(self._site, self._answer, method, tokens, self._client)
        self.posted, self.shown = True, tokens
