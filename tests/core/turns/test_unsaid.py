"""What reaches the operator of a complaint that may repeat the request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.turns.unsaid import unsaid

LONG = """I have an invalid ticket and want the temperature of the city as a value. Is there a valid
range of dates? The model exists, the content is at risk, and a message of mine was not found."""
SECRET = "My password is hunter2, see Ünïcode, 我的密码是天空 and 😀"


@pytest.mark.parametrize(
    ("complaint", "left"),
    [
        ("Model Not Exist", "Model Not Exist"),
        ("maximum context length is 65536 tokens", "maximum context length is 65536 tokens"),
        ("invalid content: 'My password is hunter2, see'", "invalid content: '…'"),
        ("invalid content: 'password is hunt", "invalid content: '…"),
        ("invalid content: hunter2 is it", "invalid content: … is it"),
        ("HUNTER2 and hunt", "… and …"),
        ("no emoji: 😀!", "no emoji: …!"),
        ('{"content": "line\\nhunter2\\npassword"}', '{"content": "line …"}'),
        ("refused \\u6211\\u7684: no", "refused …: no"),
        ("内容 天空 不合法", "内容 … 不合法"),
        ("ünïcode", "…"),
        ("", ""),
    ],
)
def test_words_that_were_said_are_left_out_and_others_stay(complaint: str, left: str) -> None:
    assert unsaid(complaint, ["Hello", SECRET]) == left


@pytest.mark.parametrize(
    ("complaint", "left"),
    [
        ("Content Exists Risk", "Content Exists Risk"),
        ("Model Not Exist", "Model Not Exist"),
        (
            "Invalid temperature value, the valid range of temperature is [0, 2]",
            "Invalid … value, the valid range of … is [0, 2]",
        ),
        ("message of a ticket", "message of a …"),
        ("content: the temperature of the city", "content: …"),
        ("The content is at risk", "The content is at risk"),
    ],
)
def test_the_words_of_every_complaint_stay_however_much_was_said(complaint: str, left: str) -> None:
    assert unsaid(complaint, [LONG]) == left


@given(st.text(alphabet="abcdefg 我们天空", min_size=3), st.text(max_size=20), st.data())
def test_no_piece_of_a_word_that_was_said_is_repeated(
    said: str, before: str, data: st.DataObject
) -> None:
    begin = data.draw(st.integers(0, len(said)))
    piece = said[begin : begin + 30]
    left = unsaid(f"{before} {piece} .", [said])
    words = [word for word in piece.split() if len(word) >= 3 or not word.isascii()]
    assert not [word for word in words if word in left.removeprefix(before)]
