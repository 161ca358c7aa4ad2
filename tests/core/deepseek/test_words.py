"""Many events read at once: the same as one by one, and only when they are words alone."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.deepseek.gathering import merged
from core.deepseek.reading import Reading
from core.deepseek.wire import words
from core.types import Chunk


def event(**delta: object) -> bytes:
    found = {"id": "i", "model": "m", "choices": [{"index": 0, "delta": delta}]}
    return b"data: " + json.dumps(found).encode() + b"\n\n"


def test_words_become_one_chunk() -> None:
    found = words(event(content="a ") + event(content="") + event(content="b"))
    assert found == (Chunk(text="a b", response_id="i", model="m"), 2)
    found = words(event(reasoning_content="a ") + event(content=None, reasoning_content="b"))
    assert found == (Chunk(reasoning="a b", response_id="i", model="m"), 2)


CHOICE = b'{"choices":[{"delta":{"content":"a"}}]}'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        event(content=""),
        event(content="a") + event(reasoning_content="b"),
        event(content=["a"]),
        event(content="a", reasoning="b"),
        event(content="a")[:-1],
        event(content="a").replace(b"\n", b"\r\n"),
        event(content="a") + b"event: error\n" + event(content="a"),
        event(content="a") + b": keep-alive\n\n" + event(content="a"),
        event(content="a") + b"data: [DONE]\n\n",
        event(content="a").replace(b'"index": 0', b'"index": 1'),
        event(content="a").replace(b'"model": "m"', b'"error": {}'),
        event(content="a").replace(b'"model": "m"', b'"usage": {"total_tokens": 1}'),
        event(content="a").replace(b'"index": 0', b'"finish_reason": "stop"'),
        b'data: {"choices":[]}\n\n',
        b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"a\n\ndata: {"}}]}\n\n',
        b"data: " + CHOICE + b"," + CHOICE + b"\n\n",
        b"data: " + CHOICE + b"\n\ndata: {broken}\n\n",
    ],
)
def test_anything_else_is_looked_at_one_by_one(data: bytes) -> None:
    assert words(data) is None


TEXTS = st.lists(st.sampled_from(["a ", "b", "", "<think>", "</think>", "\n", "Größe", "😊"]))


@given(TEXTS, st.lists(st.integers(0, 4000), max_size=6))
def test_where_the_bytes_are_cut_makes_no_difference(texts: list[str], cuts: list[int]) -> None:
    data = b"".join(event(content=text) for text in texts)
    one_by_one, at_once = Reading(), Reading()
    chunks = [chunk for number in range(len(data)) for chunk in one_by_one.feed(data[number:][:1])]
    edges = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    pieces = [data[begin:end] for begin, end in pairwise(edges)]
    found = [chunk for piece in pieces for chunk in at_once.feed(piece)]
    for name in ("text", "reasoning"):
        whole = "".join(getattr(chunk, name) for chunk in chunks)
        assert "".join(getattr(chunk, name) for chunk in found) == whole
    assert at_once.moved == one_by_one.moved


def test_a_line_that_is_too_long_breaks_off_among_words_too() -> None:
    reading = Reading(max_line=200)
    reading.feed(event(content="a") + event(content="b" * 300))
    assert reading.failure is not None


def chunked(*bodies: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(body), body) for body in bodies)


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1))
def test_chunks_are_merged_or_left_as_they_are(bodies: list[bytes]) -> None:
    data = chunked(*bodies)
    assert merged(data) in (data, chunked(b"".join(bodies)))


def test_only_whole_chunks_are_merged() -> None:
    data = chunked(b"a", b"bc")
    assert merged(data) == b"3\r\nabc\r\n"
    for other in (
        b"",
        data[:-1],
        data[1:],
        data + b"0\r\n\r\n",
        b"1;x=y\r\na\r\n" + data,
        chunked(b"a"),
        chunked(b"a\r\nb", b"c"),
        b"2\r\na\r\n1\r\nbc\r\n",
    ):
        assert merged(other) == other
