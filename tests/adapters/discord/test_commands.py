"""The commands: what Discord is told of them, and what their use means in every place."""

import copy
import random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import HealthCheck, example, given, settings

from adapters.discord import commands
from adapters.discord.commands import COMMANDS, Ask, Form, Help, New, Used, about, read, same
from adapters.discord.events import Ignored
from adapters.discord.ids import Address, time_of
from adapters.discord.invite import PERMISSIONS, invitation
from tests.adapters.discord.payloads import (
    ALICE,
    ASKED,
    BOB,
    BOT,
    CHANNEL,
    DIRECT,
    GUILD,
    THREAD,
    garbage,
    interaction,
    odd,
)

TOKEN = interaction()["token"]
BY_USER = {"authorizing_integration_owners": {"1": "100"}}
IN_THREAD: dict[str, Any] = {"channel_id": THREAD, "channel": {"id": THREAD, "type": 11}}
ALONE = {"guild_id": None, "member": None, "user": ALICE}
IN_DIRECT = ALONE | {
    "channel_id": DIRECT,
    "channel": {"id": DIRECT, "type": 1},
    "context": 1,
    "authorizing_integration_owners": {"0": "0"},
}
FOREIGN = BY_USER
GROUP = ALONE | BY_USER | {"channel_id": "60", "channel": {"id": "60", "type": 3}, "context": 2}
WITH_FRIEND = (
    ALONE | BY_USER | {"channel_id": "61", "channel": {"id": "61", "type": 1}} | {"context": 2}
)


def ask(**changes: Any) -> Ask:
    outcome = read(interaction(**changes), BOT)
    assert isinstance(outcome, Ask), outcome
    return outcome


def test_a_question_in_a_channel_gets_a_thread_on_its_answer() -> None:
    asked = ask()
    assert asked.opens
    prompt = asked.prompt("900")
    assert prompt.thread == f"discord:{GUILD}:900"
    assert (prompt.identity, prompt.sequence) == (f"discord:{ASKED}", f"0{ASKED}")
    assert (prompt.author, prompt.text) == ("alice", "what is a fence?")
    assert prompt.asked_at == time_of(ASKED)
    assert not prompt.follow_up
    assert Address.decode(prompt.address) == Address(
        channel=CHANNEL, before=ASKED, opens="what is a fence?", answer="900", token=TOKEN
    )


def test_without_the_answers_id_no_thread_is_opened() -> None:
    prompt = ask().prompt("")
    assert prompt.thread == f"discord:{GUILD}:{ASKED}"
    assert Address.decode(prompt.address).opens == ""


@pytest.mark.parametrize(
    ("changes", "thread", "author", "member"),
    [
        (IN_THREAD, f"discord:{GUILD}:{THREAD}", "alice", True),
        (IN_DIRECT, f"discord:@me:{DIRECT}", "", True),
        (IN_DIRECT | BY_USER, f"discord:@me:{DIRECT}", "", True),
        (FOREIGN, f"discord:@100:{CHANNEL}", "alice", False),
        (FOREIGN | IN_THREAD, f"discord:@100:{THREAD}", "alice", False),
        (GROUP, "discord:@100:60", "alice", False),
        (WITH_FRIEND, "discord:@100:61", "alice", False),
    ],
)
def test_elsewhere_the_place_is_the_conversation(
    changes: dict[str, Any], thread: str, author: str, member: bool
) -> None:
    asked = ask(**changes)
    assert not asked.opens
    prompt = asked.prompt("900")
    assert (prompt.thread, prompt.author) == (thread, author)
    address = Address.decode(prompt.address)
    assert (address.opens, address.member, address.token) == ("", member, TOKEN)


@pytest.mark.parametrize("type_", [10, 11, 12])
def test_every_kind_of_thread_is_one(type_: int) -> None:
    assert ask(channel={"id": THREAD, "type": type_}, channel_id=THREAD).used.thread


