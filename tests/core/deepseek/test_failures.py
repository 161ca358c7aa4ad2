"""The error table: every row of it, every shape of body, and no key in any of them."""

import json
import time
import traceback
from typing import Any

import pytest

from core.deepseek.failures import MAX_BODY, MAX_MESSAGE, decipher, is_error, redact
from core.errors import Failure

F = Failure


def body(code: Any, message: Any, **more: Any) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}, **more}).encode()


def deepseek(message: str, kind: str = "invalid_request_error") -> bytes:
    error = {"message": message, "type": kind, "param": None, "code": kind}
    return json.dumps({"error": error}).encode()


def bare(error: str, **more: Any) -> bytes:
    return json.dumps({"success": False, "error": error, "trace_id": "t", **more}).encode()


CONTEXT = (
    "This model's maximum context length is 65536 tokens. However, you requested 70000 tokens "
    "(66000 in the messages, 4000 in the completion)."
)
RANGE = "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"
REASONING = "The `reasoning_content` in the thinking mode must be passed back to the API."
SUCCESSIVE = "deepseek-reasoner does not support successive user or assistant messages"
FIRST = (
    "The first message (except the system message) of deepseek-reasoner must be a user message, "
    "but an assistant message detected."
)
COMPLETION = (
    "This model's maximum context length is 65536 tokens. However, you requested 65590 tokens "
    "(54 in the messages, 65536 in the completion). Please reduce the length of the messages or "
    "completion."
)
PROMPT = (
    "This model's maximum context length is 4097 tokens, however you requested 4110 tokens (13 in "
    "your prompt; 4097 for the completion)."
)
INPUT = "This model's maximum context length is 4096 tokens and your request has 54 input tokens"
OUTPUT = (
    "This endpoint's maximum context length is 65536 tokens. However, you requested about 65590 "
    "tokens (54 of text input, 65536 in the output)."
)
HARDLY = "maximum context length is 65536 tokens (65000 in the messages, 8192 in the completion)"

