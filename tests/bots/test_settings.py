"""Environment to settings: sources, checks, every problem at once."""

from pathlib import Path

import pytest

from bots import reference
from bots.settings import Loaded, load
from core.errors import ConfigurationError
from core.store.clock import LONGEST

NOWHERE = Path("/nonexistent/.env")


def problems(**environ: str) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        load(environ, NOWHERE)
    return dict(problem.split(": ", 1) for problem in caught.value.problems)


def loaded(dotenv: Path = NOWHERE, **environ: str) -> Loaded:
    return load(environ, dotenv)


def test_nothing_is_needed() -> None:
    settings = loaded().settings
    assert settings.deepseek_api_key is None
    assert settings.deepseek_base_url == "https://api.acedata.cloud/deepseek"
    assert settings.deepseek_model == "deepseek-v3"
    assert settings.deepseek_temperature is None
    assert settings.context_tokens == 64_000
    assert settings.database_url == "sqlite:///threadseek.db"
    assert settings.retention_days is None, "no upgrade erases anything"
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 8080)
    assert (settings.log_level, settings.log_format) == ("info", "console")


def test_all_problems_are_reported_at_once_by_variable_with_the_fix() -> None:
    given = {
        "DEEPSEEK_TEMPERATURE": "2.5",
        "DEEPSEEK_N": "0",
        "DEEPSEEK_BASE_URL": "api.deepseek.com",
        "DEEPSEEK_EXTRA_BODY": "[1]",
        "DEEPSEEK_RESPONSE_FORMAT": "yaml",
        "DEEPSEEK_API_KEY_FILE": "/nonexistent/key",
        "SLACK_BOT_TOKEN": "xapp-1-A",
        "DATABASE_URL": "mysql://db",
        "HTTP_PORT": "eighty",
        "LOG_FORMAT": "xml",
    }
    found = problems(**given)
    assert set(found) == set(given)
    assert "less than or equal to 2" in found["DEEPSEEK_TEMPERATURE"]
    assert "https://" in found["DEEPSEEK_BASE_URL"]
    assert "sqlite:///threadseek.db" in found["DATABASE_URL"]
    assert "app-level token" in found["SLACK_BOT_TOKEN"]


def test_a_database_url_is_read_from_a_file_and_shown_without_its_password(tmp_path: Path) -> None:
    url = "postgresql://ann:s3cret@db:5433/threadseek?sslmode=require&password=s3cret"
    file = tmp_path / "url"
    file.write_text(f"{url}\n")
    result = loaded(DATABASE_URL_FILE=str(file))
    assert result.settings.database_url == url
    assert "postgresql://ann@db:5433/threadseek " in reference.in_force(result)
    shown = f"{reference.in_force(result)}{reference.given(result)}{result!r}"
    assert "s3cret" not in shown
    assert "DATABASE_URL_FILE" in reference.page()


@pytest.mark.parametrize(
    "url", ["postgresql://u:secretp@ssword@db/n", "postgres://u:1/secretp@ssword@db/n"]
)
def test_an_at_sign_in_a_password_is_refused_and_no_half_of_it_is_shown(url: str) -> None:
    problem = problems(DATABASE_URL=url)["DATABASE_URL"]
    assert "%40" in problem
    assert "secretp" not in problem
    assert "ssword" not in problem.replace("password", "")
    escaped = loaded(DATABASE_URL="postgresql://u:secretp%40ssword@db/n")
    assert "postgresql://u@db/n " in reference.in_force(escaped)


_ADDRESSES = {
    "DEEPSEEK_BASE_URL": "https",
    "SLACK_API_URL": "https",
    "DISCORD_API_URL": "https",
    "DISCORD_GATEWAY_URL": "wss",
}


@pytest.mark.parametrize("name", _ADDRESSES)
@pytest.mark.parametrize(
    ("rest", "fix"),
    [
        ("u:passw0rd@h/x", "leave out"),
        ("passw0rd@h/x", "leave out"),
        ("u:passw0rd@h:99999/x", "leave out"),
        ("h/x#f", "leave out"),
        ("h:99999/x", "65535"),
        ("h:0/x", "65535"),
        ("h:eighty/x", "65535"),
        ("exa mple/x", "white space"),
        ("h/x\ty", "white space"),
        (":443/x", "begins with"),
        ("[::1/x", "begins with"),
    ],
)
def test_an_address_is_refused_that_no_request_could_be_made_of(
    name: str, rest: str, fix: str
) -> None:
    found = problems(**{name: f"{_ADDRESSES[name]}://{rest}"})
    assert fix in found[name]
    assert "passw0rd" not in str(found)


