"""What is asked, and what is understood: only what is set goes out, nothing crashes coming in."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.deepseek.options import Options
from core.deepseek.sse import Event
from core.deepseek.wire import JSON_RULE, body, decode, encode, parse, refusal, valid
from core.errors import CompletionError, Failure
from core.types import Chunk, CompletionRequest, Message, Role, Usage


def request(*texts: str, system: str = "", max_tokens: int | None = None) -> CompletionRequest:
    messages = [Message(Role.USER, text) for text in texts]
    first = [Message(Role.SYSTEM, system)] if system else []
    return CompletionRequest(messages=(*first, *messages), max_tokens=max_tokens)


def options(**more: Any) -> Options:
    return Options(base_url="http://api", model="m", **more)


def chunks(found: Any, name: str = "") -> list[Chunk]:
    return decode(Event(json.dumps(found).encode(), name))


def test_only_what_is_set_is_sent() -> None:
    assert body(request("Hi", system="Be kind."), options()) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Hi"},
        ],
        "stream": True,
    }


def test_everything_can_be_set() -> None:
    given = options(
        temperature=0.0,
        max_tokens=9,
        n=2,
        response_format="text",
        stream=False,
        extra_body={"top_p": 0.5, "model": "other", "n": None},
    )
    assert body(request("Hi"), given) == {
        "model": "other",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": False,
        "max_tokens": 9,
        "temperature": 0.0,
        "response_format": {"type": "text"},
        "top_p": 0.5,
    }
    assert body(request("Hi", max_tokens=5), given)["max_tokens"] == 5


@pytest.mark.parametrize("question", ["Hi", "json please"])
def test_the_json_rule_is_the_same_in_every_turn(question: str) -> None:
    given = options(response_format="json_object")
    with_system = body(request(question, system="Be kind."), given)["messages"]
    assert with_system[0] == {"role": "system", "content": f"Be kind.\n\n{JSON_RULE}"}
    without = body(request(question), given)["messages"]
    assert without == [
        {"role": "system", "content": JSON_RULE},
        {"role": "user", "content": question},
    ]
    assert "json" in JSON_RULE.lower()


def test_a_system_message_that_says_json_is_left_alone() -> None:
    given = options(extra_body={"response_format": {"type": "json_object"}})
    assert body(request("Hi", system="Give JSON."), given)["messages"][0]["content"] == "Give JSON."


def test_lone_surrogates_are_replaced_and_pairs_joined() -> None:
    fields = body(request("a\ud83d b\ud83d\ude0a"), options())
    assert json.loads(encode(fields))["messages"][0]["content"] == "a\ufffd b😊"
    assert valid("plain") == "plain"


def test_a_chunk_with_everything() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    delta = {"content": "a", "reasoning_content": "b", "role": "assistant"}
    choice = {"delta": delta, "finish_reason": "stop", "index": 1, "refs": None, "flag": 0}
    found = chunks({"id": "i", "model": "m", "choices": [choice], "usage": usage})
    assert found == [
        Chunk(
            index=1,
            text="a",
            reasoning="b",
            finish_reason="stop",
            usage=Usage(9, 4, 13, cached_tokens=8, reasoning_tokens=3),
            response_id="i",
            model="m",
        )
    ]


@pytest.mark.parametrize("choices", [[], None, "missing"])
def test_usage_comes_with_or_without_choices(choices: Any) -> None:
    found: dict[str, Any] = {"usage": {"prompt_tokens": 2, "prompt_cache_hit_tokens": 1}}
    if choices != "missing":
        found["choices"] = choices
    assert chunks(found) == [Chunk(usage=Usage(2, 0, 0, cached_tokens=1))]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"delta": {"content": None, "reasoning_content": "r"}}, [Chunk(reasoning="r")]),
        ({"delta": {"reasoning": "r"}}, [Chunk(reasoning="r")]),
        ({"delta": {"content": ""}, "finish_reason": ""}, []),
        ({"delta": None, "finish_reason": "stop"}, [Chunk(finish_reason="stop")]),
        ({"message": {"content": "whole"}}, [Chunk(text="whole")]),
        ({"text": "old"}, [Chunk(text="old")]),
        ({"delta": {"content": [{"type": "text", "text": "a"}, "b", 3, {}]}}, [Chunk(text="ab")]),
        ({"delta": {"content": 7}, "index": "x"}, []),
        ({"delta": {"content": "a"}, "index": True}, [Chunk(text="a")]),
        ({"delta": {"content": "a"}, "index": -1}, [Chunk(text="a")]),
        ("not an object", []),
    ],
)
def test_a_choice_is_read_as_far_as_it_makes_sense(choice: Any, expected: list[Chunk]) -> None:
    assert chunks({"choices": [choice]}) == expected


_json = st.recursive(
    st.sampled_from([None, True, 0, 1, -1, 2**70, 0.5, float("nan"), "", "a", "stop", "\ud83d"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "message", "content", "usage", "index", "finish_reason",
                 "prompt_tokens", "prompt_tokens_details", "cached_tokens", "id", "error",
                 "code", "model", "text", "status", "success"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@given(found=st.dictionaries(st.sampled_from(["choices", "usage", "error", "id"]), _json))
def test_no_object_crashes_the_decoder(found: Any) -> None:
    try:
        result = chunks(found)
    except CompletionError as error:
        assert found["error"]
        assert len(error.message) <= 300
    else:
        assert all(isinstance(chunk, Chunk) for chunk in result)


def test_what_is_no_json_object_is_no_event() -> None:
    assert [decode(Event(data)) for data in (b"ping", b'"text"', b"[1]", b"7")] == [[], [], [], []]
    assert decode(Event(b"[DONE]")) == [Chunk(done=True)]


def test_half_an_event_is_a_truncated_stream() -> None:
    with pytest.raises(CompletionError) as caught:
        decode(Event(b'{"choices": [{"delta": {"cont'))
    assert caught.value.failure is Failure.TRUNCATED


@pytest.mark.parametrize(
    "raw", [b'{"a":"x\xff"}', b'{"a":"x\\ud83d"}', b'{"a":"x\n"}', b'{"a":NaN}']
)
def test_json_that_is_slightly_broken_is_still_read(raw: bytes) -> None:
    assert set(parse(raw)) == {"a"}


def test_half_an_emoji_is_kept_in_text_and_replaced_elsewhere() -> None:
    delta = b'{"content":"x\\ud83d","reasoning_content":"y\\ud83d"}'
    (chunk,) = decode(Event(b'{"model":"m\\ud83d","choices":[{"delta":%s}]}' % delta))
    assert (chunk.text, chunk.reasoning, chunk.model) == ("x\ud83d", "y\ufffd", "m\ufffd")


def test_nothing_else_is_json() -> None:
    assert [parse(raw) for raw in (b"", b"{", b"<html>", b"[" * 100_000)] == [None] * 4


@pytest.mark.parametrize("name", ["error", ""])
def test_an_error_in_the_stream_is_raised(name: str) -> None:
    found = {"message": "Rate limit reached", "code": "x"}
    with pytest.raises(CompletionError) as caught:
        chunks(found if name else {"error": found}, name)
    assert caught.value.failure is Failure.BUSY


def test_finish_reasons() -> None:
    for reason in ("stop", "length", "content_filter"):
        assert refusal(reason) is None
    found = {
        "insufficient_system_resource": Failure.SERVER,
        "martian": Failure.TRUNCATED,
        "": Failure.TRUNCATED,
    }
    for reason, failure in found.items():
        error = refusal(reason)
        assert error is not None
        assert (error.failure, error.code) == (failure, reason)
