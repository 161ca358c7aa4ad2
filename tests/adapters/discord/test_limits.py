"""Who has to wait, by what Discord's headers said; the clock is a number."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.discord.limits import BANNED, DEFAULT_WAIT, GLOBAL, ROUNDED, UNHEARD, Buckets
from core.types import Left
from tests.adapters.discord.payloads import garbage

EDIT, POST = "PATCH /m", "POST /m"
VIA = {"Via": "1.1 google"}


def said(remaining: int, reset_after: float, name: str = "") -> dict[str, str]:
    headers = {"X-RateLimit-Remaining": str(remaining), "X-RateLimit-Reset-After": str(reset_after)}
    return headers | ({"X-RateLimit-Bucket": name} if name else {})


def wait(buckets: Buckets, now: float, route: str = EDIT, major: str = "20") -> float:
    """Seconds, without what is added to a wait for a reset."""
    said = buckets.take(route, major, now, counted=False)
    return round(said - ROUNDED, 6) if said else 0.0


def test_a_bucket_that_is_not_known_lets_everything_through() -> None:
    buckets = Buckets()
    assert [wait(buckets, 0.0) for _ in range(100)] == [0.0] * 100


def test_an_empty_bucket_is_waited_for_until_its_reset() -> None:
    buckets = Buckets()
    buckets.heard(EDIT, "20", said(0, 5.0), 100.0)
    assert wait(buckets, 101.0) == 4.0
    assert wait(buckets, 104.75) == 0.25
    assert wait(buckets, 105.0) == 0.0


def test_a_reset_that_was_rounded_down_is_waited_for() -> None:
    buckets = Buckets()
    buckets.heard(EDIT, "20", said(0, 0.25), 100.0)  # it meant 0.2504
    assert 100.1 + buckets.take(EDIT, "20", 100.1, counted=False) > 100.2504


def test_what_is_left_is_told_until_the_reset() -> None:
    buckets = Buckets()
    assert buckets.left(EDIT, "20", 100.0) is None
    buckets.heard(EDIT, "20", said(4, 5.0), 100.0)
    assert buckets.left(EDIT, "20", 100.5) == Left(4, 4.5, 0.5, 5.0)
    assert wait(buckets, 101.0) == 0.0
    assert buckets.left(EDIT, "20", 101.25) == Left(3, 3.75, 0.25, 5.0)
    assert buckets.left(EDIT, "21", 101.25) is None
    assert buckets.left(EDIT, "20", 105.0) is None


def test_the_age_of_the_first_call_counts_from_its_beginning() -> None:
    buckets = Buckets()
    assert wait(buckets, 100.0) == wait(buckets, 100.0, major="21") == 0.0
    buckets.heard(EDIT, "20", said(4, 4.75, "abc"), 100.25)
    assert buckets.left(EDIT, "20", 100.5) == Left(4, 4.5, 0.5, 4.75)
    buckets.heard(EDIT, "20", said(4, 5.0, "abc"), 106.0)  # nobody began it here
    assert buckets.left(EDIT, "20", 106.0) == Left(4, 5.0, 6.0, 5.0)


def test_the_period_is_the_longest_that_was_said_also_after_a_refusal() -> None:
    buckets = Buckets()
    for at, left, reset in ((100.0, 4, 5.0), (101.0, 3, 4.0), (102.0, 2, 3.0)):
        buckets.heard(EDIT, "20", said(left, reset), at)
    assert buckets.left(EDIT, "20", 102.0) == Left(2, 3.0, 2.0, 5.0)
    buckets.refused({"Via": "1.1"}, {"retry_after": 2.0}, EDIT, "20", 103.0)
    assert buckets.left(EDIT, "20", 103.0) == Left(0, 2.0, 0.0, 5.0)


def test_only_this_route_and_this_channel_wait() -> None:
    buckets = Buckets()
    buckets.heard(EDIT, "20", said(0, 5.0), 100.0)
    assert wait(buckets, 101.0, EDIT, "21") == 0.0
    assert wait(buckets, 101.0, POST, "20") == 0.0


def test_what_is_left_is_counted_down() -> None:
    buckets = Buckets()
    buckets.heard(EDIT, "20", said(2, 5.0), 100.0)
    assert [wait(buckets, 101.0) for _ in range(3)] == [0.0, 0.0, 4.0]


def test_calls_on_their_way_are_not_given_back() -> None:
    """The answer to the first of three calls doesn't know of the other two."""
    buckets = Buckets()
    buckets.heard(EDIT, "20", said(3, 5.0), 100.0)
    assert [wait(buckets, 100.5) for _ in range(3)] == [0.0] * 3
    buckets.heard(EDIT, "20", said(2, 4.0), 101.0)
    assert wait(buckets, 102.0) == 3.0


