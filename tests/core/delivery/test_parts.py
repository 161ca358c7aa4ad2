"""The parts of one answer."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.delivery.parts import Parts
from tests.core.delivery.markdown import documents


@given(documents, st.sampled_from([60, 97, 400]), st.integers(1, 9), st.booleans())
@example("word " * 40, 97, 1, False)
@settings(max_examples=150, deadline=None)
def test_a_part_that_cannot_be_left_shows_what_it_showed(
    text: str, size: int, step: int, grows: bool
) -> None:
    parts = Parts(size, len)
    for at in range(0, len(text), step):
        parts.feed(text[at : at + step])
        shown, sealed = parts.open(grows=grows), parts.texts
        assert not parts.leave(len(sealed), "what it never said", 1)
        assert (parts.open(grows=grows), parts.texts) == (shown, sealed)


@pytest.mark.parametrize("finished", [False, True])
def test_what_was_settled_before_the_rest_was_split_anew_stays(finished: bool) -> None:
    """Its source is not kept; in doubt again, it is shown as it is."""
    parts = Parts(1_000, len)
    for settled, text in enumerate(("one two ", "three four ")):
        parts.feed(text)
        assert parts.leave(settled, text.rstrip(), 0)
    parts.feed("five six")
    if finished:
        parts.finish(2)
    before = parts.texts, parts.open(grows=False)
    for shown in ("one two", "one", "three four", "five"):
        parts.keep(0, shown)
        assert parts.cut(0, shown) == 0
        assert not parts.leave(0, shown, 0)
        assert not parts.shrink(0)
        assert (parts.texts, parts.open(grows=False)) == before
