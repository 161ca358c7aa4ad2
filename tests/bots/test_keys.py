"""Keys and tokens: what is no part of them, and of which kind they are."""

import pytest

from bots.settings import load
from tests.bots.test_settings import NOWHERE, problems

KEYS = {
    "DEEPSEEK_API_KEY": "sk-canary",
    "SLACK_BOT_TOKEN": "xoxb-canary",
    "SLACK_APP_TOKEN": "xapp-canary",
    "SLACK_SIGNING_SECRET": "0canary",
    "DISCORD_BOT_TOKEN": "can.ary.1",
}


@pytest.mark.parametrize("form", ['"{}"', "'{}'", '"{}', "{}'"])
def test_quotes_that_were_kept_are_no_part_of_a_key(form: str) -> None:
    found = problems(**{name: form.format(key) for name, key in KEYS.items()})
    assert set(found) == set(KEYS)
    assert all("leave out the quotes" in problem for problem in found.values())
    assert not any(key in str(found) for key in KEYS.values())
    assert load(KEYS, NOWHERE).settings.discord_bot_token


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("xapp-1-canary", "this is an app-level token (xapp-...), but xoxb-... belongs here"),
        ("xoxp-canary", "this is a user token (xoxp-...), but xoxb-... belongs here"),
        ("xoxe.xoxp-canary", "this is a user token (xoxe.xoxp-...), but xoxb-... belongs here"),
        ("xoxe-1-canary", "this is a refresh token (xoxe-...), but xoxb-... belongs here"),
        ("Bearer xoxb-canary", "leave out Bearer and the space: it is added"),
    ],
)
def test_a_bot_token_of_slack_has_its_kind(value: str, what: str) -> None:
    told = problems(SLACK_BOT_TOKEN=value)["SLACK_BOT_TOKEN"]
    assert told.startswith(what)
    assert "canary" not in told
    for right in ("xoxb-1-a", "xoxe.xoxb-1-a", "a-kind-to-come"):
        assert load({"SLACK_BOT_TOKEN": right}, NOWHERE).settings.slack_bot_token


@pytest.mark.parametrize("value", ["xoxb-canary", "xoxe.xoxb-canary"])
def test_an_app_token_of_slack_has_its_kind(value: str) -> None:
    kind = value.removesuffix("canary")
    told = problems(SLACK_APP_TOKEN=value)["SLACK_APP_TOKEN"]
    assert told.startswith(f"this is a bot token ({kind}...), but xapp-... belongs here")


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("DISCORD_BOT_TOKEN", "Bot can.ary.1", "Bot"),
        ("DISCORD_BOT_TOKEN", "bot  can.ary.1", "bot"),
        ("DEEPSEEK_API_KEY", "Bearer sk-canary", "Bearer"),
    ],
)
def test_the_word_that_is_sent_before_a_key_is_left_out(name: str, value: str, word: str) -> None:
    told = problems(**{name: value})[name]
    assert told.startswith(f"leave out {word} and the space: it is added")
    assert "ary" not in told
