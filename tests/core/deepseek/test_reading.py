"""One answer from its bytes: the samples, every verdict, and no difference where they are cut."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.deepseek.reading import MAX_BLANK, MAX_WHOLE, Reading
from core.errors import CompletionError, Failure
from core.types import Chunk, Usage

WIRE = Path(__file__).parents[2] / "fixtures" / "wire"
EOF = CompletionError(Failure.TRUNCATED, "the end")


def run(*pieces: bytes, wanted: int = 1) -> tuple[list[Chunk], CompletionError | None]:
    reading = Reading(wanted)
    chunks: list[Chunk] = []
    for piece in pieces:
        if not reading.ended:
            chunks += reading.feed(piece)
    if not reading.ended:
        chunks += reading.end(EOF)
    assert reading.ended
    return chunks, reading.failure


def joined(found: tuple[list[Chunk], CompletionError | None]) -> tuple[Any, ...]:
    """What an answer amounts to: texts and reasoning a choice, finishes, usage, end, failure."""
    chunks, failure = found
    texts: dict[int, list[str]] = {}
    for chunk in chunks:
        entry = texts.setdefault(chunk.index, ["", ""])
        entry[0] += chunk.text
        entry[1] += chunk.reasoning
    finishes = [(chunk.index, chunk.finish_reason) for chunk in chunks if chunk.finish_reason]
    usage = [chunk.usage for chunk in chunks if chunk.usage]
    done = [chunk.done for chunk in chunks]
    assert not any(done[:-1])
    return texts, finishes, usage, done[-1:] == [True], failure and failure.failure


def event(text: str | None = None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    choice = {"index": index, "delta": {"content": text}, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice], **more}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def test_the_streamed_sample() -> None:
    texts, finishes, usage, done, failure = joined(run((WIRE / "stream.sse").read_bytes()))
    assert texts == {0: ["Hello! 😊 How can I assist you today?", ""]}
    assert finishes == [(0, "stop")]
    assert usage == [Usage(4, 12, 16)]
    assert (done, failure) == (True, None)


def test_the_whole_samples() -> None:
    first = run((WIRE / "completion.json").read_bytes())
    assert joined(first)[0] == {0: ["Hello! 😊 How can I help you today?", ""]}
    assert joined(first)[1:] == ([(0, "stop")], [Usage(8, 11, 19)], True, None)
    assert first[0][0].response_id == "chatcmpl-050bf20a-ebcd-498a-bf6e-63ee0738013b"
    assert first[0][0].model == "deepseek-v3.2-exp"
    second = joined(run((WIRE / "multi_turn.json").read_bytes()))
    assert second[0][0][0].startswith('You just said:  \n\n**"Hello"**')
    assert second[1:] == ([(0, "stop")], [Usage(22, 57, 79)], True, None)


def test_an_emoji_in_two_events_is_one() -> None:
    whole = [event("so \ud83d"), event("\ude0a, \ud83d"), event("\ude0a", "stop")]
    assert joined(run(*whole, DONE))[0] == {0: ["so 😊, 😊", ""]}
    mixed = [event("a\ud83d"), event("b\ud83d", index=1), event("\ude0a", index=1), event("c")]
    assert joined(run(*mixed, DONE, wanted=2))[0] == {0: ["a\ufffdc", ""], 1: ["b😊", ""]}


def test_half_an_emoji_that_stays_half_is_replaced() -> None:
    assert joined(run(event("a\ud83d"), event(finish="stop"), DONE))[0] == {0: ["a\ufffd", ""]}
    assert joined(run(event("a\ud83d")))[0] == {0: ["a\ufffd", ""]}
    assert joined(run(event("\ude0aa"), DONE))[0] == {0: ["\ufffda", ""]}


def test_the_error_sample() -> None:
    chunks, failure = run((WIRE / "error.json").read_bytes())
    assert chunks == []
    assert failure is not None
    assert (failure.failure, failure.code, failure.message, failure.trace_id) == (
        Failure.SERVER,
        "api_error",
        "fetch failed",
        "2cf86e86-22a4-46e1-ac2f-032c0f2a4e89",
    )


@pytest.mark.parametrize("name", ["stream.sse", "completion.json", "multi_turn.json", "error.json"])
def test_the_samples_in_single_bytes(name: str) -> None:
    raw = (WIRE / name).read_bytes()
    assert joined(run(*(bytes([byte]) for byte in raw))) == joined(run(raw))


_events = st.lists(
    st.sampled_from(
        [
            event("a"), event("😊\u2028"), event("<think>"), event("</think>"), event("\n "),
            event("b", index=1), event("", "stop"), event("", "stop", 1), event("x", "martian"),
            event("", "length", usage={"total_tokens": 3}), b": keep-alive\n\n", b"retry: 1\r\n",
            b'data: {"choices":[],"usage":{"total_tokens":5}}\n\n', DONE, b'data: {"error":"x"}\n',
            b'event: error\ndata: {"message":"x"}\n\n', b"\n", b'data: {"choices":[{"del',
        ]
    ),
    max_size=8,
)  # fmt: skip


@given(parts=_events, wanted=st.integers(1, 3), data=st.data())
def test_where_an_answer_is_cut_makes_no_difference(
    parts: list[bytes], wanted: int, data: st.DataObject
) -> None:
    raw = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=6)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert joined(run(*pieces, wanted=wanted)) == joined(run(raw, wanted=wanted))


@pytest.mark.parametrize(
    ("raw", "wanted", "text", "done", "failure"),
    [
        (event("a") + event("", "stop") + DONE, 1, "a", True, None),
        (event("a") + event("", "stop"), 1, "a", True, None),
        (event("a") + DONE, 1, "a", True, None),
        (DONE, 1, "", True, None),
        (event("a"), 1, "a", False, Failure.TRUNCATED),
        (b"", 1, "", False, Failure.TRUNCATED),
        (b": keep-alive\n\n", 1, "", False, Failure.TRUNCATED),
        (event("a") + b'data: {"choices": [{"de', 1, "a", False, Failure.TRUNCATED),
        (event("a") + event("b", "length"), 1, "ab", True, None),
        (event("a") + event("b", "insufficient_system_resource"), 1, "ab", False, Failure.SERVER),
        (event("a", "martian") + DONE, 1, "a", False, Failure.TRUNCATED),
        (event("a") + event("", "martian"), 1, "a", False, Failure.TRUNCATED),
        (event("", "martian") + DONE, 1, "", False, Failure.TRUNCATED),
        (event("a") + event("", "eos") + DONE, 1, "a", True, None),
        (event("a", "null") + event("b", "None") + event("c", "stop"), 1, "abc", True, None),
        (event("a", "null"), 1, "a", False, Failure.TRUNCATED),
        (event("a") + b'data: {"error": "x"}\n\n' + DONE, 1, "a", False, Failure.SERVER),
        (event("a", "stop") + b'data: {"error": "x"}\n\n', 1, "a", True, None),
        (event("a", "stop") + event("b", index=1), 2, "a", True, None),
        (event("a") + event("b", "stop", 1), 2, "a", False, Failure.TRUNCATED),
        (event("a", "stop") + event("b", "stop", 1), 2, "a", True, None),
        (event("a", "stop"), 2, "a", True, None),
        (event("<thi"), 1, "<thi", False, Failure.TRUNCATED),
        (event("<think>x"), 1, "", False, Failure.TRUNCATED),
        (event("a") + b"data: " + b"x" * 2_000_000, 1, "a", False, Failure.SERVER),
        (b'{"error": {"code": "used_up"}}', 1, "", False, Failure.BALANCE),
        (b'["bad"]', 1, "", False, Failure.SERVER),
        (b"<html><title>502</title>", 1, "", False, Failure.SERVER),
        (b'{"choices": [{"message": {"cont', 1, "", False, Failure.TRUNCATED),
        (b'\n\n \xef\xbb\xbf{"choices": [{"message": {"content": "a"}}]}', 1, "a", True, None),
        (b'{"choices": [{"message": {"content": "<think>x</think>a"}}]}', 1, "a", True, None),
        (b"\n" * MAX_BLANK + event("a", "stop"), 1, "a", True, None),
        (event("a") + b"data: ping\n\n" + event("b", "stop"), 1, "ab", True, None),
    ],
)
def test_every_end(raw: bytes, wanted: int, text: str, done: bool, failure: Failure | None) -> None:
    found = joined(run(raw, wanted=wanted))
    assert found[0].get(0, ["", ""])[0] == text
    assert found[3:] == (done, failure)


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        *((said, "stop") for said in ("stop", "eos", "EOS_TOKEN", "end_turn", "STOP", "normal")),
        *((said, "length") for said in ("max_tokens", "MAX_TOKENS", "model_length")),
        *((said, "length") for said in ("max_output_tokens", "model_context_window_exceeded")),
        ("Content_Filter", "content_filter"),
    ],
)
def test_an_ordinary_end_may_have_a_name_of_the_host_s_own(said: str, taken: str) -> None:
    whole = {"choices": [{"message": {"content": "a"}, "finish_reason": said}]}
    for raw in (event("a", said), event("a") + event("", said) + DONE, json.dumps(whole).encode()):
        texts, finishes, _, done, failure = joined(run(raw))
        assert (texts, finishes, done, failure) == ({0: ["a", ""]}, [(0, taken)], True, None)


@pytest.mark.parametrize("said", ["error", "abort", "timeout", "cancelled", "network_error"])
def test_any_other_reason_is_no_good_end(said: str) -> None:
    chunks, failure = run(event("The steps are: 1. stop the ser") + event("", said) + DONE)
    assert failure is not None
    assert (failure.failure, failure.code) == (Failure.TRUNCATED, said)
    assert failure.own
    assert not any(chunk.done for chunk in chunks)


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        (b"[]", "an answer that is no completion: []"),
        (b'["no", "pe"]', "an answer that is no completion: no"),
        (b"upstream connect error\n", "an answer that is no completion: upstream connect error"),
        (b'"nope"', "an answer that is no completion: nope"),
        (b"null", "an answer that is no completion: null"),
        (b"d" * 1_000, "an answer that is no completion: " + "d" * 267),
        (b"<html><title>Sign in</title>", "an HTML page: Sign in"),
    ],
)
@pytest.mark.parametrize("size", [1, 10_000])
def test_what_is_no_completion_is_named(body: bytes, cause: str, size: int) -> None:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    chunks, failure = run(*pieces)
    assert chunks == []
    assert failure is not None
    assert (failure.failure, failure.message) == (Failure.SERVER, cause)


def test_a_limit_that_a_plain_text_names_counts() -> None:
    failure = run(b"Rate limit reached")[1]
    assert failure is not None
    assert failure.failure is Failure.BUSY


@pytest.mark.parametrize(
    "body",
    [b"", b"\n\n", b": keep-alive\n\n", b"\n: a\n", b"retry: 3\n\n", b"data: \n\n", b"id\n\n"],
)
def test_a_stream_that_ended_without_an_event_has_ended(body: bytes) -> None:
    assert run(body)[1] is EOF


def test_what_stood_before_an_answer_does_not_matter_at_its_end() -> None:
    assert run(b"OK\n\n", event("a"))[1] is EOF


def test_interleaved_choices_stay_apart() -> None:
    raw = b"".join(event(text, index=at % 2) for at, text in enumerate("a1b2c3"))
    raw += event("", "stop", 0) + event("<", "stop", 1) + DONE
    assert joined(run(raw, wanted=2))[0] == {0: ["abc", ""], 1: ["123<", ""]}
    raw = event("a") + event("<think>b</think>c", index=1) + event("<thi", index=2) + DONE
    assert joined(run(raw, wanted=3))[0] == {0: ["a", ""], 1: ["c", "b"], 2: ["<thi", ""]}


_SECOND = event("b", "insufficient_system_resource", 1), event("b", "martian", 1)


@pytest.mark.parametrize(
    "raw",
    [
        *(event("a") + failed + event("", "stop") + DONE for failed in _SECOND),
        *(event("a", "stop") + failed for failed in _SECOND),
        event("b", index=1) + event("a", "stop") + b'data: {"error": "x"}\n\n',
        event("b", index=1) + event("a", "stop") + b'data: {"choices": [{"de',
        event("b", index=1) + event("a", "stop"),
    ],
)
def test_what_befalls_another_choice_is_no_failure_of_the_first(raw: bytes) -> None:
    texts, finishes, _, done, failure = joined(run(raw, wanted=2))
    assert texts == {0: ["a", ""], 1: ["b", ""]}
    assert (0, "stop") in finishes
    assert (done, failure) == (True, None)


def test_a_choice_that_failed_leaves_the_first_to_be_waited_for() -> None:
    raw = event("a") + event("b", "insufficient_system_resource", 1)
    reading = Reading(2)
    reading.feed(raw)
    assert not reading.ended
    assert not reading.settled
    assert joined(run(raw, wanted=2))[4] is Failure.TRUNCATED


@pytest.mark.parametrize("name", ["content", "reasoning_content"])
def test_an_answer_without_end_is_broken_off(name: str) -> None:
    choice = {"index": 0, "delta": {name: "x" * 2**19}}
    piece = b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"
    reading, came = Reading(), 0
    while not reading.ended and came <= MAX_WHOLE:
        came += sum(len(chunk.text + chunk.reasoning) for chunk in reading.feed(piece))
    assert reading.ended
    assert reading.failure is not None
    assert reading.failure.failure is Failure.SERVER
    assert str(MAX_WHOLE) in reading.failure.message


def test_usage_behind_the_finish_is_kept() -> None:
    raw = event("a", "stop") + b'data: {"choices": [], "usage": {"total_tokens": 7}}\n\n' + DONE
    assert joined(run(raw))[2] == [Usage(total_tokens=7)]


def test_comments_and_empty_deltas_are_no_progress() -> None:
    reading = Reading()
    reading.feed(b": keep-alive\n\n" + event("") + event(None))
    assert reading.moved == 0
    reading.feed(b'data: {"choices": [{"delta": {"reasoning_content": "hm"}}]}\n\n')
    assert reading.moved == 1
    reading.feed(event("<think>"))
    assert reading.moved == 2
