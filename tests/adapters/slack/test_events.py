"""What Slack's payloads mean to us: every shape on record, odd ones, and the text of a message."""

import copy
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.slack.events import (
    Deleted,
    Dropped,
    Edited,
    Ignored,
    Opened,
    for_another,
    plain,
    read,
    remembered,
)
from adapters.slack.ids import Address
from core.types import Prompt, Remembered, Role
from tests.adapters.slack.payloads import BOT, FOLDER, payload


def prompt(name: str, **changes: Any) -> Prompt:
    outcome = read(payload(name, **changes), BOT)
    assert isinstance(outcome, Prompt), outcome
    return outcome


def test_a_mention_is_a_whole_prompt() -> None:
    asked = prompt("app_mention")
    assert asked == Prompt(
        platform="slack",
        thread=asked.thread,
        identity="slack:T0ACME:C0GENERAL:1760000000.000100",
        sequence="001760000000.000100",
        author="U0ALICE",
        text="what is a fence?",
        asked_at=1760000000.0001,
        address=asked.address,
    )
    assert asked.thread == "slack:T0ACME:C0GENERAL:1760000000.000100"
    assert Address.decode(asked.address) == Address(
        "T0ACME", "C0GENERAL", "1760000000.000100", "1760000000.000100", "U0ALICE"
    )


def test_both_copies_of_a_mention_are_one_prompt() -> None:
    assert prompt("app_mention") == prompt("message_mention")


@pytest.mark.parametrize(
    ("name", "thread", "text", "author", "follow_up"),
    [
        ("message_reply", "C0GENERAL:1760000000.000100", "and in Go?", "U0BOB", True),
        (
            "message_private_reply_mention",
            "G0SECRET:1760000000.000100",
            "please ask about <b> & #dev",
            "U0BOB",
            False,
        ),
        ("message_im", "D0ALICE:1760000004.000500", "hello there", "", False),
        ("message_im_assistant_thread", "D0ALICE:1760000004.000000", "go on", "", False),
        ("message_mpim", "G0GROUP:1760000006.000700", "and here?", "U0ALICE", False),
        ("file_share", "C0GENERAL:1760000007.000800", "see this", "U0ALICE", False),
        ("thread_broadcast", "C0GENERAL:1760000000.000100", "for all", "U0BOB", False),
        (
            "slack_connect_mention",
            "C0SHARED:1760000017.002000",
            "hi from next door",
            "U9STRANGER",
            False,
        ),
        ("org_install_message", "D0ALICE:1760000018.002100", "hello", "", False),
    ],
)
def test_what_people_ask(name: str, thread: str, text: str, author: str, follow_up: bool) -> None:
    asked = prompt(name)
    assert asked.thread == f"slack:T0ACME:{thread}"
    assert (asked.text, asked.author, asked.follow_up) == (text, author, follow_up)


@pytest.mark.parametrize(
    ("changes", "home"),
    [
        ({}, "T9OTHER"),
        ({"user_team": None}, "T9OTHER"),
        ({"user_team": "E9ORG"}, "T9OTHER"),
        ({"user_team": None, "team": None}, ""),
        ({"user_team": "T0ACME", "team": "T0ACME"}, ""),
        ({"user_team": 7, "team": ["T"]}, ""),
    ],
)
def test_the_workspace_of_a_speaker_from_elsewhere_is_kept(
    changes: dict[str, Any], home: str
) -> None:
    asked = prompt("slack_connect_mention", **changes)
    assert Address.decode(asked.address).home == home
    assert ("home" in asked.address) is bool(home), "older versions read the address, too"


def test_an_address_of_an_older_or_newer_version_is_read() -> None:
    old = '{"team":"T","channel":"C","thread_ts":"1.0","ts":"1.0","user":"U"}'
    assert Address.decode(old) == Address("T", "C", "1.0", "1.0", "U")
    assert Address.decode(old).encode() == old
    newer = old.removesuffix("}") + ',"parent":"1.0"}'
    assert Address.decode(newer) == Address.decode(old)


def test_files_are_named_as_far_as_they_have_names() -> None:
    assert prompt("file_share").files == ("report.pdf", "F02", "F03")


def test_a_file_without_a_word_is_a_prompt() -> None:
    asked = prompt("file_share", text="", channel="D0ALICE", channel_type="im")
    assert (asked.text, asked.files[0]) == ("", "report.pdf")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("message_root", "not addressed"),
        ("channel_join", "subtype"),
        ("bot_message", "subtype"),
        ("other_bot", "bot"),
        ("own_message", "bot"),
        ("app_home_home", "other tab"),
    ],
)
def test_what_is_not_for_us(name: str, why: str) -> None:
    assert read(payload(name), BOT) == Ignored(why)


