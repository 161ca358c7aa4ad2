"""Lets what arrives on many streams gather, so that it is read at once and not event by event.

What a stream costs is being woken and asking the kernel, not decoding: an event read by itself
costs ten times as much as one read with others. So a connection is left alone while its answer
comes in, until somebody wants to show it (`Arrivals.draw`), or it may be at its end, or it stands
still, or has not been read for a while. Whoever shows it is told when something begins to wait.

Plain connections are paused and looked at together, once a tick: the kernel says which have got
something, and how much. An answer's events differ only in a word, so nothing is read while a
connection grows by one event at a time; what comes at the end ([DONE], counts, the last HTTP chunk)
has another size. What TLS wraps can't be seen from outside: it is taken off the transport as it
comes, but goes no further.
"""

import array
import asyncio
import contextlib
import os
import re
import select
from typing import Self, cast

from aiohttp.client_proto import ResponseHandler

from core.types import Arrivals, nothing

with contextlib.suppress(ImportError):  # Windows has neither these nor epoll
    import fcntl
    import termios

TICK = 0.018
"""Seconds between two looks: so late the end of an answer is noticed."""

HOLD = 3.0
"""Seconds after which what nobody asked for is handed on."""

MOST = 64 * 1024
"""Bytes of one answer that may wait, and that are read at once."""

HELD = 10 * 1024
"""Bytes of it that wait here, and not in the kernel, before they are handed on in their turn; at
once from twice as many on."""

_MORE = 4096  # bytes read beyond those known of
STILL = 3
"""Looks at which nothing new was there, after which what waits is handed on. Each time that this
was no end it is twice as many, up to four times: then words just come slowly."""
_WORD = 10  # bytes by which an event, or several, may be larger than the smallest, or as many of it
_EVENTS = 4  # that may come between two looks, and be words still
_FINISH = re.compile(rb'finish_reason": ?"')
_SIZES = {form % size: size for form in (b"%x", b"%X") for size in range(1, 1024)}
_DONE = b"[DONE]"
_TAIL = 32  # bytes: more than either of these has, or may come behind the last

_unwrapped = memoryview(bytearray(64 * 1024))  # what TLS unwraps, of one stream after the other
_waiting = array.array("i", [0])  # what the kernel answers, for no longer than it is read
_SLICE = 250  # streams looked at one after the other, while the loop waits
_FEW = 8  # handed on then of those that stand still, and of those that have lain for long
_LONG_AGO = -(10**18)  # ticks


def merged(data: bytes) -> bytes:
    """Whole HTTP chunks as one, which costs the parser a fraction; anything else as it came.

    Where one chunk ends and the next begins means nothing (RFC 9112, section 7.1).
    """
    *parts, rest = data.split(b"\r\n")
    sizes, bodies = parts[::2], parts[1::2]
    if rest or len(sizes) != len(bodies) or len(sizes) < 2:
        return data
    if list(map(_SIZES.get, sizes)) != list(map(len, bodies)):  # nor is an empty one: the last
        return data
    body = b"".join(bodies)
    return b"%x\r\n%s\r\n" % (len(body), body)


