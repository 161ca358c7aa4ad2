"""The parts of one answer."""

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