@pytest.mark.parametrize("owners", [{"0": GUILD}, {"0": GUILD, "1": "100"}, {}, None])
def test_in_a_server_that_installed_it_the_bot_is_a_member(owners: Any) -> None:
    assert ask(authorizing_integration_owners=owners).used.member


def test_two_people_in_a_foreign_channel_have_two_conversations() -> None:
    threads = {ask(member={"user": who}, **FOREIGN).prompt("").thread for who in (ALICE, BOB)}
    assert len(threads) == 2


def test_a_channel_is_found_where_discord_says_it_only_once() -> None:
    assert ask(channel_id=None).used.channel == CHANNEL


@pytest.mark.parametrize(
    ("changes", "thread"),
    [
        ({}, None),  # in a channel every question starts afresh anyway
        (IN_THREAD, f"discord:{GUILD}:{THREAD}"),
        (IN_DIRECT, f"discord:@me:{DIRECT}"),
        (FOREIGN, f"discord:@100:{CHANNEL}"),
        (GROUP, "discord:@100:60"),
    ],
)
def test_what_is_started_afresh(changes: dict[str, Any], thread: str | None) -> None:
    outcome = read(interaction("new", **changes), BOT)
    assert isinstance(outcome, New)
    assert outcome.thread == thread


def test_help() -> None:
    used = Used(ASKED, TOKEN, GUILD, CHANNEL, "100", "alice", thread=False, member=True)
    assert read(interaction("help"), BOT) == Help(used)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"type": 1}, "other interaction"),
        ({"type": 3}, "other interaction"),
        ({"type": 4}, "other interaction"),
        ({"id": None}, "no id, token or channel"),
        ({"token": None}, "no id, token or channel"),
        ({"channel": None, "channel_id": None}, "no id, token or channel"),
        ({"data": None}, "no id, token or channel"),
        ({"data": {"name": "other"}}, "unknown command"),
        ({"data": {}}, "unknown command"),
        ({"type": 5, "data": {"custom_id": "else:7"}}, "unknown form"),
        ({"type": 5, "data": {"custom_id": "about:../7"}}, "unknown form"),
        ({"type": 5, "data": {"custom_id": None}}, "unknown form"),
    ],
)
def test_what_is_not_for_us(changes: dict[str, Any], why: str) -> None:
    assert read(interaction(**changes), BOT) == Ignored(why)


@pytest.mark.parametrize("options", [None, [], [{"name": "prompt"}], [{"name": "x", "value": "y"}]])
def test_a_question_without_words(options: Any) -> None:
    assert ask(data={"name": "ask", "options": options}).text == ""


TARGET = {
    "id": "55",
    "channel_id": CHANNEL,
    "author": BOB,
    "content": "see <@101>",
    "mentions": [BOB],
}


def menu(target: Any = "55", **changes: Any) -> dict[str, Any]:
    data = {"name": "Ask about this message", "type": 3, "target_id": target}
    return interaction(data=data | {"resolved": {"messages": {"55": TARGET | changes}}})


def form(whole: dict[str, Any]) -> Form:
    outcome = read(whole, BOT)
    assert isinstance(outcome, Form), outcome
    return outcome


def inputs(modal: Any) -> list[dict[str, Any]]:
    return [row["components"][0] for row in modal["components"]]


def test_the_form_shows_the_message() -> None:
    modal = form(menu()).modal
    assert modal["custom_id"] == "about:55"
    question, quoted = inputs(modal)
    assert (question["required"], question.get("value")) == (True, None)
    assert (quoted["required"], quoted["value"]) == (False, "see @bob")


