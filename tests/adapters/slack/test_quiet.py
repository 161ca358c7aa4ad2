"""What the libraries log: no token, but the advice on where to get one."""

import logging

import pytest

from adapters.slack.app import _APP_TOKEN, _BOT_TOKEN
from adapters.slack.quiet import quiet_logger


@pytest.mark.parametrize("advice", [_APP_TOKEN, _BOT_TOKEN])
def test_advice_is_legible_and_tokens_are_not(
    advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = ["xapp-1-A1-23456789", "xoxb-1234-5678", "xoxe.xoxp-1-Mi0yLTEw", "wss://link/?t=1"]
    secrets.append("http://user:password@proxy.test:3128")
    for secret in secrets:
        quiet_logger().error("it failed with %s: %s", secret, advice)
    assert [record.getMessage() for record in caplog.records] == [
        f"it failed with [hidden] {advice}" for _ in secrets
    ]
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
