"""What people write in a schedule, and how they change it afterwards. Drawn from its seed."""

import random
from dataclasses import dataclass, field, replace

from core.store.sql import SqlTurns
from core.types import Prompt, ThreadKey
from tests.simulation.places import EPOCH, Places, may_change
from tests.simulation.weather import Regime, Weather

POISON, EARLY = "poison", "early poison"
"""In a text: whoever asks the API, or only means to, dies of it."""
_PARKS = hasattr(SqlTurns, "park")
"""Deaths before the first attempt are counted."""
_FOLLOW_UP = 0.5
"""Share of the later messages of a Slack thread that do not name the bot."""
_TWICE = 0.3
_AFTER = (0.0, 0.3, 1.0, 3.0, 10.0, 60.0)
"""Seconds after which something is edited or deleted."""


@dataclass
class Saying:
    """A message as the platform keeps it, which shows its newest text until it is deleted.

    changes: seconds after it was written, and the new text; empty for the deletion. named: it
    addresses the bot; else only its first edit makes it a prompt.
    """

    at: float
    prompt: Prompt
    text: str
    changes: list[tuple[float, str]] = field(default_factory=list)
    deleted: bool = False
    named: bool = True


class _Said:
    """What one schedule's people write, as it is drawn."""

    def __init__(self, rng: random.Random, weather: Weather) -> None:
        self._rng = rng
        self._weather = weather
        self._places = Places(rng)

    def saying(
        self, site: str, thread: str, number: int, at: float, *, follow_up: bool = False
    ) -> Saying:
        """A message, with what becomes of it."""
        rng, weather = self._rng, self._weather
        text = "" if rng.random() < 0.04 else f"[{thread}] p{number}"
        prompt = self._prompt(site, thread, number, at, text)
        saying = Saying(at, replace(prompt, follow_up=follow_up), text)
        if not may_change(site, prompt.address):
            return saying
        after = 0.0
        saying.named = rng.random() >= weather.named
        for change in range(1, 3):
            if rng.random() < (weather.edited if change == 1 else _TWICE):
                after += rng.choice(_AFTER)
                saying.changes.append((after, f"[{thread}] p{number} e{change}"))
            else:
                break
        saying.named = saying.named or not saying.changes or follow_up
        if rng.random() < weather.erased:
            saying.changes.append((rng.choice(_AFTER), ""))
        return saying

    def poison(self, before: Saying) -> Saying:
        """A message after the last one, which nobody changes."""
        last, at = before.prompt, before.at + self._rng.choice((0.0, 5.0))
        kind = EARLY if _PARKS and self._rng.random() < 0.5 else POISON
        text = f"[{last.thread}] {kind}"
        return Saying(at, self._prompt(last.platform, last.thread, 9, at, text), text)

    def _prompt(self, site: str, thread: str, number: int, at: float, text: str) -> Prompt:
        identity, address = self._places.address(site, thread, number, at)
        return Prompt(
            platform=site,
            thread=ThreadKey(thread),
            identity=identity,
            sequence=f"{number:06d}",
            author="",
            text=text,
            asked_at=EPOCH + at,
            address=address,
        )


def sayings_of(rng: random.Random, regime: Regime, weather: Weather) -> list[Saying]:
    """Everything that is written in a schedule, in its order."""
    at, result, said = 0.0, [], _Said(rng, weather)
    threads: set[str] = set()
    for number in range(rng.randint(2, 4)):
        at += rng.choice((0.0, 0.5, 5.0, 30.0))
        site = rng.choice(regime.sites)
        thread = f"sim:{site}:{rng.randint(1, 2)}"
        follows = site == "slack" and thread in threads and rng.random() < _FOLLOW_UP
        threads.add(thread)
        result.append(said.saying(site, thread, number, at, follow_up=follows))
    if rng.random() < weather.poison:
        result.append(said.poison(result[-1]))
    if rng.random() < weather.burst:
        at += rng.choice((0.0, 2.0))
        numbers = range(10, 10 + rng.randint(9, 14))
        result += [said.saying(site, thread, number, at) for number in numbers]
    return result