@pytest.mark.parametrize("content", ["", "x" * 4000, "x" * 9000])
def test_the_form_keeps_discords_limits(content: str) -> None:
    """docs.discord.com/developers/components/reference#text-input; an empty value is refused."""
    modal = form(menu(content=content)).modal
    assert len(modal["title"]) <= 45
    assert len(modal["custom_id"]) <= 100
    assert 1 <= len(modal["components"]) <= 5
    for field in inputs(modal):
        assert len(field["label"]) <= 45
        assert len(field.get("placeholder", "")) <= 100
        assert 1 <= field["max_length"] <= 4000
        assert 1 <= len(field.get("value", "x")) <= field["max_length"]
    assert len({field["custom_id"] for field in inputs(modal)}) == 2


@pytest.mark.parametrize("target", [None, 55, ["55"], "@me"])
def test_a_form_about_nothing(target: Any) -> None:
    assert read(menu(target), BOT) == Ignored("no message")


def test_a_form_about_a_message_that_did_not_come_along() -> None:
    assert "value" not in inputs(form(menu("56")).modal)[1]


def submitted(*fields: dict[str, Any], label: bool = False, **changes: Any) -> Ask:
    rows = [
        {"type": 18, "component": field} if label else {"type": 1, "components": [field]}
        for field in fields
    ]
    data = {"custom_id": "about:55", "components": rows}
    outcome = read(interaction(type=5, data=data, **changes), BOT)
    assert isinstance(outcome, Ask), outcome
    return outcome


QUESTION = {"type": 4, "custom_id": "question", "value": " is that true? "}
QUOTE = {"type": 4, "custom_id": "message", "value": "the sky\nis green"}


@pytest.mark.parametrize("label", [False, True])
def test_a_submitted_form_is_a_question_with_the_message(label: bool) -> None:
    asked = submitted(QUESTION, QUOTE, label=label)
    text = "is that true?\n\nThe message in question:\n> the sky\n> is green"
    assert (asked.text, asked.about, asked.opens) == (text, "", True)


def test_the_form_that_was_shown_is_the_one_that_is_read() -> None:
    modal = form(menu()).modal
    for field in inputs(modal):
        field.setdefault("value", "why?")
    asked = read(interaction(type=5, data=dict(modal)), BOT)
    assert isinstance(asked, Ask)
    assert asked.text == about("why?", "see @bob")


def test_a_form_in_a_thread_stays_there() -> None:
    assert submitted(QUESTION, QUOTE, **IN_THREAD).prompt("900").thread.endswith(f":{THREAD}")


@pytest.mark.parametrize("quote", ["", " \n "])
def test_a_message_that_was_cut_away_is_not_quoted(quote: str) -> None:
    asked = submitted(QUESTION, QUOTE | {"value": quote})
    assert (asked.text, asked.about) == ("is that true?", "")


def test_a_form_without_the_message_names_it() -> None:
    assert (submitted(QUESTION).text, submitted(QUESTION).about) == ("is that true?", "55")
    assert submitted().text == ""


@settings(suppress_health_check=[HealthCheck.too_slow])  # making the odd things takes its time
@example(interaction(channel={"id": CHANNEL, "type": [11]}))
@given(odd(interaction()))
def test_odd_commands_are_survived(whole: dict[str, Any]) -> None:
    for name in ("ask", "new", "Ask about this message"):
        data = whole.get("data")
        named = data | {"name": name} if isinstance(data, dict) else data
        outcome = read(whole | {"data": named}, BOT)
        assert isinstance(outcome, Ask | New | Help | Form | Ignored)
        if isinstance(outcome, Ask):
            assert outcome.prompt("900").identity == f"discord:{whole['id']}"


FIELDS = garbage("custom_id", "components", "component", "value", "target_id", "resolved")


@example([{"components": [{"custom_id": {}}]}, {"components": 5}], [])
@given(FIELDS, FIELDS)
def test_odd_forms_are_survived(components: Any, target: Any) -> None:
    data = {"custom_id": "about:55", "components": components}
    assert isinstance(read(interaction(type=5, data=data), BOT), Ask)
    whole = menu(target)
    whole["data"]["resolved"] = components
    assert isinstance(read(whole, BOT), Form | Ignored)


