"""What was forwarded and what apps attach is read; previews of links are not."""

import time
from typing import Any

import pytest
from hypothesis import given

from adapters.slack.events import Edited, Ignored, read, remembered
from adapters.slack.words import own, said
from core.types import Prompt
from tests.adapters.slack.payloads import BOT, payload
from tests.adapters.slack.test_events import ODD

SHARED = {
    "is_share": True,
    "is_msg_unfurl": True,
    "from_url": "https://acme.slack.com/archives/C1/p1",
    "author_name": "Bob",
    "text": "The build fails with <http://x.org|error 42>, <@U0BOT>",
    "fallback": "[..] bob: The build fails",
}
PREVIEW = {"from_url": "https://x.org", "title": "X", "text": "All about X", "fallback": "X"}
PERMALINK = SHARED | {"is_share": None}
BLOCKS_ALONE = {"type": "section", "text": {"type": "mrkdwn", "text": "in it"}}
TABLE = {
    "type": "table",
    "rows": [
        [
            {
                "type": "rich_text",
                "elements": [
                    {
                        "type": "rich_text_section",
                        "elements": [{"type": "text", "text": word, "style": {"bold": True}}],
                    }
                ],
            }
            for word in ("Name", "a < b &amp;\nc")
        ],
        [{"type": "raw_text", "text": "Ann"}, {"type": "raw_number", "value": 7, "text": "7"}],
        [{"type": "raw_text", "text": ""}, None],
        "odd",
    ],
}
ROWS = "| Name | a < b &amp; c |\n| Ann | 7 |"
FORWARDED_ALERT = {
    "is_share": True,
    "from_url": "https://acme.slack.com/archives/C1/p1",
    "text": "This content can't be displayed.",
    "blocks": [],
    "message_blocks": [{"channel": "C1", "message": {"blocks": [BLOCKS_ALONE]}}, {"message": 7}],
    "fallback": "This message contains interactive elements.",
}
ALERT = {
    "color": "danger",
    "title": "High CPU",
    "text": "cpu=99 host=db1",
    "fields": [{"title": "severity", "value": "1"}, {"value": "page"}, 7],
    "fallback": "CPU",
}


@pytest.mark.parametrize(
    ("attachments", "text"),
    [
        ([SHARED], "what?\nThe build fails with error 42 (http://x.org),"),
        ([ALERT], "what?\nHigh CPU\ncpu=99 host=db1\nseverity: 1\npage"),
        ([{"fallback": "red"}, {"pretext": "now", "fallback": "?"}], "what?\nred\nnow"),
        ([{"fallback": "-", "blocks": [BLOCKS_ALONE]}], "what?\nin it"),
        ([{"id": 1, "blocks": [TABLE], "fallback": "[no preview available]"}], f"what?\n{ROWS}"),
        ([{"id": 1, "blocks": [{"type": "image"}], "fallback": "[no preview available]"}], "what?"),
        ([FORWARDED_ALERT], "what?\nin it"),
        ([PREVIEW, PERMALINK, {"original_url": "u", "text": "x"}], "what?"),
        ([PREVIEW, SHARED | {"text": "so"}], "what?\nso"),
        ("odd", "what?"),
        ([None, 7, {}], "what?"),
    ],
)
def test_what_is_attached_is_part_of_the_question(attachments: object, text: str) -> None:
    asked = read(payload("app_mention", text="<@U0BOT> what?", attachments=attachments), BOT)
    assert isinstance(asked, Prompt)
    assert asked.text == text


def test_a_table_is_read_wherever_a_person_puts_it() -> None:
    pasted = [{"id": 1, "blocks": [TABLE], "fallback": "[no preview available]"}]
    alone = read(payload("message_im", text="", attachments=pasted), BOT)
    inside = read(payload("message_im", text="sum?", blocks=[{"type": "rich_text"}, TABLE]), BOT)
    without = read(payload("message_im", text="", blocks=[TABLE]), BOT)
    assert [each.text for each in (alone, inside, without) if isinstance(each, Prompt)] == [
        ROWS,
        f"sum?\n{ROWS}",
        ROWS,
    ]


def test_what_apps_say_is_read_once() -> None:
    said_by_an_app = {"ts": "1760000000.000100", "subtype": "bot_message", "bot_id": "B0CI"}
    blocks = [*BLOCKS, {"type": "markdown", "text": "**Disk** <full> &amp;"}, TABLE]
    more = f"**Disk** <full> &amp;\n{ROWS}"
    for text, content in (
        ("", f"{READ}\n{more}"),
        ("Disk!", f"Disk!\n98 %\ndb1\nsince noon\n{more}"),
        ("*Disk 98*% db1 since <!date^1^x|noon>", f"*Disk 98*% db1 since noon\n{more}"),
    ):
        entry = remembered(said_by_an_app | {"text": text, "blocks": blocks}, BOT, "T", "C0")
        assert entry is not None
        assert entry.content == content


