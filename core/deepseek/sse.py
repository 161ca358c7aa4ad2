"""Server-sent events out of bytes, cut anywhere. Pure; works in linear time.

The line rules are the HTML standard's (section 9.2.6, "Interpreting an event stream"): LF, CRLF and
CR end a line, one byte-order mark may come first, one space after the colon belongs to the syntax.
Two things are laxer, because gateways are: a data line that is a whole JSON object (or [DONE]) is
an event without waiting for the blank line, and what stands at the end of the stream counts without
one. Bytes are never decoded here: a cut may fall inside a character, and only CR and LF end a line
(U+2028 and U+0085 are text).
"""

from dataclasses import dataclass

import msgspec

DONE = b"[DONE]"
"""The data of the event that ends a stream of the chat-completion API."""

MAX_LINE = 1024 * 1024
"""Bytes one line, or the data lines of one event together, may have."""

_BOM = b"\xef\xbb\xbf"
_json = msgspec.json.Decoder(msgspec.Raw)


@dataclass(frozen=True, slots=True)
class Event:
    """One event. data: its data lines joined by LF, never empty. name: its `event:` field."""

    data: bytes
    name: str = ""


class Decoder:
    """One stream's bytes in, events out; where the bytes were cut makes no difference.

    max_line: bytes a line or an event's data may have. A server that never ends a line would fill
    the memory, so behind the first that is longer comes one event named `error`, and no other.
    """

    def __init__(self, max_line: int = MAX_LINE) -> None:
        self._max_line = max_line
        self._tail = bytearray()
        self._after_cr = False
        self._first = True
        self._broken = False
        self._name = ""
        self._pending: list[bytes] = []
        self._pending_size = 0

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        events: list[Event] = []
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        head, *rest = data.split(b"\n")
        self._tail += head
        if rest:
            lines = [bytes(self._tail), *rest[:-1]]
            self._tail = bytearray(rest[-1])
            for line in lines:
                self._line(line, events)
        self._check(len(self._tail), events)
        return events

    @property
    def between(self) -> bool:
        """Nothing is held back: whole events may be read past this decoder."""
        held = self._tail or self._pending or self._name or self._after_cr
        return not held and not self._broken

    def finish(self) -> list[Event]:
        """The events that the end of the stream completes."""
        events: list[Event] = []
        if self._tail:
            self._line(bytes(self._tail), events)
            self._tail.clear()
        self._dispatch(events)
        return events

    def _line(self, line: bytes, events: list[Event]) -> None:
        if not self._check(len(line), events):
            return
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if not line:
            self._dispatch(events)
            self._name = ""
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data(value, events)
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")

    def _data(self, value: bytes, events: list[Event]) -> None:
        if value.strip() == DONE:
            self._dispatch(events)
            events.append(Event(DONE, self._name))
        elif not self._pending and _is_object(value):
            events.append(Event(value, self._name))
        else:
            self._pending.append(value)
            self._pending_size += len(value) + 1
            self._check(self._pending_size, events)

    def _dispatch(self, events: list[Event]) -> None:
        data = b"\n".join(self._pending)
        self._pending.clear()
        self._pending_size = 0
        if data:
            events.append(Event(data, self._name))

    def _check(self, size: int, events: list[Event]) -> bool:
        """Whether to go on; breaks off for good behind what is too long."""
        if size > self._max_line and not self._broken:
            self._broken = True
            told = f"The stream has a line of more than {self._max_line} bytes."
            events.append(Event(told.encode(), "error"))
        if self._broken:
            self._tail.clear()
            self._pending.clear()
        return not self._broken


def _is_object(value: bytes) -> bool:
    if not value.lstrip().startswith(b"{"):
        return False
    try:
        _json.decode(value)
    except (ValueError, RecursionError):
        return False
    return True
