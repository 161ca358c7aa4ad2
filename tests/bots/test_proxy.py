"""HTTPS_PROXY, HTTP_PROXY and NO_PROXY as they are given."""

import subprocess
import sys
from pathlib import Path

import pytest

from bots import reference, wiring
from bots.settings import Loaded, load
from core.errors import ConfigurationError
from core.proxies import Proxies

NONE = Path("none")
ROOT = Path(__file__).parents[2]


def loaded(**environ: str) -> Loaded:
    return load(environ, NONE)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://proxy.test:3128", "http://proxy.test:3128"),
        ("http://proxy.test:3128/", "http://proxy.test:3128/"),
        ("https://proxy.test", "https://proxy.test"),
        ("proxy.test:3128", "http://proxy.test:3128"),
        ("me:canary@proxy.test:3128", "http://me:canary@proxy.test:3128"),
        ("http://me:p%40ss%C3%A4@[fd00::5]:3128", "http://me:p%40ss%C3%A4@[fd00::5]:3128"),
    ],
)
def test_an_address_is_taken_with_or_without_its_scheme(given: str, used: str) -> None:
    assert wiring._proxies(loaded(HTTPS_PROXY=given).settings) == Proxies(https=used)
    assert wiring._proxies(loaded(HTTP_PROXY=given).settings) == Proxies(http=used)


@pytest.mark.parametrize(
    "given",
    [
        "foo",
        "foo:canary",
        "http://",
        "http://me:canary@:3128",
        "http://proxy.test:0",
        "http://proxy.test:99999",
        "http://me:can#ary@proxy.test:3128",
        "http://me:can/ary@proxy.test:3128",
        "http://me:can@ary@proxy.test:3128",
        "http://me:can ary@proxy.test:3128",
        "http://me:canary%E2%82%AC@proxy.test:3128",
        "http://m%3Ae:canary@proxy.test:3128",
        "http://me:canäry@proxy.test:3128",
        "socks5://me:canary@proxy.test:1080",
        "http://proxy.test:3128/path",
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "http_proxy"])
def test_a_bad_address_is_told_with_the_fix_and_not_repeated(name: str, given: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(**{name: given})
    (problem,) = caught.value.problems
    assert problem.startswith(f"{name.upper()}: must be http://host:port or http://user:")
    assert "ary" not in problem.replace("necessary", "")


def test_small_letters_count_where_there_are_no_capitals(tmp_path: Path) -> None:
    both = loaded(https_proxy="http://a.test:1", HTTPS_PROXY="http://b.test:2", no_proxy="x.test")
    assert wiring._proxies(both.settings) == Proxies(https="http://b.test:2", spared="x.test")
    assert both.origins == {"HTTPS_PROXY": "environment", "NO_PROXY": "environment"}
    dotenv = tmp_path / ".env"
    dotenv.write_text("HTTPS_PROXY=http://file.test:1\n")
    nearer = load({"https_proxy": "http://a.test:1"}, dotenv)
    assert wiring._proxies(nearer.settings).https == "http://a.test:1"
    assert wiring._proxies(load({}, dotenv).settings).https == "http://file.test:1"


def test_what_is_in_force_is_shown_without_the_password(tmp_path: Path) -> None:
    file = tmp_path / "proxy"
    file.write_text("http://me:canary@proxy.test:3128\n")
    given = loaded(HTTPS_PROXY_FILE=str(file), http_proxy="plain.test:80", NO_PROXY="10.0.0.0/8")
    shown = reference.in_force(given)
    assert "http://proxy.test:3128 with a user  (HTTPS_PROXY_FILE)" in shown
    assert "http://plain.test:80  (environment)" in shown
    assert "10.0.0.0/8  (environment)" in shown
    assert "canary" not in shown + reference.given(given) + repr(given)


def test_neither_spelling_of_the_password_reaches_the_log() -> None:
    program = """
from bots import commands
commands._settings()
import structlog
log = structlog.get_logger()
log.error("went wrong", url="http://me:can%40ary@proxy.test:3128/", word="can@ary", much="canary")
"""
    environ = {"PATH": "", "HTTPS_PROXY": "http://me:can%40ary@proxy.test:3128"}
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environ)
    assert "went wrong" in ran.stderr and "canary" in ran.stderr
    assert "can%40ary" not in ran.stderr
    assert "can@ary" not in ran.stderr
