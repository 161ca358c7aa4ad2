"""What an older database doesn't know: answers that were given before a backup was restored."""

import asyncio

import structlog

from core.delivery.finding import post_key
from core.errors import DeliveryError, LockedOut, RateLimited, Undeliverable
from core.ports import FindsPost, Thread, Turn

log = structlog.get_logger()

_PAUSES = (1.0, 5.0)  # seconds between the looks


async def answered_before(turn: Turn, thread: Thread, began: float) -> bool:
    """Whether an answer is there already, though the database says that nothing was begun.

    began: when this process did, in seconds since the epoch. Only what was asked before that can
    have been answered by somebody whose database is no more, so that usually no call is made.
    Where posts can't be found, or can't be looked for now: False. Raises: LockedOut.
    """
    untouched = turn.attempts == 0 and not turn.parts
    if not (untouched and turn.prompt.asked_at < began and isinstance(thread, FindsPost)):
        return False
    for pause in (*_PAUSES, None):
        try:
            return bool(await thread.find(post_key(turn.prompt.identity, 0)))
        except LockedOut:
            raise
        except Undeliverable:
            return False  # answering will meet it, too
        except DeliveryError as error:
            log.warning("turn.not_looked_for", turn=turn.id, error=str(error))
            if pause is None:
                return False
            await asyncio.sleep(
                max(pause, error.retry_after if isinstance(error, RateLimited) else 0)
            )
    return False
