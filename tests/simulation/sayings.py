"""What people write in a schedule, and how they change it afterwards. Drawn from its seed."""

import random
from dataclasses import dataclass, field, replace

from core.store.sql import SqlTurns
from core.types import Prompt, ThreadKey
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


def sayings_of(rng: random.Random, regime: Regime, weather: Weather) -> list[Saying]:
    """Everything that is written in a schedule, in its order."""
    at, result = 0.0, []
    threads: set[str] = set()
    for number in range(rng.randint(2, 4)):
        at += rng.choice((0.0, 0.5, 5.0, 30.0))
        site = rng.choice(regime.sites)
        thread = f"sim:{site}:{rng.randint(1, 2)}"
        follows = site == "slack" and thread in threads and rng.random() < _FOLLOW_UP
        threads.add(thread)
        result.append(_saying(rng, weather, site, thread, number, at, follow_up=follows))
    if rng.random() < weather.poison:
        result.append(_poison(rng, result[-1]))
    if rng.random() < weather.burst:
        at += rng.choice((0.0, 2.0))
        numbers = range(10, 10 + rng.randint(9, 14))
        result += [_saying(rng, weather, site, thread, number, at) for number in numbers]
    return result


def _poison(rng: random.Random, before: Saying) -> Saying:
    """A message after the last one, which nobody changes."""
    last = before.prompt
    kind = EARLY if _PARKS and rng.random() < 0.5 else POISON
    text = f"[{last.thread}] {kind}"
    prompt = replace(
        last, identity=f"{last.thread}:9", sequence="000009", text=text, address=str(before.at)
    )
    return Saying(before.at + rng.choice((0.0, 5.0)), prompt, text)


def _saying(
    rng: random.Random,
    weather: Weather,
    site: str,
    thread: str,
    number: int,
    at: float,
    *,
    follow_up: bool = False,
) -> Saying:
    text = "" if rng.random() < 0.04 else f"[{thread}] p{number}"
    prompt = Prompt(
        platform=site,
        thread=ThreadKey(thread),
        identity=f"{thread}:{number}",
        sequence=f"{number:06d}",
        author="",
        text=text,
        asked_at=at,
        address=str(at),
        follow_up=follow_up,
    )
    saying = Saying(at, prompt, text)
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
