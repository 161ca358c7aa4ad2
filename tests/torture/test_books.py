"""The books know an answer that had to go on in a new message, and nothing else, as a whole one."""

from tests.torture.books import joined

ONE, OTHER = "About q1: word0 word1 and q1.", "About q2: word0 and q2."


def test_an_answer_in_two_messages_is_one() -> None:
    shown = [OTHER, "About q1: word0 ", "word1 and q1."]
    assert joined(shown, [ONE, OTHER]) == [OTHER, ONE, ""]


def test_a_word_that_is_cut_is_one_as_well() -> None:
    assert joined(["About q1: wo", "rd0 word1 a", "nd q1."], [ONE]) == [ONE, "", ""]


def test_what_is_lost_doubled_mixed_or_out_of_order_stays_in_sight() -> None:
    for shown in (
        ["About q1: word0 ", "and q1."],
        ["About q1: word0 ", "word0 word1 and q1."],
        ["About q1: word0 ", OTHER, "word1 and q1."],
        ["word1 and q1.", "About q1: word0 "],
        [ONE, "About q1: word0 ", "word1 and q1."],
    ):
        assert joined(shown, [ONE, OTHER]) == shown