def test_after_the_reset_the_header_is_believed_again() -> None:
    buckets = Buckets()
    buckets.heard(EDIT, "20", said(0, 5.0), 100.0)
    buckets.heard(EDIT, "20", said(4, 5.0), 105.0)
    assert [wait(buckets, 105.5) for _ in range(5)] == [0.0] * 4 + [4.5]


def of(limit: str, remaining: int, reset_after: float) -> dict[str, str]:
    return said(remaining, reset_after) | {"X-RateLimit-Limit": limit}


def test_after_the_reset_no_more_calls_are_on_their_way_than_are_given() -> None:
    buckets = Buckets()
    buckets.heard(EDIT, "20", of("5", 4, 5.0), 100.0)
    assert [wait(buckets, 106.0) for _ in range(6)] == [0.0] * 5 + [5.0]
    buckets.heard(EDIT, "20", of("5", 4, 4.9), 106.1)  # the first of the five is answered
    assert wait(buckets, 106.1) == 4.9
    assert [wait(buckets, 111.0) for _ in range(6)] == [0.0] * 5 + [5.0]


def test_after_a_refusal_as_many_are_given_as_before() -> None:
    buckets = Buckets()
    buckets.heard(EDIT, "20", of("2", 1, 5.0), 100.0)
    buckets.refused(VIA, {"retry_after": 3.0}, EDIT, "20", 101.0)
    assert [wait(buckets, 104.0) for _ in range(3)] == [0.0, 0.0, 5.0]


@pytest.mark.parametrize("limit", ["0", "-1", "1", "3", "99", "nan", "many", "1e400"])
def test_a_limit_that_is_wrong_holds_no_call_back(limit: str) -> None:
    buckets = Buckets()
    for window in (100.0, 106.0, 112.0):
        for left in range(4, -1, -1):
            assert wait(buckets, window) == 0.0
            buckets.heard(EDIT, "20", of(limit, left, 5.0), window + 0.1)
        assert wait(buckets, window + 1.0) == 4.1
    assert [wait(buckets, 118.0) for _ in range(5)] == [0.0] * 5


def test_where_nobody_said_for_how_long_everything_passes() -> None:
    buckets = Buckets()
    buckets.refused(VIA | of("2", 0, 3.0), {"retry_after": 3.0}, EDIT, "20", 100.0)
    assert [wait(buckets, 104.0) for _ in range(9)] == [0.0] * 9


def test_calls_that_are_never_answered_hold_no_other_back_for_long() -> None:
    buckets = Buckets()
    buckets.heard(EDIT, "20", of("2", 1, 600.0), 100.0)
    assert [wait(buckets, 700.0) for _ in range(3)] == [0.0, 0.0, UNHEARD]


def test_routes_that_share_a_bucket_share_what_is_left() -> None:
    buckets = Buckets()
    buckets.heard(EDIT, "20", said(4, 5.0, "abc"), 100.0)
    buckets.heard(POST, "20", said(1, 5.0, "abc"), 100.0)
    assert wait(buckets, 101.0, POST) == 0.0
    assert wait(buckets, 101.0, EDIT) == 4.0


def test_a_shared_bucket_has_its_own_count_in_every_channel() -> None:
    buckets = Buckets()
    buckets.heard(EDIT, "20", said(0, 5.0, "abc"), 100.0)
    buckets.heard(POST, "21", said(1, 5.0, "abc"), 100.0)
    assert wait(buckets, 101.0, EDIT, "21") == 0.0
    assert wait(buckets, 101.0, POST, "20") == 4.0


