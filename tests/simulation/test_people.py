"""People do everything in the schedules that is checked there, and the report says what came."""

from collections import Counter
from dataclasses import replace

import pytest

from core.lifecycle import State
from core.ports import Amended, Turn
from core.types import Prompt, ThreadKey
from tests.simulation.books import MOST_OPEN, Books
from tests.simulation.people import gone
from tests.simulation.places import EPOCH
from tests.simulation.report import Report, played
from tests.simulation.sayings import Saying
from tests.simulation.schedule import play
from tests.simulation.weather import CALM, Weather
from tests.simulation.world import POINTS

_SIZE = 250


def test_people_and_platforms_do_all_that_is_checked() -> None:
    report = played(40_000, _SIZE)
    assert not report.bad, "\n".join(report.lines())
    for what in ("edited", "erased", "locked out", "crowded", "read back"):
        assert report.hits[what], report.hits
    assert any(what.startswith("for good") for what in report.hits), report.hits
    assert report.points["poison"] > 1
    assert report.points.keys() <= POINTS, report.points.keys() - POINTS


def test_a_burst_in_good_weather_is_answered_in_order_and_refused_beyond_ten() -> None:
    one = play(0, replace(CALM, burst=1.0))
    assert not one.problems
    assert one.prompts > MOST_OPEN
    assert one.hits["crowded"]


def test_a_prompt_that_kills_ends_in_a_notice() -> None:
    one = play(3, replace(Weather(), poison=1.0, erased=0.0))
    assert not one.problems
    assert one.points["poison"] == 3


def test_the_report_names_the_points_that_were_hardly_hit() -> None:
    often = Counter(dict.fromkeys(POINTS, 10)) - Counter({"asleep": 1, "poison": 10})
    *_, rare, never = Report(points=often).lines()
    assert rare == "points hit fewer than 10 times: asleep, poison"
    assert never == "points never hit: poison"


def _prompt(number: int) -> Prompt:
    return Prompt(
        platform="slack",
        thread=ThreadKey("t"),
        identity=f"t:{number}",
        sequence=f"{number:06d}",
        author="",
        text=f"p{number}",
        asked_at=0.0,
        address="",
    )


@pytest.mark.parametrize(
    ("asked", "follow_up", "deleted", "expected"),
    [
        (5.0, False, False, False),
        (0.0, False, False, False),
        (65.0, False, False, True),  # an edit made it a question later (seed 2005998)
        (5.0, True, False, True),
        (5.0, False, True, True),
    ],
)
def test_a_remark_before_there_was_a_question_follows_nothing(
    *, asked: float, follow_up: bool, deleted: bool, expected: bool
) -> None:
    first = Saying(asked, replace(_prompt(1), follow_up=follow_up), "p1", deleted=deleted)
    remark = replace(_prompt(2), follow_up=True, asked_at=EPOCH + 5.0)
    assert gone(remark, [first, Saying(5.0, remark, "p2")]) is expected


def _turn(number: int, *, crowded: bool = False) -> Turn:
    return Turn(
        id=number,
        prompt=_prompt(number),
        state=State.CLAIMED,
        attempts=0,
        fence=1,
        crowded=crowded,
    )


def test_the_books_know_who_is_one_too_many() -> None:
    wrong: list[str] = []
    books = Books(wrong.append)
    for number in range(MOST_OPEN + 1):
        books.note("accept", (_prompt(number), 0.0), result=True)
    books.note("claim", (), _turn(0))
    books.note("claim", (), _turn(MOST_OPEN, crowded=True))
    assert not wrong
    books.note("claim", (), _turn(MOST_OPEN))
    books.note("claim", (), _turn(1, crowded=True))
    assert wrong == ["I2 taken in beyond ten: t:10", "I2 refused before ten: t:1"]


def test_the_books_know_which_text_has_to_be_answered() -> None:
    books = Books(lambda _: None)
    books.note("accept", (_prompt(1), 0.0), result=True)
    books.note("amend", ("t:1", "first"), Amended(known=True))
    books.note("amend", ("t:1", "second"), Amended(known=True))
    assert books.cases["t:1"].texts == ["second"]
    books.note("announce", (_turn(1), 0), None)
    books.note("amend", ("t:1", "third"), Amended(known=True))
    assert (books.cases["t:1"].texts, books.cases["t:1"].text) == (["second", "third"], "third")


def test_the_books_notice_work_for_a_deleted_prompt_and_a_second_question() -> None:
    wrong: list[str] = []
    books = Books(wrong.append)
    books.note("accept", (_prompt(1), 0.0), result=True)
    books.note("answer", (_turn(1),), None)
    books.note("attempt", (_turn(1),), 2)
    books.note("withdraw", ("t:1", 0.0), result=True)
    books.note("announce", (_turn(1), 0), None)
    assert wrong == [
        "I7 asked again after its answer was committed: t:1",
        "worked on after it was deleted: announce of t:1",
    ]
