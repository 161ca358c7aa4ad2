"""The logger given to Bolt and the SDK: errors only, without secrets, texts or tracebacks.

At debug level both write whole requests and events. Their errors may hold the address of the
socket, which lets its reader in (slack_sdk 3.47 socket_mode/aiohttp), a proxy's with its password
(aiohttp 3.14 ClientHttpProxyError), and the texts of a chained error. What matters is told by our
own events.
"""

import logging
import re

# Shorter than any token is what our advice says of one: "(xapp-...)".
_SECRET = re.compile(r"\b(?:ws|http)s?://\S+|\b(?:xox[a-z]|xapp|xoxe)[-.]\S{8,}")
_LONGEST = 300


class _Discreet(logging.Filter):
    """Takes what must not be read out of a record; lets the record pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True."""
        record.msg = _SECRET.sub("[hidden]", record.getMessage()).partition("\n")[0][:_LONGEST]
        record.args = None
        record.exc_info = record.exc_text = record.stack_info = None
        return True


def quiet_logger() -> logging.Logger:
    """The one logger for the libraries; Bolt copies its level and filters to its own."""
    logger = logging.getLogger("adapters.slack.libraries")
    logger.setLevel(logging.ERROR)
    if not logger.filters:
        logger.addFilter(_Discreet())
    return logger