@pytest.mark.parametrize(
    "changes",
    [
        {"bot_id": None, "app_id": None},  # our user without the marks of an app
        {"bot_id": None, "user": "U0SOMEBODY"},  # posted through our app in a person's name
        {"bot_id": None, "app_id": None, "user": "USLACKBOT"},
        {"bot_id": None, "app_id": None, "user": None},
    ],
)
def test_nobody_answers_a_machine(changes: dict[str, Any]) -> None:
    assert isinstance(read(payload("own_message", **changes), BOT), Ignored)


@pytest.mark.parametrize(
    "subtype", ["channel_topic", "me_message", "reminder_add", "huddle_thread"]
)
def test_other_subtypes_are_not_prompts(subtype: str) -> None:
    assert read(payload("message_mention", subtype=subtype), BOT) == Ignored("subtype")


@pytest.mark.parametrize("subtype", [[], {}, 7], ids=repr)
def test_a_subtype_that_is_no_text_is_not_a_prompt(subtype: object) -> None:
    assert read(payload("message_mention", subtype=subtype), BOT) == Ignored("subtype")
    assert history(subtype=subtype) is None


def test_a_reply_to_itself_is_a_root() -> None:
    root = payload("message_root", thread_ts="1760000001.000200")
    assert read(root, BOT) == Ignored("not addressed")


def test_opened_conversations() -> None:
    assert read(payload("app_home_messages"), BOT) == Opened("D0ALICE")
    started = read(payload("assistant_thread_started"), BOT)
    assert started == Opened("D0ALICE", "1760000016.001800")


def test_a_minute_of_which_events_were_dropped() -> None:
    told = payload("app_rate_limited")
    assert read(told, BOT) == Dropped(1760000040.0)
    for odd in (None, "soon", [7]):
        assert isinstance(read(told | {"minute_rate_limited": odd}, BOT), Ignored)


def test_sequences_sort_as_time_does() -> None:
    stamps = ["999999999.999999", "1760000000.000100", "1760000000.000200", "10000000000.000000"]
    order = [prompt("message_im", ts=ts).sequence for ts in stamps]
    assert order == sorted(order)


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)


