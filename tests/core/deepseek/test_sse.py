"""The event decoder: the standard's line rules, the laxer ones, the same however it is cut."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.deepseek.sse import Decoder, Event


def events(*pieces: bytes, max_line: int = 4096) -> list[Event]:
    decoder = Decoder(max_line)
    found = [event for piece in pieces for event in decoder.feed(piece)]
    return found + decoder.finish()


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b'data: {"a":1}\n\n', [Event(b'{"a":1}')]),
        (b'data:{"a":1}\n\n', [Event(b'{"a":1}')]),
        (b'data: {"a":1}\r\n\r\ndata: {"b":2}\r\n\r\n', [Event(b'{"a":1}'), Event(b'{"b":2}')]),
        (b'data: {"a":1}\r\rdata: {"b":2}\r\r', [Event(b'{"a":1}'), Event(b'{"b":2}')]),
        (b'\xef\xbb\xbfdata: {"a":1}\n\n', [Event(b'{"a":1}')]),
        (b'data: {"a":1}\n\n\xef\xbb\xbfdata: {"b":2}\n\n', [Event(b'{"a":1}')]),
        (b": keep-alive\n\nid: 7\n\nretry: 10\n\n\n\n", []),
        (b'id: 7\ndata: {"a":1}\nretry: 3\n\n', [Event(b'{"a":1}')]),
        (b"data: {}\ndata: {}\ndata: [DONE]\n", [Event(b"{}"), Event(b"{}"), Event(b"[DONE]")]),
        (b'data: {"a":\ndata: 1}\n\n', [Event(b'{"a":\n1}')]),
        (b"data: {\ndata: \"a\": [\ndata: {}\ndata: ]}\n\n", [Event(b'{\n"a": [\n{}\n]}')]),
        (b"event: error\ndata: {}\n\ndata: {}\n\n", [Event(b"{}", "error"), Event(b"{}")]),
        (b"event: error\r\ndata: [\r\ndata: ]\r\n\r\n", [Event(b"[\n]", "error")]),
        (b'data: {"a":1}', [Event(b'{"a":1}')]),
        (b'data: {"a', [Event(b'{"a')]),
        (b"data:\n\ndata\n\n", []),
        (b"data:  [DONE] \n", [Event(b"[DONE]")]),
        ('data: {"a":"x\u2028y\u0085z"}\n\n'.encode(), [Event('{"a":"x\u2028y\u0085z"}'.encode())]),
        (b'data: {"a":"data: [DONE]"}\n\n', [Event(b'{"a":"data: [DONE]"}')]),
        (b"data: words\n\n", [Event(b"words")]),
        (b"database: 1\n\n", []),
    ],
)  # fmt: skip
def test_a_stream_is_the_same_events_whole_and_byte_by_byte(
    stream: bytes, expected: list[Event]
) -> None:
    assert events(stream) == expected
    assert events(*(bytes([byte]) for byte in stream)) == expected


_lines = st.lists(
    st.one_of(
        st.sampled_from(
            [
                b"", b": keep-alive", b"id: 1", b"retry: 5", b"event: error", b"event: x",
                b"data", b"data:", b"data: [DONE]", b"data:[DONE] ", b'data: {"a"', b"data: : 1}",
                b'data: {"a": "\xf0\x9f\x98\x8a\xe2\x80\xa8"}', b"data:{}", b"da", b"\xef\xbb\xbf",
            ]
        ),
        st.binary(max_size=6),
    ),
    max_size=12,
)  # fmt: skip


@given(
    lines=_lines,
    ends=st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=1),
    data=st.data(),
)
def test_where_a_stream_is_cut_makes_no_difference(
    lines: list[bytes], ends: list[bytes], data: st.DataObject
) -> None:
    stream = b"".join(line + ends[at % len(ends)] for at, line in enumerate(lines))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert events(*pieces) == events(stream)


def test_a_line_of_700_kib_in_small_pieces_takes_linear_time() -> None:
    line = b'data: {"a":"' + b"x" * (700 * 1024) + b'"}\n\n'

    def spent(size: int) -> float:
        decoder = Decoder()
        began = time.process_time()
        found = [e for at in range(0, size, 7) for e in decoder.feed(line[at : at + 7])]
        assert len(found) == (size == len(line))
        return time.process_time() - began

    eighth, whole = spent(len(line) // 8), spent(len(line))
    assert whole < 24 * eighth + 0.1


@pytest.mark.parametrize(
    "long", [b"data: " + b"x" * 100, b"data: " + b"x" * 100 + b"\n", b"data: x\n" * 60]
)
def test_what_never_ends_is_an_error_behind_what_came_before(long: bytes) -> None:
    stream = b"data: {}\n\n" + long + b"\n\ndata: {}\n\n"
    expected = [Event(b"{}"), Event(b"The stream has a line of more than 64 bytes.", "error")]
    assert events(stream, max_line=64) == expected
    assert events(*(bytes([byte]) for byte in stream), max_line=64) == expected
