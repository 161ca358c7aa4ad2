"""Generated documents say what the settings say."""

from pathlib import Path

import pytest

from bots import reference
from bots.settings import Settings, load


def test_every_variable_is_in_the_table_and_in_the_example() -> None:
    table, example = reference.markdown(), reference.env_example()
    for name in Settings.model_fields:
        assert f"| `{name.upper()}` |" in table
        assert f"\n#{name.upper()}=" in example


def test_the_example_is_a_valid_configuration_when_every_line_is_used(tmp_path: Path) -> None:
    lines = [line[1:] for line in reference.env_example().splitlines() if line[:2] > "# "]
    assert len(lines) > 25
    dotenv = tmp_path / ".env"
    dotenv.write_text("\n".join(lines))
    defaults, used = load({}, tmp_path / "none").settings, load({}, dotenv).settings
    assert used == defaults


def test_what_is_in_force_is_shown_without_secrets() -> None:
    loaded = load({"DEEPSEEK_API_KEY": "sk-canary", "HTTP_PORT": "81"}, Path("/nonexistent"))
    shown, given = reference.in_force(loaded), reference.given(loaded)
    assert "canary" not in shown + given
    assert "********  (environment)" in shown
    assert "HTTP_PORT                      81  (environment)" in shown
    assert "DEEPSEEK_API_KEY=********" in given


def test_what_is_in_force_is_written_as_the_documents_write_it() -> None:
    shown = reference.in_force(load({"DEEPSEEK_EXTRA_BODY": '{"top_p": true}'}, Path("none")))
    assert f"{'DEEPSEEK_STREAM':<30} true  (default)" in shown
    assert f'{"DEEPSEEK_EXTRA_BODY":<30} {{"top_p": true}}  (environment)' in shown
    unset = reference.in_force(load({"DEEPSEEK_STREAM": "0"}, Path("none")))
    assert f"{'DEEPSEEK_STREAM':<30} false  (environment)" in unset
    assert f"{'DEEPSEEK_EXTRA_BODY':<30} {{}}  (default)" in unset


def test_a_file_that_sets_nothing_is_named_and_so_is_where_none_is(tmp_path: Path) -> None:
    file = tmp_path / ".env"

    def given(**environ: str) -> str:
        return reference.given(load(environ, file))

    assert given() == f"all by default (no {file})"
    assert given(HTTP_PORT="1") == "HTTP_PORT from environment; the rest by default"
    file.write_text("#DEEPSEEK_API_KEY=sk-1\nHTTP_PORT=\nSOMETHING=x\n")
    assert given() == f"all by default ({file} sets nothing)"
    told = f"HTTP_PORT from environment; the rest by default ({file} sets nothing)"
    assert given(HTTP_PORT="1") == told
    file.write_text("HTTP_PORT=2\n")
    assert given(HTTP_PORT="1") == "HTTP_PORT from environment; the rest by default"
    file.write_text(f"DATABASE_URL_FILE={tmp_path}/url\n")
    (tmp_path / "url").write_text("sqlite:///a.db")
    assert given() == "DATABASE_URL from DATABASE_URL_FILE; the rest by default"


def test_the_file_is_named_by_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert reference.given(load({})) == f"all by default (no {tmp_path}/.env)"


def test_the_readme_table_is_replaced_and_nothing_else() -> None:
    before, after = "start\n", "end\n"
    readme = before + reference.TABLE[0] + "OUTDATED\n" + reference.TABLE[1] + after
    renewed = reference.with_table(readme)
    assert renewed.startswith(before)
    assert renewed.endswith(after)
    assert "OUTDATED" not in renewed
    assert reference.with_table(renewed) == renewed