def _spots(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value inside."""
    if path:
        yield path
    pairs = body.items() if isinstance(body, dict) else enumerate(body)
    for key, value in pairs if isinstance(body, dict | list) else ():
        if isinstance(value, dict | list):
            yield from _spots(value, (*path, key))
        else:
            yield (*path, key)


@given(name=st.sampled_from(sorted(p.stem for p in FOLDER.glob("*.json"))), data=st.data(), odd=ODD)
def test_any_field_may_be_anything(name: str, data: st.DataObject, odd: Any) -> None:
    body: Any = payload(name)
    *way, last = data.draw(st.sampled_from(list(_spots(body))))
    broken = copy.deepcopy(body)
    spot = broken
    for key in way:
        spot = spot[key]
    spot[last] = odd
    assert isinstance(read(broken, BOT), Prompt | Opened | Edited | Deleted | Dropped | Ignored)


@given(ODD)
def test_any_payload_may_be_anything(odd: Any) -> None:
    assert isinstance(read(odd, BOT), Ignored)
    assert isinstance(read({"event": odd}, BOT), Ignored)


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ("<@U0BOT> hi", "hi"),
        ("hey <@U0BOT|seek>, hi <@U0BOT>", "hey , hi"),
        ("<@U2> and <@U3|bob>", "@U2 and @bob"),
        ("<#C1|general> <#C2>", "#general #C2"),
        ("<http://x.org>", "http://x.org"),
        ("<http://x.org|label>", "label (http://x.org)"),
        ("<http://x.org|x.org>", "http://x.org"),
        ("<http://x.org/?a=1&amp;b=2|a &lt; b>", "a < b (http://x.org/?a=1&b=2)"),
        ("<mailto:a@x.org|a@x.org>", "a@x.org"),
        ("<!here> <!channel|channel> <!everyone>", "@here channel @everyone"),
        ("<!subteam^S1|@devs> <!subteam^S1>", "@devs @subteam"),
        ("<!date^1392734382^{date}|Feb 18>", "Feb 18"),
        ("&lt;&gt;&amp; &amp;lt; &quot;", "<>& &lt; &quot;"),
        ("a < b", "a < b"),
        ("*bold* _it_ `code`\n```x```", "*bold* _it_ `code`\n```x```"),
        ("\u202eabc\u202c\u200b", "\u202eabc\u202c\u200b"),
        ("", ""),
        ("<>", ""),
    ],
)
def test_text_is_decoded(wire: str, text: str) -> None:
    assert plain(wire, "U0BOT") == text


@pytest.mark.parametrize(
    "wire",
    [
        "<@U0BOT> " * 10_000,
        "<@U0BOT|" * 10_000,
        "<" * 100_000,
        "&" * 100_000,
        "<@U2|" + "x" * 100_000,
        " " * 100_000,
        "<http://" + "a|" * 50_000,
    ],
)
def test_text_is_decoded_in_linear_time(wire: str) -> None:
    started = time.perf_counter()
    plain(wire, "U0BOT")
    prompt("app_mention", text=wire)
    assert time.perf_counter() - started < 1.0


def test_ten_thousand_mentions_are_an_empty_prompt() -> None:
    assert prompt("app_mention", text="<@U0BOT> " * 10_000).text == ""


def history(**message: Any) -> Remembered | None:
    body = {"type": "message", "ts": "1760000000.000100"} | message
    return remembered(body, BOT, "T0ACME", message.pop("channel", "C0GENERAL"))


@pytest.mark.parametrize(
    ("message", "role", "author", "content"),
    [
        ({"user": "U0BOB", "text": "<@U0BOT> so &lt;"}, Role.USER, "U0BOB", "so <"),
        ({"user": "U0BOT", "bot_id": "B0BOT", "text": "So."}, Role.ASSISTANT, "", "So."),
        ({"bot_id": "B0BOT", "subtype": "bot_message", "text": "So."}, Role.ASSISTANT, "", "So."),
        ({"bot_id": "B0CI", "username": "ci", "text": "red"}, Role.USER, "ci", "red"),
        (
            {"bot_id": "B0CI", "text": "", "attachments": [{"fallback": "red"}, {"text": "now"}]},
            Role.USER,
            "B0CI",
            "red\nnow",
        ),
        ({"user": "U0BOB", "text": "x", "channel": "D0BOB"}, Role.USER, "", "x"),
    ],
)
def test_history(message: dict[str, Any], role: Role, author: str, content: str) -> None:
    where = message.get("channel", "C0GENERAL")
    identity = f"slack:T0ACME:{where}:1760000000.000100"
    assert history(**message) == Remembered(role, content, author, identity)


@pytest.mark.parametrize(
    "message",
    [
        {"user": "U0BOB", "subtype": "channel_join", "text": "joined"},
        {"user": "USLACKBOT", "subtype": "tombstone", "text": "This message was deleted."},
        {"user": "U0BOB", "text": "<@U0BOT>"},
        {"user": "U0BOB", "text": None},
        {"user": "U0BOB", "text": "x", "ts": "yesterday"},
    ],
)
def test_history_skips_what_nobody_said(message: dict[str, Any]) -> None:
    assert history(**message) is None


@pytest.mark.parametrize(
    ("changes", "whose"),
    [
        ({}, ""),
        ({"user_id": "U0OTHER"}, "U0OTHER"),
        ({"user_id": "U0OTHER", "team_id": "T9OTHER"}, "U0OTHER"),
        ({"user_id": "U0OTHER", "is_bot": False}, ""),
        ({"user_id": None}, ""),
    ],
)
def test_an_event_tells_whose_bot_it_was_brought_for(changes: dict[str, Any], whose: str) -> None:
    body = payload("app_mention")
    body["authorizations"][0] |= changes
    assert for_another(body, BOT) == whose
    assert for_another(body | {"is_ext_shared_channel": True}, BOT) == ""
    assert for_another(body | {"authorizations": None}, BOT) == ""
    assert for_another(payload("slack_connect_mention"), BOT) == ""
    assert for_another(payload("org_install_message"), BOT) == ""


GIF = {"type": "image", "image_url": "https://x.org/a.gif", "alt_text": "applause"}


@pytest.mark.parametrize(
    "shown",
    [
        {"blocks": [GIF]},
        {"attachments": [{"blocks": [GIF], "fallback": "[no preview available]"}]},
    ],
)
def test_a_picture_between_two_people_is_no_question(shown: dict[str, Any]) -> None:
    assert read(payload("message_reply", text="", **shown), BOT) == Ignored("no words")
    for name in ("message_im", "app_mention"):
        assert isinstance(read(payload(name, text="<@U0BOT>", **shown), BOT), Prompt)
    with_a_file = payload("message_reply", text="", files=[{"name": "a.pdf"}])
    assert isinstance(read(with_a_file, BOT), Prompt)


def test_a_follow_up_that_loses_all_words_is_amended() -> None:
    was = payload("message_reply")["event"]
    now = was | {"text": ""}
    body = payload("message_changed", message=now, previous_message=was, channel=was["channel"])
    outcome = read(body, BOT)
    assert isinstance(outcome, Edited)
    assert outcome.text == ""


def test_files_that_came_before_are_named() -> None:
    said = {"ts": "1760000000.000100", "user": "U1", "subtype": "file_share"}
    files = [{"name": "q3.pdf"}, {"name": "b.png"}]
    for text, content in (
        ("see &lt;", "see <\n\n[Attached, but not readable for you: q3.pdf, b.png]"),
        ("", "[Attached, but not readable for you: q3.pdf, b.png]"),
    ):
        entry = remembered(said | {"text": text, "files": files}, BOT, "T", "C0")
        assert entry is not None
        assert entry.content == content
    assert remembered(said | {"text": "", "files": []}, BOT, "T", "C0") is None