def test_of_our_own_answers_the_text_is_enough() -> None:
    ours = {"ts": "1760000000.000100", "user": BOT.user, "bot_id": BOT.bot, "text": "An *answer*"}
    block = {"type": "markdown", "text": "An **answer**\n```python\n```"}
    entry = remembered(ours | {"blocks": [block]}, BOT, "T", "C0")
    assert entry is not None
    assert entry.content == "An *answer*"


def test_what_is_forwarded_without_a_word_is_a_question() -> None:
    asked = read(payload("message_im", text="", attachments=[SHARED | {"text": "so"}]), BOT)
    assert isinstance(asked, Prompt)
    assert asked.text == "so"


def test_a_forwarded_message_that_names_us_does_not_call_us() -> None:
    said_by_bob = payload("message_root", attachments=[SHARED])
    assert read(said_by_bob, BOT) == Ignored("not addressed")


@pytest.mark.parametrize("added", [PREVIEW, PERMALINK])
def test_a_preview_is_no_edit(added: dict[str, Any]) -> None:
    was = payload("message_changed")["event"]["previous_message"] | {"attachments": [SHARED]}
    now = was | {"attachments": [SHARED, added]}
    changed = payload("message_changed", message=now, previous_message=was)
    assert read(changed, BOT) == Ignored("no new words")


def test_an_edit_keeps_what_is_attached() -> None:
    was = payload("message_changed")["event"]["previous_message"]
    now = was | {"text": "so what?", "attachments": [SHARED | {"text": "so"}, PREVIEW]}
    outcome = read(payload("message_changed", message=now, previous_message=was), BOT)
    assert isinstance(outcome, Edited)
    assert outcome.text == "so what?\nso"


BLOCKS = [
    {"type": "header", "text": {"type": "plain_text", "text": "Disk"}},
    {"type": "divider"},
    {"type": "section", "fields": [{"text": "98 %"}, {"text": "db1"}]},
    {"type": "context", "elements": [{"type": "mrkdwn", "text": "since <!date^1^x|noon>"}]},
    {
        "type": "rich_text",
        "elements": [
            {
                "type": "rich_text_section",
                "elements": [
                    {"type": "text", "text": "a <b> &lt; "},
                    {"type": "user", "user_id": "U2"},
                    {"type": "link", "url": "http://x.org", "text": "see"},
                    {"type": "emoji", "name": "fire"},
                ],
            },
            {
                "type": "rich_text_list",
                "elements": [
                    {"type": "rich_text_section", "elements": [{"type": "text", "text": item}]}
                    for item in ("one", "two")
                ],
            },
        ],
    },
]
READ = "Disk\n98 %\ndb1\nsince noon\na <b> &lt; @U2see (http://x.org):fire:\none\ntwo"


def test_blocks_are_read_where_there_is_no_text() -> None:
    alert = {"ts": "1760000000.000100", "subtype": "bot_message", "bot_id": "B0CI"}
    stand_in = "This content can't be displayed."  # what Slack says where an app gave no text
    for text, content in (("", READ), (None, READ), (stand_in, READ)):
        entry = remembered(alert | {"text": text, "blocks": BLOCKS}, BOT, "T", "C0")
        assert entry is not None
        assert entry.content == content


def test_the_text_beside_an_alert_is_kept_with_it() -> None:
    alert = {"ts": "1760000000.000100", "subtype": "bot_message", "bot_id": "B0CI"}
    entry = remembered(alert | {"text": "[FIRING]", "attachments": [ALERT]}, BOT, "T", "C0")
    assert entry is not None
    assert entry.content.startswith("[FIRING]\nHigh CPU\ncpu=99")


@given(ODD, ODD)
def test_anything_may_be_attached(attachments: object, blocks: object) -> None:
    for message in (
        {"attachments": attachments, "blocks": blocks},
        {"attachments": [{"fields": attachments, "blocks": blocks}]},
        {"attachments": [{"message_blocks": blocks}, {"message_blocks": [{"message": blocks}]}]},
        {"blocks": [{"type": "rich_text", "elements": blocks}]},
        {"blocks": [{"type": "table", "rows": blocks}, {"type": "table", "rows": [blocks]}]},
    ):
        assert isinstance(own(message), str)
        assert isinstance(said(message), str)


def test_deep_and_long_ones_take_no_time() -> None:
    deep: dict[str, Any] = {"type": "text", "text": "deep"}
    for _ in range(500):
        deep = {"type": "rich_text_section", "elements": [deep]}
    started = time.perf_counter()
    said({"blocks": [{"type": "rich_text", "elements": [deep] * 1000}]})
    assert time.perf_counter() - started < 1.0
