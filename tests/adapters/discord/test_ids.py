"""The formats that are stored: pinned, reversible, and sorted as time goes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.discord import ids
from adapters.discord.ids import Address
from core.types import ThreadKey

SNOWFLAKES = st.integers(min_value=0, max_value=2**64 - 1).map(str)


def test_the_stored_formats() -> None:
    assert ids.thread_key("10", "20") == "discord:10:20"
    assert ids.thread_key("", "40") == "discord:@me:40"
    assert ids.personal_key("100", "40") == "discord:@100:40"
    assert ids.identity("5") == "discord:5"
    assert ids.part_id("20", "5") == "20:5"
    assert ids.part_id("", "5") == ":5"
    assert Address(channel="20", before="5").encode() == (
        '{"channel":"20","before":"5","message":"","opens":"","replied":"","answer":"",'
        '"token":"","member":true,"thread":false,"parent":""}'
    )


def test_where_a_conversation_stands() -> None:
    aside = f"{ids.thread_key('10', '20')}#discord:5"
    assert ids.keys_near(ids.thread_key("10", "20")) == ids.keys_near(ThreadKey(aside))
    assert ids.keys_near(ids.thread_key("10", "20")) == ids.keys_in("10")
    assert ids.keys_near(ThreadKey("discord:@me:40#discord:5")) == ids.thread_key("", "40")
    assert ids.keys_near(ids.personal_key("100", "40")) == "discord:@100:"


_FLAGS = dict.fromkeys(("member", "thread"), st.booleans())


@given(st.builds(Address, **dict.fromkeys(Address.__slots__, st.text()) | _FLAGS))
def test_an_address_survives_storing(address: Address) -> None:
    assert Address.decode(address.encode()) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "5",
        '["channel","before"]',
        '"channel before"',
        '{"channel":"1"}',
        '{"channels":"1"}',
    ],
)
def test_another_text_is_no_address(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        Address.decode(text)


def test_an_address_of_an_older_version_is_read() -> None:
    assert Address.decode('{"channel":"20","before":"5"}') == Address(channel="20", before="5")


def test_an_address_of_a_newer_version_is_read() -> None:
    """Of a replica that is upgraded already, or from before we were taken back."""
    newer = '{"channel":"20","before":"5","guild":"9"}'
    assert Address.decode(newer) == Address(channel="20", before="5")


@given(SNOWFLAKES, SNOWFLAKES)
def test_the_channel_of_a_conversation_and_a_part(channel: str, message: str) -> None:
    for key in (ids.thread_key("10", channel), ids.personal_key("100", channel)):
        assert ids.channel_of(key) == channel
    assert ids.split_part_id(ids.part_id(channel, message)) == (channel, message)
    assert ids.split_part_id(ids.part_id("", message)) == ("", message)


def test_a_person_is_not_confused_with_a_server_or_a_direct_message() -> None:
    assert len({ids.thread_key("1", "2"), ids.thread_key("", "2"), ids.personal_key("1", "2")}) == 3


@pytest.mark.parametrize("value", ["0", "175928847299117063", "18446744073709551615"])
def test_ids(value: str) -> None:
    assert ids.is_snowflake(value)


@pytest.mark.parametrize(
    "value", ["", "-1", "1.0", " 1", "²", "٣", "@me", "1" * 21, 5, 5.0, True, None, [], {}]
)
def test_no_ids(value: object) -> None:
    assert not ids.is_snowflake(value)


@given(SNOWFLAKES, SNOWFLAKES)
def test_the_order_of_the_text_is_the_order_of_time(one: str, other: str) -> None:
    assert (ids.sequence(one) < ids.sequence(other)) == (int(one) < int(other))


def test_the_moment_in_an_id() -> None:
    """The example of docs.discord.com/developers/reference#snowflakes."""
    assert ids.time_of("175928847299117063") == pytest.approx(1_462_015_105.796, abs=0.0005)


@given(st.integers(min_value=int(ids.EPOCH), max_value=4_000_000_000))
def test_the_first_id_after_a_moment(second: int) -> None:
    first = int(ids.first_after(second))
    assert ids.time_of(str(first)) == second
    assert first == 0 or ids.time_of(str(first - 1)) < second


def test_before_discord_there_are_no_ids() -> None:
    assert ids.first_after(0.0) == "0"


def test_a_nonce_names_one_post() -> None:
    names = [ids.nonce(prompt, key) for prompt in ("discord:1", "discord:2") for key in ("a", "b")]
    assert len(set(names)) == 4
    assert names[0] == ids.nonce("discord:1", "a")
    assert all(len(name) == 25 and name.isalnum() for name in names)
