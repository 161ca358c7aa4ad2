"""The visible answer being written: a pure state machine that says what to post or edit next.

The reader adds text, the writer asks what is due and reports what became of it. At most one call
is under way; the text is bound when it starts; parts become final in order.
"""

from collections.abc import Sequence
from dataclasses import replace

from core.delivery.deliveries import STREAMED, Delivery, How, Stream
from core.delivery.markup import completed
from core.delivery.parts import Parts
from core.delivery.sanitise import clean
from core.delivery.visible import Visible
from core.delivery.waiting import Waiting
from core.ports import Posted
from core.types import Kind, Limits, PartId, Unseen

_ROUNDING = 1e-6


class Reply:
    """One answer on its way into a thread. Times are seconds of one monotonic clock.

    posted: what a former process announced or posted of this reply. Those messages are edited
    instead of new ones being posted, but only to their final text: nobody who has read the
    beginning of an answer sees it begin again.

    A part begun as a native stream is appended to while each text continues the one before. When
    one doesn't, or a stream went wrong, the message is edited, and no more streams are begun.

    begun: some text of this attempt was handed out. finished: no more text will come.
    native: the next part that begins before it is complete begins as a native stream.
    plain: no streams any more. withdrawn: nothing of it is to be seen.
    uncertain: indexes of parts whose post may have landed without our knowing the id.
    inherited: indexes of parts that a former process announced or posted.
    visible: what its messages say. waiting: the text that nobody sees yet.
    whole: its messages say all of it, as a former process split it; untouchable ones stay.
    """

    def __init__(self, limits: Limits, posted: Sequence[Posted] = ()) -> None:
        self.limits = limits
        self.begun = self.finished = self.withdrawn = self.whole = False
        self.native = self.plain = False
        self.uncertain = {post.index for post in posted if post.id is None}
        self._ids = {post.index: post.id for post in posted if post.id is not None}
        self.inherited = frozenset(post.index for post in posted)
        self.visible = Visible(self.inherited)
        self._stays: set[int] = set()  # parts whose message can't be touched, ever
        self._settled = 0  # so many parts are shown for good
        self._flying: Delivery | None = None
        self._started = float("-inf")
        self._stream: Stream | None = None
        self._no_stop_until = float("-inf")
        self._parts = Parts(limits.size, limits.measure)
        self._interim = ""
        self._stale = False  # text came that `_interim` doesn't know
        self._hidden = False  # when it was worked out last, there was nothing new to see in it
        self.waiting = Waiting()

    def add(self, text: str) -> None:
        """More of the answer. The writer should be told."""
        if text and not self.withdrawn:
            self._parts.feed(clean(text))
            self.waiting.came(len(text))
            self._stale = True

    def heard(self, now: float) -> None:
        """Note that what was added came now (else: when the next question is asked)."""
        self.waiting.heard(now)

    def finish(self, notice: str = "") -> None:
        """The answer is complete; saying so again changes nothing.

        notice: shown in a paragraph of its own beneath the text.
        """
        if self.finished:
            return
        self._settle()
        self.finished, self._stale = True, False
        self._parts.finish(self._settled, clean(notice))

    def withdraw(self) -> None:
        """Nothing of it is to be seen: no text is due any more, every message is left over."""
        self.finished = self.withdrawn = True
        self.whole = False
        self._parts.clear()
        self._interim, self._stale = "", False
        self._settled, self._stream = 0, None

    def cut(self) -> int:
        """End with what is visible, to be finished anew; how many characters nobody sees."""
        self._settle()
        self.finished, self._interim, self._stale = False, "", False
        return self._parts.cut(self._settled, self.visible.last(self._settled) or "")

    def restart(self) -> None:
        """Drop the text of a failed attempt. Raises RuntimeError when some of it was shown."""
        if self.begun:
            raise RuntimeError("a reply can't restart: some of its text was handed out already")
        self._parts.clear()
        self._interim, self._stale = "", False
        self.waiting = Waiting()

    def due(self, now: float) -> Delivery | None:
        """The call to make now, its text bound; it is under way until reported."""
        if (plan := self.peek(now)) is None:
            return None
        self.begun, self._flying, self._started = True, plan, now
        self.waiting.clear()
        return plan

    def peek(self, now: float) -> Delivery | None:
        """What `due` would say, without starting anything."""
        plan = self._plan(now)
        return plan if isinstance(plan, Delivery) else None

    def expected(self, now: float) -> Delivery | None:
        """The call that new text will surely want, without the text: what can be shown of it takes
        long to work out. None: `peek` has to tell.
        """
        self.heard(now)
        unsure = self._hidden or self._parts.filling or self._stays
        if self._flying is not None or self.finished or not self._stale or unsure:
            return None
        self._settle()
        index, wait = self._settled, max(self.waiting.debounce(now), self._gap(now))
        known = index in self.uncertain or index in self.inherited
        if wait > _ROUNDING or known or index < len(self._parts.texts):
            return None
        if (part := self._ids.get(index)) is None:
            return self._first(index, "")
        if self._stream is None:
            return Delivery(index, part, "", Kind.INTERIM)
        ends = isinstance(self._end_of_life(now), Delivery)
        if ends or self._parts.near_full or not self._appendable(index):
            return None  # the stream's end may be due, which is counted elsewhere
        return Delivery(index, part, "", Kind.INTERIM, How.APPEND)

    def wait(self, now: float) -> float | None:
        """Seconds until something may be due, 0.0 for now; None: not before something happens."""
        plan = self._plan(now)
        return 0.0 if isinstance(plan, Delivery) else plan

    def unseen(self, now: float) -> Unseen:
        """The text that nobody sees yet."""
        return self.waiting.unseen(now)

    def delivered(self, delivery: Delivery, part: PartId, now: float) -> None:
        """The call went through; `part` is the message that shows the text."""
        self._flying = None
        self._ids[delivery.index] = part
        shows = self.visible.made if delivery.part is None else self.visible.confirmed
        shows(delivery.index, delivery.text)
        self.uncertain.discard(delivery.index)
        if delivery.how is How.START:
            self._stream = Stream(delivery.index, self._started)
        elif delivery.how is not How.APPEND and self._is_open(delivery.index):
            self._stream, self._stale = None, not self.finished

    def refused(self) -> None:
        """The call came too early: the message says what it said before. Newer text may be due."""
        self._flying = None

    def failed(self, delivery: Delivery) -> None:
        """The call failed; what the message shows is unknown now. Newer text may be due."""
        self._flying = None
        self.visible.failed(delivery.index)
        if delivery.how in STREAMED:
            self.go_plain()

    def cut_off(self, delivery: Delivery) -> None:
        """The call got no answer: it may have landed, or may yet."""
        self.failed(delivery)
        self.visible.lost(delivery.index, delivery.text)
        if delivery.part is None:
            self.uncertain.add(delivery.index)

    def stays(self, delivery: Delivery, says: str | None = None) -> None:
        """The message can't be touched, ever: it says what it said before. What is missing follows
        in new messages, each of them whole, as they couldn't be touched either.

        says: what that is, where `visible` doesn't know; None: nobody does, and all of it follows.
        """
        self._flying = None
        if self._is_open(delivery.index):
            self._stream = None
        if self.whole or self.withdrawn:
            self._stays.update(range(delivery.index, len(self._final)))
            return
        if self._parts.keep(delivery.index, self.visible.says(delivery.index) or says):
            self._stays = {i for i in self._stays if i < delivery.index}  # others say other texts
        self._stays.add(delivery.index)
        self.go_plain()

    def begin_native(self, native: bool) -> None:
        """Whether the part that begins next is a native stream."""
        if self.native != native:
            self.native, self._stale = native, not self.finished

    def go_plain(self) -> None:
        """No streams any more: a part that is one goes on by edits."""
        self.plain, self.native, self._stale = True, False, not self.finished

    def end_stream(self, now: float) -> bool:
        """The open stream is stopped, with the text that there is; its message goes on by edits."""
        if self._stream is None or now < self._no_stop_until:
            return False
        self._stream = replace(self._stream, since=float("-inf"))
        return True

    def hold_stop(self, until: float) -> None:
        """A stream can't be stopped before then: what is left is appended meanwhile."""
        self._no_stop_until = until

    def held(self, now: float) -> float:
        """Seconds for which a stream isn't stopped; none or less: it may be."""
        return self._no_stop_until - now

    @property
    def streaming(self) -> bool:
        """A message of it is open as a native stream."""
        return self._stream is not None

    def found(self, index: int, part: PartId | None) -> None:
        """An uncertain post was looked for: here it is, or (None) it never landed."""
        self.uncertain.discard(index)
        if part is not None:
            self._ids[index] = part

    def recheck(self) -> None:
        """What the messages show is in doubt: every part of the finished reply is due again."""
        self.visible.recheck()
        self._settled = 0
        self.go_plain()

    @property
    def known(self) -> frozenset[PartId]:
        """Every message of it whose id is known."""
        return frozenset(self._ids.values())

    def before(self, index: int) -> PartId | None:
        """The message of the part before this one: parts are posted in order. None: not known."""
        return self._ids.get(index - 1)

    @property
    def placed(self) -> bool:
        """Finished, and every part has its message: from here on it takes edits alone."""
        return self.finished and all(index in self._ids for index in range(len(self._final)))

    def shrink(self) -> bool:
        """The platform refused the size: as `Parts.shrink`."""
        self._settle()
        shrunk = self._parts.shrink(self._settled)
        self._stale = (self._stale or shrunk) and not self.finished
        return shrunk

    def leave(self, least: int) -> bool:
        """Go on in a new message: the one that is due can't be touched for too long, and stays as
        it is. False: what it shows isn't sure, or less than `least` letters and digits are missing.
        """
        self._settle()
        index = self._settled
        shown = self.visible.surely(index)
        if self._flying is not None or self._is_open(index) or not shown:
            return False
        left = self._parts.leave(index, shown, least)
        self._stale = (self._stale or left) and not self.finished
        return left

    @property
    def done(self) -> bool:
        """Finished, and everything shown."""
        self._settle()
        return self.finished and self._flying is None and self._settled == len(self._final)

    @property
    def texts(self) -> tuple[str, ...]:
        """The final texts of all parts; of those that are sealed before the reply is finished."""
        return tuple(self._parts.texts)

    @property
    def leftover(self) -> tuple[PartId, ...]:
        """Messages that the finished reply has no text for: a former process's, or all of them."""
        if not self.finished or (self.whole and self._stays):
            return ()
        return tuple(part for index, part in sorted(self._ids.items()) if index >= len(self._final))

    @property
    def _final(self) -> list[str]:
        """The texts of all parts, once finished."""
        return self._parts.texts if self.finished else []

    def _settle(self) -> None:
        """Count the parts that show their final text."""
        for text in self._parts.texts[self._settled :]:
            index = self._settled
            shows = self.visible.surely(index) == text and not self._is_open(index)
            if not shows and index not in self._stays:
                return
            self._settled += 1

    def _plan(self, now: float) -> Delivery | float | None:
        """What is due now, or in how many seconds something may be; None: nothing foreseeable."""
        self.heard(now)
        if self._flying is not None:
            return None
        self._settle()
        if (plan := self._sealed_part(now)) is not None:
            return plan
        if self.finished:
            return None
        ends = self._end_of_life(now)
        if self._stale:
            wait = max(self.waiting.debounce(now), self._gap(now))
            if wait > _ROUNDING and not isinstance(ends, Delivery):
                return wait
            begins = self.native and not self.plain and self._settled not in self._ids
            self._interim = self._parts.open(grows=begins or self._appendable(self._settled))
            self._stale = False
            self._settle()
            ends = self._end_of_life(now)
        due = self._sealed_part(now) or (ends if isinstance(ends, Delivery) else None)
        due = due or self._open_part(now)
        self._hidden = due is None
        if due is None:
            self.waiting.clear()  # nothing to see in it
        return ends if due is None else due

    def _sealed_part(self, now: float) -> Delivery | float | None:
        """The next part whose final text is known."""
        texts = self._parts.texts
        if self._settled == len(texts):
            return None
        index = self._settled
        text, shown = texts[index], self.visible.surely(index)
        if self._appendable(index) and shown is not None and text.startswith(shown):
            return self._last_of_stream(index, text, shown, now)
        return Delivery(index, self._ids.get(index), text, Kind.FINAL)

    def _last_of_stream(self, index: int, text: str, shown: str, now: float) -> Delivery | float:
        """How a stream gets its last text: with its end, but for an end that has to wait."""
        part = self._ids[index]
        if (wait := self._no_stop_until - now) <= _ROUNDING:
            return Delivery(index, part, text, Kind.FINAL, How.STOP, shown)
        if text == shown:
            return wait
        return Delivery(index, part, text, Kind.FINAL, How.APPEND, shown)

    def _end_of_life(self, now: float) -> Delivery | float | None:
        """The end of a stream that has been open for as long as may be; None without a stream."""
        if self._stream is None or self.limits.stream is None:
            return None
        index, shown = self._stream.index, self.visible.surely(self._stream.index)
        ends = max(self._stream.since + self.limits.stream.life, self._no_stop_until)
        if (left := ends - now) > _ROUNDING:
            return left
        if not self._appendable(index) or shown is None:
            return None  # an edit is due
        text = self._interim if self._interim.startswith(shown) else shown
        return Delivery(index, self._ids[index], completed(text), Kind.FINAL, How.STOP, shown)

    def _open_part(self, now: float) -> Delivery | float | None:
        """The part that still grows."""
        index, text = self._settled, self._interim
        shown = self.visible.surely(index)
        if not text or (shown is not None and shown.rstrip() == text.rstrip()):
            return None
        if self._stays or (index in self.inherited and index in self._ids):
            return None
        if (wait := self._gap(now)) > _ROUNDING:
            return wait
        if (part := self._ids.get(index)) is None:
            return self._first(index, text)
        if self._appendable(index) and shown is not None:
            if shown.startswith(text):
                return None
            if text.startswith(shown):
                return Delivery(index, part, text, Kind.INTERIM, How.APPEND, shown)
        return Delivery(index, part, text, Kind.INTERIM)

    def _first(self, index: int, text: str) -> Delivery:
        """What begins a part."""
        how = How.START if self.native and not self.plain else How.POST
        return Delivery(index, None, text, Kind.FIRST, how)

    def _is_open(self, index: int) -> bool:
        """Whether the message of that part is open as a native stream."""
        return self._stream is not None and self._stream.index == index

    def _appendable(self, index: int) -> bool:
        return not self.plain and self._is_open(index)

    def _gap(self, now: float) -> float:
        """Seconds until the growing message may be touched again."""
        if self._settled not in self._ids:
            return 0.0
        stream = self.limits.stream
        gap = stream.gap if stream and self._appendable(self._settled) else self.limits.gap
        return self._started + gap - now