@pytest.mark.parametrize("name", sorted(_ADDRESSES.keys() - {"DISCORD_GATEWAY_URL"}))
@pytest.mark.parametrize("rest", ["h/x?api-version=1", "h/x?"])
def test_an_address_that_a_path_is_added_to_has_no_query(name: str, rest: str) -> None:
    assert "leave out" in problems(**{name: f"https://{rest}"})[name]


@pytest.mark.parametrize(
    "value", ["http://h", "https://h:65535/x/", "http://[::1]:80", "http://1.2.3.4"]
)
def test_an_address_may_have_a_port_and_a_path(value: str) -> None:
    assert loaded(DEEPSEEK_BASE_URL=value).settings.deepseek_base_url == value.rstrip("/")


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("0:0:0:0:0:0:0:1", "::1"),
        ("FE80::0:1%eth0", "fe80::1%eth0"),
        ("127.0.0.1", "127.0.0.1"),
        ("bot.example", "bot.example"),
        ("my_box-1.example.", "my_box-1.example."),
        ("b\u00fccher.example", "b\u00fccher.example"),
    ],
)
def test_a_host_has_one_spelling_by_which_it_is_known_as_ours(given: str, used: str) -> None:
    assert loaded(HTTP_HOST=given).settings.http_host == used


@pytest.mark.parametrize(
    "host",
    [
        "http://0.0.0.0",
        "http://localhost",
        "localhost:80",
        "0.0.0.0:80",
        "[::1]",
        "a..b",
        "*",
        "a b",
    ],
)
def test_what_is_no_host_is_refused_with_the_other_problems(host: str) -> None:
    found = problems(HTTP_HOST=host, HTTP_PORT="x")
    assert set(found) == {"HTTP_HOST", "HTTP_PORT"}
    assert found["HTTP_HOST"].startswith("must be an address of this machine or its name, such as")
    assert "without http://, brackets and port" in found["HTTP_HOST"]


@pytest.mark.parametrize("value", ["-0.1", "2.01", "nan", "inf", "warm"])
def test_a_temperature_outside_0_to_2_is_refused(value: str) -> None:
    assert "DEEPSEEK_TEMPERATURE" in problems(DEEPSEEK_TEMPERATURE=value)


@pytest.mark.parametrize("value", ["0", "2", "1.3"])
def test_a_temperature_from_0_to_2_is_taken(value: str) -> None:
    assert loaded(DEEPSEEK_TEMPERATURE=value).settings.deepseek_temperature == float(value)


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("DEEPSEEK_BASE_URL", "https://api.deepseek.com/chat/completions", "leave out"),
        ("DEEPSEEK_API_KEY", "sk-1\nsk-2", "line break"),
        ("DEEPSEEK_EXTRA_BODY", '{"messages": []}', "can't be set here"),
        ("DEEPSEEK_EXTRA_BODY", "{broken", "JSON object"),
        ("DEEPSEEK_EXTRA_BODY", '{"top_p": NaN}', "a number that can't be sent"),
        ("DEEPSEEK_EXTRA_BODY", '{"a": [{"b": -1e999}]}', "a number that can't be sent"),
        ("DEEPSEEK_EXTRA_BODY", '{"stop": ["\\ud83d"]}', "half a character"),
        ("DEEPSEEK_EXTRA_BODY", '{"\\ude0a": 1}', "half a character"),
        ("DEEPSEEK_EXTRA_BODY", "[]", 'must be a JSON object such as {"top_p": 0.9}'),
        ("DEEPSEEK_EXTRA_BODY", "null", 'must be a JSON object such as {"top_p": 0.9}'),
        (
            "DEEPSEEK_RESPONSE_FORMAT",
            "{bad",
            "must be text or json_object",
        ),
        ("DEEPSEEK_RESPONSE_FORMAT", '{"a": 1}', "must be text or json_object"),
        ("DEEPSEEK_RESPONSE_FORMAT", '{"type": null}', "must be text or json_object"),
        ("DEEPSEEK_RESPONSE_FORMAT", "json_schema", "any other is given by DEEPSEEK_EXTRA_BODY"),
        ("DEEPSEEK_RESPONSE_FORMAT", '{"type": "json_schema"}', "given by DEEPSEEK_EXTRA_BODY"),
        ("DATABASE_URL", "postgresql://u:p@db", "postgresql://user:password@host/name"),
        ("DATABASE_URL", "postgres://u:sk-1/#@db/x", "%XX"),
        ("DATABASE_URL", "postgres://u:1/u:p@db/x", "%XX"),
        ("DATABASE_URL", "sqlite://", "sqlite:///FILE"),
        ("DEEPSEEK_IDLE_TIMEOUT", "0", "greater than 0"),
        ("SHUTDOWN_GRACE", "inf", "finite"),
        ("CONTEXT_TOKENS", "10", "greater than or equal to 1000"),
        ("DEEPSEEK_MAX_TOKENS", "0", "greater than or equal to 1"),
        ("DEEPSEEK_N", "129", "less than or equal to 128"),
        ("DEEPSEEK_CONCURRENCY", "0", "greater than or equal to 1"),
        ("DISCORD_SHARDS", "0", "greater than or equal to 1"),
        ("DISCORD_SHARDS", "10001", "less than or equal to 10000"),
    ],
)
def test_bad_values_say_what_to_do(name: str, value: str, hint: str) -> None:
    found = problems(**{name: value})
    assert hint in found[name]
    assert "u:p" not in found[name], "a password is never repeated"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_tokens", "10000"),
        ("model", '"another"'),
        ("n", "null"),
        ("response_format", '{"type": "json_object"}'),
        ("response_format", '{"type": "text"}'),
        ("response_format", "null"),
        ("stream", "false"),
        ("temperature", "5"),
    ],
)
def test_a_field_with_a_variable_of_its_own_is_set_there_only(field: str, value: str) -> None:
    found = problems(DEEPSEEK_EXTRA_BODY=f'{{"{field}": {value}, "top_p": 1}}')
    hint = f"leave out {field} and use its own variable: DEEPSEEK_{field.upper()}. "
    assert hint in found["DEEPSEEK_EXTRA_BODY"]