def test_a_refusal_names_the_bucket_too() -> None:
    buckets = Buckets()
    buckets.heard(POST, "20", said(4, 5.0, "abc"), 100.0)
    headers = VIA | {"X-RateLimit-Bucket": "abc"}
    assert buckets.refused(headers, {"retry_after": 2.5}, EDIT, "20", 101.0) == 2.5
    assert wait(buckets, 102.0, POST) == 1.5


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({"Retry-After": "3"}, {"retry_after": 2.5}, 2.5),  # the body is more exact
        ({"Retry-After": "3"}, {}, 3.0),
        ({"Retry-After": "3"}, {"retry_after": "soon"}, 3.0),
        ({"Retry-After": "tomorrow"}, {"retry_after": -1}, DEFAULT_WAIT),
        ({}, {"retry_after": float("nan")}, DEFAULT_WAIT),
        ({}, {"retry_after": 10**400}, DEFAULT_WAIT),
        ({}, {}, DEFAULT_WAIT),
    ],
)
def test_a_refusal_blocks_its_bucket_only(
    headers: dict[str, str], body: dict[str, Any], expected: float
) -> None:
    buckets = Buckets()
    assert buckets.refused(VIA | headers, body, EDIT, "20", 100.0) == expected
    assert wait(buckets, 100.0) == expected
    assert wait(buckets, 100.0, EDIT, "21") == 0.0
    assert buckets.take(POST, "20", 100.0, counted=True) == 0.0
    assert wait(buckets, 100.0 + expected) == 0.0


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"X-RateLimit-Global": "true"}, {"retry_after": 4.0}),
        ({}, {"retry_after": 4.0, "global": True}),
    ],
)
def test_the_global_limit_stops_all_calls_with_the_bot_token(
    headers: dict[str, str], body: dict[str, Any]
) -> None:
    buckets = Buckets()
    buckets.refused(VIA | headers, body, EDIT, "20", 100.0)
    assert buckets.take(POST, "99", 101.0, counted=True) == 3.0
    assert buckets.take("PATCH /webhooks", "token", 101.0, counted=False) == 0.0
    assert buckets.take(POST, "99", 104.0, counted=True) == 0.0


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        ({}, {"retry_after": 7.0}, 7.0),
        ({}, "<html>error 1015</html>", BANNED),
        (VIA, "<html>error 1015</html>", BANNED),
        ({"Retry-After": "90"}, None, 90.0),
    ],
)
def test_the_guard_stops_everything(headers: dict[str, str], body: object, expected: float) -> None:
    buckets = Buckets()
    assert buckets.refused(headers, body, EDIT, "20", 100.0) == expected
    for counted in (True, False):
        assert buckets.take(POST, "99", 101.0, counted=counted) == expected - 1.0
        assert buckets.take(POST, "99", 100.0 + expected, counted=counted) == 0.0


def test_a_refusal_does_not_end_the_wait_for_an_empty_bucket() -> None:
    """It may be about something that is shared with others (X-RateLimit-Scope)."""
    buckets = Buckets()
    buckets.heard(EDIT, "20", said(0, 5.0), 100.0)
    headers = VIA | {"X-RateLimit-Scope": "shared", "Retry-After": "1"}
    assert buckets.refused(headers, {"retry_after": 0.5}, EDIT, "20", 101.0) == 4.0
    assert wait(buckets, 102.0) == 3.0


def test_a_shorter_refusal_does_not_end_a_longer_one() -> None:
    for headers, body in (({}, {}), (VIA, {"global": True})):
        buckets = Buckets()
        buckets.refused(headers, body | {"retry_after": 30}, EDIT, "20", 100.0)
        buckets.refused(headers, body | {"retry_after": 1}, EDIT, "20", 100.0)
        assert buckets.take(POST, "99", 110.0, counted=True) == 20.0


