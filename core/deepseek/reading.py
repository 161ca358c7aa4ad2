"""One answer being read: bytes in, chunks out, and an explicit end. Pure.

Whatever comes back with status 200 goes through here: a stream of events, a whole completion
although a stream was asked for, an error object, an HTML page. They differ in the first character.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from core.deepseek.failures import no_completion
from core.deepseek.sse import MAX_LINE, Decoder, Event
from core.deepseek.think import ThinkFilter
from core.deepseek.wire import decode, parse, refusal, valid, words
from core.errors import CompletionError, Failure
from core.types import Chunk

MAX_BLANK = 64 * 1024
"""Bytes of blank lines that may come first: DeepSeek sends them while an answer has to wait."""

MAX_WHOLE = 16 * 1024 * 1024
"""Bytes a whole completion may have, and characters of a streamed one: all candidates together."""

_BETWEEN = b"\n\n"
_FIELD = re.compile(rb"(?:data|event|id|retry|)(?:[:\r\n]|\Z)")
"""How the lines of a stream of events begin; one begins with a colon, or is a mere name."""

_FIRST = 4096  # bytes: more than is told of them, so that no key is cut in two
_BLANK = b"\xef\xbb\xbf \t\r\n"


class Reading:
    """The state of one answer. wanted: how many choices were asked for. secret: the key.

    moved: grows with every delta that brings text, reasoning or a finish: real progress.
    failure: set when the answer can't go on; the chunks returned with it came before.
    complete: every wanted choice has finished, or the stream said [DONE].
    settled: complete, or the first choice has finished. It is the one shown: neither what befalls
    the others nor a host that sends fewer than wanted makes a failure of it.
    finish: the reason for the end of the first choice, by the API's own name.
    ended: nothing more will come out; the last chunk out is `done`, or `failure` is set.
    """

    def __init__(self, wanted: int = 1, secret: str = "", max_line: int = MAX_LINE) -> None:
        self.moved = 0
        self.failure: CompletionError | None = None
        self.ended = False
        self.finish = ""
        self._wanted = wanted
        self._secret = secret
        self._max_line = max_line
        self._decoder = Decoder(max_line)
        self._filters: dict[int, ThinkFilter] = {}
        self._halves: dict[int, str] = {}
        self._finished: set[int] = set()
        self._size = 0
        self._done = False
        self._head: bytearray | None = bytearray()
        self._whole = False
        self._first = b""  # of a body that brought nothing yet

    @property
    def complete(self) -> bool:
        """Nothing but usage and [DONE] can follow."""
        return self._done or len(self._finished) >= self._wanted

    @property
    def settled(self) -> bool:
        """An end of the stream here is a good end."""
        return self.complete or 0 in self._finished

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks these bytes complete. Raises nothing: look at `failure` and `ended`."""
        chunks: list[Chunk] = []
        if self._head is not None:
            self._head += data
            start = b"{" if self._whole else bytes(self._head[:MAX_BLANK]).lstrip(_BLANK)[:1]
            self._whole = start in (b"{", b"[", b"<")
            if self._whole or (not start and len(self._head) < MAX_BLANK):
                return self._collect()
            data, self._head = bytes(self._head), None
        try:
            for piece in self._cut(data):
                if not self._words(piece, chunks):
                    self._events(self._decoder.feed(piece), chunks)
        except CompletionError as error:
            self._stop(error, chunks)
        if self.moved:
            self._first = b""
        elif len(self._first) < _FIRST:
            self._first = (self._first + data[:_FIRST]).lstrip(_BLANK)
        return chunks

    def end(self, because: CompletionError) -> list[Chunk]:
        """What was held back. `because` becomes the failure unless the answer is all there."""
        chunks: list[Chunk] = []
        try:
            if self._head is None:
                self._events(self._decoder.finish(), chunks)
                if self._first and not (self.moved or _FIELD.match(self._first)):
                    raise no_completion(self._first, self._secret)
            else:
                self._completion(bytes(self._head).lstrip(_BLANK), chunks)
        except CompletionError as error:
            if error.failure is not Failure.TRUNCATED:
                because = error
        if not self.ended:
            self._stop(because, chunks)
        return chunks

    def _cut(self, data: bytes) -> Iterator[bytes]:
        """What ends the event that came in part; whole events; the beginning of one."""
        begin = 0
        if not self._decoder.between and _BETWEEN in data:
            begin = data.index(_BETWEEN) + len(_BETWEEN)
            yield data[:begin]
        last = data.rfind(_BETWEEN, begin)
        if last >= 0:
            end = last + len(_BETWEEN)
            yield data[begin:end]
            begin = end
        if begin < len(data):
            yield data[begin:]

    def _words(self, data: bytes, chunks: list[Chunk]) -> bool:
        """Whether these were whole events with words alone; then they are done."""
        plain = self._decoder.between and len(data) <= self._max_line and not self.ended
        found = words(data) if plain else None
        if found is None:
            return False
        chunk, number = found
        self.moved += number - 1
        self._take(chunk, chunks)
        return True

    def _collect(self) -> list[Chunk]:
        if self._head is not None and len(self._head) > MAX_WHOLE:
            self._fail(_too_long(f"{MAX_WHOLE} bytes"))
        return []

    def _completion(self, body: bytes, chunks: list[Chunk]) -> None:
        found = parse(body)
        if isinstance(found, dict):
            self._events([Event(body)], chunks)
            self._done = True
        elif found is not None or body.startswith(b"<"):
            raise no_completion(body, self._secret)

    def _events(self, events: list[Event], chunks: list[Chunk]) -> None:
        for event in events:
            for chunk in [] if self.ended else decode(event, self._secret):
                if not self.ended:
                    self._take(chunk, chunks)

    def _take(self, chunk: Chunk, chunks: list[Chunk]) -> None:
        if chunk.done:
            self._close(chunks)
            return
        if not (chunk.text or chunk.reasoning or chunk.finish_reason):
            chunks.append(chunk)
            return
        self.moved += 1
        self._size += len(chunk.text) + len(chunk.reasoning)
        visible = self._filters.get(chunk.index)
        if visible is None:
            visible = self._filters[chunk.index] = ThinkFilter()
        text, reasoning = visible.feed(self._letters(chunk))
        if chunk.finish_reason:
            late = visible.finish()
            text, reasoning = text + late[0], reasoning + late[1]
        if reasoning or text != chunk.text:
            chunk = replace(chunk, text=text, reasoning=chunk.reasoning + reasoning)
        if chunk.text or chunk.reasoning or chunk.finish_reason or chunk.usage:
            chunks.append(chunk)
        if self._size > MAX_WHOLE:
            self._stop(_too_long(f"{MAX_WHOLE} characters"), chunks)
        if chunk.finish_reason and not self.ended:
            self._finish(chunk.index, chunk.finish_reason, chunks)

    def _letters(self, chunk: Chunk) -> str:
        """The text as it can be encoded. Hosts that count in UTF-16 cut an emoji between two
        events: its first half waits for the other one.
        """
        text = self._halves.pop(chunk.index, "") + chunk.text
        if "\ud800" <= text[-1:] <= "\udbff":
            self._halves[chunk.index], text = text[-1], text[:-1]
        return valid(text)

    def _finish(self, index: int, reason: str, chunks: list[Chunk]) -> None:
        if index == 0:
            self.finish = reason
        failure = refusal(reason)
        if failure and index == 0:
            self._flush(chunks)
            self._fail(failure)
        else:
            self._finished.add(index)

    def _stop(self, because: CompletionError, chunks: list[Chunk]) -> None:
        """End here: well when nothing is missing, for what goes wrong behind that is noise."""
        if self.settled:
            self._close(chunks)
        else:
            self._flush(chunks)
            self._fail(because)

    def _close(self, chunks: list[Chunk]) -> None:
        self._flush(chunks)
        self._done = self.ended = True
        chunks.append(Chunk(done=True))

    def _flush(self, chunks: list[Chunk]) -> None:
        for index, visible in self._filters.items():
            half, late = visible.feed(valid(self._halves.pop(index, "")))
            text, reasoning = visible.finish()
            text, reasoning = half + text, late + reasoning
            if text or reasoning:
                chunks.append(Chunk(index=index, text=text, reasoning=reasoning))

    def _fail(self, failure: CompletionError) -> None:
        self.failure = failure
        self.ended = True


def _too_long(size: str) -> CompletionError:
    return CompletionError(Failure.SERVER, f"An answer of over {size}.", own=True)