TABLE: list[tuple[int, bytes, Failure, int | None]] = [
    (400, body("bad_request", "no such parameter"), F.REFUSED, None),
    (400, deepseek("something is wrong"), F.REFUSED, None),
    (400, deepseek(CONTEXT), F.TOO_LONG, 65536),
    (500, body("api_error", CONTEXT), F.TOO_LONG, 65536),
    (400, deepseek(COMPLETION), F.NO_ROOM, 65482),
    (400, body("context_length_exceeded", COMPLETION), F.NO_ROOM, 65482),
    (400, deepseek(PROMPT), F.NO_ROOM, 4084),
    (400, deepseek(INPUT), F.NO_ROOM, 4042),
    (400, deepseek(OUTPUT), F.NO_ROOM, 65482),
    (400, deepseek(HARDLY), F.TOO_LONG, 65536),
    (400, deepseek(INPUT.replace("54", "5400")), F.TOO_LONG, 4096),
    (400, body("context_length_exceeded", "too long"), F.TOO_LONG, None),
    (400, deepseek(RANGE), F.MAX_TOKENS, 8192),
    (400, deepseek("max_tokens is too large: supports at most 4096 tokens"), F.MAX_TOKENS, 4096),
    (400, deepseek("Content Exists Risk"), F.MODERATED, None),
    (403, body("forbidden", "Rejected by content moderation"), F.MODERATED, None),
    (400, deepseek(REASONING), F.SHAPE, None),
    (400, deepseek(SUCCESSIVE), F.SHAPE, None),
    (400, deepseek(FIRST), F.SHAPE, None),
    (400, deepseek("The last message must be a user message"), F.SHAPE, None),
    (400, deepseek("unexpected end of hex escape at line 1"), F.REFUSED, None),
    (400, body("token_mismatched", "x"), F.CONFIGURATION, None),
    (400, body("api_not_implemented", "x"), F.CONFIGURATION, None),
    (400, body("no_token", "x"), F.CONFIGURATION, None),
    (400, body("disabled", "x"), F.CONFIGURATION, None),
    (401, body("invalid_token", "x"), F.CREDENTIALS, None),
    (401, body("token_expired", "x"), F.CREDENTIALS, None),
    (401, deepseek("Authentication Fails", "authentication_error"), F.CREDENTIALS, None),
    (403, body("forbidden", "x"), F.CREDENTIALS, None),
    (402, deepseek("Insufficient Balance", "unknown_error"), F.BALANCE, None),
    (402, b"", F.BALANCE, None),
    (403, body("used_up", "x"), F.BALANCE, None),
    (404, body("no_api", "x"), F.CONFIGURATION, None),
    (404, b"<html>nothing here</html>", F.CONFIGURATION, None),
    (400, deepseek("Model Not Exist"), F.CONFIGURATION, None),
    (400, body("bad_request", "model deepseek-v9 is not supported here"), F.CONFIGURATION, None),
    (400, body("bad_request", "Unsupported model: x"), F.CONFIGURATION, None),
    (400, deepseek("response_format is not supported by this model"), F.REFUSED, None),
    (400, deepseek("This model does not support images"), F.REFUSED, None),
    (413, body("request_entity_too_large", "x"), F.TOO_BIG, None),
    (413, b"", F.TOO_BIG, None),
    (422, deepseek("bad value"), F.REFUSED, None),
    (429, body("too_many_requests", "x"), F.BUSY, None),
    (429, deepseek("39 based on your remaining balance"), F.BUSY, None),
    (400, deepseek("Rate limit reached for TPM"), F.BUSY, None),
    (500, body("api_error", "fetch failed"), F.SERVER, None),
    (500, body("busy", "x"), F.SERVER, None),
    (500, body("unknown", "x"), F.SERVER, None),
    (502, b"<html><head><title>502 Bad Gateway</title></head></html>", F.SERVER, None),
    (503, b"", F.SERVER, None),
    (504, body("timeout", "x"), F.SERVER, None),
    (408, b"", F.SERVER, None),
    (418, b"", F.REFUSED, None),
    (301, b"<html>moved</html>", F.CONFIGURATION, None),
    (200, body("api_error", "fetch failed"), F.SERVER, None),
    (200, body("bad_request", "x"), F.REFUSED, None),
    (200, body("too_many_requests", "x"), F.BUSY, None),
    (200, body(429, "x"), F.BUSY, None),
    (200, body("400", "x"), F.REFUSED, None),
    (200, b'{"error": "upstream failed"}', F.SERVER, None),
    (200, bare("invalid_token"), F.CREDENTIALS, None),
    (200, bare("Too_Many_Requests"), F.BUSY, None),
    (200, bare("api_error"), F.SERVER, None),
    (200, bare("bad_request"), F.REFUSED, None),
    (400, bare("token_mismatched"), F.CONFIGURATION, None),
    (400, bare("api_not_implemented", message="x"), F.CONFIGURATION, None),
    (403, bare("used_up"), F.BALANCE, None),
    (500, bare("api_error"), F.SERVER, None),
]


@pytest.mark.parametrize(("status", "raw", "failure", "limit"), TABLE)
def test_every_row_of_the_table(
    status: int, raw: bytes, failure: Failure, limit: int | None
) -> None:
    error = decipher(status, {}, raw)
    assert (error.failure, error.limit) == (failure, limit)
    assert error.status == (status if status != 200 else error.status)


@pytest.mark.parametrize(
    ("message", "limit"),
    [
        ("Range of max_tokens should be [1, 8192]", 8192),
        ("max_tokens must be less than or equal to 8192", 8192),
        ("`max_tokens` must be less than or equal to `8192`, the maximum value", 8192),
        ("1 error\nmax_tokens\n  Input should be less than or equal to 8192 [input=99999]", 8192),
        ("Invalid 'max_tokens': above maximum. Expected a value <= 8192, got 9000", 8192),
        ("max_tokens must be <=8192.", 8192),
        ("max_tokens should be at most 8192 tokens", 8192),
        ("max_tokens should be in [1,8192]", 8192),
        ("max_tokens must be between 1 and 8192", 8192),
        ("top_p is in [0, 1]; the valid range of max_tokens is [1, 8192]", 8192),
        ("max_tokens is too large: 99999", None),
        ("max_tokens must be at most 8,192", None),
        ("max_tokens must be at most 8k", None),
    ],
)
def test_the_largest_max_tokens_in_many_words(message: str, limit: int | None) -> None:
    error = decipher(400, {}, deepseek(message))
    assert (error.failure, error.limit) == (F.MAX_TOKENS, limit)