@given(st.lists(st.floats(min_value=0.0, max_value=0.2), min_size=GLOBAL, max_size=200))
def test_no_second_holds_more_calls_than_allowed(pauses: list[float]) -> None:
    buckets, now, made = Buckets(), 0.0, list[float]()
    for pause in pauses:
        now += pause
        if (asked := buckets.take(POST, "20", now, counted=True)) == 0.0:
            made.append(now)
        else:
            assert 0.0 < asked <= 1.0
    assert made[0] == pauses[0]
    pairs = zip(made, made[GLOBAL:], strict=False)
    assert all(later - earlier >= 1.0 - 1e-9 for earlier, later in pairs)


def test_the_whole_second_is_used() -> None:
    buckets = Buckets()
    first = [buckets.take(POST, "20", 7.0, counted=True) for _ in range(GLOBAL + 1)]
    assert first == [0.0] * GLOBAL + [1.0]
    assert buckets.take("PATCH /webhooks", "token", 7.5, counted=False) == 0.0
    assert [buckets.take(POST, "20", 8.0, counted=True) for _ in range(GLOBAL)] == [0.0] * GLOBAL


def test_a_call_that_has_to_wait_for_the_second_takes_nothing_of_its_bucket() -> None:
    buckets = Buckets()
    for _ in range(GLOBAL):
        buckets.take(EDIT, "1", 100.0, counted=True)
    buckets.heard(EDIT, "20", said(1, 60.0), 100.0)
    assert buckets.take(EDIT, "20", 100.5, counted=True) == 0.5
    assert buckets.take(EDIT, "20", 101.0, counted=True) == 0.0


def test_the_memory_is_bound() -> None:
    buckets = Buckets()
    for channel in map(str, range(6000)):
        if int(channel) % 2:
            buckets.heard(EDIT, channel, said(0, 1e6, "abc"), 0.0)
        else:
            buckets.refused(VIA, {"retry_after": 1e6}, POST, channel, 0.0)
    blocked = sum(
        wait(buckets, 1.0, EDIT if channel % 2 else POST, str(channel)) > 0
        for channel in range(6000)
    )
    assert blocked == 4096
    assert wait(buckets, 1.0, EDIT, "5999") > 0


ODD = garbage("retry_after", "global", "message", "code")
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "X-RateLimit-Limit",
            "X-RateLimit-Remaining",
            "X-RateLimit-Reset-After",
            "X-RateLimit-Bucket",
            "X-RateLimit-Global",
            "Retry-After",
            "Via",
        ]
    ),
    st.text(max_size=6) | st.integers().map(str) | st.floats().map(str),
)


@given(HEADERS, ODD)
def test_odd_answers_are_survived(headers: dict[str, str], body: Any) -> None:
    buckets = Buckets()
    buckets.heard(EDIT, "20", headers, 1.0)
    assert 0.0 <= buckets.refused(headers, body, EDIT, "20", 1.0) < 1e9
    assert 0.0 <= buckets.take(EDIT, "20", 1.0, counted=True) < 1e9


@pytest.mark.parametrize("headers", [{}, {"X-RateLimit-Remaining": "0"}, said(-1, 5.0)])
def test_half_an_answer_teaches_nothing(headers: dict[str, str]) -> None:
    buckets = Buckets()
    buckets.heard(EDIT, "20", headers, 100.0)
    assert wait(buckets, 100.0) == 0.0


def test_answers_are_silent_once_one_about_a_channel_was_and_none_ever_said_what_is_left() -> None:
    buckets = Buckets()
    silent = []
    for route, major, headers in (
        ("GET /users/@me", "", VIA),
        (EDIT, "20", VIA),
        (EDIT, "20", said(4, 5.0)),
        (EDIT, "20", VIA),
    ):
        buckets.heard(route, major, headers, 100.0)
        silent.append(buckets.silent)
    assert silent == [False, True, False, False]


def test_buckets_that_are_full_again_are_forgotten() -> None:
    buckets = Buckets()
    for number in range(1000):
        buckets.heard(EDIT, str(number), said(0, 5.0), float(number))
    assert len(buckets._buckets) < 100
    assert wait(buckets, 1000.0, major="999") == 4.0
    for number in range(5000):
        buckets.heard(EDIT, str(number), said(0, 5.0), 1000.0)
    assert len(buckets._buckets) <= 4096
    assert wait(buckets, 1001.0, major="4999") == 4.0
