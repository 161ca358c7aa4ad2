"""`.env`: what it sets, and what of it sets nothing: wrong lines, and names that aren't ours."""

from pathlib import Path

import pytest

from bots.settings import load
from core.errors import ConfigurationError

SECRET = "canary1234"


def refused(tmp_path: Path, text: str) -> tuple[str, ...]:
    """What is said of a `.env`, by a path and never with a secret."""
    file = tmp_path / ".env"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load({}, file)
    told = tuple(problem.removeprefix(str(file)) for problem in caught.value.problems)
    assert SECRET not in str(told)
    return told


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (f'DEEPSEEK_API_KEY="{SECRET}', "DEEPSEEK_API_KEY has a quote that isn't closed"),
        (f"export DEEPSEEK_API_KEY='{SECRET}", "DEEPSEEK_API_KEY has a quote that isn't closed"),
        (f'DEEPSEEK_API_KEY="sk"{SECRET}', "something behind the closing one"),
        ("DEEPSEEK_API_KEY", "DEEPSEEK_API_KEY has no = behind it: write DEEPSEEK_API_KEY=value"),
        ("export HTTP_PORT", "HTTP_PORT has no ="),
        ("HTTP_PORT: 8084", "HTTP_PORT has no ="),
        ("HTTP_PORT:8084", "HTTP_PORT has no ="),
        ("HTTP_PORT 8083", "HTTP_PORT has no ="),
        (f"DEEPSEEK_API_KEY_FILE: {SECRET}", "DEEPSEEK_API_KEY_FILE has no ="),
        (SECRET, "is not NAME=value"),
        (f"sk-{SECRET}", "is not NAME=value"),
        (f"- DEEPSEEK_API_KEY={SECRET}", "is not NAME=value"),
        (f"={SECRET}", "is not NAME=value"),
    ],
)
def test_a_line_that_sets_nothing_is_told_by_its_number_and_with_the_fix(
    tmp_path: Path, line: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    (told,) = refused(tmp_path, f"# The first line\n\nLOG_LEVEL=error\n\n{line}\n")
    assert told.startswith(", line 5: ")
    assert what in told
    assert not caplog.records, "what reads the file says nothing beside it"


def test_wrong_lines_are_told_with_everything_else(tmp_path: Path) -> None:
    told = refused(tmp_path, f'HTTP_PORT: 1\nDEEPSEEK_N=0\nDEEPSEEK_API_KEY="{SECRET}')
    assert [each.split(": ")[0] for each in told] == [", line 1", ", line 3", "DEEPSEEK_N"]


def test_what_a_file_may_hold_beside_values(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / ".env"
    file.write_text(
        "\ufeff\n# a remark\nexport HTTP_PORT = 81 # another\nDEEPSEEK_MODEL=\n\n"
        "SYSTEM_PROMPT=\"two\nlines\"\n'LOG_LEVEL'='error'\n\n",
        encoding="utf-8",
    )
    result = load({}, file)
    assert set(result.origins) == {"HTTP_PORT", "SYSTEM_PROMPT", "LOG_LEVEL"}
    assert result.settings.system_prompt == "two\nlines"
    assert not caplog.get_records("call")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="make it a readable UTF-8 text file"):
        load({}, file)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("HTTP_PROT", "HTTP_PORT"),
        ("SYSTEM_PROMT", "SYSTEM_PROMPT"),
        ("LOGLEVEL", "LOG_LEVEL"),
        ("DATABASE", "DATABASE_URL"),
        ("DEEPSEEK_KEY", "DEEPSEEK_API_KEY"),
        ("deepseek_api_key", "DEEPSEEK_API_KEY"),
        ("Slack_Bot_Token", "SLACK_BOT_TOKEN"),
        ("HTTP_PORT_FILE", "HTTP_PORT"),
        ("SECRET", ""),
    ],
)
def test_of_a_name_in_the_file_that_is_not_ours_is_warned(
    tmp_path: Path, name: str, meant: str
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"{name}=canary\n")
    (warning,) = load({"LANG": "C", "HTTP_PROT": ""}, file).warnings
    hint = f": did you mean {meant}?" if meant else ""
    assert warning == f"{name} is not a variable of Threadseek and is ignored{hint}"


def test_of_a_name_that_others_read_is_not_warned(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    names = ("HTTPS_PROXY", "HTTP_PROXY", "http_proxy", "https_proxy")
    lines = [f"{name}=http://a.test:1" for name in names]
    file.write_text("\n".join([*lines, "NO_PROXY=*", "no_proxy=*", "POSTGRES_PASSWORD=x"]))
    assert load({"LOGLEVEL": "x", "DATABASE": "x"}, file).warnings == (), "others' environment"
    assert load({"deepseek_api_key": "x"}, file).warnings, "by its prefix it is meant for us"


@pytest.mark.parametrize(
    "line", ["YWJjZGVmZ2hp==", "postgresql://u:canary@h/d?sslmode=require", "DEEPSEEK_API_KEY:a=="]
)
def test_a_name_that_may_be_a_secret_is_not_repeated(tmp_path: Path, line: str) -> None:
    file = tmp_path / ".env"
    file.write_text(line)
    (warning,) = load({}, file).warnings
    assert warning.startswith("a name in .env that is not repeated here, as it may be a secret, is")
    assert line.split("=")[0] not in warning
