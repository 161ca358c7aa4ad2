"""Which proxy a connection goes through."""

import pytest

from core.proxies import DIRECT, Proxies

HTTPS, HTTP = "http://user:canary@secure.test:3128", "http://plain.test:3128"
BOTH = Proxies(https=HTTPS, http=HTTP)


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://slack.com/api/", HTTPS),
        ("wss://gateway.discord.gg/?v=10", HTTPS),
        ("http://api.internal:8000", HTTP),
        ("ws://10.1.2.3/", HTTP),
        ("http://128.0.0.1/", HTTP),
        ("https://localhost.example.com", HTTPS),
        ("http://127.0.0.1:8080/deepseek", None),
        ("http://127.8.9.10", None),
        ("ws://[::1]:99/", None),
        ("https://localhost:8443", None),
        ("http://api.localhost./", None),
    ],
)
def test_the_scheme_chooses_and_this_machine_is_spared(url: str, proxy: str | None) -> None:
    assert BOTH.of(url) == proxy
    assert DIRECT.of(url) is None


@pytest.mark.parametrize(
    ("spared", "url"),
    [
        ("*", "https://slack.com/api/"),
        ("slack.com", "https://slack.com/api/"),
        ("slack.com", "wss://wss-primary.slack.com/link"),
        (".slack.com", "wss://wss-primary.slack.com/link"),
        ("*.slack.com", "wss://wss-primary.slack.com/link"),
        ("internal, SLACK.com ,x.org", "https://Slack.com/"),
        ("internal slack.com", "https://slack.com/"),
        ("slack.com:443", "https://slack.com/"),
        ("api.test:8000", "http://api.test:8000/"),
        ("10.1.2.3", "http://10.1.2.3:8000"),
        ("10.1.2.3:8000", "http://10.1.2.3:8000"),
        ("10.0.0.0/8", "http://10.1.2.3:8000"),
        ("fd00::/8", "http://[fd00::5]:8000"),
        ("[fd00::5]", "http://[fd00::5]:8000"),
    ],
)
def test_no_proxy_names_what_is_reached_directly(spared: str, url: str) -> None:
    assert BOTH.of(url)
    assert Proxies(HTTPS, HTTP, spared).of(url) is None


@pytest.mark.parametrize(
    ("spared", "url"),
    [
        ("slack.com", "https://notslack.com/"),
        ("slack.com", "https://slack.com.evil.test/"),
        ("wss-primary.slack.com", "https://slack.com/"),
        ("slack.com:8443", "https://slack.com/"),
        ("10.0.0.0/8", "http://11.1.2.3"),
        ("10.0.0.0/8", "http://[fd00::5]"),
        ("10.0.0.0/8", "https://10.example.com"),
        ("10.1.2.3", "http://10.1.2.30"),
        (", ,", "https://slack.com/"),
        (".", "https://slack.com/"),
    ],
)
def test_and_nothing_else(spared: str, url: str) -> None:
    assert Proxies(HTTPS, HTTP, spared).of(url)


def test_a_password_is_not_in_what_is_shown_of_it() -> None:
    assert "canary" not in repr(BOTH)


def test_an_error_without_a_proxy_in_it_is_not_its() -> None:
    assert BOTH.trouble("http://127.0.0.1", TimeoutError()) is None
    assert BOTH.trouble("https://slack.com", ConnectionResetError()) is None
    told = str(BOTH.trouble("https://slack.com", TimeoutError()))
    assert "secure.test:3128 (HTTPS_PROXY)" in told
    assert "canary" not in told
    assert "plain.test:3128 (HTTP_PROXY)" in str(BOTH.trouble("http://a.test", TimeoutError()))
