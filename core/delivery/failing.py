"""What becomes of a reply when the platform won't have one of its calls."""

import structlog

from core.delivery.deliveries import Delivery, How
from core.delivery.reply import Reply
from core.errors import (
    StreamOver,
    ThreadseekError,
    TooLarge,
    Undeliverable,
    Unshowable,
    Untouchable,
)
from core.types import Kind

log = structlog.get_logger()


def stays(reply: Reply, delivery: Delivery, error: Untouchable, says: str | None) -> None:
    """Go on in new messages. says: as for `Reply.stays`."""
    reply.stays(delivery, says)
    log.warning("delivery.message_stays", part=delivery.index, reason=str(error))


def unshowable(delivery: Delivery, error: Unshowable) -> None:
    """A text that may end within a word tells nothing of all of it. Raises the error where it is
    all of it.
    """
    if delivery.kind is Kind.FINAL:
        raise error
    log.info("delivery.not_shown_yet", part=delivery.index, reason=str(error))


def failed(reply: Reply, delivery: Delivery, error: ThreadseekError) -> None:
    """Go on without the call; raises what isn't to be helped by another one."""
    reply.failed(delivery)
    if isinstance(error, StreamOver):
        log.info("delivery.stream_over", part=delivery.index, reason=str(error))
    elif isinstance(error, TooLarge):
        log.warning("delivery.too_large", part=delivery.index, characters=len(delivery.text))
        streamed = delivery.how in (How.APPEND, How.STOP)  # it may be the stream's size
        if not streamed and not reply.shrink():
            raise Undeliverable("the platform refuses even small parts as too large") from error
    else:
        raise error