class Gathering(asyncio.BufferedProtocol):
    """One connection on which an answer comes.

    wanted: the reader waits. While it doesn't, nothing is taken, so that the peer is held up.
    waits: something has come that wasn't handed on; since, grown: the ticks in which the first and
    the latest of it came. seen: bytes that the kernel had at the last look. usual: the smallest
    growth since the last hand-on, that of one word, once there was any. number: the file descriptor
    of a paused connection; -1: there is TLS. left: nothing gathers here any more.
    """

    __slots__ = (
        "_cut", "_owner", "_pieces", "_protocol", "_size", "_still", "arrivals", "grown", "left",
        "number", "seen", "since", "transport", "usual", "waits", "wanted",
    )  # fmt: skip

    def __init__(
        self, owner: "Gatherer", transport: asyncio.Transport, number: int, arrivals: Arrivals
    ) -> None:
        self.wanted = self.waits = False
        self.since = self.grown = self.seen = 0
        self.usual = MOST
        self.transport = transport
        self.number = number
        self._owner = owner
        self._protocol = cast(ResponseHandler, transport.get_protocol())
        self.arrivals = arrivals
        self.left = False
        self._pieces: list[bytes] = []
        self._size = 0
        self._cut = b""  # the end of what came, when it wasn't the end of a line
        self._still = STILL
        arrivals.draw = self.draw

    def look(self, there: int) -> None:
        """So many bytes are there now: read them if they may be more than words."""
        growth = there - self.seen
        if growth <= 0 or not self.wanted:
            return
        self.seen = there
        self._note()
        usual = self.usual
        words = usual <= growth <= usual * _EVENTS + _WORD and growth % usual <= _WORD
        if not words or there > MOST:
            self.usual = growth if growth > usual * _EVENTS else min(growth, usual)
            self._fetch()

    def stands(self) -> bool:
        """Whether nothing more has come for long enough: it may be the end."""
        return self.waits and self.grown <= self._owner.ticks - self._still

    def stood(self) -> None:
        """Hand on what has come, since it may be the end."""
        self._still = min(2 * self._still, 4 * STILL)
        self.draw()

    def draw(self) -> bool:
        """Hand on what has come; False: nothing had, or nobody reads."""
        if not self.wanted:
            return False
        found = self.waits
        if self.number >= 0 and self._fetch():
            found = True
        self._hand_on()
        return found

    def rest(self) -> None:
        """The reader has what there was. aiohttp resumes a transport whenever something is read."""
        self.wanted = False
        if self.number >= 0 and not self.left and not self.transport.is_closing():
            self.transport.pause_reading()

    def leave(self) -> None:
        """Hand on what has come; from here on the loop reads as if we had not been."""
        if self.left:
            return
        self.left = True
        self.arrivals.draw = nothing
        self._owner.forget(self)
        if self.number < 0 and not self.transport.is_closing():
            self.transport.set_protocol(self._protocol)
        self._hand_on()
        if self.number >= 0 and not self.transport.is_closing():
            self.transport.resume_reading()

    def _note(self) -> None:
        self.grown = self._owner.ticks
        if not self.waits:
            self.waits = True
            self.since = self.grown
        self.arrivals.coming()

    def _fetch(self) -> bool:
        """Read what the kernel has; leave the connection to the loop when that is its end. Whether
        there was anything. From a peer that sends faster than that no more than may wait: the rest
        stays in the kernel and holds it up, and everybody else gets a turn.
        """
        size, room = self.seen + _MORE, MOST
        self.seen = 0
        while not (self.transport.is_closing() or self.transport.is_reading()):
            size = min(size, room)
            try:
                data = os.read(self.number, size)
            except BlockingIOError:
                return room < MOST
            except OSError:  # what it is, the transport finds out again
                break
            if not data:
                break
            self._take(data)
            room -= len(data)
            if len(data) < size or not room:
                return True
        self.leave()
        return room < MOST

    def _take(self, data: bytes) -> None:
        self._pieces.append(data)
        self._size += len(data)
        seen = self._cut + data if self._cut else data
        self._cut = b"" if data.endswith(b"\n") else seen[-_TAIL:]
        if self._size > 2 * HELD or _DONE in seen[-_TAIL:] or _FINISH.search(seen):
            self._hand_on()
        elif self._size > HELD:
            self.since = _LONG_AGO

    def _hand_on(self) -> None:
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._size, self.waits, self.usual = 0, False, MOST
        if data:
            self._protocol.data_received(merged(data))

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where TLS is to put what it unwraps, for no longer than until it says so."""
        return _unwrapped

    def buffer_updated(self, nbytes: int) -> None:
        """It has."""
        self._note()
        self._take(bytes(_unwrapped[:nbytes]))
        if not self.wanted:
            self._hand_on()

    def eof_received(self) -> None:
        """The peer says nothing more."""
        self.leave()
        self._protocol.eof_received()

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self.leave()
        self._protocol.connection_lost(error)

    def pause_writing(self) -> None:
        """The peer doesn't read fast enough."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """It does again."""
        self._protocol.resume_writing()


