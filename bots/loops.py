"""The event loop that the service runs on."""

import asyncio
from collections.abc import Callable

import structlog

log = structlog.get_logger()


def factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, or None for Python's own where uvloop can't be imported."""
    try:
        import uvloop
    except ImportError as error:
        log.warning("loop.plain", reason=str(error), fix="install uvloop: half the CPU")
        return None
    return uvloop.new_event_loop
