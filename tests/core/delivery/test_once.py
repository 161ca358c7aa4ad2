"""Everything is to be seen once and in order: whatever an answer is made of, whatever the platform
refuses, and whoever goes on."""

import asyncio
import re
from collections.abc import Callable

import pytest

from core.ports import Posted
from core.types import PartId
from tests.core.delivery.session import Session
from tests.core.delivery.test_left_behind import Editing
from tests.core.delivery.test_untouchable import LANDED, Sealing, written
from tests.fakes.clock import run
from tests.fakes.thread import AbleThread, Fault

NAMES = [f"q{number:02d}" for number in range(60)]

ANSWERS = {
    "prose": [f"{name} " for name in NAMES],
    "parts": [f"The {name} is a word of many, and this is what it says. " for name in NAMES],
    "code": ["See:\n\n```py\n", *[f"{name} = 1\n" for name in NAMES], "```\n\nThat's it."],
    "ends in code": ["```py\n", *[f"{name} = 1\n" for name in NAMES], "```"],
    "table": ["|a|b|\n|-|-|\n", *[f"|{name}|1|\n" for name in NAMES]],
    "list": [f"1. **{name}** and so on\n" for name in NAMES],
    "emphasis": ["So **", *[f"{name} " for name in NAMES], "end** of it."],
}


def stuck() -> Sealing:
    """Has streams that nobody can end."""
    thread = Sealing(0.0)
    thread.streams, thread.stops = True, False
    return thread


PLATFORMS: dict[str, Callable[[], AbleThread]] = {
    "takes no edit": lambda: Sealing(0.0),
    "takes no edit any more": lambda: Sealing(3.0),
    "can't end a stream": stuck,
    "refuses edits for long": lambda: Editing(since=2.0, edit=14.0),
}


def names(texts: list[str]) -> list[str]:
    """What the messages say, read one after the other; a name may be cut by two of them."""
    marks = re.compile(r"```(?:py)?|\|a\|b\|\n\|-\|-\||\*\*|\s")
    return re.findall(r"q\d\d", "".join(marks.sub("", text) for text in texts))


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("fault", [None, LANDED], ids=["", "its post is found"])
def test_of_one_process(answer: str, platform: str, fault: Fault | None) -> None:
    thread = PLATFORMS[platform]()
    thread.faults.append(fault)
    written(thread, ANSWERS[answer])
    assert names(thread.visible) == NAMES


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("shown", [False, True], ids=["it grew", "all was shown"])
def test_of_two_processes(answer: str, platform: str, shown: bool) -> None:
    """What the first one left and nobody can touch stays; all of the answer follows, unless it was
    all there.
    """
    thread, pieces = PLATFORMS[platform](), ANSWERS[answer]
    thread.faults.extend([LANDED] * shown)
    before: list[str] = []

    async def main() -> None:
        session = Session(thread)
        writing = asyncio.create_task(session.stream(pieces, pause=0.1))
        await asyncio.sleep(20.0 if shown else 3.5)
        writing.cancel()
        await asyncio.wait({writing})
        assert bool(session.journal.waits) == (names(thread.visible) == NAMES) == shown
        if isinstance(thread, Sealing) and not shown:
            before.extend(thread.visible)
        parts = dict(session.journal.entries).items()
        posted = tuple(Posted(index, PartId(part) if part else None) for index, part in parts)
        settles_in = 5.0 if shown else None
        await Session(thread, posted=posted, settles_in=settles_in).stream(pieces)

    run(main())
    assert thread.visible[: len(before)] == before
    assert names(thread.visible[len(before) :]) == NAMES