class Gatherer:
    """All connections of one client. ticks: so many looks were taken."""

    def __init__(self, hold: float = HOLD) -> None:
        self.ticks = 0
        self._held = max(1, round(min(hold, HOLD) / TICK))
        self._poll: select.epoll | None = None
        self._paused: dict[int, Gathering] = {}
        self._wrapped: set[Gathering] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._round: list[Gathering] = []  # those that are still to be looked at in this tick
        self._due = 0.0  # when the next look is taken

    def __enter__(self) -> Self:
        with contextlib.suppress(AttributeError):  # there is no epoll but on Linux
            self._poll = select.epoll()
            asyncio.get_running_loop().add_reader(self._poll.fileno(), self._closed)
        return self

    def __exit__(self, *_: object) -> None:
        for each in [*self._paused.values(), *self._wrapped]:
            each.leave()
        if self._poll is not None:
            asyncio.get_running_loop().remove_reader(self._poll.fileno())
            self._poll.close()

    def gather(self, transport: asyncio.Transport | None, arrivals: Arrivals) -> Gathering | None:
        """From here on what comes gathers; None where that can't be done."""
        if self._poll is None or transport is None or transport.is_closing():
            return None
        if transport.get_extra_info("sslcontext") is not None:
            each = Gathering(self, transport, -1, arrivals)
            transport.set_protocol(each)
            self._wrapped.add(each)
        elif (inner := transport.get_extra_info("socket")) is not None:
            each = Gathering(self, transport, inner.fileno(), arrivals)
            transport.pause_reading()
            self._poll.register(each.number, select.EPOLLRDHUP)
            self._paused[each.number] = each
            asyncio.get_running_loop().call_soon(self._ask, [each])  # a short answer is all there
        else:
            return None
        if self._timer is None:
            self._due = asyncio.get_running_loop().time()
            self._go_on()
        return each

    def forget(self, each: Gathering) -> None:
        """Look at a connection no more."""
        self._wrapped.discard(each)
        if self._poll is not None and self._paused.get(each.number) is each:
            del self._paused[each.number]
            with contextlib.suppress(OSError):  # somebody closed it
                self._poll.unregister(each.number)

    def _closed(self) -> None:
        """Peers have closed paused connections, or these broke."""
        if self._poll is not None:
            for number, _ in self._poll.poll(0):
                if (each := self._paused.get(number)) is not None:
                    each.leave()

    def _go_on(self) -> None:
        """Look again, at an even pace whatever a look takes; at many streams in slices."""
        loop = asyncio.get_running_loop()
        slices = -(-(len(self._paused) + len(self._wrapped)) // _SLICE)
        self._due = max(self._due + TICK / max(1, slices), loop.time())
        self._timer = loop.call_at(self._due, self._look)

    def _look(self) -> None:
        self._timer = None
        if not self._round:
            self.ticks += 1
            self._round = [*self._paused.values(), *self._wrapped]
        part, self._round = self._round[:_SLICE], self._round[_SLICE:]
        standing, lying = self._ask([each for each in part if not each.left])
        for each in standing[:_FEW]:
            each.stood()
        for each in lying[:_FEW]:
            each.draw()
        if self._paused or self._wrapped:
            self._go_on()

    def _ask(self, streams: list[Gathering]) -> tuple[list[Gathering], list[Gathering]]:
        """Look at connections; those whose text stands still, and those where it has lain for long.

        Each event of each answer costs what is done here for a word.
        """
        ioctl, how_much, answer = fcntl.ioctl, termios.FIONREAD, _waiting
        ticks, late = self.ticks, self.ticks - self._held
        standing, lying = [], []
        for each in streams:
            growth = 0
            if each.number >= 0:
                try:
                    ioctl(each.number, how_much, answer)
                except OSError:  # somebody closed it
                    each.leave()
                    continue
                growth = answer[0] - each.seen
            if not growth:
                if each.stands():
                    standing.append(each)
            elif 0 <= growth - each.usual <= _WORD and each.wanted and each.waits:
                each.seen = answer[0]
                each.grown = ticks
                each.arrivals.coming()
            else:
                each.look(answer[0])
            if each.since <= late and each.waits:
                lying.append(each)
        return standing, lying
