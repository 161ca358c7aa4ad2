"""What reaches the operator of a complaint that may repeat the request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.turns.unsaid import unsaid

SECRET = "My password is hunter2, see Ünïcode and 我的密码是天空"


@pytest.mark.parametrize(
    ("complaint", "left"),
    [
        ("Model Not Exist", "Model Not Exist"),
        ("maximum context length is 65536 tokens", "maximum context length is 65536 tokens"),
        ("invalid content: 'My password is hunter2, see'", "invalid content: 'My … is …'"),
        ("HUNTER2 and hunt", "…"),
        ('{"content": "line\\nhunter2\\npassword"}', '{"content": "line …"}'),
        ("refused \\u6211\\u7684: no", "refused …: no"),
        ("内容 天空 不合法", "内容 … 不合法"),
        ("ünïcode", "…"),
        ("", ""),
    ],
)
def test_words_that_were_said_are_left_out_and_others_stay(complaint: str, left: str) -> None:
    assert unsaid(complaint, ["Hello", SECRET]) == left


@given(st.text(alphabet="abcdefg 我们天空", min_size=3), st.text(max_size=20), st.data())
def test_no_piece_of_a_word_that_was_said_is_repeated(
    said: str, before: str, data: st.DataObject
) -> None:
    begin = data.draw(st.integers(0, len(said)))
    piece = said[begin : begin + 30]
    left = unsaid(f"{before} {piece} .", [said])
    words = [word for word in piece.split() if len(word) >= 3 or not word.isascii()]
    assert not [word for word in words if word in left.removeprefix(before)]
