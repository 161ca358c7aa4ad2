"""One answer as its reader sees it: what arrived, what became visible when, what that comes to."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from benchmarks.delivery.traces import Trace

_NEVER = float("inf")


@dataclass
class Answer:
    """Times are seconds of the cell's clock; text counts in letters (see Trace.letters).

    number: 0, 1, ... within the cell. start: when the first token arrives. channel: where it goes.
    steps: (time, letters visible from then on); an old text may land on a newer one.
    whole: the text at the end is the answer's, nothing lost or doubled.
    lane: how it was delivered, in a word.
    """

    number: int
    start: float
    trace: Trace
    channel: int
    steps: list[tuple[float, int]] = field(default_factory=list)
    calls: int = 0
    refused: int = 0
    whole: bool = False
    lane: str = ""

    @property
    def size(self) -> int:
        """Tokens of the whole answer."""
        return self.trace.size

    @property
    def end(self) -> float:
        """When the last token arrives."""
        return self.start + self.trace.times[-1]

    def arrived(self, now: float) -> int:
        """How many tokens are there."""
        return bisect_right(self.trace.times, now - self.start + 1e-9)

    def at(self, token: int) -> float:
        """When the token with this number (from 0) arrives."""
        return self.start + self.trace.times[token]

    def show(self, tokens: int, now: float) -> None:
        """The message shows so many tokens from now on."""
        self.steps.append((now, self.trace.letters[tokens]))
        self.whole = tokens == self.size

    def visible(self) -> list[tuple[float, int]]:
        """The steps at which more became visible than ever before."""
        rising, most = list[tuple[float, int]](), 0
        for now, letters in sorted(self.steps):
            if letters > most:
                rising.append((now, letters))
                most = letters
        return rising


@dataclass(frozen=True)
class Measure:
    """What a policy came to in one cell; seconds, means over all answers.

    staleness: mean over characters of (visible - arrived), of those that became visible.
    first: from the first token to the first text. lag: from the last token to the whole text.
    worst: the staleness of the worst answer. unfinished: share of answers never shown whole.
    calls, refused: for each answer.
    """

    staleness: float
    first: float
    lag: float
    worst: float
    unfinished: float
    calls: float
    refused: float


def measure(answers: Sequence[Answer]) -> Measure:
    """The means over the answers of one or more runs of a cell."""
    waits = [_waits(answer) for answer in answers]
    seen = sum(letters for _, letters in waits)
    finished = [answer for answer in answers if answer.whole]
    seen_steps = [(answer, steps) for answer in answers if (steps := answer.visible())]
    return Measure(
        staleness=sum(wait for wait, _ in waits) / seen if seen else _NEVER,
        first=_mean([steps[0][0] - answer.start for answer, steps in seen_steps]),
        lag=_mean([answer.visible()[-1][0] - answer.end for answer in finished]),
        worst=max((wait / letters for wait, letters in waits if letters), default=_NEVER),
        unfinished=1 - len(finished) / len(answers),
        calls=fmean(answer.calls for answer in answers),
        refused=fmean(answer.refused for answer in answers),
    )


def _waits(answer: Answer) -> tuple[float, int]:
    """Letter-seconds waited, and the letters that became visible."""
    steps, step = answer.visible(), 0
    letters = answer.trace.letters
    waited, seen = 0.0, 0
    for token in range(answer.size):
        while step < len(steps) and steps[step][1] < letters[token + 1]:
            step += 1
        if step == len(steps):
            break
        size = letters[token + 1] - letters[token]
        waited += size * (steps[step][0] - answer.at(token))
        seen += size
    return waited, seen


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else _NEVER