def echo() -> list[dict[str, Any]]:
    """`COMMANDS` as Discord lists them: more fields, no defaults, in an order of its own."""
    listed = []
    for number, command in enumerate(reversed(COMMANDS)):
        made = copy.deepcopy(dict(command))
        made |= {
            "id": str(500 + number),
            "application_id": "701",
            "version": "1",
            "default_member_permissions": None,
            "dm_permission": True,
            "nsfw": False,
            "name_localizations": None,
            "description_localizations": None,
            "contexts": [*reversed(made["contexts"])],
        }
        made.setdefault("description", "")
        for option in made.get("options", ()):
            option |= {"name_localizations": None, "description_localizations": None}
        if made["type"] == 1:
            del made["type"]
        listed.append(made)
    return listed


def test_commands_that_are_registered_are_not_registered_again() -> None:
    assert same(echo())
    listed = echo()
    for command in listed:
        command.setdefault("options", [])
    random.Random(4).shuffle(listed)
    assert same(listed)


CHANGES: list[tuple[str, Any]] = [
    ("name", "asks"),
    ("description", "Ask"),
    ("type", 2),
    ("contexts", [0]),
    ("contexts", None),
    ("integration_types", [0]),
    ("options", []),
    ("options", None),
]


@pytest.mark.parametrize(("field", "value"), CHANGES)
def test_a_changed_command_is_noticed(field: str, value: object) -> None:
    listed = echo()
    listed[-1][field] = value
    assert not same(listed)


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "q"), ("description", "?"), ("required", None), ("max_length", 100), ("type", 4)],
)
def test_a_changed_option_is_noticed(field: str, value: object) -> None:
    listed = echo()
    listed[-1]["options"][0][field] = value
    assert not same(listed)


def test_a_missing_or_additional_command_is_noticed() -> None:
    assert not same(echo()[1:])
    assert not same([*echo(), {"name": "old", "description": "of an older version"}])
    assert not same([*echo(), echo()[0]])


@given(garbage("name", "type", "options", "contexts", "integration_types", "description"))
def test_odd_lists_are_not_ours(known: Any) -> None:
    assert not same(known)


def test_the_commands_keep_discords_limits() -> None:
    """docs.discord.com/developers/interactions/application-commands."""
    names = [(command["type"], command["name"]) for command in COMMANDS]
    assert len(set(names)) == len(names)
    assert names == [(1, commands.ASK), (1, commands.NEW), (1, commands.HELP), (3, commands.ABOUT)]
    for command in COMMANDS:
        assert 1 <= len(command["name"]) <= 32
        if command["type"] == 1:
            assert command["name"].islower()
            assert command["name"].isalpha()
            assert 1 <= len(command["description"]) <= 100
        else:
            assert "description" not in command
            assert "options" not in command
        for option in command.get("options", ()):
            assert option["name"].islower()
            assert 1 <= len(option["description"]) <= 100
            assert 1 <= option["max_length"] <= 6000


def test_the_commands_are_there_for_servers_and_for_people() -> None:
    for command in COMMANDS:
        assert command["integration_types"] == [0, 1]
        assert command["contexts"] == [0, 1, 2]


def test_the_invitation_asks_for_what_is_needed() -> None:
    """Bits: docs.discord.com/developers/topics/permissions."""
    link = urlsplit(invitation("701"))
    assert (link.scheme, link.netloc, link.path) == ("https", "discord.com", "/oauth2/authorize")
    query = {name: values[0] for name, values in parse_qs(link.query).items()}
    assert query["client_id"] == "701"
    assert query["scope"].split() == ["bot", "applications.commands"]
    asked = int(query["permissions"])
    assert asked == 0x40 | 0x400 | 0x800 | 0x10000 | 0x800000000 | 0x4000000000
    assert [name for name, bit in PERMISSIONS.items() if asked & bit] == list(PERMISSIONS)
    assert not asked & 0x8  # no administrator
