"""How answers arrive: tokens with their times and texts, the same ones for the same seed. Pure."""

import random
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate

NAMES = ("steady", "bursty", "slow", "long")
"""steady: 500 tokens at 50 a second. bursty: 500 in bursts with stalls, as proxies make them.
slow: 500 at 12 a second with pauses, a reasoning model. long: 2,000 tokens at 50 a second."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_PARAGRAPH = 70  # tokens
GAP = 0.02
"""Seconds from token to token of a steady answer, on average."""


@dataclass(frozen=True)
class Trace:
    """times: seconds after the first token, in order. texts: the tokens, about 4 characters."""

    times: tuple[float, ...]
    texts: tuple[str, ...]

    @cached_property
    def letters(self) -> tuple[int, ...]:
        """How many letters the first n tokens have, for n = 0, 1, ...; spaces aren't counted,
        because a message may end in one or not."""
        return (0, *accumulate(letters(text) for text in self.texts))

    @cached_property
    def characters(self) -> tuple[int, ...]:
        """How many characters the first n tokens have."""
        return (0, *accumulate(len(text) for text in self.texts))

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return len(self.times)

    @property
    def whole(self) -> int:
        """Letters of all tokens."""
        return self.letters[-1]

    @cached_property
    def solid(self) -> str:
        """The whole text without its spaces."""
        return "".join("".join(self.texts).split())


def letters(text: str) -> int:
    """How many characters of a text are no space."""
    return len(text) - text.count(" ") - text.count("\n")


@lru_cache(maxsize=512)
def trace(name: str, seed: int) -> Trace:
    """The trace of that name (see NAMES)."""
    rng = random.Random(f"{name}:{seed}")
    times = _TIMES[name](rng)
    return Trace(tuple(times), tuple(_text(rng, number) for number in range(len(times))))


def _text(rng: random.Random, number: int) -> str:
    """A token that hardly occurs twice in a row, so that text lost or doubled is noticed."""
    word = "".join(rng.choices(_LETTERS, k=rng.choice((1, 2, 3, 3, 4, 5))))
    return word + ("\n\n" if number % _PARAGRAPH == _PARAGRAPH - 1 else " ")


def _even(rng: random.Random, tokens: int) -> list[float]:
    now, times = 0.0, []
    for _ in range(tokens):
        times.append(now)
        now += rng.gammavariate(4, GAP / 4)
    return times


def _steady(rng: random.Random) -> list[float]:
    return _even(rng, 500)


def _long(rng: random.Random) -> list[float]:
    return _even(rng, 2000)


def _bursty(rng: random.Random) -> list[float]:
    now, times = 0.0, list[float]()
    while len(times) < 500:
        for _ in range(min(rng.randint(8, 60), 500 - len(times))):
            times.append(now)
            now += 0.002
        now += rng.expovariate(1 / 0.8)
        if rng.random() < 0.1:
            now += rng.uniform(1.5, 3.5)
    return times


def _slow(rng: random.Random) -> list[float]:
    now, times = 0.0, []
    for _ in range(500):
        times.append(now)
        now += rng.gammavariate(2, 1 / 12 / 2)
        if rng.random() < 0.006:
            now += rng.uniform(1, 4)
    return times


_TIMES = {"steady": _steady, "bursty": _bursty, "slow": _slow, "long": _long}