@pytest.mark.parametrize(
    "message",
    [
        "max_tokens must be greater than or equal to 1",
        "prompt tokens (54) + max_tokens (8192) must be <= 4096",
        "The sum of prompt tokens and max_tokens must be less than or equal to 4096",
        "temperature must be less than or equal to 2",
        "top_p must be <= 1 (max_tokens was 8192)",
        "max_tokens is no number",
        "max_tokens is set; temperature must be <= 2",
        "body.max_tokens: field required, body.temperature: should be less than or equal to 2",
        "prompt + max_tokens must be at most 4096",
    ],
)
def test_what_is_no_largest_max_tokens(message: str) -> None:
    error = decipher(400, {}, deepseek(message))
    assert (error.failure, error.limit) == (F.REFUSED, None)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"error": {"code": "a", "message": "told"}}', "told"),
        (b'{"error": "told"}', "told"),
        (b'{"error": null, "message": "told"}', "told"),
        (b'{"error": [{"message": "told"}]}', "told"),
        (b'{"error": ["told"]}', "told"),
        (b'{"error": []}', "HTTP 500 without a message"),
        (b'{"error": {"code": "busy"}}', "HTTP 500 without a message"),
        (b"[]", "[]"),
        (b'{"detail": "told"}', "told"),
        (b'{"error": {"message": {"deep": 1}}}', '{"deep": 1}'),
        (b'["told"]', "told"),
        (b'"told"', "told"),
        (b"told\n you  so", "told you so"),
        (b"<!doctype html><title>It &amp; that</title>", "an HTML page: It & that"),
        (b"<html>", "an HTML page"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"17", "17"),
        (b"", "HTTP 500 without a body"),
        (b"\r\n", "HTTP 500 without a body"),
        (b"{" * 200_000, "{" * MAX_MESSAGE),
    ],
)
def test_every_shape_of_a_body_says_something(raw: bytes, message: str) -> None:
    assert decipher(500, {}, raw).message == message


@pytest.mark.parametrize(
    ("headers", "raw", "expected"),
    [
        ({}, b'{"trace_id": "t1", "error": "x"}', "t1"),
        ({"X-Request-Id": "t2"}, b"", "t2"),
        ({"x-deepseek-request-id": "t3"}, b"{}", "t3"),
        ({"x-request-id": "t2"}, b'{"trace_id": "t1"}', "t1"),
        ({}, b'{"trace_id": 5}', "5"),
        ({"x-request-id": "t2"}, b'{"trace_id": true}', "t2"),
    ],
)
def test_the_trace_id(headers: dict[str, str], raw: bytes, expected: str) -> None:
    assert decipher(500, headers, raw).trace_id == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": " 0.5 "}, 0.5),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
        (
            {
                "Retry-After": "Wed, 21 Oct 2026 07:28:20 GMT",
                "Date": "Wed, 21 Oct 2026 07:28:00 GMT",
            },
            20.0,
        ),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:20 GMT"}, None),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:20 GMT", "Date": "never"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert decipher(429, headers, b"").retry_after == expected


KEY = "canary-1234567890abcdef"


@pytest.mark.parametrize("status", [200, 301, 400, 401, 403, 429, 500])
@pytest.mark.parametrize("seen", [KEY, "sk-canary-abcdef", "Bearer canary-xyz", "****canary"])
def test_no_key_is_ever_repeated(status: int, seen: str) -> None:
    for raw in (
        body(seen, f"Your api key: {seen} is invalid", trace_id=f"t-{seen}"),
        f"<title>{seen}</title>".encode(),
        seen.encode(),
        json.dumps({"error": {"message": {"key": seen}}}).encode(),
    ):
        error = decipher(status, {"x-request-id": seen}, raw, KEY)
        told = [str(error), repr(error), repr(vars(error)), *traceback.format_exception(error)]
        assert "canary" not in "".join(told)


