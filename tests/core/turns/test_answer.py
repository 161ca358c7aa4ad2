"""Chunks to verdicts."""

import pytest

from core.errors import CompletionError, Failure
from core.turns.answer import Answer, Frame
from core.types import Chunk, Usage, Verdict


def answered(*chunks: Chunk) -> Answer:
    answer = Answer()
    for chunk in chunks:
        answer.add(chunk)
    return answer


@pytest.mark.parametrize(
    ("finish", "text", "failure", "verdict"),
    [
        ("stop", "hi", None, Verdict.COMPLETE),
        (None, "hi", None, Verdict.COMPLETE),  # [DONE] without a finish reason
        ("length", "hi", None, Verdict.LENGTH),
        ("length", "", None, Verdict.EMPTY),  # thinking used it all up
        ("content_filter", "hi", None, Verdict.FILTERED),
        ("content_filter", "", None, Verdict.FILTERED),
        ("stop", "  \n", Failure.EMPTY, Verdict.EMPTY),
        ("length", "\x00\u200b", None, Verdict.EMPTY),
        (None, "\x00\u200b", Failure.STALLED, Verdict.ERROR),
        (None, "hi", Failure.TRUNCATED, Verdict.TRUNCATED),
        (None, "hi", Failure.STALLED, Verdict.TRUNCATED),
        (None, "", Failure.STALLED, Verdict.ERROR),
        (None, "", Failure.CREDENTIALS, Verdict.ERROR),
        (None, "", Failure.MODERATED, Verdict.FILTERED),
    ],
)
def test_verdicts(finish: str | None, text: str, failure: Failure | None, verdict: Verdict) -> None:
    answer = answered(Chunk(text=text, finish_reason=finish))
    error = CompletionError(failure) if failure else None
    assert answer.outcome(error).verdict is verdict


def test_blank_answers_are_failures_unless_asking_again_is_useless() -> None:
    blank = answered(Chunk(text=" "), Chunk(finish_reason="stop")).blank
    assert blank is not None
    assert blank.failure is Failure.EMPTY
    assert answered(Chunk(reasoning="hm", finish_reason="stop")).blank is not None
    assert answered(Chunk(text="\x00\n\x1b", finish_reason="stop")).blank is not None
    assert answered(Chunk(text="\u200b\ufe0f", finish_reason="stop")).blank is not None
    assert answered(Chunk(text="a", finish_reason="stop")).blank is None
    assert answered(Chunk(finish_reason="length")).blank is None
    assert answered(Chunk(finish_reason="content_filter")).blank is None


def test_candidates_are_kept_apart_and_the_first_is_shown() -> None:
    answer = Answer()
    shown = [
        answer.add(Chunk(index=1, text="B1")),
        answer.add(Chunk(index=0, text="A1")),
        answer.add(Chunk(index=1, text="B2")),
        answer.add(Chunk(index=0, text="A2", finish_reason="stop")),
        answer.add(Chunk(index=1, finish_reason="length")),
    ]
    outcome = answer.outcome()
    assert "".join(shown) == outcome.text == "A1A2"
    assert outcome.candidates == ("A1A2", "B1B2")
    assert outcome.verdict is Verdict.COMPLETE


def test_reasoning_usage_and_names_are_kept_beside_the_text() -> None:
    usage = Usage(4, 12, 16)
    outcome = answered(
        Chunk(reasoning="let me ", model="m", response_id="r"),
        Chunk(reasoning="think", text="42"),
        Chunk(finish_reason="stop", usage=usage),
    ).outcome()
    assert (outcome.text, outcome.reasoning, outcome.usage) == ("42", "let me think", usage)
    assert (outcome.model, outcome.response_id, outcome.candidates) == ("m", "r", ())


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (['{"a"', ": 1}"], '```json\n{"a": 1}\n```'),
        (["\n  ", "[1]\n"], "\n  ```json\n[1]\n```"),
        (["I can't do that."], "I can't do that."),
        ([" ", "\n"], " \n"),
        (["\x00", "\u200b", '{"a": 1}'], '\x00\u200b```json\n{"a": 1}\n```'),
    ],
)
def test_json_is_shown_in_a_code_block(pieces: list[str], shown: str) -> None:
    frame = Frame(json=True)
    assert "".join([frame.add(piece) for piece in pieces]) + frame.close() == shown


def test_other_answers_are_not_framed() -> None:
    frame = Frame(json=False)
    assert frame.add('{"a": 1}') + frame.close() == '{"a": 1}'
