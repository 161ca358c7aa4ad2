"""What Discord's refusals become."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adapters.discord import calls, refusals
from adapters.discord.calls import Route
from adapters.discord.refusals import TOKEN_ADVICE, Refused, translate
from core.errors import (
    DeliveryError,
    LockedOut,
    PartGone,
    TooLarge,
    Undeliverable,
    Unreachable,
    Untouchable,
)
from tests.adapters.discord.payloads import garbage

ROUTE = "POST /channels/{channel}/messages"


def too_long(field: str = "content", code: str = "BASE_TYPE_MAX_LENGTH") -> dict[str, Any]:
    """As in docs.discord.com/developers/reference#error-messages."""
    errors = {field: {"_errors": [{"code": code, "message": "Must be 2000 or fewer in length."}]}}
    return {"code": 50035, "message": "Invalid Form Body", "errors": errors}


@pytest.mark.parametrize("status", [200, 302, 304, 408, 500, 502, 503, 504, 520, 522])
@pytest.mark.parametrize("body", [None, "<html>", {"code": 10008}, {"code": 50013}])
def test_what_may_have_landed_is_unreachable(status: int, body: object) -> None:
    error = translate(ROUTE, status, body)
    assert isinstance(error, Unreachable)
    assert ROUTE in str(error)
    assert str(status) in str(error)


def test_what_the_guard_in_front_of_discord_says_in_json_is_an_outage() -> None:
    error = translate(ROUTE, 403, {"message": "internal network error", "code": 40333})
    assert isinstance(error, Unreachable)
    assert "not by Discord itself" in str(error)


def test_a_message_that_is_gone() -> None:
    assert isinstance(translate(ROUTE, 404, {"code": 10008}), PartGone)


def test_a_text_that_is_too_long() -> None:
    assert isinstance(translate(ROUTE, 400, too_long()), TooLarge)


@pytest.mark.parametrize(
    "body",
    [
        too_long("nonce"),
        too_long(code="BASE_TYPE_REQUIRED"),
        {"code": 50035, "errors": {"content": {"_errors": None}}},
        {"code": 50035, "errors": []},
        {"code": 50035},
        too_long() | {"code": 50006},
    ],
)
def test_another_invalid_form_is_not_the_size(body: dict[str, Any]) -> None:
    assert isinstance(translate(ROUTE, 400, body), Refused)


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (404, 10003, "deleted"),
        (404, 10015, "is over"),
        (401, 50027, "is over"),
        (404, 10062, "3 seconds"),
        (400, 40060, "one database"),
        (400, 40094, "six messages"),
        (403, 50001, "can't see the channel"),
        (403, 50013, "lacks Send Messages"),
        (403, 50007, "no direct messages"),
        (400, 50083, "archived"),
        (403, 160002, "Read Message History"),
        (400, 160005, "locked"),
        (400, 160006, "most threads"),
        (429, 20016, "slow mode"),
        (400, 99999, "docs.discord.com"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, code: int, advice: str) -> None:
    error = translate(ROUTE, status, {"code": code, "message": "As Discord says"})
    assert isinstance(error, Refused)
    assert isinstance(error, Undeliverable)
    assert (error.route, error.status, error.code) == (ROUTE, status, code)
    for part in (ROUTE, str(code), "As Discord says", advice):
        assert part in str(error)


@pytest.mark.parametrize("code", [50005, 50021])
@pytest.mark.parametrize("route", [calls.EDIT, calls.EDIT_ORIGINAL, calls.EDIT_FOLLOW_UP])
def test_a_message_that_can_not_be_edited_is_no_end(route: Route, code: int) -> None:
    error = translate(route.name, 403, {"code": code, "message": "As Discord says"})
    assert isinstance(error, Untouchable)
    for part in (route.name, str(code), "As Discord says"):
        assert part in str(error)
    assert ("somebody else" in str(error)) == (code == 50005)
    for other in (calls.OPEN_THREAD, calls.DELETE):
        assert isinstance(translate(other.name, 403, {"code": code}), Refused)


def test_a_wrong_token_is_said_as_such() -> None:
    error = translate(ROUTE, 401, {"message": "401: Unauthorized", "code": 0})
    assert isinstance(error, LockedOut)
    assert TOKEN_ADVICE in str(error)
    assert "HTTP 401" in str(error)


def test_the_end_of_an_interaction_is_not_a_wrong_bot_token() -> None:
    assert TOKEN_ADVICE not in str(translate(ROUTE, 401, {"code": refusals.TOKEN_DEAD}))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413])
@pytest.mark.parametrize(
    "body", ["<html>you have been blocked</html>", "", None, [{"code": 50013}]]
)
def test_a_page_of_somebody_in_between_is_no_refusal(status: int, body: object) -> None:
    error = translate(ROUTE, status, body)
    assert isinstance(error, Unreachable)
    assert str(status) in str(error)
    assert "html" not in str(error)


def test_what_discord_says_is_quoted_in_part_only() -> None:
    assert len(str(translate(ROUTE, 400, {"code": 1, "message": "x" * 5000}))) < 300


@example(400, {"code": 50035, "errors": {"content": {"_errors": 5}}})
@given(
    st.integers(min_value=200, max_value=599),
    garbage("code", "message", "errors", "content", "_errors")
    | st.builds(
        lambda errors: {"code": 50035, "errors": errors}, garbage("content", "_errors", "code")
    ),
)
def test_odd_bodies_are_survived(status: int, body: Any) -> None:
    error = translate(ROUTE, status, body)
    assert isinstance(error, DeliveryError)
    assert len(str(error)) < 400