def test_a_format_that_the_variable_does_not_take_is_set_beside_it() -> None:
    given = '{"response_format": {"type": "json_schema", "json_schema": {}}}'
    form = loaded(DEEPSEEK_EXTRA_BODY=given).settings.deepseek_extra_body["response_format"]
    assert form["type"] == "json_schema"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("DEEPSEEK_MAX_TOKENS", (1,)),
        ("DEEPSEEK_N", (1, 128)),
        ("DEEPSEEK_CONCURRENCY", (1,)),
        ("DISCORD_SHARDS", (1, 10_000)),
    ],
)
def test_the_smallest_and_the_largest_number_are_taken(name: str, values: tuple[int, ...]) -> None:
    for value in values:
        assert getattr(load({name: str(value)}, NOWHERE).settings, name.lower()) == value


def test_the_environment_wins_over_the_file_and_empty_counts_as_unset(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("DEEPSEEK_MODEL=from-file\nHTTP_PORT=9000\nSYSTEM_PROMPT='a # b'\n")
    result = loaded(dotenv, DEEPSEEK_MODEL="from-env", HTTP_PORT="", SLACK_APP_TOKEN=" ")
    assert result.settings.deepseek_model == "from-env"
    assert result.settings.http_port == 9000
    assert result.settings.system_prompt == "a # b"
    assert result.settings.slack_app_token is None
    assert result.origins == {
        "DEEPSEEK_MODEL": "environment",
        "HTTP_PORT": str(dotenv),
        "SYSTEM_PROMPT": str(dotenv),
    }


def test_secrets_may_lie_in_files_and_are_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("sk-canary-1234\n")
    result = loaded(DEEPSEEK_API_KEY_FILE=str(secret))
    key = result.settings.deepseek_api_key
    assert key is not None
    assert key.get_secret_value() == "sk-canary-1234"
    assert result.origins == {"DEEPSEEK_API_KEY": "DEEPSEEK_API_KEY_FILE"}
    assert "canary" not in repr(result)
    assert "canary" not in str(result.settings)
    bad = problems(SLACK_BOT_TOKEN="xapp-canary")
    assert "canary" not in str(bad)


def test_an_empty_or_binary_secret_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    found = problems(
        DEEPSEEK_API_KEY_FILE=str(tmp_path / "empty"),
        SLACK_BOT_TOKEN_FILE=str(tmp_path / "binary"),
    )
    assert "empty" in found["DEEPSEEK_API_KEY_FILE"]
    assert "not a text file" in found["SLACK_BOT_TOKEN_FILE"]


@pytest.mark.parametrize("value", ["json_object", '{"type": "json_object"}'])
def test_both_spellings_of_the_response_format(value: str) -> None:
    settings = loaded(DEEPSEEK_RESPONSE_FORMAT=value).settings
    assert settings.deepseek_response_format == "json_object"


def test_slips_of_the_pen_are_pointed_out() -> None:
    (warning,) = loaded(DEEPSEEK_APIKEY="x", UNRELATED="y").warnings
    assert "DEEPSEEK_APIKEY" in warning
    assert "did you mean DEEPSEEK_API_KEY?" in warning


def test_a_value_in_the_file_is_taken_as_it_stands(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("DEEPSEEK_API_KEY=sk-${HOME}-x\n")
    key = loaded(dotenv, HOME="/root").settings.deepseek_api_key
    assert key is not None
    assert key.get_secret_value() == "sk-${HOME}-x"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://discord.com/api/v10", "https://discord.com/api/v10"),
        ("https://discord.com/api/v10/", "https://discord.com/api/v10"),
        ("https://discord.com/api/v11//", "https://discord.com/api/v11"),
        ("https://discord.com/api", "https://discord.com/api/v10"),
        ("https://discord.com/api/", "https://discord.com/api/v10"),
        ("https://discord.com", "https://discord.com/api/v10"),
        ("http://127.0.0.1:3300/", "http://127.0.0.1:3300/api/v10"),
        ("http://proxy.test/v10/discord", "http://proxy.test/v10/discord/v10"),
    ],
)
def test_discords_address_gets_its_version_and_loses_its_slash(given: str, used: str) -> None:
    assert loaded(DISCORD_API_URL=given).settings.discord_api_url == used


