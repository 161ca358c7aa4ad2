"""The text of an answer as parts: those that are final, and the one that still grows. Pure."""

import re
from collections.abc import Callable

from core.delivery.markup import Splitter, completed

SMALLEST = 200
"""Units below which a part isn't made smaller."""
_MERE_END = re.compile(r"""[\s.,;:!?…。！？、)\]}"'»”’」』*_~`]*""")
"""Signs that end a sentence or what is open: not worth a message where one can't have them."""


class Parts:
    """The parts of one answer. size, measure: see `Splitter`.

    settled, here: how many of them show their final text, counted from the first one.
    finished: no more text comes.
    """

    def __init__(self, size: int, measure: Callable[[str], int]) -> None:
        self.finished = False
        self._size = size
        self._measure = measure
        self.clear()

    def clear(self) -> None:
        """No text at all."""
        self._splitter = Splitter(self._size, self._measure)
        self._before: list[str] = []  # texts of parts settled before the rest was split anew
        self._final: list[str] = []  # all texts, once finished
        self._notice = ""

    def feed(self, text: str) -> None:
        """More of the text."""
        self._splitter.feed(text)

    def finish(self, settled: int, notice: str = "") -> None:
        """No more of it. notice: shown beneath the last part, behind it where it doesn't fit."""
        self.finished, self._notice = True, notice
        self._conclude(settled)

    @property
    def texts(self) -> list[str]:
        """The final texts that are known."""
        if self._final:
            return list(self._final)
        return self._before + [part.text for part in self._splitter.sealed if part.text]

    @property
    def filling(self) -> bool:
        """As `Splitter.filling`."""
        return self._splitter.filling

    @property
    def near_full(self) -> bool:
        """As `Splitter.near_full`."""
        return self._splitter.near_full

    def open(self, *, grows: bool) -> str:
        """What can be shown of the part that grows. grows: it can only be added to."""
        splitter = self._splitter
        return splitter.growing().rstrip() if grows else splitter.interim()

    def shrink(self, settled: int) -> bool:
        """Split what isn't settled at 3/4 of the size. False: small enough.

        Also False for a part that was settled when the rest was split anew before: its source is
        not kept, and what was shown is not to be lost.
        """
        if self._size <= SMALLEST or settled < len(self._before):
            return False
        self._size = max(SMALLEST, self._size * 3 // 4)
        self._split_anew(settled, self._rest(settled))
        return True

    def leave(self, settled: int, shown: str, least: int) -> bool:
        """End the first part that isn't settled with what is shown of it: as `Splitter.leave`.
        Where it is False, nothing changes.
        """
        if settled < len(self._before):
            return False
        rest = self._rest(settled)
        if not rest.leave(shown, least):
            return False
        self._split_anew(settled, rest)
        return True

    def keep(self, settled: int, shown: str | None) -> bool:
        """End the first part that isn't settled with what its message says, for ever. What is
        missing begins the next one; all of it where `shown` is None or isn't its beginning.

        False: that is how it ends, so nothing changes.
        """
        texts = self.texts
        ends = texts[settled].split() if settled < len(texts) else None  # nobody sees other blanks
        if settled < len(self._before) or (shown and shown.split() == ends):
            return False
        rest = self._rest(settled)
        if shown is None or not rest.leave(shown, 0):
            shown = ""
        source, carry = rest.rest
        self._before = [*texts[:settled], shown]
        self._splitter = Splitter(self._size, self._measure, carry)
        self._splitter.feed(source)
        if self.finished:
            self._conclude(settled + 1)
        return True

    def cut(self, settled: int, shown: str) -> int:
        """Drop what comes after what is shown of the first part that isn't settled, as if no more
        had come yet; returns how many characters that is.
        """
        texts, rest = self.texts, self._rest(settled)
        if settled < len(self._before) or not rest.leave(completed(shown), 0):
            return 0
        last = rest.sealed[-1]
        self._before, self._final, self.finished = texts[:settled], [], False
        self._splitter = Splitter(self._size, self._measure, last.carry)
        self._splitter.feed(last.source.rstrip())
        return len(rest.rest[0])

    def _rest(self, settled: int) -> Splitter:
        """All text that isn't settled, not split yet."""
        sealed, skip = list(self._splitter.sealed), settled - len(self._before)
        while skip and sealed:
            skip -= bool(sealed.pop(0).text)
        source, carry = self._splitter.rest
        rest = Splitter(self._size, self._measure, sealed[0].carry if sealed else carry)
        rest.feed("".join(part.source for part in sealed) + source)
        return rest

    def _split_anew(self, settled: int, rest: Splitter) -> None:
        self._before, self._splitter = self.texts[:settled], rest
        if self.finished:
            self._conclude(settled)

    def _conclude(self, settled: int) -> None:
        source, _ = self._splitter.rest
        follows = self._before and self._before[-1] and not self._splitter.sealed
        if follows and _MERE_END.fullmatch(source):
            self._splitter = Splitter(self._size, self._measure)
        self._splitter.finish()
        self._final = []
        final = self.texts
        if self._notice:
            joined = final[-1].rstrip("\n") + f"\n\n{self._notice}" if final else self._notice
            fits = self._measure(joined) <= self._size
            if len(final) > settled and fits:
                final[-1] = joined
            else:
                final.append(self._notice)
        self._final = final