def test_a_refused_key_is_answered_with_our_own_words() -> None:
    error = decipher(401, {}, deepseek("Your api key: ****f00d is invalid"), KEY)
    assert "f00d" not in error.message
    assert "DEEPSEEK_API_KEY" in error.message
    assert error.own
    assert not decipher(400, {}, deepseek("your words"), KEY).own


@pytest.mark.parametrize(
    ("status", "raw", "message"),
    [
        (
            403,
            b"<title>Attention Required! | Cloudflare</title>",
            "Attention Required! | Cloudflare",
        ),
        (403, body("forbidden", f"No {KEY} here"), "No [key] here"),
        (403, b"", "HTTP 403 without a body"),
        (403, body("invalid_token", "x f00d"), "did not accept the key"),
        (403, body("forbidden", "the API key ending in f00d may not"), "did not accept the key"),
        (401, body("forbidden", "x f00d"), "did not accept the key"),
        (200, body("token_expired", "x f00d"), "did not accept the key"),
    ],
)
def test_a_prohibition_that_is_not_about_the_key_is_told(
    status: int, raw: bytes, message: str
) -> None:
    error = decipher(status, {}, raw, KEY)
    assert error.failure is Failure.CREDENTIALS
    assert message in error.message
    assert "f00d" not in error.message


def test_a_bare_code_is_one_and_no_message() -> None:
    error = decipher(400, {}, bare("token_mismatched"))
    assert (error.code, error.message) == ("token_mismatched", "HTTP 400 without a message")
    error = decipher(400, {}, bare("disabled", message="told"))
    assert (error.code, error.message) == ("disabled", "told")
    error = decipher(500, {}, bare("it is disabled", code="c"))
    assert (error.code, error.message) == ("c", "it is disabled")


def test_an_error_in_a_good_response_that_says_nothing_is_called_one() -> None:
    error = decipher(200, {}, b'{"success": false, "error": {"code": "busy"}}')
    assert (error.message, error.own, error.code) == ("an error without a message", True, "busy")


@pytest.mark.parametrize(
    ("named", "failure"),
    [(429, F.BUSY), ("429", F.BUSY), (True, F.SERVER), ("9" * 5_000, F.SERVER), ("４29", F.SERVER)],
)
def test_an_error_in_a_good_response_may_name_a_status(named: object, failure: Failure) -> None:
    error = decipher(200, {}, json.dumps({"error": {"status": named, "message": "no"}}).encode())
    assert error.failure is failure


def test_a_key_at_the_cut_is_gone_before_the_cut() -> None:
    message = decipher(500, {}, body("x", "y" * (MAX_MESSAGE - 5) + KEY), KEY).message
    assert "cana" not in message
    assert len(message) <= MAX_MESSAGE


def test_redacting_leaves_the_rest() -> None:
    assert redact(f"a {KEY} b", KEY) == "a [key] b"
    assert redact("task-force, ask-me, disk-1234") == "task-force, ask-me, disk-1234"


@pytest.mark.parametrize("unit", ["*", "<title>", "<title", "bearer ", "max_tokens [ "])
def test_what_an_error_says_is_read_in_linear_time(unit: str) -> None:
    said = (unit * MAX_BODY)[:MAX_BODY].encode()
    began = time.process_time()
    assert decipher(400, {}, said, KEY).message
    assert decipher(502, {}, b"<html>" + said, KEY).message
    assert time.process_time() - began < 1.0


def test_what_is_an_error_object() -> None:
    assert [
        is_error(found)
        for found in (
            {"error": {"message": "x"}},
            {"error": "x", "choices": []},
            {"success": False},
            {"object": "error", "message": "x"},
            {"code": 1, "message": "x"},
        )
    ] == [True] * 5
    good: list[dict[str, Any]] = [
        {"choices": [], "error": None},
        {"usage": {}},
        {"choices": [], "code": 0, "message": ""},
    ]
    assert [is_error(found) for found in good] == [False] * 3
