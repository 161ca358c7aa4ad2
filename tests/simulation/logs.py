"""I10: what is logged while a schedule plays. Nobody's words and no secret may be in it."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from structlog.typing import EventDict, WrappedLogger

from bots.logs import _redactor

SECRET = "xoxb-canary-0123456789"
"""A token that platforms and API repeat in what they complain about."""
_WORDS = "[sim:"
_PLAIN = (int, float, type(None))


@contextmanager
def watched(wrong: Callable[[str], None]) -> Iterator[None]:
    """Look at every line, as the service writes it at its most talkative; write none.

    wrong: is told of lines that may not be.
    """

    def look(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        failure = sys.exception() if event.get("exc_info") else None
        for value in (*event.values(), failure):
            text = "" if isinstance(value, _PLAIN) else str(value)
            if _WORDS in text or SECRET in text:
                wrong(f"I10 logged: {event}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(
        processors=[_redactor([SECRET]), look],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.ReturnLoggerFactory(),
        cache_logger_on_first_use=False,
    )
    try:
        yield
    finally:
        structlog.configure(**before)
