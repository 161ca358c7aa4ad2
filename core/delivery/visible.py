"""What the messages of one answer say, as far as that is known. Pure."""

from collections.abc import Collection, Sequence


class Visible:
    """By the index of the part. former: indexes of parts that a former process may have written."""

    def __init__(self, former: Collection[int]) -> None:
        self._former = former
        self._sure: dict[int, str] = {}
        self._last: dict[int, str] = {}  # what was confirmed last
        self._lost: dict[int, list[str]] = {}  # what calls carried that got no answer

    def surely(self, index: int) -> str | None:
        """What is visible without a doubt."""
        return self._sure.get(index)

    def last(self, index: int) -> str | None:
        """What was visible last without a doubt, whatever may have landed since."""
        return self._last.get(index) or self.says(index)

    def says(self, index: int) -> str | None:
        """What the message says, should there be one, as it can't say anything else."""
        texts = self.doubtful(index)
        ours = index in self._last or index not in self._former
        return texts[0] if ours and len(texts) == 1 else None

    def doubtful(self, index: int) -> Sequence[str]:
        """All that it may say, but for what a former process wrote; the newest last."""
        last, lost = self._last.get(index), self._lost.get(index, [])
        confirmed = [] if last is None else [last]
        texts = [*lost, *confirmed] if index in self._sure else [*confirmed, *lost]
        return list(dict.fromkeys(reversed(texts)))[::-1]

    def made(self, index: int, text: str) -> None:
        """The message was posted just now, and says this: whatever else was posted isn't it."""
        self._lost.pop(index, None)
        self.confirmed(index, text)

    def confirmed(self, index: int, text: str) -> None:
        """A call went through, and shows this."""
        self._sure[index] = self._last[index] = text

    def failed(self, index: int) -> None:
        """A call didn't."""
        self._sure.pop(index, None)

    def lost(self, index: int, text: str) -> None:
        """A call that carries this got no answer: it may have landed, or may yet."""
        self.failed(index)
        self._lost.setdefault(index, []).append(text)

    def recheck(self) -> None:
        """Nothing is without a doubt any more."""
        self._sure.clear()
