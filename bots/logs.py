"""Logging: structlog for us and for every library, one line an event, secrets taken out."""

import logging
import re
import sys
from collections.abc import Iterable
from typing import Any

# structlog would load rich, 65 modules, to draw tracebacks with; ours are plain lines.
if "rich" in sys.modules:
    import structlog
else:
    sys.modules["rich"] = None  # type: ignore[assignment]
    import structlog

    del sys.modules["rich"]  # for typer, which draws its help with it

from structlog.typing import EventDict, Processor, WrappedLogger

_QUIET = (
    "slack_bolt",
    "slack_sdk",
    "aiohttp.access",
    "aiosqlite",  # whole statements with their parameters
    "asyncio",
    "alembic",
    "sqlalchemy",
)
_LOOKS_SECRET = re.compile(r"\b(?:xox[a-z]-|xapp-|xoxe\.|sk-)[A-Za-z0-9-]{6,}|Bearer\s+\S+")
_MASK = "[secret]"
_STEERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # terminals, and who reads by lines
_STEERS_WITHIN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")  # a traceback has lines


def configure(level: str, fmt: str, secrets: Iterable[str] = (), *, colors: bool = True) -> None:
    """Send every log line to standard error. secrets: values that must never appear. colors: in
    colors where that is a terminal.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _redactor(secrets),
    ]
    renderer: Processor
    if fmt == "json":
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=colors and sys.stderr.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_named, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def lines() -> Any:
    """A log for what an operator reads at the start: written whatever the level is."""
    below = logging.getLogger("threadseek.lines")
    below.setLevel(logging.INFO)
    return structlog.wrap_logger(
        below, wrapper_class=structlog.make_filtering_bound_logger(logging.INFO)
    )


def _named(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """A library's line as an event like ours: named after who says it, the sentence beside it."""
    event["message"], event["event"] = event["event"], event["_record"].name
    return event


def _redactor(secrets: Iterable[str]) -> Processor:
    """Masks the given values and whatever looks like a token, keeps an event on one line, and
    writes out what would steer a terminal: other people's words, and the API's, stand in events.
    """
    known = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)

    def clean(text: str) -> str:
        for secret in known:
            text = text.replace(secret, _MASK)
        return _LOOKS_SECRET.sub(_MASK, text)

    def redact(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
        for key, value in event.items():
            if isinstance(value, str):
                steers = _STEERS_WITHIN if key == "exception" else _STEERS
                event[key] = steers.sub(_written, clean(value))
        return event

    return redact


def _written(sign: re.Match[str]) -> str:
    return sign[0].encode("unicode_escape").decode()
