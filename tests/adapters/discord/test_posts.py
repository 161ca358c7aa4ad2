"""Which of our messages came of which nonce."""

from typing import Any

import pytest
from hypothesis import given

from adapters.discord.posts import KEPT, Posts
from tests.adapters.discord.payloads import garbage, message


def test_a_post_is_known_by_its_nonce() -> None:
    posts = Posts()
    posts.heard(message(id="5", nonce="n"))
    posts.heard(message(id="5", nonce="n"))
    posts.heard(message(id="6", nonce="n"))
    posts.heard(message(id="7"))
    assert posts.of("n") == ("20:5", "20:6")
    assert posts.of("other") == ()


@pytest.mark.parametrize("changes", [{"nonce": 5}, {"id": "x"}, {"channel_id": None}])
def test_odd_messages_are_not_kept(changes: dict[str, Any]) -> None:
    posts = Posts()
    posts.heard(message(**{"nonce": "5", **changes}))
    assert posts.of("5") == ()


def test_the_oldest_are_forgotten() -> None:
    posts = Posts()
    for number in range(KEPT + 1):
        posts.heard(message(id="5", nonce=f"n{number}"))
    assert posts.of("n0") == ()
    assert posts.of("n1") == posts.of(f"n{KEPT}") == ("20:5",)


@given(garbage("id", "channel_id", "nonce"))
def test_any_message_may_be_anything(event: Any) -> None:
    posts = Posts()
    if isinstance(event, dict):
        posts.heard(event)
    assert len(posts.of("")) <= 1
