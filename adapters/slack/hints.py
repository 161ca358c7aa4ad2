"""Calls to Slack that an answer does without."""

from collections.abc import Awaitable, Callable

import structlog

from adapters.slack.calls import Api, Method
from adapters.slack.refusals import NEVER, NotServed, Refused
from core.errors import DeliveryError

log = structlog.get_logger()


async def hint(api: Api, method: Method, call: Callable[[], Awaitable[object]]) -> None:
    """A call that may fail: it is dropped then, and not made again where it never works."""
    if method in api.off:
        return
    try:
        await call()
    except Refused as refused:
        if refused.code in NEVER:
            api.off.add(method)
        log.info("slack.hint_refused", method=method.name, code=refused.code)
    except DeliveryError as error:
        if isinstance(error, NotServed):
            api.off.add(method)
        log.info("slack.hint_failed", method=method.name, error=type(error).__name__)