@pytest.mark.parametrize("query", ["", "?v=10&encoding=json", "?"])
def test_discords_gateway_is_taken_as_it_stands_and_must_be_a_websocket(query: str) -> None:
    given = f"ws://127.0.0.1:3300/gateway/{query}"
    assert loaded(DISCORD_GATEWAY_URL=given).settings.discord_gateway_url == given
    found = problems(DISCORD_GATEWAY_URL="https://gateway.discord.gg/", DISCORD_API_URL="discord")
    assert "wss://" in found["DISCORD_GATEWAY_URL"]
    assert "https://" in found["DISCORD_API_URL"]


def test_no_lease_is_longer_than_the_store_takes_for_one() -> None:
    assert loaded(LEASE_SECONDS=f"{LONGEST:g}").settings.lease_seconds == LONGEST
    assert "LEASE_SECONDS" in problems(LEASE_SECONDS=f"{LONGEST + 1:g}")


@pytest.mark.parametrize("name", ["DATABASE_URL", "DEEPSEEK_API_KEY"])
def test_a_file_that_is_not_read_because_of_the_value_beside_it_is_warned_of(
    tmp_path: Path, name: str
) -> None:
    file, dotenv = tmp_path / "secret", tmp_path / ".env"
    file.write_text("sqlite:///secret.db")
    both = load({name: "sqlite:///a.db", f"{name}_FILE": str(file)}, dotenv)
    assert both.warnings == (f"{name}_FILE is ignored, because {name} is set: leave one out",)
    assert both.origins == {name: "environment"}
    assert load({name: "", f"{name}_FILE": str(file)}, dotenv).warnings == ()
    dotenv.write_text(f"{name}=sqlite:///b.db\n")
    nearer = load({f"{name}_FILE": str(file)}, dotenv)
    assert (nearer.warnings, nearer.origins) == ((), {name: f"{name}_FILE"})


@pytest.mark.parametrize("days", ["0", "-1", "0.5", "36501", "a month"])
def test_what_is_no_number_of_days_is_refused_and_told_what_is(days: str) -> None:
    """0 might mean never or at once: nobody finds out by losing everything."""
    problem = problems(RETENTION_DAYS=days)["RETENTION_DAYS"]
    assert "1 at least. Unset: kept" in problem
    assert loaded(RETENTION_DAYS="1").settings.retention_days == 1


def test_a_slip_in_how_long_words_are_kept_is_told() -> None:
    assert loaded(RETENTION_DAY="30").warnings == (
        "RETENTION_DAY is not a variable of Threadseek and is ignored: "
        "did you mean RETENTION_DAYS?",
    )
