"""What is measured from outside: what the stand-ins showed, as letters of the answer."""

from benchmarks.delivery.answers import Answer, measure
from benchmarks.delivery.traces import Trace
from benchmarks.delivery_live.play import steps, whole

ANSWER = Answer(0, 100.0, Trace((0.0, 1.0, 2.0), ("one ", "two\n\n", "three ")), 0)


def test_only_what_reads_as_the_answer_is_seen() -> None:
    first = [(99.0, "thinking"), (100.5, "one"), (101.5, "one two"), (104.0, "one two")]
    second = [(103.0, "three")]
    assert steps([first, second], ANSWER) == [(100.5, 3), (101.5, 6), (103.0, 11), (104.0, 11)]
    assert whole([first, second], ANSWER)
    assert not whole([first], ANSWER)
    assert not whole([first, second, second], ANSWER)


def test_the_figures_are_those_of_the_laboratory_s_measure() -> None:
    ANSWER.steps = steps([[(100.5, "one"), (102.0, "one two"), (103.0, "one two three")]], ANSWER)
    ANSWER.whole = True
    found = measure([ANSWER])
    assert found.staleness == (3 * 0.5 + 3 * 1.0 + 5 * 1.0) / 11
    assert (found.first, found.lag, found.unfinished) == (0.5, 1.0, 0.0)
